//! The front door as its callers meet it: the real program over TCP, with a real Postgres behind it.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod connections;
mod cors;
mod document;
mod harness;
mod http;
mod limits;
mod outage;
mod page;
mod requests;
mod schema;
mod settings;
mod webhooks;
