//! The clients of Supabase Auth (`supabase`, `verify`) and Mailgun (`mailgun`, `mailgun_events`), built on `http`. [`verdict`]
//! decides what a failed call means. `health` counts recent failures and slows down claims while an upstream is failing.

pub(crate) mod health;
pub mod http;
pub(crate) mod mailgun;
pub(crate) mod mailgun_events;
pub(crate) mod supabase;
pub mod verdict;
pub(crate) mod verify;
