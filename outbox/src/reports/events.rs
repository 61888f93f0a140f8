//! Records what Mailgun reports about a mail, and updates the mail's job. A report's token and its effect are committed
//! together, so a report whose commit failed is accepted when Mailgun sends it again.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;

use super::suppression::SuppressionReason;
use crate::{
    model::{delivery_status::DeliveryStatus, job_id::JobId},
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// Maximum age of a report's signature. Tokens are kept for twice as long.
pub const LONGEST_REPORT_AGE: Duration = Duration::from_hours(24);

/// A reported event. Its text fields fit their columns and contain no link, address or token.
#[derive(Debug, Clone)]
pub struct DeliveryEvent {
    /// Mailgun's id for the event.
    pub id: String,
    /// `accepted`, `delivered`, `failed`, `complained` or `rejected`.
    pub event: &'static str,
    /// The job that the event refers to.
    pub job: Option<JobId>,
    /// The mail's Message-Id, in angle brackets.
    pub message_id: Option<String>,
    /// Recipient of the mail, in lower case. It must match the job's recipient.
    pub recipient: String,
    /// For `failed`: `temporary` or `permanent`.
    pub severity: Option<String>,
    /// Mailgun's reason.
    pub reason: Option<String>,
    /// SMTP status from the recipient's server, or one of Mailgun's own codes.
    pub smtp_code: Option<i32>,
    /// Enhanced status (RFC 3463) from the recipient's server.
    pub enhanced_code: Option<String>,
    /// The message from the recipient's server or from Mailgun.
    pub message: Option<String>,
    /// The delivery status that the event indicates. `None` for a mail in test mode, and for a failure without a known
    /// severity.
    pub delivery: Option<DeliveryStatus>,
    /// Why the recipient should not be mailed for a while, if there is a reason.
    pub suppression: Option<SuppressionReason>,
    /// When the event happened, by Mailgun's clock.
    pub occurred_at: DateTime<Utc>,
}

/// An event, and how we received it.
#[derive(Debug, Clone)]
pub struct Report {
    /// What happened.
    pub event: DeliveryEvent,
    /// The token from Mailgun's signature. `None` if the event comes from Mailgun's events API.
    pub signed: Option<SignedToken>,
}

/// The token that Mailgun signed. Mailgun does not sign the event that comes with it.
#[derive(Debug, Clone)]
pub struct SignedToken {
    /// 1 to 64 bytes.
    pub token: String,
    /// SHA-256 of the event.
    pub digest: [u8; 32],
}

/// What a report changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportOutcome {
    /// Whether the report was recorded.
    pub status: ReportStatus,
    /// The job's new delivery status, if the report changed it.
    pub moved_to: Option<DeliveryStatus>,
    /// Whether the recipient was suppressed; `None` if the report gave no reason to suppress the recipient.
    pub suppression: Option<SuppressionOutcome>,
}

/// Whether a report was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum ReportStatus {
    /// The event was recorded for its job.
    Recorded,
    /// The event had already been received, so the job was not changed.
    Known,
    /// The event matches no job, and was stored in `email_events_unmatched`.
    Unmatched,
    /// The report's token had already been used with another event, so nothing was changed.
    TokenReused,
}

impl ReportStatus {
    /// The name of the status in logs and metrics.
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

/// The effect of a report that gives a reason to suppress its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SuppressionOutcome {
    /// The recipient will not be mailed for a while.
    Suppressed,
    /// The domain's recently reported addresses are not suppressed: so many were reported within a short time that the
    /// recipients' server must be at fault.
    HeldBack,
}

impl SuppressionOutcome {
    /// The name of the outcome in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Suppressed => "suppressed",
            Self::HeldBack => "held_back",
        }
    }
}

/// Records reports and returns their outcomes in the same order. The reports are committed when this function returns.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. The same reports can then be passed again.
pub async fn take_reports(pool: &PgPool, reports: &[Report]) -> Result<Vec<ReportOutcome>, Error> {
    take_reports_in(&mut Session::of(pool), reports).await
}

pub(crate) async fn take_reports_in(session: &mut Session, reports: &[Report]) -> Result<Vec<ReportOutcome>, Error> {
    let rows: Value = reports.iter().enumerate().map(|(position, report)| row(position, report)).collect();
    persist!(session, |connection| async {
        sqlx::query_as!(
            ReportOutcome,
            r#"
            select
              outcome as "status!: ReportStatus",
              moved_to as "moved_to: DeliveryStatus",
              suppression as "suppression: SuppressionOutcome"
            from email_take_reports($1) with ordinality as result (outcome, moved_to, suppression, position)
            order by position
            "#,
            rows,
        )
        .fetch_all(connection)
        .await
    })
}

/// The JSON object that `email_take_reports` expects.
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
        "delivery": event.delivery.map(DeliveryStatus::as_str),
        "suppression": event.suppression.map(SuppressionReason::as_str),
        "occurred_at": event.occurred_at.to_rfc3339(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Deletes the tokens of reports that are too old to be accepted again, and events that still match no job after
/// `unmatched_after`: at most 10,000 of each. Returns the number of deleted rows.
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
