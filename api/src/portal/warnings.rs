//! Warnings about portals that are valid but probably misconfigured. They are logged at startup and after each reload.

use super::live::LiveSettings;
use crate::confirm_page::ConfirmSettings;

/// Logs a warning about each likely mistake in the settings.
pub(crate) fn log(live: &LiveSettings, confirm: Option<&ConfirmSettings>) {
    if live.portals.iter().any(|portal| portal.origins.any_localhost()) {
        tracing::warn!("the callback origin http://localhost:* is allowed; it is meant for development only");
    }
    if let Some(confirm) = confirm {
        warn_of_foreign_portals(live, confirm);
    }
}

/// Warns about portals whose domain differs from the confirm page's domain. A person who sees one domain in the portal
/// and another in the mail might not trust the mail.
fn warn_of_foreign_portals(live: &LiveSettings, confirm: &ConfirmSettings) {
    let hosts = live.portals.iter().flat_map(|portal| portal.origins.hosts());
    let foreign: Vec<String> = hosts.filter(|host| !confirm.public_url.shares_domain_with(host)).collect();
    if !foreign.is_empty() {
        tracing::warn!(
            portals = foreign.join(","),
            "PUBLIC_URL and these portals have different registrable domains. People and mail filters distrust a mail \
             whose link leads to a domain other than the portal's: use the same domain for PUBLIC_URL and the portals"
        );
    }
}
