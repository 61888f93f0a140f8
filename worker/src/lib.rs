//! The worker: claims jobs, requests a sign-in link from Supabase Auth, sends the mail through Mailgun, and records the
//! result in the outbox.
//!
//! Start reading at [`tasks::run`], which starts all tasks. Then read `deliver::run`, which handles one delivery, from
//! the claimed job to the recorded outcome. `upstream` contains the clients for Supabase Auth and Mailgun.
//! [`upstream::verdict`] decides what a failed call means, with one table for each kind of call. `mail` renders the
//! mail and encrypts its link. `runtime` is the state that all tasks share. `commands` contains the subcommands.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod commands;
mod deliver;
pub mod mail;
mod metrics;
mod runtime;
pub mod settings;
pub mod tasks;
pub mod upstream;
