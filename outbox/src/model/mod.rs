//! The types that describe jobs: ids and leases, addresses, callback URLs, steps, quotas. They contain validation
//! rules, but no SQL.

pub(crate) mod callback_url;
pub(crate) mod code_point;
pub(crate) mod delivery_status;
pub(crate) mod duration;
pub(crate) mod email;
mod email_domain;
pub(crate) mod ended_job;
pub(crate) mod failure;
pub(crate) mod job_id;
pub(crate) mod job_state;
pub(crate) mod mailbox;
pub(crate) mod quota;
pub(crate) mod shown_host;
pub(crate) mod step;
pub(crate) mod upstream;
