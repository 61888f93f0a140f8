//! Tests of the sandbox: against recorded answers of the real providers, and of its own functions.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod children;
mod faults;
mod mailbox;
mod mailgun;
mod portal;
mod postgres;
mod reads;
mod receiver;
mod scan;
mod sessions;
mod supabase;
mod test_database;
mod verify;
mod webhooks;
