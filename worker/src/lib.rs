//! The back door of the outbox: claims jobs, asks Supabase Auth for the sign-in link, hands the mail to Mailgun, and
//! records what became of it.
//!
//! Begin with [`run`], then `deliver`: one delivery from the top. What an upstream's answer means stands in
//! [`verdict`], one table each.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod backoff;
pub mod capacity;
mod chores;
mod claim_loop;
mod deliver;
mod gauges;
mod health;
pub mod http;
mod leases;
mod link_seal;
pub mod logs;
pub mod mail;
mod mailgun;
mod mailgun_reader;
mod metrics;
mod outage;
pub mod prepare;
mod reconcile;
mod records;
pub mod run;
pub mod settings;
mod stop;
mod supabase;
mod upstream_watch;
pub mod verdict;
mod worker;
