//! What Mailgun reports about mails: parsing an event, recording it on its job, suppressing recipients, and asking
//! about mails that were never reported.

pub(crate) mod events;
pub(crate) mod mailgun_event;
pub mod reconcile;
pub(crate) mod redact;
pub mod suppression;
