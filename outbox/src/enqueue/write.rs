//! The writes of an enqueue: the new jobs and what they end, and their recipients' quotas, in one statement.

use std::collections::{BTreeSet, HashMap};

use chrono::DateTime;
use sqlx::{PgConnection, types::Json};

use super::recipient_state::{Clients, RecipientState, Suppression};
use crate::{EnqueuePolicy, Enqueued, NewJob};

/// Adds a job per accepted request, and moves the quotas on.
pub(super) async fn write(
    connection: &mut PgConnection,
    admission: &EnqueuePolicy,
    known: &RecipientState,
    requests: &[NewJob],
    outcomes: &[Enqueued],
) -> Result<(), sqlx::Error> {
    let quotas = QuotaRows::of(known, requests, outcomes);
    let rows = JobRows::of(known, requests, outcomes);
    sqlx::query!(
        r#"
        select email_add_jobs(
          $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, make_interval(secs => $16))
        "#,
        &quotas.mailboxes as &[&str],
        &quotas.versions as &[Option<i64>],
        &quotas.tats,
        &quotas.clients as &[Json<&Clients>],
        &quotas.last_recipients as &[&str],
        &quotas.last_callback_urls as &[&str],
        &rows.ids,
        &rows.recipients as &[&str],
        &rows.mailboxes,
        &rows.callback_urls as &[&str],
        &rows.request_ids as &[&str],
        &rows.traceparents as &[Option<&str>],
        &rows.states as &[&str],
        &rows.codes as &[Option<&str>],
        &rows.messages as &[Option<String>],
        admission.deadline.as_secs_f64(),
    )
    .fetch_all(connection)
    .await?;
    Ok(())
}

/// The end of a request that never waits: its row is history at once.
struct ImmediateEnd {
    state: &'static str,
    code: &'static str,
    message: String,
}

impl ImmediateEnd {
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
struct JobRows<'a> {
    ids: Vec<uuid::Uuid>,
    recipients: Vec<&'a str>,
    mailboxes: Vec<String>,
    callback_urls: Vec<&'a str>,
    request_ids: Vec<&'a str>,
    traceparents: Vec<Option<&'a str>>,
    states: Vec<&'static str>,
    codes: Vec<Option<&'static str>>,
    messages: Vec<Option<String>>,
}

impl<'a> JobRows<'a> {
    fn of(known: &RecipientState, requests: &'a [NewJob], outcomes: &[Enqueued]) -> Self {
        let queued = |index: &usize| outcomes[*index] == Enqueued::Queued;
        // Of several of one recipient in the batch, only the last is open: the rest are history at once.
        let last: HashMap<&str, usize> =
            (0..requests.len()).filter(queued).map(|index| (requests[index].recipient.as_str(), index)).collect();
        let mut rows = Self::default();
        for (index, request) in requests.iter().enumerate() {
            let recipient = request.recipient.as_str();
            let end = match outcomes[index] {
                Enqueued::Limited { .. } => continue,
                Enqueued::Duplicate => Some(ImmediateEnd::duplicate()),
                Enqueued::Suppressed => Some(ImmediateEnd::suppressed(known.suppressed.get(recipient))),
                Enqueued::Queued if last.get(recipient) == Some(&index) => None,
                Enqueued::Queued => Some(ImmediateEnd::newer_request()),
            };
            rows.push(request, end);
        }
        rows
    }

    fn push(&mut self, request: &'a NewJob, end: Option<ImmediateEnd>) {
        self.ids.push(request.id.0);
        self.recipients.push(request.recipient.as_str());
        self.mailboxes.push(request.recipient.mailbox());
        self.callback_urls.push(&request.callback_url);
        self.request_ids.push(&request.request_id);
        self.traceparents.push(request.traceparent.as_deref());
        self.states.push(end.as_ref().map_or("queued", |end| end.state));
        self.codes.push(end.as_ref().map(|end| end.code));
        self.messages.push(end.map(|end| end.message));
    }
}

/// The mailboxes whose quotas moved, a column each.
#[derive(Default)]
struct QuotaRows<'a> {
    mailboxes: Vec<&'a str>,
    versions: Vec<Option<i64>>,
    /// As literals of `timestamptz[]`: an array of arrays would need all to be as long.
    tats: Vec<String>,
    clients: Vec<Json<&'a Clients>>,
    last_recipients: Vec<&'a str>,
    last_callback_urls: Vec<&'a str>,
}

impl<'a> QuotaRows<'a> {
    /// In the order of their keys' bytes, so that no two callers wait for each other in a circle.
    fn of(known: &'a RecipientState, requests: &[NewJob], outcomes: &[Enqueued]) -> Self {
        let is_let_in = |outcome: &Enqueued| matches!(outcome, Enqueued::Queued | Enqueued::Suppressed);
        let let_in = requests.iter().zip(outcomes).filter(|(_, outcome)| is_let_in(outcome));
        let moved: BTreeSet<String> = let_in.map(|(request, _)| request.recipient.mailbox()).collect();
        let mut rows = Self::default();
        for (key, mailbox) in moved.iter().filter_map(|key| known.mailboxes.get_key_value(key)) {
            // Whoever is let in is the mailbox's last.
            let Some((last_recipient, last_callback_url)) = &mailbox.last else { continue };
            let tats: Vec<String> = mailbox.tats.iter().map(DateTime::to_rfc3339).collect();
            rows.mailboxes.push(key);
            rows.versions.push(mailbox.version);
            rows.tats.push(format!("{{{}}}", tats.join(",")));
            rows.clients.push(Json(&mailbox.clients));
            rows.last_recipients.push(last_recipient);
            rows.last_callback_urls.push(last_callback_url);
        }
        rows
    }
}
