//! Tests of the example portal and the mailbox page in a real browser, with the real programs. Run them with
//! `just browser-test`. They need Chromium and its driver, so they are not part of `cargo test --workspace`.
#![allow(clippy::unwrap_used, reason = "a test panics if it cannot continue")]

mod accessibility;
mod chromium;
mod codes;
mod confirm_states;
mod confirming;
mod long_words;
mod looks;
mod mailbox;
mod mails;
mod pictures;
mod refusals;
mod scanner;
mod scanning;
mod server_rendered;
mod sessions;
mod signing_in;

use std::time::Duration;

use sandbox::{Mail, Portal, PortalSettings};
use serde_json::json;
use tests::{Plan, TestSystem};

/// A plan for a system with a confirm page, whose worker runs with this `LINK_STYLE`.
pub(crate) fn plan_with(link_style: &str) -> Plan {
    Plan::default().with_confirm_page().worker("LINK_STYLE", link_style)
}

/// Like `plan_with`, but with a one-time code in each mail.
pub(crate) fn plan_with_code(link_style: &str) -> Plan {
    plan_with(link_style).with_code()
}

/// The whole system, with a portal in front of it.
pub(crate) struct Street {
    pub(crate) system: TestSystem,
    pub(crate) portal: Portal,
}

impl Street {
    pub(crate) async fn of(plan: Plan, resend_after: u32) -> Street {
        Street::with_portal(plan, PortalSettings { resend_after, ..PortalSettings::default() }).await
    }

    /// Starts the system, and a portal with these settings and the system's addresses.
    pub(crate) async fn with_portal(plan: Plan, portal: PortalSettings) -> Street {
        let system = TestSystem::with(plan).await;
        system.mailgun.set_link_tokens(system.supabase.link_tokens());
        let (api, supabase_url) = (system.url("/api").await, system.supabase.url());
        let portal = Portal::start(PortalSettings { api, supabase_url, ..portal }).await.unwrap();
        Street { system, portal }
    }

    /// Ends the test. Jobs may still be open, because the browser tests check pages, not jobs.
    pub(crate) fn finish(self) {
        self.system.finish_with_any_jobs();
    }

    /// The URL of the portal's page with this path.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.portal.url())
    }

    /// Requests a mail as a person on another device would, and returns the mail.
    pub(crate) async fn mail_asked_elsewhere(&self, email: &str, next: &str) -> Mail {
        mail_asked_elsewhere(&self.system, &self.portal.url(), email, next).await
    }

    /// Waits for the first mail to this address.
    pub(crate) async fn mail_to(&self, email: &str) -> Mail {
        mail_to(&self.system, email).await
    }

    /// The URL of the mailbox page, with the host name that the page accepts.
    pub(crate) fn mailbox(&self) -> String {
        format!("{}/", self.system.mailgun.url())
    }
}

/// Requests a mail whose link points to `portal`, without using the portal's pages.
pub(crate) async fn mail_asked_elsewhere(system: &TestSystem, portal: &str, email: &str, next: &str) -> Mail {
    let body = json!({ "email": email, "callback_origin": portal, "callback_next": next });
    assert_eq!(system.post(&body).await.status, 200);
    mail_to(system, email).await
}

/// Waits for the first mail to this address.
pub(crate) async fn mail_to(system: &TestSystem, email: &str) -> Mail {
    system.mailgun.wait_for_mail(email, Duration::from_secs(10)).await.unwrap()
}
