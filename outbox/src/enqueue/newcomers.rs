//! The shortcut for newcomers, which are recipients without a quota row or a suppression: one round trip for a whole
//! batch.

use std::collections::HashSet;

use sqlx::{PgConnection, postgres::types::PgInterval};

use super::{
    recipient_state::{RecipientRow, RecipientState, recipient_rows},
    request::{EnqueuePolicy, NewJob},
};
use crate::model::{mailbox::Mailbox, quota::Quotas};

/// The mailboxes of a batch, or `None` if a mailbox occurs twice, because the first request would then affect the
/// decision on the second.
pub(super) fn distinct_mailboxes(requests: &[NewJob]) -> Option<Vec<Mailbox>> {
    let mailboxes: Vec<Mailbox> = requests.iter().map(|request| request.recipient.mailbox()).collect();
    let distinct: HashSet<&Mailbox> = mailboxes.iter().collect();
    (distinct.len() == mailboxes.len()).then_some(mailboxes)
}

/// Adds jobs for newcomers. The jobs are committed when this function returns. If one of the recipients is not a
/// newcomer, this function adds nothing and returns the state of the recipients.
///
/// Newcomers need no quota check, because every quota allows at least one request.
pub(super) async fn add(
    connection: &mut PgConnection,
    policy: &EnqueuePolicy,
    requests: &[NewJob],
    mailboxes: &[Mailbox],
) -> Result<Option<RecipientState>, sqlx::Error> {
    let mailboxes: Vec<&str> = mailboxes.iter().map(Mailbox::as_str).collect();
    let ids: Vec<_> = requests.iter().map(|request| request.id.0).collect();
    let recipients: Vec<&str> = requests.iter().map(|request| request.recipient.as_str()).collect();
    let callback_urls: Vec<&str> = requests.iter().map(|request| request.callback_url.as_str()).collect();
    let shown_hosts: Vec<&str> = requests.iter().map(|request| request.shown_host.as_str()).collect();
    let languages: Vec<&str> = requests.iter().map(|request| request.language.as_str()).collect();
    let time_zones: Vec<Option<&str>> = requests.iter().map(|request| request.time_zone.as_deref()).collect();
    let portals: Vec<Option<&str>> = requests.iter().map(|request| request.portal.as_deref()).collect();
    let portal_quotas: Vec<Option<String>> = requests.iter().map(portal_quota).collect();
    let deadlines: Vec<PgInterval> = requests.iter().map(|request| request.deadline_in(policy)).collect();
    let clients: Vec<&str> = requests.iter().map(|request| request.client.as_str()).collect();
    let request_ids: Vec<&str> = requests.iter().map(|request| request.request_id.as_str()).collect();
    let traceparents: Vec<Option<&str>> = requests.iter().map(|request| request.traceparent.as_deref()).collect();
    let rows = recipient_rows!(
        "from email_enqueue_newcomer_jobs(
          (select array_agg(make_interval(secs => seconds)) from unnest($1::float8[]) as seconds),
          (select array_agg(make_interval(secs => seconds)) from unnest($2::float8[]) as seconds),
          $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        &intervals(&policy.per_recipient),
        &intervals(&policy.per_recipient_and_client),
        &ids,
        &recipients as &[&str],
        &mailboxes as &[&str],
        &callback_urls as &[&str],
        &shown_hosts as &[&str],
        &languages as &[&str],
        &time_zones as &[Option<&str>],
        &portals as &[Option<&str>],
        &portal_quotas as &[Option<String>],
        &clients as &[&str],
        &request_ids as &[&str],
        &traceparents as &[Option<&str>],
        &deadlines,
    )
    .fetch_all(connection)
    .await?;
    Ok((!rows.is_empty()).then(|| RecipientState::from_rows(rows, policy.duplicate_window)))
}

/// The intervals of the portal's own quota, if it has one, as an `interval[]` literal. The intervals are not sent as an
/// array of arrays, because Postgres requires all inner arrays to have the same length, and the quotas of two portals
/// may have different numbers of windows.
fn portal_quota(request: &NewJob) -> Option<String> {
    let (_, quota) = request.quota_of_portal()?;
    let seconds: Vec<String> = intervals(quota).iter().map(|seconds| format!("{seconds:.6} s")).collect();
    Some(format!("{{{}}}", seconds.join(",")))
}

/// For each window, the number of seconds that one request uses up.
fn intervals(quotas: &Quotas) -> Vec<f64> {
    quotas.intervals().map(|interval| interval.as_secs_f64()).collect()
}
