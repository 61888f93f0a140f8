//! Decides whether the workers can deliver one more job before its deadline. `decide` is the rule; `queue_monitor`
//! polls the outbox in the background, so that a decision needs no query.

pub(crate) mod decide;
mod outage_log;
pub(crate) mod queue_monitor;
