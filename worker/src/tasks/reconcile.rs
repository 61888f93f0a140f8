//! Queries Mailgun for what its webhooks did not report: the events for mails without a final event, and whether
//! suppressed addresses are still on Mailgun's lists. Only one worker at a time makes these queries, within Mailgun's
//! rate limit. Each result is stored immediately, so an interrupted run loses nothing.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use outbox::{
    DeliveryStatus, Error, MailgunEvent, Report,
    reconcile::{self, UnreportedMail},
    suppression,
};

use crate::{
    metrics,
    runtime::worker::Worker,
    upstream::{mailgun_events::MailgunEventsClient, verdict::mailgun_queries::QueryError},
};

/// When to query the events for a mail that has no final event yet, given as the time since the mail's job ended. The
/// first query comes after ten minutes, so that Mailgun's webhooks have time to report the mail.
const QUERY_AFTER: [Duration; 7] =
    [minutes(10), minutes(31), minutes(60), minutes(2 * 60), minutes(4 * 60), minutes(8 * 60), minutes(24 * 60)];
/// Minimum age of a mail before an empty list of events means that Mailgun has no trace of the mail. In a younger
/// mail's list, recent events may still be missing (Mailgun's manual, on event polling).
const ABSENCE_COUNTS_AFTER: Duration = minutes(30);
/// Maximum age of mails to query. Mailgun keeps events for at least one day.
const MAX_AGE: Duration = minutes(24 * 60);
/// How long a worker's turn lasts unless it is extended. Another worker can take over after this time.
const TURN_LENGTH: Duration = Duration::from_secs(60);
/// Number of mails or addresses to read from the outbox at a time.
const BATCH_SIZE: i64 = 50;
/// Minimum time between two checks of the same address on Mailgun's lists.
const LIST_CHECK_INTERVAL: Duration = minutes(10);
/// How far Mailgun's clock may be ahead of this machine's clock.
const MAX_CLOCK_SKEW: Duration = minutes(5);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Why a turn ends early.
enum TurnEnd {
    /// The outbox could not be read or written.
    Database(Error),
    /// A query to Mailgun failed.
    Query(QueryError),
    /// The worker must stop, or another worker has taken over the turn.
    Stopped,
}

impl From<Error> for TurnEnd {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<QueryError> for TurnEnd {
    fn from(error: QueryError) -> Self {
        Self::Query(error)
    }
}

/// Makes the queries that are due. Does nothing without `MAILGUN_EVENTS_KEY`, or while it is another worker's turn.
///
/// # Errors
/// The outbox cannot be read or written. A failed query is not an error: it only pauses the reconciliation.
pub(crate) async fn reconcile(worker: Arc<Worker>) -> Result<(), Error> {
    let Some(mailgun) = &worker.mailgun_events else { return Ok(()) };
    let turn = ReconcileTurn { worker: &worker, mailgun };
    if !reconcile::take_turn(&worker.pool, &worker.name, TURN_LENGTH).await? {
        return Ok(());
    }
    match turn.run().await {
        Ok(()) => reconcile::end_turn(&worker.pool, &worker.name, Duration::ZERO, None).await,
        Err(TurnEnd::Stopped) => Ok(()),
        Err(TurnEnd::Database(error)) => Err(error),
        Err(TurnEnd::Query(QueryError { reason, pause })) => {
            metrics::record_reconciled("failed");
            tracing::warn!(reason, pause_seconds = pause.as_secs(), "could not query Mailgun; pausing reconciliation");
            reconcile::end_turn(&worker.pool, &worker.name, pause, Some(reason)).await
        }
    }
}

struct ReconcileTurn<'a> {
    worker: &'a Worker,
    mailgun: &'a MailgunEventsClient,
}

impl ReconcileTurn<'_> {
    async fn run(&self) -> Result<(), TurnEnd> {
        let pool = &self.worker.pool;
        while reconcile::enlist(pool, QUERY_AFTER[0], MAX_AGE).await?.more {}
        loop {
            let mails = reconcile::unreported_mails(pool, BATCH_SIZE).await?;
            if mails.is_empty() {
                break;
            }
            for mail in &mails {
                self.extend().await?;
                self.query_mail(mail).await?;
            }
        }
        self.remove_lifted_from_lists().await?;
        self.check_lists().await
    }

    /// Extends the turn before the next call to Mailgun.
    async fn extend(&self) -> Result<(), TurnEnd> {
        let is_mine = reconcile::take_turn(&self.worker.pool, &self.worker.name, TURN_LENGTH).await?;
        if is_mine && !self.worker.shutdown.claims.is_cancelled() { Ok(()) } else { Err(TurnEnd::Stopped) }
    }

    async fn query_mail(&self, mail: &UnreportedMail) -> Result<(), TurnEnd> {
        let pool = &self.worker.pool;
        let reports = self.fetch_reports(mail).await?;
        for (report, result) in reports.iter().zip(outbox::take_reports(pool, &reports).await?) {
            metrics::record_report(&report.event, result);
        }
        let has_ended = reports.iter().any(|report| report.event.delivery.is_some_and(DeliveryStatus::is_final));
        let next_query = QUERY_AFTER.into_iter().find(|after| *after > mail.age);
        let outcome = match (reports.is_empty(), next_query) {
            (false, _) if has_ended => "found",
            (false, None) => "gave_up",
            (false, Some(_)) => "found",
            (true, _) if mail.age < ABSENCE_COUNTS_AFTER => "young",
            (true, _) => {
                if reconcile::mark_no_trace(pool, mail).await? {
                    tracing::warn!(job_id = %mail.job, "Mailgun has no trace of a mail");
                }
                "absent"
            }
        };
        match next_query {
            Some(after) if !has_ended => reconcile::ask_again(pool, mail, after).await?,
            _ => reconcile::settle(pool, mail).await?,
        }
        metrics::record_reconciled(outcome);
        tracing::debug!(job_id = %mail.job, outcome, "queried Mailgun for a mail's events");
        Ok(())
    }

    async fn fetch_reports(&self, mail: &UnreportedMail) -> Result<Vec<Report>, QueryError> {
        let latest = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + MAX_CLOCK_SKEW;
        let events = self.mailgun.events_for(&mail.message_id, mail.ended_at).await?;
        let of_this_mail =
            |event: &serde_json::Value| match MailgunEvent::read(event, latest, Some(&self.mailgun.domain)) {
                Ok(MailgunEvent::Delivery(event)) if event.message_id.as_ref() == Some(&mail.message_id) => {
                    Some(Report { event: *event, signed: None })
                }
                _ => None,
            };
        Ok(events.iter().filter_map(of_this_mail).collect())
    }

    /// Removes from Mailgun's lists the addresses whose suppression an operator has lifted.
    async fn remove_lifted_from_lists(&self) -> Result<(), TurnEnd> {
        for address in suppression::wanted_lifts(&self.worker.pool, BATCH_SIZE).await? {
            self.extend().await?;
            self.mailgun.remove_from_lists(&address).await?;
            suppression::mark_lifted(&self.worker.pool, &address).await?;
            tracing::info!("removed an address from Mailgun's lists at an operator's request");
        }
        Ok(())
    }

    /// Checks whether suppressed addresses are still on Mailgun's lists, and lifts the suppression of those that are
    /// not.
    async fn check_lists(&self) -> Result<(), TurnEnd> {
        for (address, reason) in suppression::unchecked(&self.worker.pool, LIST_CHECK_INTERVAL, BATCH_SIZE).await? {
            self.extend().await?;
            let is_listed = self.mailgun.is_listed(&address, reason).await?;
            if suppression::set_listed(&self.worker.pool, &address, is_listed).await? {
                tracing::info!("lifted the suppression of an address that is no longer on Mailgun's list");
            }
        }
        Ok(())
    }
}
