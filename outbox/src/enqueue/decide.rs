//! Who is let in: the quotas and the rule of the double click, over a batch.

use super::recipient_state::RecipientState;
use crate::{EnqueuePolicy, Enqueued, NewJob};

/// Who is let in, in the order of arrival. Those let in move the quotas and are their mailbox's last; nobody else is.
pub(super) fn decide(admission: &EnqueuePolicy, known: &mut RecipientState, requests: &[NewJob]) -> Vec<Enqueued> {
    requests.iter().map(|request| decide_one(admission, known, request)).collect()
}

fn decide_one(admission: &EnqueuePolicy, known: &mut RecipientState, request: &NewJob) -> Enqueued {
    let mailbox = known.mailboxes.entry(request.recipient.mailbox()).or_default();
    let (address, callback_url) = (request.recipient.as_str(), request.callback_url.as_str());
    if mailbox.last.as_ref().is_some_and(|last| last.0 == address && last.1 == callback_url) {
        return Enqueued::Duplicate;
    }
    let of_client = mailbox.clients.get(&request.client).map_or(&[][..], Vec::as_slice);
    let client = admission.per_recipient_and_client.admit(of_client, known.at);
    let recipient = admission.per_recipient.admit(&mailbox.tats, known.at);
    match (recipient, client) {
        (Ok(recipient), Ok(client)) => {
            mailbox.tats = recipient;
            // Those whose windows are all unused say nothing.
            mailbox.clients.retain(|_, tats| tats.iter().any(|tat| *tat > known.at));
            mailbox.clients.insert(request.client.clone(), client);
            mailbox.last = Some((address.to_owned(), callback_url.to_owned()));
            // Only now: a suppressed recipient's quotas are used up as everybody's are.
            if known.suppressed.contains_key(address) { Enqueued::Suppressed } else { Enqueued::Queued }
        }
        (recipient, client) => Enqueued::Limited { retry_after: recipient.err().max(client.err()).unwrap_or_default() },
    }
}
