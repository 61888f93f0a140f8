//! Logs counts of webhooks. One line per webhook would flood the log: every mail causes about three webhooks, and
//! anybody can send webhooks that are refused.

use std::{
    collections::BTreeMap,
    mem::take,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::sleep;

/// Time between two log entries.
const INTERVAL: Duration = Duration::from_secs(10);

/// Counts the webhooks since the last log entry.
#[derive(Debug, Default)]
pub(crate) struct WebhookLog(Mutex<Counts>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    /// Events by outcome: `recorded`, `known`, `unmatched` or `ignored`.
    events: BTreeMap<&'static str, u64>,
    /// Refused webhooks by reason.
    refused: BTreeMap<&'static str, u64>,
}

impl WebhookLog {
    /// Counts an event by its outcome.
    pub(crate) fn count_event(&self, outcome: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).events.entry(outcome).or_default() += 1;
    }

    /// Counts a webhook that was refused.
    pub(crate) fn count_refused(&self, reason: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).refused.entry(reason).or_default() += 1;
    }

    /// Logs the counts since the last call, unless there were no webhooks.
    pub(crate) fn write(&self) {
        let Counts { events, refused } = take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !events.is_empty() {
            let count = |outcome| events.get(outcome).copied().unwrap_or_default();
            tracing::info!(
                events_recorded = count("recorded"),
                events_unknown = count("unmatched"),
                events_repeated = count("known"),
                events_ignored = count("ignored"),
                "accepted webhooks from Mailgun (unknown events match no job)"
            );
        }
        for (reason, webhooks_refused) in refused {
            tracing::warn!(reason, webhooks_refused, "webhooks refused");
        }
    }

    /// Logs the counts every ten seconds, forever.
    pub(crate) async fn run(&self) {
        loop {
            sleep(INTERVAL).await;
            self.write();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logged_webhooks_are_not_counted_again() {
        let log = WebhookLog::default();
        log.count_event("recorded");
        log.count_event("recorded");
        log.count_refused("bad_signature");
        let counted =
            Counts { events: BTreeMap::from([("recorded", 2)]), refused: BTreeMap::from([("bad_signature", 1)]) };
        assert_eq!(*log.0.lock().unwrap(), counted);
        log.write();
        assert_eq!(*log.0.lock().unwrap(), Counts::default());
    }
}
