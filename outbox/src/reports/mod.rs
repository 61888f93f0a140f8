//! Mailgun's reports about mails: parses events, records them for their jobs, suppresses recipients, and lists the
//! mails whose final status was never reported, so that a worker can query Mailgun about them.

pub(crate) mod events;
pub(crate) mod mailgun_event;
pub mod reconcile;
pub(crate) mod redact;
pub mod suppression;
