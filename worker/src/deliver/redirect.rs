//! Fails a job if Supabase's redirect allow list refuses its callback, before a link is requested.

use outbox::{CallbackUrl, Failure};

use super::{context::DeliveryRun, outcome::DeliveryOutcome};
use crate::{metrics, upstream::verdict::verify::RedirectAnswer};

impl DeliveryRun<'_> {
    /// Checks that links may lead to the job's callback URL. Also succeeds if the result is unclear, or if the mailed
    /// link does not go through Supabase.
    ///
    /// # Errors
    /// The outcome of the delivery if Supabase would replace the callback URL, or if the delivery is interrupted. The
    /// outcome has no step, because no link was requested.
    pub(super) async fn ensure_redirect_allowed(&self) -> Result<(), DeliveryOutcome> {
        let (job, worker) = (self.job, self.worker);
        if !self.portal().links.style.leads_through_supabase() {
            return Ok(());
        }
        let check = worker.redirect_checker.check(&worker.pool, &worker.outage, &job.callback_url);
        let answer = self.unless_interrupted(check).await;
        match answer.map_err(|interruption| DeliveryOutcome::interrupted(interruption, None))? {
            RedirectAnswer::Allowed | RedirectAnswer::Unclear => Ok(()),
            RedirectAnswer::Refused { leads_to } => {
                Err(DeliveryOutcome::Failed(self.redirect_not_allowed(&leads_to), None))
            }
        }
    }

    /// The failure for a callback URL that Supabase replaces. Supabase silently uses its SITE_URL if its allow list
    /// does not contain the requested URL. The mail would lead people to the wrong page, so this function also logs an
    /// error that contains the missing entries.
    pub(super) fn redirect_not_allowed(&self, leads_to: &str) -> Failure {
        let callback = self.job.callback_url.origin_and_path();
        let actual = CallbackUrl::parse(leads_to)
            .map_or_else(|_| "something that is not a URL".to_owned(), |url| url.origin_and_path());
        let entry = format!("{callback},{callback}\\?**");
        metrics::record_redirect_not_allowed();
        tracing::error!(
            code = "redirect_not_allowed",
            // Use `Display`, so that operators can paste the values. The values come from a URL parser, so they contain
            // no spaces or control characters. `Debug` would quote the values and double the backslashes.
            %callback,
            add_to_allow_list = %entry,
            "Supabase's redirect allow list (URI_ALLOW_LIST, Redirect URLs) does not contain this callback, so nothing \
             was mailed: add both entries"
        );
        let message = format!(
            "The link would lead to {actual} instead of the portal's callback. Add both entries to Supabase's redirect \
             allow list (Redirect URLs): {entry}"
        );
        Failure::new("redirect_not_allowed", message)
    }
}
