//! The confirm page: a mail scanner can open a link without using it up, and the person who presses the button is
//! signed in.

use std::time::Duration;

use crate::{
    Street,
    chromium::{Browser, browse},
    plan_with,
    scanner::scan,
};

const ADA: &str = "ada@example.com";

/// Requests a link on the portal's page, and returns the link in the mail.
pub(crate) async fn ask(browser: &Browser, street: &Street) -> String {
    browser.go(&street.page("/projects/42?tab=files")).await;
    browser.until_shown("email").await;
    browser.ask_for(ADA).await;
    browser.until_shown("sent").await;
    let mail = street.system.mailgun.wait_for_mail(ADA, Duration::from_secs(10)).await.unwrap();
    mail.link().unwrap().to_owned()
}

pub(crate) async fn assert_signed_in(browser: &Browser, street: &Street) {
    browser.until_shown("page").await;
    assert_eq!(browser.value("location.href").await, street.page("/projects/42?tab=files"));
    assert_eq!(browser.text("who").await, ADA);
}

#[tokio::test]
async fn a_link_still_works_after_a_scanner_has_opened_it() {
    let street = Street::of(plan_with("confirm"), 30).await;
    browse(|browser| async move {
        let link = ask(&browser, &street).await;
        scan(&browser, &link).await;

        browser.go(&link).await;
        browser.until_shown("sign-in").await;
        let requests =
            browser.value("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)").await;
        let own = browser.value("location.origin").await;
        assert!(requests.as_array().unwrap().iter().all(|origin| *origin == own), "{requests}");
        // The button ignores presses in the first half second after the page is shown.
        let ignored = "(() => { \
            let ignored; \
            document.addEventListener('submit', (event) => { ignored = event.defaultPrevented; }, { once: true }); \
            dispatchEvent(new Event('pageshow')); \
            document.getElementById('sign-in').click(); \
            return ignored; })()";
        assert_eq!(browser.value(ignored).await, true);
        browser.until("performance.now() - shownAt > 600").await;
        browser.click("sign-in").await;
        assert_signed_in(&browser, &street).await;

        // Open the same link again. Its token is used up, so the portal shows an error.
        browser.go(&link).await;
        browser.until("performance.now() > 600").await;
        browser.click("sign-in").await;
        browser.until_text("title", "This link did not sign you in").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_scanner_uses_up_supabases_own_link() {
    let street = Street::of(plan_with("verify"), 30).await;
    browse(|browser| async move {
        let link = ask(&browser, &street).await;
        assert!(link.contains("/auth/v1/verify?"), "{link}");
        scan(&browser, &link).await;
        browser.go(&link).await;
        browser.until_text("title", "This link did not sign you in").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn the_confirm_page_works_without_scripts() {
    let street = Street::of(plan_with("confirm"), 30).await;
    browse(|browser| async move {
        let link = ask(&browser, &street).await;
        let tools = browser.driver.cdp();
        tools.send_raw("Emulation.setScriptExecutionDisabled", serde_json::json!({ "value": true })).await.unwrap();
        browser.go(&link).await;
        browser.click("sign-in").await;
        // The portal itself needs scripts, so enable them again before its callback page is opened a second time.
        let callback = sandbox::eventually("the callback page", async || {
            let url = browser.driver.current_url().await.unwrap().to_string();
            if url.starts_with(&street.page("/auth/callback?")) { Ok(url) } else { Err(url) }
        })
        .await;
        browser.go("about:blank").await;
        tools.send_raw("Emulation.setScriptExecutionDisabled", serde_json::json!({ "value": false })).await.unwrap();
        browser.go(&callback).await;
        assert_signed_in(&browser, &street).await;
        street.finish();
    })
    .await;
}
