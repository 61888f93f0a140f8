//! How a browser shows a page: the size of the window, light or dark mode, and colours that the user has forced on all
//! pages.

use serde_json::json;

use crate::chromium::Browser;

/// A window size and a colour scheme in which a page is shown.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) is_dark: bool,
    /// Whether a few colours that the user has chosen replace the page's colours (`forced-colors: active`).
    pub(crate) has_forced_colors: bool,
}

const LIGHT: Look = Look { name: "light", width: 1100, height: 700, is_dark: false, has_forced_colors: false };
const DARK: Look = Look { name: "dark", is_dark: true, ..LIGHT };
/// WCAG 1.4.10 requires that a page 320 px wide does not scroll sideways.
pub(crate) const NARROW: Look = Look { name: "320 px", width: 320, height: 640, ..LIGHT };
const NARROW_DARK: Look = Look { name: "320 px, dark", is_dark: true, ..NARROW };
const FORCED: Look = Look { name: "320 px, forced colours", has_forced_colors: true, ..NARROW };
const FORCED_DARK: Look = Look { name: "320 px, forced colours, dark", is_dark: true, ..FORCED };

/// The looks in which screenshots are taken.
pub(crate) const LOOKS: [Look; 3] = [LIGHT, DARK, Look { name: "phone", width: 390, height: 780, ..LIGHT }];

/// The looks in which every page must be readable.
pub(crate) const ALL_LOOKS: [Look; 6] = [LIGHT, DARK, NARROW, NARROW_DARK, FORCED, FORCED_DARK];

impl Browser {
    /// Applies this look to the open page and to all pages that are opened afterwards.
    pub(crate) async fn look_like(&self, look: Look) {
        let tools = self.driver.cdp();
        let Look { width, height, .. } = look;
        let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
        tools.send_raw("Emulation.setDeviceMetricsOverride", screen).await.unwrap();
        let scheme = if look.is_dark { "dark" } else { "light" };
        let forced = if look.has_forced_colors { "active" } else { "none" };
        let features = [("prefers-color-scheme", scheme), ("forced-colors", forced)];
        let features = features.map(|(name, value)| json!({ "name": name, "value": value }));
        tools.send_raw("Emulation.setEmulatedMedia", json!({ "features": features })).await.unwrap();
    }

    /// Fails if the page scrolls sideways, or if axe finds a violation.
    pub(crate) async fn assert_readable(&self, what: &str) {
        self.assert_fits(what).await;
        self.assert_accessible(what).await;
    }

    /// Fails if the page scrolls sideways. Uses `clientWidth`, because `innerWidth` grows with the page on a phone.
    pub(crate) async fn assert_fits(&self, what: &str) {
        let wide = self.value("document.documentElement.scrollWidth - document.documentElement.clientWidth").await;
        assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide} px");
    }
}

/// Checks the page in its current state in every look, and then returns to the first look.
pub(crate) async fn assert_readable_everywhere(browser: &Browser, what: &str) {
    for look in ALL_LOOKS {
        browser.look_like(look).await;
        browser.assert_readable(&format!("{what}, {}", look.name)).await;
    }
    browser.look_like(LIGHT).await;
}
