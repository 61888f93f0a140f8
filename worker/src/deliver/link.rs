//! The link to mail: the one that an earlier attempt may have mailed, or else a new one.

use std::time::Duration;

use outbox::{Attempt, Failure, NewLink, Step, upstreams::Upstream};
use tokio::time::Instant;
use url::Url;

use super::{
    context::{Delivery, Interrupted},
    outcome::DeliveryOutcome,
    stopwatch::Stopwatch,
};
use crate::{
    mail::link_seal::SealContext,
    metrics,
    settings::SHORTEST_USE,
    upstream::{
        supabase::GeneratedLink,
        verdict::{UpstreamFailure, Verdict},
    },
};

/// A link and the mail that carries it. No Debug: it signs its holder in.
pub(crate) struct SignInLink {
    pub(super) url: String,
    pub(super) message_id: String,
    /// Its lifetime counts from here.
    pub(super) made_at: Instant,
    /// What is to be stored before it is mailed, unless it is stored already.
    pub(super) fresh: Option<FreshLink>,
}

/// A link that no mail has carried yet.
pub(crate) struct FreshLink {
    pub(super) sealed: Vec<u8>,
    /// The call that made it.
    pub(super) attempt: Attempt,
}

impl SignInLink {
    pub(super) fn age(&self) -> Duration {
        self.made_at.elapsed()
    }

    /// What the outbox is to store, if anything.
    pub(super) fn new_link(&self) -> Option<NewLink> {
        let fresh = self.fresh.as_ref()?;
        Some(NewLink { sealed: fresh.sealed.clone(), message_id: self.message_id.clone(), age: self.age() })
    }

    pub(super) fn attempt(&self) -> Option<&Attempt> {
        self.fresh.as_ref().map(|fresh| &fresh.attempt)
    }
}

impl Delivery<'_> {
    /// The stored link, if it opens and is worth mailing: a new one would kill it, and it may have been mailed. Else
    /// why it is not, where there is one.
    pub(super) fn link_of_an_earlier_attempt(&self) -> Result<SignInLink, Option<Failure>> {
        let Some(stored) = &self.job.link else { return Err(None) };
        let left = self.worker.limits.link_lifetime.saturating_sub(stored.age);
        if left < SHORTEST_USE {
            let why =
                Failure::new("sealed_link_too_old", "The link of an earlier attempt was too old: a new one was made.");
            tracing::info!(code = why.code, "{}", why.message);
            return Err(Some(why));
        }
        match self.worker.sealing_keys.open(&stored.sealed, &self.bound(&stored.message_id)) {
            Ok(url) => {
                // The process may be younger than the link.
                let made_at = Instant::now().checked_sub(stored.age).unwrap_or_else(Instant::now);
                Ok(SignInLink { url, message_id: stored.message_id.clone(), made_at, fresh: None })
            }
            Err(error) => {
                let words = "No key opened the link of an earlier attempt: a new one was made.";
                let why = Failure::new("sealed_link_unreadable", words);
                tracing::warn!(code = why.code, %error, "{}", why.message);
                Err(Some(why))
            }
        }
    }

    /// Asks Supabase for a link, and refuses one that leads elsewhere than it should. Where it replaces one that is
    /// unusable, the attempt's row says why.
    pub(super) async fn make_link(&self, unusable: Option<Failure>) -> Result<SignInLink, DeliveryOutcome> {
        let (job, worker) = (self.job, self.worker);
        let stopped = |interrupted: Interrupted, attempt| DeliveryOutcome::handed_back(interrupted, attempt);
        let turn = self
            .unless_interrupted(worker.supabase.acquire_slot())
            .await
            .map_err(|interrupted| stopped(interrupted, None))?;
        // A call that is not begun leaves no trace.
        self.go_on().map_err(|interrupted| stopped(interrupted, None))?;
        let watch = Stopwatch::start(Step::GenerateLink);
        let call = worker.supabase.generate_link(&job.recipient, &job.callback_url);
        let made = self
            .unless_interrupted(call)
            .await
            .map_err(|interrupted| stopped(interrupted, Some(watch.interrupted(interrupted))))?;
        drop(turn);
        let made = match made {
            Ok(made) => made,
            Err(trouble) => {
                let trouble = self.unless_too_often(trouble).await;
                return Err(self.in_trouble(Upstream::Supabase, &trouble, watch.trouble(&trouble)).await);
            }
        };
        self.succeeded(Upstream::Supabase).await;
        if made.redirect_to != job.callback_url {
            let trouble = self.redirect_not_allowed(&made);
            return Err(self.in_trouble(Upstream::Supabase, &trouble, watch.trouble(&trouble)).await);
        }
        // A new Message-Id with it: a mailbox may drop a second mail that has the id of the first, and with it the
        // only link that works.
        let message_id = worker.mailgun.message_id(job.lease.job);
        let sealed = worker.sealing_keys.seal(&made.url, &self.bound(&message_id));
        let attempt = Attempt { failure: unusable, ..watch.ok(200) };
        let fresh = FreshLink { sealed, attempt };
        Ok(SignInLink { url: made.url, message_id, made_at: watch.started, fresh: Some(fresh) })
    }

    fn bound<'a>(&'a self, message_id: &'a str) -> SealContext<'a> {
        let job = self.job;
        SealContext { job: job.lease.job, recipient: &job.recipient, callback_url: &job.callback_url, message_id }
    }

    /// Supabase silently puts its SITE_URL where its allow list lacks what was asked for: a mail would lead people
    /// to the wrong place, and the operator would never hear of it.
    fn redirect_not_allowed(&self, made: &GeneratedLink) -> UpstreamFailure {
        let wanted = without_query(&self.job.callback_url);
        let got = without_query(&made.redirect_to);
        let entry = format!("{wanted},{wanted}\\?**");
        metrics::record_redirect_not_allowed();
        tracing::error!(
            code = "redirect_not_allowed",
            callback = wanted,
            add_to_allow_list = entry,
            "Supabase's redirect allow list (URI_ALLOW_LIST, Redirect URLs) lacks this callback: add both entries \
             there; nothing was mailed"
        );
        let message =
            format!("Supabase would lead to {got} instead. Add to its redirect allow list (Redirect URLs): {entry}");
        UpstreamFailure {
            verdict: Verdict::Reject,
            reason: Failure::new("redirect_not_allowed", message),
            http_status: Some(200),
        }
    }
}

/// Origin and path: what an allow list is about, and nothing that a stranger chose.
fn without_query(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => "something that is no URL".to_owned(),
    }
}
