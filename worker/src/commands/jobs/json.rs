//! Jobs, steps and events as JSON. Most fields are named after the tables' columns.

use chrono::{DateTime, SecondsFormat, Utc};
use outbox::{
    DeliveryStatus, JobState,
    history::{
        list::ListedJob,
        story::{JobDetails, ReportedEvent, TriedStep},
    },
    operate::actions::{JobAction, JobRetry},
};
use serde_json::{Value, json};

use super::text::Names;

/// A job in a list.
pub(super) fn listed(job: &ListedJob, names: &Names) -> Value {
    json!({
        "id": job.id.to_string(),
        "state": job.state.as_str(),
        "delivery": status(job.delivery),
        "attempts": job.attempt,
        "code": job.code,
        "message": job.message,
        "portal": job.portal,
        "recipient": names.show(&job.recipient),
        "request_id": job.request_id,
        "created_at": time(job.created_at),
        "finished_at": job.finished_at.map(time),
    })
}

/// A job with all details.
pub(super) fn details(job: &JobDetails, callback: Option<&str>, names: &Names) -> Value {
    let is_running = job.state == JobState::Running;
    json!({
        "id": job.id.to_string(),
        "state": job.state.as_str(),
        "delivery": status(job.delivery),
        "delivery_at": job.delivery_at.map(time),
        "attempts": job.attempt,
        "code": job.code,
        "message": job.message,
        "portal": job.portal,
        "recipient": names.show(&job.recipient),
        "request_id": job.request_id,
        "language": job.language,
        "shown_host": job.shown_host,
        "callback": callback,
        "created_at": time(job.created_at),
        "requested_at": job.requested_at.map(time),
        "cancelled_at": job.cancelled_at.map(time),
        "run_at": (job.state == JobState::Retrying).then(|| time(job.run_at)),
        "attempted_at": job.attempted_at.map(time),
        "deadline_at": time(job.deadline_at),
        "finished_at": job.finished_at.map(time),
        "worker": job.worker,
        "lease_expires_at": job.lease_expires_at.filter(|_| is_running).map(time),
    })
}

/// A step of an attempt.
pub(super) fn step(step: &TriedStep) -> Value {
    json!({
        "attempt": step.attempt,
        "step": step.step,
        "outcome": step.outcome,
        "http_status": step.http_status,
        "code": step.code,
        "message": step.message,
        "duration_ms": step.duration_ms,
        "started_at": time(step.started_at),
        "worker": step.worker,
    })
}

/// An event that Mailgun reported.
pub(super) fn event(event: &ReportedEvent) -> Value {
    json!({
        "event": event.event,
        "severity": event.severity,
        "reason": event.reason,
        "smtp_code": event.smtp_code,
        "enhanced_code": event.enhanced_code,
        "message": event.message,
        "delivery": status(event.delivery),
        "occurred_at": time(event.occurred_at),
        "received_at": time(event.received_at),
    })
}

/// An operator's action on a job.
pub(super) fn action(action: &JobAction) -> Value {
    json!({
        "action": action.action,
        "actor": action.actor,
        "reason": action.reason,
        "acted_at": time(action.acted_at),
    })
}

/// An operator's retry of a job.
pub(super) fn retry(retry: &JobRetry) -> Value {
    json!({
        "state": retry.state,
        "filed_at": time(retry.filed_at),
        "decided_at": retry.decided_at.map(time),
        "new_job_id": retry.new_job_id.map(|id| id.to_string()),
        "code": retry.code,
        "message": retry.message,
    })
}

fn status(delivery: Option<DeliveryStatus>) -> Option<&'static str> {
    delivery.map(DeliveryStatus::as_str)
}

/// A time in RFC 3339 format, with milliseconds.
pub(super) fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
