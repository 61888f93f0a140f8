//! Tests of the real worker program with a real Postgres and stand-ins for Supabase and Mailgun.

#![allow(clippy::unwrap_used, reason = "a panic fails the test")]

mod check;
mod configuration;
mod delivery;
mod leases;
mod link_retries;
mod link_secrets;
mod link_styles;
mod network;
mod preview;
mod redirects;
mod retries;
mod send_test;
mod settings;
mod signups;
mod suspicion;
mod templates;
mod test_worker;
mod verdicts;
