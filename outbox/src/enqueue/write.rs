//! Writes a decided batch in one statement: adds jobs, supersedes older jobs, and updates the recipients' quotas.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use chrono::DateTime;
use sqlx::{PgConnection, postgres::types::PgInterval, types::Json};

use super::{
    recipient_state::{Clients, RecipientState, Suppression},
    request::{EnqueuePolicy, Enqueued, NewJob},
};
use crate::model::{ended_job::EndedJob, job_id::JobId, mailbox::Mailbox};

/// Adds a job for each request that no quota refused, and updates the quotas. Returns the jobs that have ended: waiting
/// jobs that a new request supersedes, and the jobs of requests that are never queued.
pub(super) async fn write(
    connection: &mut PgConnection,
    policy: &EnqueuePolicy,
    state: &RecipientState,
    requests: &[NewJob],
    outcomes: &[Enqueued],
) -> Result<Vec<EndedJob>, sqlx::Error> {
    let quotas = QuotaRows::collect(state, requests, outcomes);
    let rows = JobRows::collect(policy, state, requests, outcomes);
    let superseded = sqlx::query!(
        r#"
        select
          job_id as "job_id!",
          job_request_id as "request_id!",
          job_portal as portal,
          attempts as "attempts!",
          extract(epoch from clock_timestamp() - requested_at)::float8 as "age!"
        from email_enqueue_jobs(
          $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        "#,
        &quotas.mailboxes as &[&str],
        &quotas.versions as &[Option<i64>],
        &quotas.tats,
        &quotas.clients as &[Json<&Clients>],
        &quotas.last_recipients as &[&str],
        &quotas.last_callback_urls as &[&str],
        &rows.ids,
        &rows.recipients as &[&str],
        &rows.mailboxes as &[String],
        &rows.callback_urls as &[&str],
        &rows.shown_hosts as &[&str],
        &rows.languages as &[&str],
        &rows.time_zones as &[Option<&str>],
        &rows.portals as &[Option<&str>],
        &rows.request_ids as &[&str],
        &rows.traceparents as &[Option<&str>],
        &rows.states as &[&str],
        &rows.codes as &[Option<&str>],
        &rows.messages as &[Option<String>],
        &rows.deadlines,
    )
    .fetch_all(connection)
    .await?;
    let superseded = superseded.into_iter().map(|row| EndedJob {
        job: JobId(row.job_id),
        request_id: row.request_id,
        portal: row.portal,
        state: "superseded",
        attempts: row.attempts,
        code: Some("newer_request".to_owned()),
        age: Duration::try_from_secs_f64(row.age).unwrap_or_default(),
    });
    Ok(superseded.chain(rows.ended()).collect())
}

/// The end of a job that is never queued. Its row is written directly to the history.
struct ImmediateEnd {
    state: &'static str,
    code: &'static str,
    message: String,
}

impl ImmediateEnd {
    fn duplicate() -> Self {
        let message = "This request repeats one made moments earlier: one mail serves both requests.".to_owned();
        Self { state: "superseded", code: "duplicate", message }
    }

    fn newer_request() -> Self {
        let message = "A newer request of this recipient took its place.".to_owned();
        Self { state: "superseded", code: "newer_request", message }
    }

    fn suppressed(suppression: Option<&Suppression>) -> Self {
        let why = suppression.map_or_else(String::new, |suppression| {
            let until = suppression.until.format("%Y-%m-%d %H:%M UTC");
            format!(" ({}, until {until})", suppression.reason)
        });
        let message = format!(
            "The recipient is suppressed{why}, so nothing was mailed. To lift the suppression: select \
             email_lift_suppression(recipient)."
        );
        Self { state: "failed", code: "recipient_suppressed", message }
    }
}

/// The new rows of `email_jobs`, one vector per column.
#[derive(Default)]
struct JobRows<'a> {
    ids: Vec<uuid::Uuid>,
    recipients: Vec<&'a str>,
    mailboxes: Vec<String>,
    callback_urls: Vec<&'a str>,
    shown_hosts: Vec<&'a str>,
    languages: Vec<&'a str>,
    time_zones: Vec<Option<&'a str>>,
    portals: Vec<Option<&'a str>>,
    request_ids: Vec<&'a str>,
    traceparents: Vec<Option<&'a str>>,
    states: Vec<&'static str>,
    codes: Vec<Option<&'static str>>,
    messages: Vec<Option<String>>,
    deadlines: Vec<PgInterval>,
}

impl<'a> JobRows<'a> {
    fn collect(policy: &EnqueuePolicy, state: &RecipientState, requests: &'a [NewJob], outcomes: &[Enqueued]) -> Self {
        let queued = |index: &usize| outcomes[*index] == Enqueued::Queued;
        // If the batch has several requests for one recipient, only the last queued request's job stays open.
        let last: HashMap<&str, usize> =
            (0..requests.len()).filter(queued).map(|index| (requests[index].recipient.as_str(), index)).collect();
        let mut rows = Self::default();
        for (index, request) in requests.iter().enumerate() {
            let recipient = request.recipient.as_str();
            let end = match outcomes[index] {
                Enqueued::Limited { .. } => continue,
                Enqueued::Duplicate => Some(ImmediateEnd::duplicate()),
                Enqueued::Suppressed => Some(ImmediateEnd::suppressed(state.suppressed.get(recipient))),
                Enqueued::Queued if last.get(recipient) == Some(&index) => None,
                Enqueued::Queued => Some(ImmediateEnd::newer_request()),
            };
            rows.push(policy, request, end);
        }
        rows
    }

    /// The jobs that end immediately, because their requests are never queued.
    fn ended(&self) -> impl Iterator<Item = EndedJob> {
        self.codes.iter().enumerate().filter_map(|(index, code)| {
            Some(EndedJob {
                job: JobId(self.ids[index]),
                request_id: self.request_ids[index].to_owned(),
                portal: self.portals[index].map(str::to_owned),
                state: self.states[index],
                attempts: 0,
                code: Some((*code)?.to_owned()),
                age: Duration::ZERO,
            })
        })
    }

    fn push(&mut self, policy: &EnqueuePolicy, request: &'a NewJob, end: Option<ImmediateEnd>) {
        self.ids.push(request.id.0);
        self.recipients.push(request.recipient.as_str());
        self.mailboxes.push(request.recipient.mailbox().to_string());
        self.callback_urls.push(request.callback_url.as_str());
        self.shown_hosts.push(request.shown_host.as_str());
        self.languages.push(&request.language);
        self.time_zones.push(request.time_zone.as_deref());
        self.portals.push(request.portal.as_deref());
        self.deadlines.push(request.deadline_in(policy));
        self.request_ids.push(&request.request_id);
        self.traceparents.push(request.traceparent.as_deref());
        self.states.push(end.as_ref().map_or("queued", |end| end.state));
        self.codes.push(end.as_ref().map(|end| end.code));
        self.messages.push(end.map(|end| end.message));
    }
}

/// The rows of `recipient_quotas` that change, one vector per column.
#[derive(Default)]
struct QuotaRows<'a> {
    mailboxes: Vec<&'a str>,
    versions: Vec<Option<i64>>,
    /// One `timestamptz[]` literal per row, because Postgres's `unnest` would flatten an array of arrays.
    tats: Vec<String>,
    clients: Vec<Json<&'a Clients>>,
    last_recipients: Vec<&'a str>,
    last_callback_urls: Vec<&'a str>,
}

impl<'a> QuotaRows<'a> {
    /// Collects the rows in the byte order of their keys, so that concurrent callers cannot deadlock.
    fn collect(state: &'a RecipientState, requests: &[NewJob], outcomes: &[Enqueued]) -> Self {
        let is_accepted = |outcome: &Enqueued| matches!(outcome, Enqueued::Queued | Enqueued::Suppressed);
        let accepted = requests.iter().zip(outcomes).filter(|(_, outcome)| is_accepted(outcome));
        let changed: BTreeSet<Mailbox> = accepted.map(|(request, _)| request.recipient.mailbox()).collect();
        let mut rows = Self::default();
        for (key, mailbox) in changed.iter().filter_map(|key| state.mailboxes.get_key_value(key)) {
            // `last` is always present, because an accepted request becomes its mailbox's last request.
            let Some((last_recipient, last_callback_url)) = &mailbox.last else { continue };
            let tats: Vec<String> = mailbox.tats.iter().map(DateTime::to_rfc3339).collect();
            rows.mailboxes.push(key.as_str());
            rows.versions.push(mailbox.version);
            rows.tats.push(format!("{{{}}}", tats.join(",")));
            rows.clients.push(Json(&mailbox.clients));
            rows.last_recipients.push(last_recipient);
            rows.last_callback_urls.push(last_callback_url);
        }
        rows
    }
}
