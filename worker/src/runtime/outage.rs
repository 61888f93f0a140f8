//! Tracks database outages: whether the database is unavailable, since when, and why. Many tasks see the errors of an
//! outage, but only its start and its end are logged.
//!
//! Any task can report the start of an outage. Only the regular check of `tasks::check_database` can end it, because
//! that check tests everything that a delivery needs. Success in another task proves nothing: the task may not have
//! used the database.

use std::{
    fmt::Display,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use outbox::{OutageKind, OutageReason, ReasonSource};
use tokio::{sync::Notify, time::Instant};

/// The error of a refused statement is not logged again within this time, unless a different error has been logged in
/// between.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

/// An outage is over when the regular check succeeds and no task has reported an error for this long. Tasks retry at
/// least every two seconds.
const MIN_TIME_WITHOUT_ERROR: Duration = Duration::from_secs(3);

/// An error from the database: an outage, or a refused statement.
pub trait OutageError: Display {
    /// True if the database cannot be used at the moment. False if it refused the statement, or if only an operator can
    /// fix the problem.
    fn is_outage(&self) -> bool;
    /// Why the database cannot be used, if this is an outage.
    fn outage(&self) -> OutageReason;
    /// Where to find the reason for the outage.
    fn reason_source(&self) -> ReasonSource;
}

impl OutageError for outbox::Error {
    fn is_outage(&self) -> bool {
        Self::is_outage(self)
    }

    fn outage(&self) -> OutageReason {
        Self::outage(self)
    }

    fn reason_source(&self) -> ReasonSource {
        Self::reason_source(self)
    }
}

impl OutageError for outbox::CommitError {
    fn is_outage(&self) -> bool {
        Self::is_outage(self)
    }

    fn outage(&self) -> OutageReason {
        Self::outage(self)
    }

    fn reason_source(&self) -> ReasonSource {
        Self::reason_source(self)
    }
}

/// The state of the database. Logs the start and the end of each outage.
#[derive(Debug)]
pub struct OutageLog {
    state: Mutex<DatabaseState>,
    /// Wakes the regular check after an error.
    error_seen: Notify,
}

#[derive(Debug)]
struct DatabaseState {
    /// When the outage began, and why the database cannot be used. `None` if the database can be used.
    away: Option<(Instant, OutageReason)>,
    /// Whether the last check found that results can be recorded.
    can_record: bool,
    /// When the last outage error was reported, or when this program started if no outage error has been reported.
    last_error_at: Instant,
    /// The message about the last refused statement, and when it was logged.
    refused: Option<(String, Instant)>,
}

impl Default for OutageLog {
    fn default() -> Self {
        let state = DatabaseState { away: None, can_record: false, last_error_at: Instant::now(), refused: None };
        Self { state: Mutex::new(state), error_seen: Notify::new() }
    }
}

impl OutageLog {
    /// Returns `result` unchanged. Logs the start of an outage, and the error of a statement that the database refused.
    ///
    /// # Errors
    /// The error in `result`.
    pub fn observe<T, E: OutageError>(&self, result: Result<T, E>) -> Result<T, E> {
        if let Err(error) = &result {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if error.is_outage() {
                state.last_error_at = Instant::now();
                if error.reason_source() == ReasonSource::Error {
                    state.start_outage(error.outage());
                }
                self.error_seen.notify_one();
            } else {
                state.log_refused(error.to_string());
            }
        }
        result
    }

    /// Records the result of a regular check. `Err` contains the reason why results cannot be recorded at present.
    pub fn record_check(&self, result: Result<(), OutageReason>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.can_record = result.is_ok();
        match result {
            Ok(()) => {
                // With a full disk, for example, the check succeeds although writes fail and tasks keep reporting
                // errors.
                if state.last_error_at.elapsed() >= MIN_TIME_WITHOUT_ERROR
                    && let Some((since, reason)) = state.away.take()
                {
                    log_end(since, reason.kind);
                }
            }
            Err(reason) => {
                state.last_error_at = Instant::now();
                state.start_outage(reason);
            }
        }
    }

    /// Records that the database cannot be used until an operator changes a setting.
    pub fn record_wrong_setting(&self, reason: String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.last_error_at = Instant::now();
        if state.away.as_ref().is_none_or(|(_, known)| known.text != reason) {
            tracing::error!(error = reason, "the database cannot be used: retrying until the setting is fixed");
        }
        let since = state.away.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        state.away = Some((since, OutageReason::away(reason)));
    }

    /// Waits until an error is reported, for at most `max_wait`.
    pub async fn wait_for_error(&self, max_wait: Duration) {
        // Ignore the result: the caller checks the database after an error and after the timeout.
        let _ = tokio::time::timeout(max_wait, self.error_seen.notified()).await;
    }

    /// Whether the last check found that results can be recorded.
    pub fn can_record(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).can_record
    }

    /// Why the database cannot be used; `None` if it can be used.
    pub fn reason(&self) -> Option<OutageReason> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.away.as_ref().map(|(_, reason)| reason.clone())
    }

    /// Time since the last outage error, or since the start of this program if no outage error has been reported.
    pub fn time_since_error(&self) -> Duration {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last_error_at.elapsed()
    }
}

impl DatabaseState {
    /// Records an outage. Logs its start, unless an outage of the same kind has already begun.
    fn start_outage(&mut self, reason: OutageReason) {
        let since = match self.away.take() {
            Some((since, known)) if known.kind == reason.kind => since,
            before => {
                // If Postgres is back, its outage has ended, even if the tables do not match this version. If Postgres
                // has become unavailable, do not log that the tables match again, because the tables have not been
                // checked yet.
                if let Some((since, OutageReason { kind: OutageKind::Away, .. })) = before {
                    log_end(since, OutageKind::Away);
                }
                log_begin(&reason);
                Instant::now()
            }
        };
        self.away = Some((since, reason));
    }

    fn log_refused(&mut self, error: String) {
        let is_known = self.refused.as_ref().is_some_and(|(known, at)| *known == error && at.elapsed() < REPEAT_AFTER);
        if !is_known {
            tracing::error!(error, "the database refused a statement: retrying");
            self.refused = Some((error, Instant::now()));
        }
    }
}

fn log_begin(reason: &OutageReason) {
    let error = reason.text.as_str();
    match reason.kind {
        OutageKind::Away => {
            tracing::warn!(
                error,
                "the database is unavailable: retrying until it is back. If it does not come back, check DATABASE_URL"
            )
        }
        OutageKind::WrongTables => {
            tracing::error!(error, "the tables do not match this version: sending no mail until they do");
        }
    }
}

fn log_end(since: Instant, kind: OutageKind) {
    let away_seconds = since.elapsed().as_secs();
    match kind {
        OutageKind::Away => tracing::info!(away_seconds, "the database is back"),
        OutageKind::WrongTables => tracing::info!(away_seconds, "the tables match this version again"),
    }
}
