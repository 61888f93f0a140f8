//! The short way in: a batch of people of whom nothing is known, in one round trip.

use std::collections::HashSet;

use sqlx::PgConnection;

use super::recipient_state::{RecipientRow, RecipientState, recipient_rows};
use crate::{EnqueuePolicy, NewJob, Quotas};

/// The mailboxes of a batch, if none is there twice: of those, each request changes what the next one meets.
pub(super) fn distinct_mailboxes(requests: &[NewJob]) -> Option<Vec<String>> {
    let mailboxes: Vec<String> = requests.iter().map(|request| request.recipient.mailbox()).collect();
    let distinct: HashSet<&String> = mailboxes.iter().collect();
    (distinct.len() == mailboxes.len()).then_some(mailboxes)
}

/// Adds jobs for people of whom nothing is known, committed when it returns; or, if something is known of any of them,
/// tells that, and adds nothing.
///
/// Whoever is new is let in, whatever the quotas, since each takes one request at least.
pub(super) async fn add(
    connection: &mut PgConnection,
    admission: &EnqueuePolicy,
    requests: &[NewJob],
    mailboxes: &[String],
) -> Result<Option<RecipientState>, sqlx::Error> {
    let ids: Vec<_> = requests.iter().map(|request| request.id.0).collect();
    let recipients: Vec<&str> = requests.iter().map(|request| request.recipient.as_str()).collect();
    let callback_urls: Vec<&str> = requests.iter().map(|request| request.callback_url.as_str()).collect();
    let clients: Vec<&str> = requests.iter().map(|request| request.client.as_str()).collect();
    let request_ids: Vec<&str> = requests.iter().map(|request| request.request_id.as_str()).collect();
    let traceparents: Vec<Option<&str>> = requests.iter().map(|request| request.traceparent.as_deref()).collect();
    let rows = recipient_rows!(
        "from email_add_newcomers(
          (select array_agg(make_interval(secs => seconds)) from unnest($1::float8[]) as seconds),
          (select array_agg(make_interval(secs => seconds)) from unnest($2::float8[]) as seconds),
          $3, $4, $5, $6, $7, $8, $9, make_interval(secs => $10))",
        &intervals(&admission.per_recipient),
        &intervals(&admission.per_recipient_and_client),
        &ids,
        &recipients as &[&str],
        mailboxes,
        &callback_urls as &[&str],
        &clients as &[&str],
        &request_ids as &[&str],
        &traceparents as &[Option<&str>],
        admission.deadline.as_secs_f64(),
    )
    .fetch_all(connection)
    .await?;
    Ok((!rows.is_empty()).then(|| RecipientState::of(rows, admission.duplicate_window)))
}

/// Seconds that one request takes up of each window.
fn intervals(quotas: &Quotas) -> Vec<f64> {
    quotas.intervals().map(|interval| interval.as_secs_f64()).collect()
}
