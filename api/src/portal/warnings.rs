//! Warnings about portals that are valid but probably misconfigured. They are logged at startup and after each reload.

use super::live::LiveSettings;
use crate::confirm_page::ConfirmSettings;

/// Logs the warnings.
pub(crate) fn log(live: &LiveSettings, confirm: Option<&ConfirmSettings>) {
    if live.portals.iter().any(|portal| portal.origins.any_localhost()) {
        tracing::warn!("http://localhost:* is an allowed callback origin, which is meant for development only");
    }
    if let Some(confirm) = confirm {
        warn_of_foreign_portals(live, confirm);
    }
}

/// Warns about portals whose domain is not that of the confirm page. A person who sees one domain in the portal and another in
/// the mail may not trust the mail.
fn warn_of_foreign_portals(live: &LiveSettings, confirm: &ConfirmSettings) {
    let hosts = live.portals.iter().flat_map(|portal| portal.origins.hosts());
    let foreign: Vec<String> = hosts.filter(|host| !confirm.public_url.shares_domain_with(host)).collect();
    if !foreign.is_empty() {
        tracing::warn!(
            portals = foreign.join(","),
            "PUBLIC_URL shares no registrable domain with these portals. People and mail filters distrust a mail whose link \
             leads to a domain other than the portal's. Use one domain for both"
        );
    }
}
