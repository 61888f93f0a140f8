//! The sandbox against what the real providers were seen to do, and against its own promises.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod children;
mod faults;
mod mailbox;
mod mailgun;
mod portal;
mod postgres;
mod reads;
mod receiver;
mod supabase;
mod webhooks;
