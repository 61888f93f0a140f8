//! Mailgun's reports about mails: parses events, records them on their jobs, suppresses recipients, and lists the mails that
//! Mailgun must be asked about because it never reported them.

pub(crate) mod events;
pub(crate) mod mailgun_event;
pub mod reconcile;
pub(crate) mod redact;
pub mod suppression;
