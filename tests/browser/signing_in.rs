//! The whole sign-in, from the form through the mail and its link to the right page. Also checks that no page can read
//! a token from a URL.

use std::time::Duration;

use tests::Plan;
use thirtyfour::By;

use crate::{
    Street,
    chromium::{Browser, browse},
};

const ADA: &str = "ada@example.com";

/// Requests a link with the form to which a page of the portal redirects visitors without a session.
async fn ask(browser: &Browser, street: &Street, page: &str) {
    browser.go(&street.page(page)).await;
    browser.until_shown("email").await;
    browser.ask_for(ADA).await;
    browser.until_shown("sent").await;
}

/// Opens the newest mail's link from the mailbox page, as a person does. The link opens in a new tab.
async fn follow_the_link(browser: &Browser) {
    browser.driver.find(By::Css(".mail a.follow")).await.unwrap().click().await.unwrap();
    browser.to_newest_tab().await;
}

/// Fails if the page can read a token from its URL, its referrer or its performance entries.
async fn assert_no_token_in_sight(browser: &Browser) {
    let seen = browser
        .value("[location.href, document.referrer, ...performance.getEntries().map((entry) => entry.name)].join('\\n')")
        .await;
    for secret in ["access_token", "refresh_token", "token=", "eyJ"] {
        assert!(!seen.as_str().unwrap().contains(secret), "the page can read {secret}: {seen}");
    }
}

#[tokio::test]
async fn a_person_signs_in_and_lands_on_the_page_that_they_opened() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        ask(&browser, &street, "/projects/42?tab=files").await;
        assert_eq!(browser.text("address").await, ADA);
        assert!(browser.text("resend").await.starts_with("Send again in 0:"));
        assert!(!browser.at("resend").await.is_enabled().await.unwrap());

        street.system.mailgun.wait_for_mail(ADA, Duration::from_secs(10)).await.unwrap();
        let waiting = browser.driver.window().await.unwrap();
        browser.driver.new_tab().await.unwrap();
        browser.to_newest_tab().await;
        browser.go(&street.mailbox()).await;
        let mailbox = browser.driver.window().await.unwrap();
        follow_the_link(&browser).await;
        browser.until_shown("page").await;
        assert_eq!(browser.value("location.href").await, street.page("/projects/42?tab=files"));
        browser.assert_accessible("the page after signing in").await;
        assert_eq!(browser.text("who").await, ADA);
        assert_no_token_in_sight(&browser).await;
        // Going back must not return to a URL with tokens.
        browser.driver.back().await.unwrap();
        assert_no_token_in_sight(&browser).await;

        // The waiting tab also continues.
        browser.driver.switch_to_window(waiting).await.unwrap();
        browser.until_shown("page").await;
        assert_eq!(browser.value("location.pathname").await, "/projects/42");

        // Click the same link a second time.
        browser.driver.switch_to_window(mailbox).await.unwrap();
        follow_the_link(&browser).await;
        browser.until_text("title", "This link did not sign you in").await;
        browser.until_text("text", "used already").await;
        browser.until_shown("signed-in").await;
        browser.assert_accessible("a used link while signed in").await;
        assert_eq!(browser.value("location.hash").await, "");
        browser.click("go-on").await;
        browser.until_shown("page").await;

        // After the sign-out, the same page redirects to the form, which keeps the page's path in `next`.
        browser.click("sign-out").await;
        browser.until_shown("ask").await;
        assert_eq!(browser.value("localStorage.length").await, 0);
        let next = browser.value("new URLSearchParams(location.search).get('next')").await;
        assert_eq!(next, "/projects/42?tab=files");
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_second_mail_is_sent_when_the_wait_is_over_and_its_link_works() {
    let plan = Plan::default().api("DUPLICATE_WINDOW", "1s");
    let street = Street::of(plan, 2).await;
    browse(|browser| async move {
        ask(&browser, &street, "/home").await;
        street.system.mailgun.wait_for_mails(1).await.unwrap();
        browser.until("!document.getElementById('resend').disabled").await;
        browser.click("resend").await;
        browser.until_text("sent-again", "A new mail is on its way").await;
        browser.assert_accessible("the form after a second mail was requested").await;
        street.system.mailgun.wait_for_mails(2).await.unwrap();
        browser.go(&street.mailbox()).await;
        browser.until("document.querySelectorAll('.mail').length === 2").await;
        follow_the_link(&browser).await;
        browser.until_shown("page").await;
        street.finish();
    })
    .await;
}

/// Anybody can craft a link to the callback page. Whatever the link's `next` is, the browser stays on the portal.
#[tokio::test]
async fn the_callback_page_never_leads_to_another_site() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        ask(&browser, &street, "/home").await;
        let mail = street.mail_to(ADA).await;
        browser.go(mail.link().unwrap()).await;
        browser.until_shown("page").await;
        let token = browser.value("JSON.parse(localStorage.getItem('portal-session')).access_token").await;
        let session = format!("#access_token={}&refresh_token=r&expires_at=99999999999", token.as_str().unwrap());
        let blob = format!("blob:{}/home", street.portal.url());
        for (next, lands_at) in [
            ("https://example.com/", "/home"),
            ("//example.com/", "/home"),
            ("/\\example.com/", "/home"),
            ("/%09/example.com/", "/home"),
            ("javascript:alert(1)", "/home"),
            (blob.as_str(), "/home"),
            ("/auth/callback", "/home"),
            ("/.//example.com/", "//example.com/"),
            ("orders%3Fpage=2", "/orders"),
        ] {
            browser.go("about:blank").await;
            browser.go(&street.page(&format!("/auth/callback?next={next}{session}"))).await;
            browser.until_shown("page").await;
            assert_eq!(browser.value("location.origin").await, street.portal.url(), "{next}");
            assert_eq!(browser.value("location.pathname").await, lands_at, "{next}");
            assert_no_token_in_sight(&browser).await;
        }
        // Text from the URL is not shown, because anybody could put a misleading message there.
        browser.value("localStorage.clear()").await;
        for code in ["new_one", "constructor"] {
            browser.go("about:blank").await;
            let error = format!("#error=x&error_code={code}&error_description=Call+555");
            browser.go(&street.page(&format!("/auth/callback{error}"))).await;
            browser.until_text("title", "This link did not sign you in").await;
            assert_eq!(browser.text("text").await, "Please request a new one.");
            assert!(!browser.value("document.body.innerText").await.as_str().unwrap().contains("555"));
            assert_eq!(browser.value("location.hash").await, "");
        }
        street.finish();
    })
    .await;
}
