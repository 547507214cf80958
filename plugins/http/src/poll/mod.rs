//! Input `http_poll`: each URL is fetched on a thread of its own ([`fetcher`]), the input's thread hands on what came
//! ([`poll_input`]).

mod config;
mod fetched;
mod fetcher;
mod poll_input;

pub use poll_input::HttpPollInput;

#[cfg(test)]
mod tests;
