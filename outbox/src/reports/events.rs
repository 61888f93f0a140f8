//! What Mailgun reports about a mail: remembered, and told on its job. The token of the report and its effect are
//! committed together, so that a report whose commit failed is taken again when it comes again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::{PgPool, types::Json};

use crate::{
    Delivery, Error, JobId, SuppressionReason,
    postgres::session::{Session, persist},
};

/// A report is taken at most so long after it was signed: its token is remembered for twice that.
pub const LONGEST_REPORT_AGE: Duration = Duration::from_hours(24);

/// A reported event. Its texts are cut to what the columns take and hold no link, address or token.
#[derive(Debug, Clone)]
pub struct DeliveryEvent {
    /// Mailgun's id of it.
    pub id: String,
    /// `accepted`, `delivered`, `failed`, `complained`, `rejected`.
    pub event: &'static str,
    /// The job that it names.
    pub job: Option<JobId>,
    /// The mail's Message-Id, in angle brackets.
    pub message_id: Option<String>,
    /// Whom the mail was for, in lower case: an event for somebody else fits no job.
    pub recipient: String,
    /// Of `failed`: `temporary` or `permanent`.
    pub severity: Option<String>,
    /// Mailgun's word for why.
    pub reason: Option<String>,
    /// The remote server's status, or Mailgun's own.
    pub smtp_code: Option<i32>,
    /// The remote server's enhanced status.
    pub enhanced_code: Option<String>,
    /// The remote server's words.
    pub message: Option<String>,
    /// What it says about the delivery; nothing for a mail in test mode.
    pub delivery: Option<Delivery>,
    /// Why its recipient is not to be mailed for a while, if so.
    pub suppression: Option<SuppressionReason>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

/// An event, and how we came to know of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What happened.
    pub event: DeliveryEvent,
    /// What it was signed with; nothing where we asked for it ourselves.
    pub signed: Option<SignedToken>,
}

/// Mailgun signs a token, and not the event that comes with it.
#[derive(Debug, Clone)]
pub struct SignedToken {
    /// 1 to 64 bytes.
    pub token: String,
    /// SHA-256 of the event.
    pub digest: [u8; 32],
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOutcome {
    /// Whether it was taken.
    pub outcome: ReportStatus,
    /// What the job's delivery became by it.
    pub moved_to: Option<Delivery>,
    /// Whether its recipient was suppressed by it.
    pub suppressed: Option<SuppressionOutcome>,
}

/// Whether a report was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportStatus {
    /// The event is on its job.
    Recorded,
    /// It was there already: nothing has changed.
    Known,
    /// It fits no job of ours, and is kept apart.
    Unmatched,
    /// Its token came with another event before: nothing has changed.
    TokenReused,
}

impl ReportStatus {
    /// As it stands in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Known => "known",
            Self::Unmatched => "unmatched",
            Self::TokenReused => "token_reused",
        }
    }
}

/// Whether a recipient that a report gives reason to suppress was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SuppressionOutcome {
    /// It is not mailed for a while.
    Suppressed,
    /// So many of its domain were reported at once that it must be the domain's server: none of them counts.
    HeldBack,
}

impl SuppressionOutcome {
    /// As it stands in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::HeldBack => "held_back",
        }
    }
}

/// Takes reports in, and tells for each, in their order, what became of it. Committed when it returns.
///
/// # Errors
/// [`Error::Database`]: nothing was remembered, no token neither.
pub async fn take_reports(pool: &PgPool, reports: &[Report]) -> Result<Vec<ReportOutcome>, Error> {
    take_reports_in(&mut Session::of(pool), reports).await
}

pub(crate) async fn take_reports_in(session: &mut Session, reports: &[Report]) -> Result<Vec<ReportOutcome>, Error> {
    let rows: Value = reports.iter().enumerate().map(|(position, report)| row(position, report)).collect();
    let outcomes = persist!(session, |connection| async {
        sqlx::query_scalar!(r#"select email_take_reports($1) as "outcomes!: Json<Vec<Value>>""#, rows)
            .fetch_one(connection)
            .await
    })?;
    Ok(outcomes.0.iter().map(told).collect())
}

/// In the form that `email_take_reports` takes.
fn row(position: usize, Report { event, signed }: &Report) -> Value {
    json!({
        "position": position,
        "token": signed.as_ref().map(|signed| &signed.token),
        "digest": signed.as_ref().map(|signed| hex(&signed.digest)),
        "id": event.id,
        "event": event.event,
        "job": event.job.map(|job| job.0.to_string()),
        "message_id": event.message_id,
        "recipient": event.recipient,
        "severity": event.severity,
        "reason": event.reason,
        "smtp_code": event.smtp_code,
        "enhanced_code": event.enhanced_code,
        "message": event.message,
        "delivery": event.delivery.map(Delivery::as_str),
        "suppression": event.suppression.map(SuppressionReason::as_str),
        "occurred_at": event.occurred_at.to_rfc3339(),
    })
}

fn told(row: &Value) -> ReportOutcome {
    let text = |name: &str| row[name].as_str();
    ReportOutcome {
        outcome: match text("outcome") {
            Some("recorded") => ReportStatus::Recorded,
            Some("known") => ReportStatus::Known,
            Some("token_reused") => ReportStatus::TokenReused,
            _ => ReportStatus::Unmatched,
        },
        moved_to: text("moved_to").and_then(Delivery::parse),
        suppressed: match text("suppression") {
            Some("suppressed") => Some(SuppressionOutcome::Suppressed),
            Some("held_back") => Some(SuppressionOutcome::HeldBack),
            _ => None,
        },
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Deletes the tokens of reports that are too old to be taken again, and events that fit no job after
/// `unmatched_after`. Tells how many rows.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget_reports(pool: &PgPool, unmatched_after: Duration) -> Result<u64, Error> {
    let tokens = sqlx::query!(
        "delete from webhook_tokens where token in (
           select token from webhook_tokens
           where seen_at < clock_timestamp() - make_interval(secs => $1)
           order by seen_at limit 10000 for update skip locked)",
        (2 * LONGEST_REPORT_AGE).as_secs_f64(),
    )
    .execute(pool)
    .await?;
    let unmatched = sqlx::query!(
        "delete from email_events_unmatched where (event_id, occurred_at) in (
           select event_id, occurred_at from email_events_unmatched
           where received_at < clock_timestamp() - make_interval(secs => $1)
           order by received_at limit 10000 for update skip locked)",
        unmatched_after.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(tokens.rows_affected() + unmatched.rows_affected())
}
