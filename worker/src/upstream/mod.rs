//! The clients of Supabase Auth and Mailgun, what their answers mean (`verdict`), and whether they answer (`health`).

pub(crate) mod health;
pub mod http;
pub(crate) mod mailgun;
pub(crate) mod mailgun_events;
pub(crate) mod supabase;
pub mod verdict;
