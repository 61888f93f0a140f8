//! Whose session a browser accepts: the waiting tab continues only for the address that it waits for, and the callback
//! page asks before it accepts a session that another person may have sent.

use sandbox::Mail;
use tests::Plan;

use crate::{
    Street,
    chromium::{Browser, browse},
    looks::assert_readable_everywhere,
};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const PAGE: &str = "/projects/42";

/// Opens the mail's link in a new tab, and waits until the page asks whether to sign in.
async fn open_and_wait_for_the_question(browser: &Browser, mail: &Mail) {
    browser.driver.new_tab().await.unwrap();
    browser.to_newest_tab().await;
    browser.go(mail.link().unwrap()).await;
    browser.until_shown("question").await;
    assert_eq!(browser.value("document.activeElement.id").await, "question-title");
    // While the page asks whether to sign in, the tokens are only in the page's memory.
    let kept =
        "location.href + JSON.stringify([history.state, {...localStorage}, {...sessionStorage}, document.cookie])";
    let kept = browser.value(kept).await.as_str().unwrap().to_owned();
    assert!(!kept.contains("access_token=") && !kept.contains("refresh_token="), "{kept}");
}

async fn signed_in_as(browser: &Browser) -> String {
    browser.until_shown("page").await;
    browser.text("who").await
}

#[tokio::test]
async fn a_waiting_tab_continues_only_for_the_person_it_waits_for() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        browser.go(&street.page(PAGE)).await;
        browser.until_shown("email").await;
        browser.ask_for("Ada@Example.com").await;
        browser.until_shown("sent").await;
        assert_eq!(browser.value("document.getElementById('code').checkVisibility()").await, false);
        let waiting = browser.driver.window().await.unwrap();
        let (ada, bob) = (street.mail_to(ADA).await, street.mail_asked_elsewhere(BOB, "/home").await);

        // Open a link that was not requested in this browser.
        open_and_wait_for_the_question(&browser, &bob).await;
        assert_eq!(browser.text("question-title").await, "Sign in as bob@example.com?");
        assert!(browser.text("unasked").await.contains("another device"));
        assert_eq!(browser.text("now").await, "");
        assert_readable_everywhere(&browser, "a link that was not requested in this browser").await;
        browser.click("yes").await;
        assert_eq!(signed_in_as(&browser).await, BOB);

        // The tab that waits for Ada does not continue.
        browser.driver.switch_to_window(waiting.clone()).await.unwrap();
        browser.value("dispatchEvent(new Event('focus'))").await;
        assert_eq!(browser.value("location.pathname").await, "/");
        assert_eq!(browser.text("address").await, "Ada@Example.com");

        // Ada requested her link in this browser, but Bob is signed in.
        open_and_wait_for_the_question(&browser, &ada).await;
        assert_eq!(browser.text("question-title").await, "Sign in as ada@example.com instead?");
        assert_eq!(browser.text("now").await, "You are signed in as bob@example.com.");
        assert_eq!(browser.text("unasked").await, "");
        assert_readable_everywhere(&browser, "another person's session").await;
        browser.click("yes").await;
        assert_eq!(signed_in_as(&browser).await, ADA);

        browser.driver.switch_to_window(waiting).await.unwrap();
        assert_eq!(signed_in_as(&browser).await, ADA);
        assert_eq!(browser.value("location.pathname").await, PAGE);
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn declining_a_session_changes_nothing() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        // Decline a session while nobody is signed in.
        let eve = street.mail_asked_elsewhere("eve@example.com", PAGE).await;
        open_and_wait_for_the_question(&browser, &eve).await;
        browser.click("no").await;
        browser.until_shown("email").await;
        assert_eq!(browser.value("localStorage.length").await, 0);
        assert_eq!(browser.value("new URLSearchParams(location.search).get('next')").await, PAGE);

        // Bob signs in, and then opens a link that somebody else requested. The page mentions both facts.
        let bob = street.mail_asked_elsewhere(BOB, "/home").await;
        open_and_wait_for_the_question(&browser, &bob).await;
        browser.click("yes").await;
        assert_eq!(signed_in_as(&browser).await, BOB);
        let mallory = street.mail_asked_elsewhere("mallory@example.com", PAGE).await;
        open_and_wait_for_the_question(&browser, &mallory).await;
        assert_eq!(browser.text("now").await, "You are signed in as bob@example.com.");
        assert!(browser.text("unasked").await.contains("somebody else"));
        assert_eq!(browser.text("no").await, "Stay signed in as bob@example.com");
        browser.assert_accessible("a stranger's link while signed in").await;
        browser.click("no").await;
        assert_eq!(signed_in_as(&browser).await, BOB);
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_request_is_remembered_for_a_day() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        browser.go(&street.page("/")).await;
        browser.ask_for(ADA).await;
        browser.until_shown("sent").await;
        let hours = "(JSON.parse(localStorage.getItem('portal-asked'))[0].until - Date.now()) / 3600000";
        let hours = browser.value(hours).await.as_f64().unwrap();
        assert!((23.9..=24.0).contains(&hours), "{hours}");
        let over =
            "localStorage.setItem('portal-asked', JSON.stringify([{ email: 'ada@example.com', until: Date.now() }]))";
        browser.value(over).await;
        open_and_wait_for_the_question(&browser, &street.mail_to(ADA).await).await;
        street.finish();
    })
    .await;
}

/// Anybody can forge a token that contains any address. Only Supabase can tell whose session a token belongs to.
#[tokio::test]
async fn a_forged_session_for_an_address_that_requested_a_link_here_is_refused() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        browser.go(&street.page("/")).await;
        browser.ask_for(ADA).await;
        browser.until_shown("sent").await;
        let claims = "btoa(JSON.stringify({ email: 'ada@example.com', exp: 99999999999 }))";
        let claims = browser.value(claims).await.as_str().unwrap().to_owned();
        let session = format!("access_token=e30.{claims}.x&refresh_token=of-somebody-else&expires_at=99999999999");
        browser.go("about:blank").await;
        browser.go(&street.page(&format!("/auth/callback#{session}"))).await;
        browser.until_text("title", "This link did not sign you in").await;
        assert_eq!(browser.value("localStorage.getItem('portal-session')").await, serde_json::Value::Null);
        assert_eq!(browser.value("location.hash").await, "");
        street.finish();
    })
    .await;
}
