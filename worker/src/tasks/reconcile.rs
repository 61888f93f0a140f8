//! What Mailgun has not told by itself: it is asked about mails without an end, and about addresses that are left
//! alone. One worker at a time, no faster than Mailgun likes; whatever is done stays done when it is interrupted.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use outbox::{
    Delivery, Error, MailgunEvent, Report,
    reconcile::{self, UnreportedMail},
    suppression,
};

use crate::{
    metrics,
    runtime::worker::Worker,
    upstream::{mailgun_events::MailgunEventsClient, verdict::mailgun_queries::QueryError},
};

/// After a job's end, Mailgun gets so long to report by itself; what has no end then is asked about at these times.
const ASKED_AFTER: [Duration; 7] =
    [minutes(10), minutes(31), minutes(60), minutes(2 * 60), minutes(4 * 60), minutes(8 * 60), minutes(24 * 60)];
/// A list of events may lack young ones (Mailgun's manual, on polling): that a mail is not in it means nothing before.
const ABSENCE_COUNTS_AFTER: Duration = minutes(30);
/// Mailgun keeps events for a day at least.
const OLDEST: Duration = minutes(24 * 60);
/// Another worker takes over after that.
const TURN: Duration = Duration::from_secs(60);
/// Asked about at a time.
const BATCH: i64 = 50;
/// How often Mailgun's lists are asked for one address.
const CHECK_EVERY: Duration = minutes(10);
/// A clock of Mailgun's may be so much ahead of ours.
const AHEAD: Duration = minutes(5);

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// What ends a turn early.
enum Interrupted {
    /// The database.
    Database(Error),
    /// Mailgun does not answer questions for now.
    NotTold(QueryError),
    /// The worker stops, or another one has the turn.
    Over,
}

impl From<Error> for Interrupted {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

impl From<QueryError> for Interrupted {
    fn from(not_told: QueryError) -> Self {
        Self::NotTold(not_told)
    }
}

/// Asks about all that is due, if it is this worker's turn and there is a key for it.
pub(crate) async fn reconcile(worker: Arc<Worker>) -> Result<(), Error> {
    let Some(reader) = &worker.mailgun_events else { return Ok(()) };
    let turn = ReconcileTurn { worker: &worker, reader };
    if !reconcile::take_turn(&worker.pool, &worker.name, TURN).await? {
        return Ok(());
    }
    match turn.run().await {
        Ok(()) => reconcile::end_turn(&worker.pool, &worker.name, Duration::ZERO, None).await,
        Err(Interrupted::Over) => Ok(()),
        Err(Interrupted::Database(error)) => Err(error),
        Err(Interrupted::NotTold(QueryError { reason, pause })) => {
            metrics::record_reconciled("failed");
            tracing::warn!(reason, pause_seconds = pause.as_secs(), "Mailgun cannot be asked what became of mails");
            reconcile::end_turn(&worker.pool, &worker.name, pause, Some(reason)).await
        }
    }
}

struct ReconcileTurn<'a> {
    worker: &'a Worker,
    reader: &'a MailgunEventsClient,
}

impl ReconcileTurn<'_> {
    async fn run(&self) -> Result<(), Interrupted> {
        let pool = &self.worker.pool;
        while reconcile::enlist(pool, ASKED_AFTER[0], OLDEST).await?.more {}
        loop {
            let mails = reconcile::unreported_mails(pool, BATCH).await?;
            if mails.is_empty() {
                break;
            }
            for mail in &mails {
                self.go_on().await?;
                self.ask_about(mail).await?;
            }
        }
        self.lift().await?;
        self.look_at_lists().await
    }

    async fn go_on(&self) -> Result<(), Interrupted> {
        let is_mine = reconcile::take_turn(&self.worker.pool, &self.worker.name, TURN).await?;
        if is_mine && !self.worker.shutdown.claims.is_cancelled() { Ok(()) } else { Err(Interrupted::Over) }
    }

    async fn ask_about(&self, mail: &UnreportedMail) -> Result<(), Interrupted> {
        let pool = &self.worker.pool;
        let reports = self.reports_of(mail).await?;
        for (report, told) in reports.iter().zip(outbox::take_reports(pool, &reports).await?) {
            metrics::record_report(&report.event, told);
        }
        let has_ended = reports.iter().any(|report| report.event.delivery.is_some_and(Delivery::is_final));
        let ask_next = ASKED_AFTER.into_iter().find(|after| *after > mail.age);
        let outcome = match (reports.is_empty(), ask_next) {
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
        match ask_next {
            Some(after) if !has_ended => reconcile::ask_again(pool, mail, after).await?,
            _ => reconcile::settle(pool, mail).await?,
        }
        metrics::record_reconciled(outcome);
        tracing::debug!(job_id = %mail.job, outcome, "asked Mailgun about a mail");
        Ok(())
    }

    async fn reports_of(&self, mail: &UnreportedMail) -> Result<Vec<Report>, QueryError> {
        let latest = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + AHEAD;
        let events = self.reader.events_for(&mail.message_id, mail.ended_at).await?;
        let of_this_mail =
            |event: &serde_json::Value| match MailgunEvent::read(event, latest, Some(&self.reader.domain)) {
                Ok(MailgunEvent::Delivery(event)) if event.message_id.as_ref() == Some(&mail.message_id) => {
                    Some(Report { event: *event, signed: None })
                }
                _ => None,
            };
        Ok(events.iter().filter_map(of_this_mail).collect())
    }

    /// What operators want off Mailgun's lists.
    async fn lift(&self) -> Result<(), Interrupted> {
        for address in suppression::wanted_lifts(&self.worker.pool, BATCH).await? {
            self.go_on().await?;
            self.reader.remove_from_lists(&address).await?;
            suppression::lifted(&self.worker.pool, &address).await?;
            tracing::info!("took an address off Mailgun's lists, as asked");
        }
        Ok(())
    }

    /// An address that somebody took off Mailgun's list is mailed again.
    async fn look_at_lists(&self) -> Result<(), Interrupted> {
        for (address, reason) in suppression::unchecked(&self.worker.pool, CHECK_EVERY, BATCH).await? {
            self.go_on().await?;
            let is_listed = self.reader.is_listed(&address, reason).await?;
            if suppression::set_listed(&self.worker.pool, &address, is_listed).await? {
                tracing::info!("a suppressed address is off Mailgun's list: it is mailed again");
            }
        }
        Ok(())
    }
}
