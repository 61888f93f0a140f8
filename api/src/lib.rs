//! The api: `POST /api/auth/send-magic-link`, and the webhook for Mailgun's events.
//!
//! A request passes through the layers in `server::router`, which enforce the IP rate limit (`ip_limit`) and read the
//! body (`http::body`), and then reaches its handler. `send_magic_link` checks the fields, builds the callback URL
//! (`callback`), checks whether the job can be mailed before its deadline (`admission`) and commits it to the outbox. A
//! worker then mails the link. `webhook` records what Mailgun reports. Every response of these two endpoints has the
//! shape that `document` describes. `confirm_page` is the page behind the links of `LINK_STYLE=confirm`, and `portal`
//! contains the portals that the api serves.
//!
//! This crate calls neither Supabase Auth nor Mailgun.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod callback;
mod confirm_page;
pub mod document;
mod http;
mod ip_limit;
mod metrics;
mod operator_retries;
mod portal;
#[cfg(any(test, feature = "properties"))]
#[doc(hidden)]
pub mod properties;
mod send_magic_link;
mod server;
pub mod settings;
mod state;
mod webhook;

pub use server::serve::{ServeError, serve};
