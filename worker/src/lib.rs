//! The worker: claims jobs, asks Supabase Auth for the sign-in link, hands the mail to Mailgun, and records the result.
//!
//! Start reading at `tasks::run`, which starts everything, then `deliver::run`: one delivery from claim to record.
//! `upstream` holds the clients of Supabase Auth and Mailgun; what an answer means is one table each in
//! [`upstream::verdict`]. `mail` renders the mail and seals its link. `runtime` is the state that all tasks share.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod deliver;
mod mail;
mod metrics;
mod runtime;
pub mod settings;
pub mod tasks;
pub mod upstream;
