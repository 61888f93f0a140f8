//! Stops all mail if no server serves the path that links lead to.

use outbox::Failure;

use super::context::DeliveryRun;
use crate::upstream::{
    supabase::GeneratedLink,
    verdict::{UpstreamFailure, Verdict, verify::LinkPathAnswer},
};

impl DeliveryRun<'_> {
    /// Checks that a server serves the path of the link. Also succeeds if the result is unclear, or if the mailed
    /// link does not lead to that path.
    ///
    /// # Errors
    /// A configuration error if the server responds with 404. No link works until an operator changes a setting.
    pub(super) async fn ensure_link_path_is_served(&self, generated: &GeneratedLink) -> Result<(), UpstreamFailure> {
        if !self.portal().links.style.leads_through_supabase() {
            return Ok(());
        }
        let link_path = &generated.verify_url;
        match self.worker.link_path_checker.check(link_path, &self.job.callback_url).await {
            LinkPathAnswer::Served | LinkPathAnswer::Unclear => Ok(()),
            LinkPathAnswer::NotFound => {
                let message = format!(
                    "Supabase creates links to {link_path}, where the server responds with 404: set Supabase's \
                     MAILER_URLPATHS_* (MAILER_URLPATHS_MAGIC_LINK, _RECOVERY, _CONFIRMATION and the others) to \
                     /auth/v1/verify, and its API_EXTERNAL_URL to the address that LINK_ORIGINS lists"
                );
                Err(UpstreamFailure {
                    verdict: Verdict::Configuration { setting: "LINK_ORIGINS" },
                    reason: Failure::new("link_path_not_found", message),
                    // The status of `generate_link`, because this step records that call.
                    http_status: Some(200),
                })
            }
        }
    }
}
