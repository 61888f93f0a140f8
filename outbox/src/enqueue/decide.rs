//! Who is let in: the quotas and the rule of the double click, over a batch.

use std::collections::HashMap;

use super::{Lately, LockedQuotas, client_key};
use crate::{Admission, Enqueued, NewJob};

/// Who is let in, in the order of arrival. Those let in move the quotas; nobody else does.
pub(super) fn decide(
    admission: &Admission,
    quotas: &mut LockedQuotas,
    lately: &mut HashMap<String, Lately>,
    requests: &[NewJob],
) -> Vec<Enqueued> {
    let mut outcomes = Vec::with_capacity(requests.len());
    for request in requests {
        let known = lately.entry(request.recipient.to_string()).or_default();
        if known.callback_url.as_ref() == Some(&request.callback_url) {
            outcomes.push(Enqueued::Duplicate);
            continue;
        }
        let (recipient_key, client_key) = (request.recipient.mailbox(), client_key(request));
        let tats = |key: &str| quotas.tats.get(key).map_or(&[][..], Vec::as_slice);
        let recipient = admission.per_recipient.admit(tats(&recipient_key), quotas.now);
        let client = admission.per_recipient_and_client.admit(tats(&client_key), quotas.now);
        match (recipient, client) {
            (Ok(recipient), Ok(client)) => {
                quotas.tats.insert(recipient_key, recipient);
                quotas.tats.insert(client_key, client);
                known.callback_url = Some(request.callback_url.clone());
                // Only now: a suppressed recipient's quotas are used up as everybody's are.
                outcomes.push(if known.suppression.is_some() { Enqueued::Suppressed } else { Enqueued::Queued });
            }
            (recipient, client) => {
                let retry_after = recipient.err().max(client.err()).unwrap_or_default();
                outcomes.push(Enqueued::Limited { retry_after });
            }
        }
    }
    outcomes
}
