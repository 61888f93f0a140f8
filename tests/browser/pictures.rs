//! How the pages look: nothing scrolls sideways on a phone, and axe finds no violation in light and dark.
//! With `SCREENSHOTS=folder`, the test saves screenshots there. `just browser-pictures` updates those in docs/images.

use std::{path::PathBuf, time::Duration};

use serde_json::json;
use tests::Plan;

use crate::{
    Street,
    chromium::{Browser, browse},
};

/// Name, width, height, whether dark.
pub(crate) const LOOKS: [(&str, u32, u32, bool); 3] =
    [("light", 1100, 700, false), ("dark", 1100, 700, true), ("phone", 390, 780, false)];

pub(crate) async fn look_like(browser: &Browser, (_, width, height, dark): (&str, u32, u32, bool)) {
    let tools = browser.driver.cdp();
    let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
    tools.send_raw("Emulation.setDeviceMetricsOverride", screen).await.unwrap();
    let scheme = if dark { "dark" } else { "light" };
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    tools.send_raw("Emulation.setEmulatedMedia", media).await.unwrap();
}

pub(crate) async fn assert_readable(browser: &Browser, what: &str) {
    let wide = browser.value("document.documentElement.scrollWidth - innerWidth").await;
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide} px");
    browser.assert_accessible(what).await;
}

/// Checks a state of a page in every look, and on the narrowest phone.
pub(crate) async fn assert_readable_everywhere(browser: &Browser, what: &str) {
    for look in LOOKS.into_iter().chain([("narrow", 320, 640, false)]) {
        look_like(browser, look).await;
        assert_readable(browser, &format!("{what}, {}", look.0)).await;
    }
    look_like(browser, LOOKS[0]).await;
}

pub(crate) async fn keep(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("SCREENSHOTS") else {
        return;
    };
    let picture = browser.driver.screenshot_as_png().await.unwrap();
    std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), picture).unwrap();
}

#[tokio::test]
async fn every_page_is_readable_light_dark_and_on_a_phone() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        for (number, look) in LOOKS.into_iter().enumerate() {
            let name = look.0;
            look_like(&browser, look).await;
            browser.go(&street.page("/?next=/projects/42")).await;
            browser.ask_for("ada@example,com").await;
            browser.until_shown("email-error").await;
            assert_readable(&browser, &format!("the form, {name}")).await;
            let person = format!("person-{number}@example.com");
            browser.ask_for(&person).await;
            browser.until_shown("sent").await;
            assert_readable(&browser, &format!("the portal, {name}")).await;
            keep(&browser, &format!("portal-{name}")).await;

            street.system.mailgun.wait_for_mail(&person, Duration::from_secs(10)).await.unwrap();
            browser.go(&street.mailbox()).await;
            browser.until_shown("mails").await;
            assert_readable(&browser, &format!("the mailbox, {name}")).await;
            keep(&browser, &format!("mailbox-{name}")).await;

            browser.go(&street.page("/auth/callback#error=access_denied&error_code=otp_expired")).await;
            browser.until_shown("title").await;
            assert_readable(&browser, &format!("a used link, {name}")).await;

            browser.go(&street.system.url("/api/docs").await).await;
            browser.until("document.querySelector('.introduction-section table') && document.querySelector('.references-rendered h2')").await;
            assert_readable(&browser, &format!("the docs, {name}")).await;
            keep(&browser, &format!("docs-{name}")).await;
        }
        street.finish();
    })
    .await;
}
