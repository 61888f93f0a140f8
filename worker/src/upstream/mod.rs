//! The clients of Supabase Auth (`supabase`, `verify`) and Mailgun (`mailgun`, `mailgun_events`, `mailgun_domain`),
//! built on `http`. [`verdict`] decides what a failed call means. `check` classifies the results of check calls.

pub(crate) mod check;
pub(crate) mod code_gate;
pub mod http;
pub(crate) mod mailgun;
pub(crate) mod mailgun_domain;
pub(crate) mod mailgun_events;
pub(crate) mod supabase;
pub mod verdict;
pub(crate) mod verify;
