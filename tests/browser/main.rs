//! What a person sees: the example portal and the mailbox page in a real browser, over the real programs.
//! `just browser-test`; it needs Chromium and its driver, and so is no part of `cargo test --workspace`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod accessibility;
mod chromium;
mod confirming;
mod mailbox;
mod pictures;
mod refusals;
mod signing_in;

use sandbox::{Portal, PortalSettings};
use tests::{Plan, TestSystem};

/// The whole house, and a portal before it.
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

    /// A page of the portal.
    pub(crate) fn page(&self, path: &str) -> String {
        format!("{}{path}", self.portal.url())
    }

    /// The mailbox page, by the name that it allows.
    pub(crate) fn mailbox(&self) -> String {
        format!("{}/", self.system.mailgun.url())
    }
}
