//! The confirm page: a mail scanner that opens every link spends nothing, and the person who presses the button is signed in.

use std::time::Duration;

use tests::Plan;

use crate::{
    Street,
    chromium::{Browser, browse},
    scanner::scan,
};

const ADA: &str = "ada@example.com";
/// 32 bytes 0x01.
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

/// A system that mails links to the confirm page, or without `confirms` links of Supabase.
async fn street(confirms: bool) -> Street {
    let address = format!("127.0.0.1:{}", sandbox::free_port().unwrap());
    let url = format!("http://{address}");
    let mut plan = Plan::default().api("API_LISTEN", &address).api("PUBLIC_URL", &url).api("CONFIRM_KEY", KEY);
    plan = plan.worker("PUBLIC_URL", &url).worker("CONFIRM_KEY", KEY);
    if !confirms {
        plan = plan.worker("LINK_STYLE", "verify");
    }
    Street::of(plan, 30).await
}

/// Asks on the portal's page, and returns the mail's link.
async fn ask(browser: &Browser, street: &Street) -> String {
    browser.go(&street.page("/projects/42?tab=files")).await;
    browser.until_shown("email").await;
    browser.ask_for(ADA).await;
    browser.until_shown("sent").await;
    let mail = street.system.mailgun.wait_for_mail(ADA, Duration::from_secs(10)).await.unwrap();
    mail.link().unwrap().to_owned()
}

async fn assert_signed_in(browser: &Browser, street: &Street) {
    browser.until_shown("page").await;
    assert_eq!(browser.value("location.href").await, street.page("/projects/42?tab=files"));
    assert_eq!(browser.text("who").await, ADA);
}

#[tokio::test]
async fn a_link_that_a_scanner_has_opened_still_signs_in() {
    let street = street(true).await;
    browse(|browser| async move {
        let link = ask(&browser, &street).await;
        scan(&browser, &link).await;

        browser.go(&link).await;
        browser.until_shown("sign-in").await;
        for look in crate::pictures::LOOKS {
            crate::pictures::look_like(&browser, look).await;
            crate::pictures::assert_readable(&browser, &format!("the confirm page, {}", look.0)).await;
            crate::pictures::keep(&browser, &format!("confirm-{}", look.0)).await;
        }
        let requests =
            browser.value("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)").await;
        let own = browser.value("location.origin").await;
        assert!(requests.as_array().unwrap().iter().all(|origin| *origin == own), "{requests}");
        // The button ignores presses in the first half second.
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

        // The same link again: its token is spent, and the portal says so.
        browser.go(&link).await;
        browser.until("performance.now() > 600").await;
        browser.click("sign-in").await;
        browser.until_text("title", "This link did not sign you in").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn with_supabases_own_link_a_scanner_spends_it() {
    let street = street(false).await;
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
    let street = street(true).await;
    browse(|browser| async move {
        let link = ask(&browser, &street).await;
        let tools = browser.driver.cdp();
        tools.send_raw("Emulation.setScriptExecutionDisabled", serde_json::json!({ "value": true })).await.unwrap();
        browser.go(&link).await;
        browser.click("sign-in").await;
        // The portal itself needs scripts: they come back before its callback page is opened again.
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

#[tokio::test]
async fn every_problem_of_the_confirm_page_is_accessible() {
    let street = street(true).await;
    browse(|browser| async move {
        let link = ask(&browser, &street).await;
        browser.go(&link[..link.len() - 3]).await;
        browser.until("document.querySelector('h1').innerText === 'This link is incomplete'").await;
        browser.assert_accessible("a confirm link that was cut off").await;
        street.finish();
    })
    .await;
}
