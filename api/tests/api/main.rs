//! Tests the api from the outside: the real program over TCP, with a real Postgres.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod client_addresses;
mod confirm_page;
mod connections;
mod cors;
mod document;
mod harness;
mod http;
mod keep_alive;
mod limits;
mod outage;
mod page;
mod requests;
mod schema;
mod settings;
mod shutdown;
mod webhooks;
