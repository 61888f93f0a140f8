//! The api: `POST /api/auth/send-magic-link`, and the webhook through which Mailgun reports.
//!
//! A request meets the layers in `server::router` in order: it is limited by its network (`ip_limit`), its body is read
//! (`http::body`), its fields are checked (`send_magic_link`), its callback URL is resolved (`callback`), the queue must
//! be able to mail it in time (`admission`), and the job is committed to the outbox. Every answer has the published
//! shape (`http`), which `document` describes.
//!
//! A worker mails the link; this crate knows neither Supabase Auth nor Mailgun's API.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admission;
mod callback;
pub mod document;
mod http;
mod ip_limit;
mod metrics;
#[cfg(any(test, feature = "properties"))]
#[doc(hidden)]
pub mod properties;
mod send_magic_link;
mod server;
pub mod settings;
mod state;
mod webhook;

pub use server::serve::{ServeError, serve};
