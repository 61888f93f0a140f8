//! Converts a link from Supabase into the link and the code that the mail shows, in the portal's link style.

use chrono::{TimeDelta, Utc};
use outbox::{Failure, ShownHost};
use tokio::time::Instant;

use super::context::DeliveryRun;
use crate::{
    mail::{
        link_form::{LinkTooLong, MAX_LINK_LENGTH, choose_form},
        link_parts::{LinkForm, LinkParts},
        link_url::LinkContext,
        look::Look,
        mailed_link::MailedLink,
        portal_host::portal_host,
        render::TEMPLATE,
    },
    upstream::supabase::GeneratedLink,
};

/// Number of characters in Supabase's token hash: SHA-224 in hexadecimal digits (observed).
const TOKEN_HASH_LENGTH: usize = 56;

impl DeliveryRun<'_> {
    /// Checks that a link to the job's callback can be short enough for mail programs. Call this before creating a
    /// link, because a new link may invalidate the person's earlier link.
    ///
    /// # Errors
    /// Every link would be longer than some mail programs can open.
    pub(super) fn check_link_length(&self, look: &Look) -> Result<(), Failure> {
        let shortest = LinkParts {
            verify_url: self.worker.supabase.shortest_verify_url(),
            token_hash: "0".repeat(TOKEN_HASH_LENGTH),
            kind: "signup".to_owned(),
            ..self.parts(look, Instant::now())
        };
        choose_form(&self.portal().links.style, shortest, self.link_context(look)).map(drop).map_err(link_too_long)
    }

    /// The parts of a new link that was requested at `requested_at`, and the link and the code as the mail shows them.
    ///
    /// # Errors
    /// The link is longer than some mail programs can open, or cannot be built.
    pub(super) fn present(
        &self,
        generated: GeneratedLink,
        look: &Look,
        requested_at: Instant,
    ) -> Result<(LinkParts, MailedLink), Failure> {
        let parts = LinkParts {
            verify_url: generated.verify_url.into(),
            token_hash: generated.token_hash,
            kind: generated.kind,
            code: generated.code,
            ..self.parts(look, requested_at)
        };
        let context = self.link_context(look);
        let parts = choose_form(&self.portal().links.style, parts, context).map_err(link_too_long)?;
        let mailed = MailedLink::from_parts(&parts, context);
        let mailed = mailed.map_err(|error| Failure::new("mail_not_rendered", error.to_string()))?;
        Ok((parts, mailed))
    }

    /// The values that are needed to build this job's links, in addition to the links' parts.
    pub(super) fn link_context(&self, look: &Look) -> LinkContext<'_> {
        LinkContext {
            confirm_keys: self.worker.links.confirm_keys.as_ref(),
            recipient: self.job.recipient.as_str(),
            shown_host: self.shown_host(),
            language: self.language(look),
        }
    }

    /// The portal's host, as the mail shows it.
    pub(super) fn shown_host(&self) -> &str {
        self.job.shown_host.as_ref().map_or_else(|| portal_host(&self.job.callback_url), ShownHost::as_str)
    }

    /// The parts of a link that do not come from Supabase.
    fn parts(&self, look: &Look, requested_at: Instant) -> LinkParts {
        let created_at = Utc::now() - TimeDelta::from_std(requested_at.elapsed()).unwrap_or_default();
        LinkParts {
            verify_url: String::new(),
            token_hash: String::new(),
            kind: String::new(),
            code: None,
            callback_url: self.job.callback_url.as_str().to_owned(),
            created_at,
            expires_at: created_at + TimeDelta::from_std(self.worker.limits.link_lifetime).unwrap_or_default(),
            form: LinkForm::Verify,
            template: TEMPLATE,
            look: Some(look.id().to_owned()),
        }
    }
}

fn link_too_long(error: LinkTooLong) -> Failure {
    let length = error.length;
    let message = format!(
        "The link has at least {length} characters, but some mail programs cannot open links of more than \
         {MAX_LINK_LENGTH}: nothing was mailed. The portal must send a shorter callback_next."
    );
    Failure::new("link_too_long", message)
}
