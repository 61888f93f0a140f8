//! The "Mails" tab of the mailbox page. It shows every mail of every portal in light and dark mode, at the width of a
//! phone and of a desktop.

use std::fs;

use sandbox::{Mailgun, MailgunSettings, PortalFiles, Programs};
use serde_json::json;

use crate::{
    chromium::{Browser, browse},
    looks::assert_readable_everywhere,
};

/// Starts a mailbox that renders the mails of these portals.
pub(crate) async fn mailbox_of(files: &PortalFiles) -> Mailgun {
    let preview = files.preview(&Programs::build().await.unwrap().worker);
    Mailgun::start(MailgunSettings { preview: Some(preview), ..MailgunSettings::default() }).await.unwrap()
}

/// A JavaScript expression that returns the visible frames.
const VISIBLE: &str = "[...document.querySelectorAll('iframe')].filter((frame) => frame.checkVisibility())";

/// Returns the different kinds of visible frames, each as `class width`.
async fn visible_kinds(browser: &Browser) -> serde_json::Value {
    browser
        .value(&format!("[...new Set({VISIBLE}.map((frame) => `${{frame.className}} ${{frame.clientWidth}}`))]"))
        .await
}

#[tokio::test]
async fn the_mails_tab_shows_the_mails_of_both_portals_and_its_switches_work() {
    let files = PortalFiles::write("https://library.example.com").unwrap();
    let mailgun = mailbox_of(&files).await;
    browse(|browser| async move {
        browser.go(&format!("{}/", mailgun.url())).await;
        assert_readable_everywhere(&browser, "the inbox with tabs").await;
        browser.value("document.querySelector('.tabs a[href=\"/mails\"]').click()").await;
        browser.until("document.querySelector('.tabs [aria-current]')?.textContent === 'Mails'").await;
        let portals = browser.value("[...document.querySelectorAll('h2')].map((title) => title.textContent)").await;
        assert_eq!(portals, json!(["Example Portal (example)", "Stadtbücherei (library)"]));
        assert_eq!(browser.value("document.querySelectorAll('iframe').length").await, 48);
        let inner = ["dark", "light"].map(|mode| format!("{mode} 373"));
        assert_eq!(visible_kinds(&browser).await, json!([inner[1], inner[0]]));

        // In each mode, the whole mail is visible and has the colours of that mode.
        for (mode, background) in [("light", "rgb(242, 244, 247)"), ("dark", "rgb(21, 24, 28)")] {
            let mail = format!("document.querySelector('iframe.{mode}').contentDocument");
            browser.until(&format!("{mail}?.querySelector('h1')")).await;
            let shown = browser.value(&format!("getComputedStyle({mail}.body).backgroundColor")).await;
            assert_eq!(shown, background, "{mode}");
            let height = format!("document.querySelector('iframe.{mode}').clientHeight");
            browser.until(&format!("{height} === {mail}.documentElement.offsetHeight && {height} > 300")).await;
        }

        browser.click("dark").await;
        assert_eq!(visible_kinds(&browser).await, json!([inner[0]]));
        browser.click("desktop").await;
        assert_eq!(visible_kinds(&browser).await, json!(["dark 698"]));
        browser.value("document.querySelector('.again').click()").await;
        browser.until("document.readyState === 'complete' && document.getElementById('dark')?.checked").await;
        assert_eq!(visible_kinds(&browser).await, json!(["dark 698"]), "the switches keep their state after a reload");
        browser.click("light").await;
        browser.click("phone").await;
        assert_eq!(visible_kinds(&browser).await, json!([inner[1]]));

        // The logo is embedded in the mail, so it is visible although nothing is loaded from a server.
        let mail = "document.querySelector('iframe[title=\"library-de-link, light\"]')";
        browser.value(&format!("{mail}.scrollIntoView()")).await;
        browser.until(&format!("{mail}.contentDocument.querySelector('img.logo')?.naturalWidth === 192")).await;
        assert_readable_everywhere(&browser, "all mails").await;

        fs::write(files.portals(), "[[portal]]\nid = \"shop\"\ncolour = \"blue\"\n").unwrap();
        browser.value("document.querySelector('.again').click()").await;
        browser
            .until("document.querySelector('[role=alert]')?.innerText.includes('portals.toml:3: `colour`: `blue`')")
            .await;
        assert_readable_everywhere(&browser, "errors instead of mails").await;
        browser.value("document.querySelector('.tabs a[href=\"/\"]').click()").await;
        browser.until("document.querySelector('.tabs [aria-current]')?.textContent === 'Inbox'").await;
    })
    .await;
}
