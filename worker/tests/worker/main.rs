//! The real program between a real Postgres and stand-ins of its upstreams.

#![allow(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

mod bench;
mod configuration;
mod delivery;
mod leases;
mod retries;
mod settings;
mod signups;
mod verdicts;
