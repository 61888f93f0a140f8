//! Decides which requests of a batch are accepted, based on quotas, suppressions and the duplicate rule.

use super::{
    recipient_state::{RecipientState, portal_key},
    request::{EnqueuePolicy, Enqueued, NewJob},
};

/// Decides the requests of a batch in order of arrival. A queued or suppressed request uses up quota and becomes its
/// mailbox's last request. A duplicate or limited request changes nothing.
pub(super) fn decide(policy: &EnqueuePolicy, state: &mut RecipientState, requests: &[NewJob]) -> Vec<Enqueued> {
    requests.iter().map(|request| decide_one(policy, state, request, Some(&request.client))).collect()
}

/// Decides a retry that an operator has filed. A retry is never a duplicate, and it has no client.
pub(super) fn decide_retry(policy: &EnqueuePolicy, state: &mut RecipientState, request: &NewJob) -> Enqueued {
    decide_one(policy, state, request, None)
}

/// `client` is the client's network, or `None` for a retry.
fn decide_one(
    policy: &EnqueuePolicy,
    state: &mut RecipientState,
    request: &NewJob,
    client: Option<&String>,
) -> Enqueued {
    let mailbox = state.mailboxes.entry(request.recipient.mailbox()).or_default();
    let (address, callback_url) = (request.recipient.as_str(), request.callback_url.as_str());
    let is_repeated = mailbox.last.as_ref().is_some_and(|last| last.0 == address && last.1 == callback_url);
    if is_repeated && client.is_some() {
        return Enqueued::Duplicate;
    }
    let client = client.map(|client| {
        let tats = mailbox.clients.get(client).map_or(&[][..], Vec::as_slice);
        policy.per_recipient_and_client.admit(tats, state.at).map(|tats| (client.clone(), tats))
    });
    let recipient = policy.per_recipient.admit(&mailbox.tats, state.at);
    let portal = request.quota_of_portal().map(|(portal, quota)| {
        let key = portal_key(portal);
        let tats = mailbox.clients.get(&key).map_or(&[][..], Vec::as_slice);
        quota.admit(tats, state.at).map(|tats| (key, tats))
    });
    match (recipient, client.transpose(), portal.transpose()) {
        (Ok(recipient), Ok(client), Ok(portal)) => {
            mailbox.tats = recipient;
            // A client or portal whose windows are all unused needs no entry.
            mailbox.clients.retain(|_, tats| tats.iter().any(|tat| *tat > state.at));
            mailbox.clients.extend(client);
            mailbox.clients.extend(portal);
            mailbox.last = Some((address.to_owned(), callback_url.to_owned()));
            // Check for a suppression last, so that requests for a suppressed recipient use up quota like all others.
            if state.suppressed.contains_key(address) { Enqueued::Suppressed } else { Enqueued::Queued }
        }
        (recipient, client, portal) => {
            let retry_after = recipient.err().max(client.err()).max(portal.err()).unwrap_or_default();
            Enqueued::Limited { retry_after }
        }
    }
}
