//! Gets the link to mail: the link stored by an earlier attempt, or else a new link from Supabase.

use std::{sync::Arc, time::Duration};

use outbox::{Failure, NewLink, SealedLink, Step, StepRecord, Upstream};
use tokio::time::Instant;

use super::{backoff, context::DeliveryRun, interruption::Interruption, outcome::DeliveryOutcome};
use crate::{
    mail::{
        link_parts::LinkParts,
        link_seal::{OpenError, OpenedLink, SealContext},
        link_url::MissingConfirmKey,
        look::Look,
        mailed_link::MailedLink,
        render::TEMPLATE,
    },
    settings::MIN_LINK_LIFETIME,
    upstream::{
        supabase::GeneratedLink,
        verdict::{HOOK_FAILED, UpstreamFailure, Verdict},
    },
};

/// A sign-in link and the Message-Id of its mail. Has no `Debug`, because anybody who has the link can sign in.
pub(crate) struct SignInLink {
    pub(super) mailed: MailedLink,
    /// How the mail looks.
    pub(super) look: Arc<Look>,
    pub(super) message_id: String,
    /// The start of the link's lifetime.
    pub(super) created_at: Instant,
    /// `Some` if the link is new and must be stored before it is mailed.
    pub(super) fresh: Option<FreshLink>,
}

/// Why a stored link cannot be mailed again.
#[derive(Debug, thiserror::Error)]
enum UnusableLink {
    #[error(transparent)]
    NotOpened(#[from] OpenError),
    #[error(transparent)]
    NotBuilt(#[from] MissingConfirmKey),
}

/// What to store for a new link.
pub(crate) struct FreshLink {
    /// The encrypted link.
    pub(super) sealed: Vec<u8>,
    /// The call that created the link.
    pub(super) step: StepRecord,
}

impl SignInLink {
    pub(super) fn age(&self) -> Duration {
        self.created_at.elapsed()
    }

    /// The record of a new link for the outbox; `None` if the link is already stored.
    pub(super) fn new_link(&self) -> Option<NewLink> {
        let fresh = self.fresh.as_ref()?;
        Some(NewLink { sealed: fresh.sealed.clone(), message_id: self.message_id.clone(), age: self.age() })
    }

    /// The step that created a new link; `None` if the link is already stored.
    pub(super) fn step(&self) -> Option<&StepRecord> {
        self.fresh.as_ref().map(|fresh| &fresh.step)
    }
}

impl DeliveryRun<'_> {
    /// Decrypts the stored link. Prefer the stored link to a new link: the stored link may have been mailed already,
    /// and a new link would invalidate it.
    ///
    /// # Errors
    /// `None` if there is no stored link; otherwise the reason why the stored link cannot be used.
    pub(super) fn open_stored_link(&self) -> Result<SignInLink, Option<Failure>> {
        let Some(stored) = &self.job.link else { return Err(None) };
        let (mailed, look) = self.open(stored).map_err(|error| {
            let message = "The link from an earlier attempt could not be read, so the worker requested a new link.";
            let reason = Failure::new("sealed_link_unreadable", message);
            tracing::warn!(code = reason.code, %error, "{}", reason.message);
            reason
        })?;
        // The lifetime in the settings may have changed since the first mail. Use the shorter of the two lifetimes.
        let remaining = mailed.lifetime.min(self.worker.limits.link_lifetime).saturating_sub(stored.age);
        if remaining < MIN_LINK_LIFETIME {
            let message = "The link from an earlier attempt would expire too soon, so the worker requested a new link.";
            let reason = Failure::new("sealed_link_too_old", message);
            tracing::info!(code = reason.code, "{}", reason.message);
            return Err(Some(reason));
        }
        // The subtraction fails if the monotonic clock cannot represent a time that far back.
        let created_at = Instant::now().checked_sub(stored.age).unwrap_or_else(Instant::now);
        Ok(SignInLink { mailed, look, message_id: stored.message_id.clone(), created_at, fresh: None })
    }

    fn open(&self, stored: &SealedLink) -> Result<(MailedLink, Arc<Look>), UnusableLink> {
        let opened = self.worker.sealing_keys.open(&stored.sealed, &self.seal_context(&stored.message_id))?;
        let parts = match opened {
            OpenedLink::Text(url) => {
                let mailed = MailedLink::from_text(url, stored.age, self.worker.limits.link_lifetime);
                return Ok((mailed, self.current_look()));
            }
            OpenedLink::Parts(parts) => parts,
        };
        if parts.template != TEMPLATE {
            let (first, now) = (parts.template, TEMPLATE);
            tracing::info!(
                first,
                now,
                "the mail templates have changed since the first mail: the repeated mail has different text"
            );
        }
        let look = self.look_of(&parts);
        Ok((MailedLink::from_parts(&parts, self.link_context(&look))?, look))
    }

    /// Requests a new link from Supabase. Rejects a link that does not lead to the callback URL: the check before the
    /// call may have been inconclusive or based on an outdated answer. `unusable` is the reason why a stored link was
    /// not used; it is stored in the record of the step.
    ///
    /// # Errors
    /// The outcome of the delivery if there is no link to mail.
    pub(super) async fn create_link(&self, unusable: Option<Failure>) -> Result<SignInLink, DeliveryOutcome> {
        let (job, worker) = (self.job, self.worker);
        let look = self.current_look();
        self.check_link_length(&look).map_err(|reason| DeliveryOutcome::Failed(reason, None))?;
        self.ensure_redirect_allowed().await?;
        let not_started = |interruption: Interruption| DeliveryOutcome::interrupted(interruption, None);
        // Retries after a failed hook may use only half of the slots, so that a hanging hook cannot delay recipients
        // for whom the hook does not run.
        let _hook_slot = if job.code.as_deref() == Some(HOOK_FAILED) {
            Some(worker.supabase.try_acquire_hook_slot().ok_or_else(|| self.retry_hook_later())?)
        } else {
            None
        };
        let slot = self.unless_interrupted(worker.supabase.acquire_slot()).await.map_err(not_started)?;
        // Check before the stopwatch starts: a call that is never made must not be recorded as a step.
        self.ensure_not_interrupted().map_err(not_started)?;
        let stopwatch = self.start_step(Step::GenerateLink);
        let call = worker.supabase.generate_link(&job.recipient, &job.callback_url, &self.portal().links);
        let interrupted = |interruption: Interruption| {
            DeliveryOutcome::interrupted(interruption, Some(stopwatch.interrupted(interruption)))
        };
        let result = self.unless_interrupted(call).await.map_err(interrupted)?;
        drop(slot);
        let checked = match result {
            Ok(generated) => {
                let check = self.check_generated_link(generated, &look, stopwatch.started);
                self.unless_interrupted(check).await.map_err(interrupted)?
            }
            Err(failure) => Err(failure),
        };
        let (parts, mailed) = match checked {
            Ok(checked) => checked,
            Err(failure) => {
                let failure = self.apply_attempt_limit(failure).await;
                return Err(self
                    .handle_failure(Upstream::Supabase, &failure, stopwatch.started, stopwatch.failed(&failure))
                    .await);
            }
        };
        // A new link needs a new Message-Id: a mailbox may drop a mail whose Message-Id it has seen before, and this
        // mail contains the only link that works.
        let message_id = worker.mailgun.message_id(job.lease.job);
        let sealed = worker.sealing_keys.seal(&parts, &self.seal_context(&message_id));
        let step = StepRecord { failure: unusable, ..stopwatch.ok(200) };
        let fresh = FreshLink { sealed, step };
        Ok(SignInLink { mailed, look, message_id, created_at: stopwatch.started, fresh: Some(fresh) })
    }

    /// Requeues the job, because other jobs are using all slots for retries after a failed hook.
    fn retry_hook_later(&self) -> DeliveryOutcome {
        let delay = backoff::retry(self.job.attempt);
        DeliveryOutcome::Requeue { delay, failure: None, is_uncounted: true, suspected: None, step: None }
    }

    /// Checks that a server serves the path of a new link, and that Supabase kept the callback URL. Records the call as
    /// a success only after the first check: otherwise the success would close the breaker that an unserved path had
    /// opened.
    async fn check_generated_link(
        &self,
        generated: GeneratedLink,
        look: &Look,
        began_at: Instant,
    ) -> Result<(LinkParts, MailedLink), UpstreamFailure> {
        let (job, worker) = (self.job, self.worker);
        let reject = |reason| UpstreamFailure { verdict: Verdict::Reject, reason, http_status: Some(200) };
        self.ensure_link_path_is_served(&generated).await?;
        self.record_success(Upstream::Supabase, began_at).await;
        let leads_to = &generated.redirect_to;
        if self.portal().links.style.leads_through_supabase() && leads_to != job.callback_url.as_str() {
            worker.redirect_checker.record_refused(&worker.pool, &worker.outage, &job.callback_url, leads_to).await;
            return Err(reject(self.redirect_not_allowed(leads_to)));
        }
        self.present(generated, look, began_at).map_err(reject)
    }

    fn seal_context<'a>(&'a self, message_id: &'a str) -> SealContext<'a> {
        let job = self.job;
        SealContext {
            job: job.lease.job,
            recipient: job.recipient.as_str(),
            callback_url: job.callback_url.as_str(),
            message_id,
        }
    }
}
