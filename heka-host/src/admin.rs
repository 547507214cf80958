//! The admin endpoint: a running host answers questions about itself, over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `GET /stats` | what each stage has counted, and whether the accounting balances |
//! | `GET /health` | how each instance is doing; 503 when one is not ok, or the host is stopping |
//! | `POST /reload` | reads the config again, and says what changed |
//! | `POST /reopen` | outputs open their files anew |
//! | `POST /replay` | puts dead letters back: those of the body, or, without one, those of the built-in queue |
//! | `POST /inject` | puts the body's messages into the router: Heka frames, or JSON objects, one a line |
//!
//! Answers are JSON; a refusal is `{"error": "…"}`. One request a connection. A unix socket serves who may open it, which
//! is its owner; over TCP each request needs `Authorization: Bearer TOKEN`.
//!
//! Heads have at most 16 KiB and 5 s to arrive, bodies 16 MiB and 30 s. At most 8 requests of each listener are served at
//! the same time; the others are told to come later. Nothing here waits for a stage, except that `/inject` waits while
//! the injection lane has much to do.

mod answer;
mod body;
mod endpoint;
mod http;
mod listener;
mod server;
mod short_path;
mod socket;
mod token;

pub(crate) use server::{Admin, Options};
pub(crate) use short_path::ShortPath;
pub(crate) use token::token;
