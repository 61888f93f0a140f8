//! The front door: `POST /api/auth/send-magic-link`.
//!
//! A request is limited by its network (`ip_limit`), read (`body`, `payload`), given a callback URL
//! (`callback_origin`, `callback_next`), limited by its recipient and put into the outbox (`send_magic_link`), and
//! answered in the published shape (`answers`, `envelope`). `app` shows the layers in their order.
//!
//! A worker mails the link; this crate knows neither Supabase Auth nor Mailgun.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod allowed_origins;
mod answers;
mod app;
mod body;
mod callback_next;
mod callback_origin;
mod client_ip;
mod connection;
mod cors;
pub mod document;
mod door;
mod endpoint;
mod envelope;
mod headers;
mod health;
mod ip_buckets;
mod ip_limit;
mod json;
mod json_body;
mod metrics;
mod origin;
mod payload;
mod queue_watch;
mod request_id;
mod retry_after;
mod send_magic_link;
mod serve;
pub mod settings;
mod webhook;

pub use serve::{ServeError, serve};
