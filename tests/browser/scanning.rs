//! The button on the mailbox page that scans a mail as a company's mail scanner does, and what the page then shows
//! about the link.

use tests::Plan;
use thirtyfour::By;

use crate::{
    Street,
    chromium::{Browser, browse},
    confirming::{ask, assert_signed_in},
    looks::ALL_LOOKS,
    plan_with, plan_with_code,
};

const RESULT: &str = "document.querySelector('#scan-0 strong')?.innerText";

/// Presses the scan button of the only mail and waits until the result is shown and announced to screen readers.
/// Returns the text shown and, if the mailbox page could not close the scanner's window, the URL open in that window.
async fn scan(browser: &Browser, result: &str) -> (String, Option<String>) {
    press(browser).await;
    until_scanned(browser, result).await
}

async fn press(browser: &Browser) {
    browser.value("document.querySelector('#scan-0').replaceChildren()").await;
    browser.driver.find(By::Css(".scanner button")).await.unwrap().click().await.unwrap();
}

async fn until_scanned(browser: &Browser, result: &str) -> (String, Option<String>) {
    let mailbox = browser.driver.window().await.unwrap();
    browser.until(&format!("{RESULT}?.includes({result:?})")).await;
    let left_open = browser.driver.windows().await.unwrap().into_iter().find(|window| *window != mailbox);
    let mut address = None;
    if let Some(window) = left_open {
        browser.driver.switch_to_window(window).await.unwrap();
        address = Some(browser.driver.current_url().await.unwrap().to_string());
        browser.driver.close_window().await.unwrap();
        browser.driver.switch_to_window(mailbox).await.unwrap();
    }
    browser.until_text("news", result).await;
    (browser.text("scan-0").await, address)
}

/// Starts a system, requests a link on the portal and opens the mailbox page. Returns the system and the link in the
/// mail.
async fn street_with_mail(browser: &Browser, plan: Plan) -> (Street, String) {
    let street = Street::of(plan, 30).await;
    let link = ask(browser, &street).await;
    browser.go(&street.mailbox()).await;
    (street, link)
}

#[tokio::test]
async fn a_scan_leaves_a_confirm_link_working() {
    browse(|browser| async move {
        let (street, link) = street_with_mail(&browser, plan_with_code("confirm")).await;
        press(&browser).await;
        browser.until_text("scan-0", "Do not click anything in the scanner's window").await;
        browser.assert_accessible("a mail that is being scanned").await;
        assert!(!browser.text("scan-0").await.contains("still works"));
        let (shown, left_open) = until_scanned(&browser, "The link still works.").await;
        assert_eq!(left_open.as_ref(), Some(&link));
        for part in
            ["HEAD: 200 (3 times)", "GET: 200 (3 times)", "If the scanner's window is still open", "/auth/confirm/"]
        {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        assert!(
            !shown.contains(&link) && shown.contains(&link[link.len() - 8..]),
            "the link must be shortened: {shown}"
        );
        for look in ALL_LOOKS {
            browser.look_like(look).await;
            browser.assert_readable(&format!("a scanned mail, {}", look.name)).await;
        }

        browser.driver.find(By::Css(".mail a.follow")).await.unwrap().click().await.unwrap();
        browser.to_newest_tab().await;
        browser.until("performance.now() - shownAt > 600").await;
        browser.click("sign-in").await;
        assert_signed_in(&browser, &street).await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_scan_uses_up_supabases_own_link() {
    browse(|browser| async move {
        let (street, link) = street_with_mail(&browser, plan_with("verify")).await;
        let result = "The scanner used up the link: a person who opens it now gets otp_expired.";
        let (shown, left_open) = scan(&browser, result).await;
        assert_eq!(left_open, None, "{shown}");
        for part in ["HEAD: 405 (3 times)", "GET: 303 → 200 (3 times)", "visited with scripts on, for 5 seconds"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        browser.assert_accessible("a link that the scanner used up").await;
        assert_eq!(street.system.supabase.verify(&link).await.unwrap().code, "otp_expired");

        scan(&browser, "The link did not work even before the scan.").await;
        street.finish();
    })
    .await;
}

/// Whether a scanner that runs scripts uses up a link to the portal depends on the portal, so both results are valid.
#[tokio::test]
async fn the_scan_result_for_a_link_to_the_portal_matches_supabase() {
    browse(|browser| async move {
        let (street, link) = street_with_mail(&browser, plan_with("token_hash")).await;
        let hash = link.split_once("token_hash=").unwrap().1.split('&').next().unwrap();
        let (shown, _) = scan(&browser, "The ").await;
        let signs_in = street.system.supabase.verify_token_hash(hash).await.unwrap() == "signed_in";
        assert_eq!(shown.contains("The link still works."), signs_in, "{shown}");
        assert_eq!(shown.contains("The scanner used up the link"), !signs_in, "{shown}");
        assert!(shown.contains("GET: 200 (3 times)"), "{shown}");
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_mail_with_only_a_code_has_no_link_to_scan() {
    let street = Street::of(plan_with_code("code"), 30).await;
    browse(|browser| async move {
        street.system.ask("ada@example.com").await;
        browser.go(&street.mailbox()).await;
        browser.until("document.querySelector('.mail .no-link')?.innerText === 'This mail has no link to scan.'").await;
        assert_eq!(browser.value("document.querySelectorAll('.scanner, .follow').length").await, 0);
        browser.assert_accessible("a mail with only a code").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_blocked_window_is_reported() {
    browse(|browser| async move {
        let (street, _) = street_with_mail(&browser, plan_with("confirm")).await;
        browser.value("window.open = () => null").await;
        let (shown, _) = scan(&browser, "The link still works.").await;
        assert!(shown.contains("the browser blocked the scanner's window. Allow pop-ups"), "{shown}");
        browser.assert_accessible("a scan without a window").await;
        street.finish();
    })
    .await;
}
