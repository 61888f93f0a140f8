//! Logs a database outage: one line when the outage begins, at most one line per minute while requests are refused, and
//! one line when the outage ends.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use outbox::{OutageKind, OutageReason};

/// Minimum time between two log lines about refused requests.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// An outage is considered over after this much time without an error.
const QUIET_PERIOD: Duration = Duration::from_secs(3);

/// Keeps track of the current database outage, if there is one, and logs it.
#[derive(Debug, Default)]
pub(crate) struct OutageLog {
    outage: Mutex<Option<Outage>>,
    /// When the last log line about too many waiting requests was written.
    busy_at: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Outage {
    since: Instant,
    reason: OutageReason,
    logged_at: Instant,
    last_error_at: Instant,
    /// Number of requests and webhooks refused during the outage.
    refused: u64,
    /// Value of `refused` when the last log line was written.
    logged: u64,
}

impl Outage {
    /// Adds refused requests. Returns whether a log line about them is due.
    fn count(&mut self, refused: u64, now: Instant) -> bool {
        self.refused += refused;
        self.last_error_at = now;
        let is_due = self.refused > self.logged && now.duration_since(self.logged_at) >= REPEAT_AFTER;
        if is_due {
            (self.logged_at, self.logged) = (now, self.refused);
        }
        is_due
    }
}

impl OutageLog {
    /// Records that the database cannot be used.
    pub(crate) fn note_outage(&self, reason: OutageReason) {
        self.update(reason, 0);
    }

    /// Records that a request or webhook was refused because the database cannot be used.
    pub(crate) fn note_refused(&self, reason: OutageReason) {
        self.update(reason, 1);
    }

    fn update(&self, reason: OutageReason, refused: u64) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match outage.as_mut() {
            Some(outage) if outage.reason.kind == reason.kind => {
                outage.reason = reason;
                if outage.count(refused, now) {
                    let away_seconds = outage.since.elapsed().as_secs();
                    let (error, refused) = (outage.reason.text.as_str(), outage.refused);
                    tracing::warn!(error, refused, away_seconds, "the database still cannot be used");
                }
            }
            // A new outage, or an outage of a different kind.
            _ => {
                let before = outage.take();
                let refused = refused + before.as_ref().map_or(0, |outage| outage.refused);
                // If Postgres was unavailable before, that outage has ended: Postgres is back, but its tables belong to
                // another version. If the tables were wrong before, do not log an end: while Postgres is unavailable,
                // it is unknown whether the tables match again.
                log_end(before.filter(|outage| outage.reason.kind == OutageKind::Away));
                log_begin(&reason);
                *outage =
                    Some(Outage { since: now, reason, logged_at: now, last_error_at: now, refused, logged: refused });
            }
        }
    }

    /// Records that the database cannot be used until an operator changes a setting.
    pub(crate) fn note_wrong_setting(&self, reason: String) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        if outage.as_ref().is_some_and(|outage| outage.reason.text == reason) {
            return;
        }
        tracing::error!(error = reason, "the database cannot be used: answering requests with 503 until this is fixed");
        let now = Instant::now();
        let (since, refused) = outage.as_ref().map_or((now, 0), |outage| (outage.since, outage.refused));
        let reason = OutageReason::away(reason);
        *outage = Some(Outage { since, reason, logged_at: now, last_error_at: now, refused, logged: refused });
    }

    /// Records that the database can be used. Ends the current outage, if there is one.
    pub(crate) fn note_usable(&self) {
        let ended = self.outage.lock().unwrap_or_else(PoisonError::into_inner).take();
        log_end(ended);
    }

    /// Records that a request or webhook was refused because too many requests or webhooks are waiting to be committed.
    pub(crate) fn note_busy(&self) {
        let mut logged_at = self.busy_at.lock().unwrap_or_else(PoisonError::into_inner);
        if logged_at.is_none_or(|at| at.elapsed() >= REPEAT_AFTER) {
            tracing::warn!("too many requests are waiting to be committed: answering some with 503");
            *logged_at = Some(Instant::now());
        }
    }

    /// Records that the regular check of the database has succeeded. Ends the outage if there has been no error for
    /// [`QUIET_PERIOD`]. One successful check is not enough: when the disk is full, for example, the check succeeds but
    /// commits fail.
    pub(crate) fn note_checked(&self) {
        let mut outage = self.outage.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = outage.take_if(|outage| outage.last_error_at.elapsed() >= QUIET_PERIOD);
        drop(outage);
        log_end(ended);
    }

    /// Why the database cannot be used; `None` if it can.
    pub(crate) fn reason(&self) -> Option<OutageReason> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|outage| outage.reason.clone())
    }
}

fn log_begin(reason: &OutageReason) {
    let error = reason.text.as_str();
    match reason.kind {
        OutageKind::Away => {
            tracing::warn!(
                error,
                "the database is unavailable: answering requests with 503 until it is back. If it does not \
                 come back, check DATABASE_URL"
            );
        }
        OutageKind::WrongTables => {
            tracing::error!(error, "the tables do not match this version: answering requests with 503 until they do");
        }
    }
}

fn log_end(ended: Option<Outage>) {
    if let Some(Outage { since, refused, reason, .. }) = ended {
        let away_seconds = since.elapsed().as_secs();
        match reason.kind {
            OutageKind::Away => tracing::info!(away_seconds, refused, "the database is back"),
            OutageKind::WrongTables => tracing::info!(away_seconds, refused, "the tables match this version again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_requests_are_logged_once_a_minute() {
        let began = Instant::now();
        let (reason, refused) = ("gone".to_owned(), 1);
        let mut outage = Outage {
            since: began,
            reason: OutageReason::away(reason),
            logged_at: began,
            last_error_at: began,
            refused,
            logged: refused,
        };
        let mut lines = vec![];
        for second in 0..300 {
            // There are no requests in the third and fourth minutes.
            let refused = if (120..240).contains(&second) { 0 } else { 2 };
            if outage.count(refused, began + Duration::from_secs(second)) {
                lines.push((second, outage.refused));
            }
        }
        assert_eq!(lines, [(60, 123), (120, 241), (240, 243)]);
    }
}
