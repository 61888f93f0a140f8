//! Stops all mail if links lead to a path that no server serves.

use outbox::Failure;

use super::context::DeliveryRun;
use crate::upstream::{
    supabase::GeneratedLink,
    verdict::{UpstreamFailure, Verdict, verify::LinkPathAnswer},
};

impl DeliveryRun<'_> {
    /// Checks that a server answers where the link leads. Succeeds also if that cannot be found out now.
    ///
    /// # Errors
    /// The failure if the server there answers 404. Every other link would be as dead, so an operator must act.
    pub(super) async fn ensure_link_path_is_served(&self, generated: &GeneratedLink) -> Result<(), UpstreamFailure> {
        let link_path = &generated.origin_and_path;
        match self.worker.link_path_checker.check(link_path, &self.job.callback_url).await {
            LinkPathAnswer::Served | LinkPathAnswer::Unclear => Ok(()),
            LinkPathAnswer::NotFound => {
                let message = format!(
                    "Supabase makes links to {link_path}, where the server answers 404: set Supabase's MAILER_URLPATHS_* \
                     (MAILER_URLPATHS_MAGIC_LINK, _RECOVERY, _CONFIRMATION and the others) to /auth/v1/verify, and \
                     its API_EXTERNAL_URL to the address that LINK_ORIGINS lists"
                );
                Err(UpstreamFailure {
                    verdict: Verdict::Configuration { setting: "LINK_ORIGINS" },
                    reason: Failure::new("link_path_not_found", message),
                    // The answer of generate_link, which this step records.
                    http_status: Some(200),
                })
            }
        }
    }
}
