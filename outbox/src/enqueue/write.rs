//! The writes of an enqueue: what the new requests end, and their rows, in two statements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Batch, Suppression, client_key};
use crate::{Admission, Enqueued, NewJob};

/// Ends the waiting jobs of all recipients that got a newer one, and tells their places in the queue.
pub(super) async fn supersede_waiting(
    connection: &mut PgConnection,
    requests: &[NewJob],
    outcomes: &[Enqueued],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let recipients: Vec<String> =
        queued(requests, outcomes).map(|(_, request)| request.recipient.to_string()).collect();
    let rows = sqlx::query!(
        r#"select recipient as "recipient!", place as "place!" from email_supersede_waiting($1)"#,
        &recipients
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.recipient, row.place)).collect())
}

fn queued<'a>(requests: &'a [NewJob], outcomes: &'a [Enqueued]) -> impl Iterator<Item = (usize, &'a NewJob)> {
    requests.iter().enumerate().filter(|(index, _)| outcomes[*index] == Enqueued::Queued)
}

/// Inserts a row per accepted request, moves the quotas on, and wakes the workers: one statement, one NOTIFY.
pub(super) async fn write(
    connection: &mut PgConnection,
    admission: &Admission,
    places: &HashMap<String, i64>,
    batch: Batch<'_>,
) -> Result<(), sqlx::Error> {
    let Batch { requests, outcomes, quotas, lately } = batch;
    // Of several of one recipient in the batch, only the last is open: the rest are history at once.
    let last: HashMap<&str, usize> = queued(requests, outcomes).map(|(i, r)| (r.recipient.as_str(), i)).collect();
    let mut rows = Rows::default();
    let mut tats = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let end = match outcomes[index] {
            Enqueued::Limited { .. } => continue,
            Enqueued::Duplicate => Some(AtOnce::duplicate()),
            Enqueued::Suppressed => {
                let suppression = lately.get(request.recipient.as_str()).and_then(|known| known.suppression.as_ref());
                Some(AtOnce::suppressed(suppression))
            }
            Enqueued::Queued if last.get(request.recipient.as_str()) == Some(&index) => None,
            Enqueued::Queued => Some(AtOnce::newer_request()),
        };
        rows.push(request, places.get(request.recipient.as_str()).copied(), end);
        if outcomes[index] != Enqueued::Duplicate {
            tats.extend([request.recipient.mailbox(), client_key(request)]);
        }
    }
    tats.sort_unstable();
    tats.dedup();
    let mut quota_rows = QuotaRows::default();
    for key in tats {
        for tat in quotas.tats.get(&key).into_iter().flatten() {
            quota_rows.keys.push(key.clone());
            quota_rows.tats.push(*tat);
        }
    }
    sqlx::query!(
        r#"
        with charged as (
          update recipient_quotas
          set tats = moved.tats
          from (
            select key, array_agg(tat order by position) as tats
            from unnest($12::text[], $13::timestamptz[]) with ordinality as given (key, tat, position)
            group by key
          ) as moved
          where recipient_quotas.key = moved.key
        ),
        given as (
          -- nextval after the locks: of two requests of one recipient the later has the larger seq.
          select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
          from unnest(
              $1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
              $10::text[])
            with ordinality as given (
              id, recipient, mailbox, callback_url, request_id, traceparent, place, state, code, message, position)
          order by position
        ),
        added as (
          insert into email_jobs (
            id, state, recipient, mailbox, callback_url, code, message, created_at, run_at, deadline_at, finished_at,
            request_id, traceparent, place, seq)
          select
            id,
            state,
            recipient,
            mailbox,
            callback_url,
            code,
            message,
            now,
            now,
            now + make_interval(secs => $11),
            case when state = 'queued' then 'infinity' else now end,
            request_id,
            traceparent,
            coalesce(place, seq),
            seq
          from given
        )
        -- No payload: equal notifications of one transaction are one. Of suppressed recipients too, so that their
        -- answers take no less time.
        select pg_notify('email_jobs', '')
        from (select from given where state in ('queued', 'failed') limit 1) as any_of_them
        "#,
        &rows.ids,
        &rows.recipients,
        &rows.mailboxes,
        &rows.callback_urls,
        &rows.request_ids,
        &rows.traceparents as &[Option<String>],
        &rows.places as &[Option<i64>],
        &rows.states,
        &rows.codes as &[Option<&str>],
        &rows.messages as &[Option<String>],
        admission.deadline.as_secs_f64(),
        &quota_rows.keys,
        &quota_rows.tats,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The end of a request that never waits: its row is history at once.
struct AtOnce {
    state: &'static str,
    code: &'static str,
    message: String,
}

impl AtOnce {
    fn duplicate() -> Self {
        let message = "The same request came a moment before: its mail is the answer to both.".to_owned();
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
            "The recipient is suppressed{why}: nothing was mailed. To lift it: select email_lift_suppression(recipient)."
        );
        Self { state: "failed", code: "recipient_suppressed", message }
    }
}

/// The batch's new rows, a column each.
#[derive(Default)]
struct Rows {
    ids: Vec<uuid::Uuid>,
    recipients: Vec<String>,
    mailboxes: Vec<String>,
    callback_urls: Vec<String>,
    request_ids: Vec<String>,
    traceparents: Vec<Option<String>>,
    places: Vec<Option<i64>>,
    states: Vec<String>,
    codes: Vec<Option<&'static str>>,
    messages: Vec<Option<String>>,
}

impl Rows {
    fn push(&mut self, request: &NewJob, place: Option<i64>, end: Option<AtOnce>) {
        self.ids.push(request.id.0);
        self.recipients.push(request.recipient.to_string());
        self.mailboxes.push(request.recipient.mailbox());
        self.callback_urls.push(request.callback_url.clone());
        self.request_ids.push(request.request_id.clone());
        self.traceparents.push(request.traceparent.clone());
        self.places.push(place);
        self.states.push(end.as_ref().map_or("queued", |end| end.state).to_owned());
        self.codes.push(end.as_ref().map(|end| end.code));
        self.messages.push(end.map(|end| end.message));
    }
}

/// The quotas that moved, a row per window.
#[derive(Default)]
struct QuotaRows {
    keys: Vec<String>,
    tats: Vec<DateTime<Utc>>,
}
