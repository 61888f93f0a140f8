//! Checks portals against the settings in the environment.

use std::time::Duration;

use words::Fault;

use super::{Portal, address_of_sender};

/// The settings that portals must be compatible with.
#[derive(Debug, Clone, Copy)]
pub struct PortalRules<'a> {
    /// `MAILGUN_DOMAIN` in lower case, if it is known.
    pub mailgun_domain: Option<&'a str>,
    /// Maximum `job_deadline` with which the link in a late mail still works.
    pub max_job_deadline: Duration,
}

impl PortalRules<'_> {
    /// Returns all faults, in the order of the portals.
    #[must_use]
    pub fn check(&self, portals: &[Portal]) -> Vec<Fault> {
        portals.iter().flat_map(|portal| [self.check_from(portal), self.check_deadline(portal)]).flatten().collect()
    }

    /// Mailgun signs mails for `MAILGUN_DOMAIN` only, so mails from a sender at another domain would fail DMARC.
    fn check_from(&self, portal: &Portal) -> Option<Fault> {
        let (from, allowed) = (portal.from.as_deref()?, self.mailgun_domain?);
        let (_, domain) = address_of_sender(from).rsplit_once('@')?;
        let domain = domain.to_ascii_lowercase();
        let is_within = domain.strip_suffix(allowed).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        let problem = format!("is not an address at MAILGUN_DOMAIN, which is {allowed}");
        (!is_within).then(|| portal.fault("from", &problem))
    }

    fn check_deadline(&self, portal: &Portal) -> Option<Fault> {
        let is_too_long = portal.job_deadline? > self.max_job_deadline;
        let problem =
            "must be at least five minutes shorter than LINK_LIFETIME: a late mail could contain an expired link";
        is_too_long.then(|| portal.fault("job_deadline", problem))
    }
}
