//! Speaks HTTP: input `http_listen` takes what others send, input `http_poll` fetches.
//!
//! [`listen`] is a server on one thread; [`poll`] asks each URL on a thread of its own.

mod listen;
mod poll;

use heka_plugin_api::export_plugin;
use listen::HttpListenInput;
use poll::HttpPollInput;

export_plugin! {
    input "http_listen" => HttpListenInput,
    input "http_poll" => HttpPollInput,
}
