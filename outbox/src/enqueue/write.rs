//! The writes of an enqueue: what the new requests end, and their rows, in two statements.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{LockedQuotas, client_key};
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
        r#"
        with gone as (
          delete from email_jobs_open as job
          where recipient = any($1)
            and state in ('queued', 'retrying')
          returning job
        )
        insert into email_jobs
        select ended.*
        from gone,
          email_job_ended(gone.job, 'superseded', 'newer_request', 'A newer request of this recipient took its place.', clock_timestamp()) as ended
        returning recipient, place
        "#,
        &recipients,
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
    quotas: &LockedQuotas,
    places: &HashMap<String, i64>,
    requests: &[NewJob],
    outcomes: &[Enqueued],
) -> Result<(), sqlx::Error> {
    // Of several of one recipient in the batch, only the last is open: the rest are history at once.
    let last: HashMap<&str, usize> = queued(requests, outcomes).map(|(i, r)| (r.recipient.as_str(), i)).collect();
    let mut rows = Rows::default();
    let mut tats = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let code = match outcomes[index] {
            Enqueued::Limited { .. } => continue,
            Enqueued::Duplicate => Some("duplicate"),
            Enqueued::Queued if last.get(request.recipient.as_str()) == Some(&index) => None,
            Enqueued::Queued => Some("newer_request"),
        };
        rows.push(request, places.get(request.recipient.as_str()).copied(), code);
        if outcomes[index] == Enqueued::Queued {
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
            from unnest($10::text[], $11::timestamptz[]) with ordinality as given (key, tat, position)
            group by key
          ) as moved
          where recipient_quotas.key = moved.key
        ),
        given as (
          -- nextval after the locks: of two requests of one recipient the later has the larger seq.
          select *, nextval('email_jobs_seq') as seq, clock_timestamp() as now
          from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[])
            with ordinality as given (id, recipient, mailbox, callback_url, request_id, traceparent, place, code, position)
          order by position
        ),
        added as (
          insert into email_jobs (
            id, state, recipient, mailbox, callback_url, code, message, created_at, run_at, deadline_at, finished_at,
            request_id, traceparent, place, seq)
          select
            id,
            case when code is null then 'queued' else 'superseded' end,
            recipient,
            mailbox,
            callback_url,
            code,
            case code
              when 'duplicate' then 'The same request came a moment before: its mail is the answer to both.'
              when 'newer_request' then 'A newer request of this recipient took its place.'
            end,
            now,
            now,
            now + make_interval(secs => $9),
            case when code is null then 'infinity' else now end,
            request_id,
            traceparent,
            coalesce(place, seq),
            seq
          from given
          returning state
        )
        -- No payload: equal notifications of one transaction are one.
        select pg_notify('email_jobs', '') from (select from added where state = 'queued' limit 1) as any_queued
        "#,
        &rows.ids,
        &rows.recipients,
        &rows.mailboxes,
        &rows.callback_urls,
        &rows.request_ids,
        &rows.traceparents as &[Option<String>],
        &rows.places as &[Option<i64>],
        &rows.codes as &[Option<String>],
        admission.deadline.as_secs_f64(),
        &quota_rows.keys,
        &quota_rows.tats,
    )
    .fetch_all(connection)
    .await?;
    Ok(())
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
    codes: Vec<Option<String>>,
}

impl Rows {
    fn push(&mut self, request: &NewJob, place: Option<i64>, code: Option<&str>) {
        self.ids.push(request.id.0);
        self.recipients.push(request.recipient.to_string());
        self.mailboxes.push(request.recipient.mailbox());
        self.callback_urls.push(request.callback_url.clone());
        self.request_ids.push(request.request_id.clone());
        self.traceparents.push(request.traceparent.clone());
        self.places.push(place);
        self.codes.push(code.map(str::to_owned));
    }
}

/// The quotas that moved, a row per window.
#[derive(Default)]
struct QuotaRows {
    keys: Vec<String>,
    tats: Vec<DateTime<Utc>>,
}
