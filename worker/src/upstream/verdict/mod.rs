//! Decides what a failed upstream call means for the job and for the other jobs. Each kind of call has one table:
//! [`supabase`] for `generate_link`, [`mailgun`] for sending a mail, and [`mailgun_queries`] for events and lists.
//! [`verify`] determines how Supabase's settings affect a link.

pub mod mailgun;
pub mod mailgun_queries;
mod rate_limit;
pub mod supabase;
mod upstream_failure;
pub mod verify;

pub use upstream_failure::{HOOK_FAILED, UpstreamFailure, Verdict};
