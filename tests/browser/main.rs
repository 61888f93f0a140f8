//! What a person sees: the example portal and the mailbox page in a real browser, with the real programs. Run with
//! `just browser-test`. It needs Chromium and its driver, so it is not part of `cargo test --workspace`.
#![allow(clippy::unwrap_used, reason = "a test panics if it cannot continue")]

mod accessibility;
mod chromium;
mod confirming;
mod mailbox;
mod pictures;
mod refusals;
mod signing_in;

use sandbox::{Portal, PortalSettings};
use tests::{Plan, TestSystem};

/// The whole system, with a portal in front of it.
pub(crate) struct Street {
    pub(crate) system: TestSystem,
    pub(crate) portal: Portal,
}

impl Street {
    pub(crate) async fn of(plan: Plan, resend_after: u32) -> Street {
        let system = TestSystem::with(plan).await;
        let api = system.url("/api").await;
        let portal = Portal::start(PortalSettings { api, resend_after, ..PortalSettings::default() }).await.unwrap();
        Street { system, portal }
    }

    /// Ends the test. The pages are its subject, not the jobs.
    pub(crate) fn finish(self) {
        self.system.finish_with_any_jobs();
    }

    /// A page of the portal.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.portal.url())
    }

    /// The mailbox page, under the host name that it accepts.
    pub(crate) fn mailbox(&self) -> String {
        format!("{}/", self.system.mailgun.url())
    }
}
