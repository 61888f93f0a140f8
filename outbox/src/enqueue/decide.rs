//! Who is let in: the quotas and the rule of the double click, over a batch.

use std::collections::HashMap;

use super::{LockedQuotas, client_key};
use crate::{Admission, Enqueued, NewJob};

/// Who is let in, in the order of arrival. Those let in move the quotas; nobody else does.
pub(super) fn decide(
    admission: &Admission,
    quotas: &mut LockedQuotas,
    mut latest: HashMap<String, String>,
    requests: &[NewJob],
) -> Vec<Enqueued> {
    let mut outcomes = Vec::with_capacity(requests.len());
    for request in requests {
        if latest.get(request.recipient.as_str()) == Some(&request.callback_url) {
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
                latest.insert(request.recipient.to_string(), request.callback_url.clone());
                outcomes.push(Enqueued::Queued);
            }
            (recipient, client) => {
                let retry_after = recipient.err().max(client.err()).unwrap_or_default();
                outcomes.push(Enqueued::Limited { retry_after });
            }
        }
    }
    outcomes
}
