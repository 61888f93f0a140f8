//! Tests of the sandbox: they compare the stand-ins with recorded responses of the real providers, and test the
//! sandbox's own functions.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod children;
mod faults;
mod mailbox;
mod mailgun;
mod portal;
mod postgres;
mod preview;
mod reads;
mod receiver;
mod scan;
mod sessions;
mod supabase;
mod test_database;
mod verify;
mod webhooks;
