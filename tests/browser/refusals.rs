//! What the portal's page shows if no mail is sent.

use tests::Plan;

use crate::{Street, chromium::browse};

#[tokio::test]
async fn a_typo_in_the_address_is_shown_at_the_field_and_can_be_corrected() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        browser.go(&street.page("/")).await;
        browser.ask_for("ada@example,com").await;
        browser.until_text("email-error", "like name@example.com").await;
        browser.assert_accessible("a typo").await;
        let field = browser.at("email").await;
        assert_eq!(field.attr("aria-invalid").await.unwrap().as_deref(), Some("true"));
        assert_eq!(browser.value("document.activeElement.id").await, "email");
        assert_eq!(browser.value("document.getElementById('email').value").await, "ada@example,com");

        browser.type_into("email", "ada@example.com").await;
        assert_eq!(browser.text("email-error").await, "");
        browser.click("submit").await;
        browser.until_shown("sent").await;
        street.system.until_idle().await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_person_who_requests_too_many_links_sees_how_long_to_wait() {
    let street = Street::of(Plan::default().api("RECIPIENT_RATE_LIMIT", "1/15m"), 30).await;
    browse(|browser| async move {
        for (page, shown) in [("/?next=/one", "sent"), ("/?next=/two", "notice")] {
            browser.go(&street.page(page)).await;
            browser.ask_for("ada@example.com").await;
            browser.until_shown(shown).await;
        }
        assert!(browser.text("notice").await.contains("Check your inbox"));
        browser.assert_accessible("a recipient's limit").await;
        browser.until("/^Try again in 1[45]:\\d\\d$/.test(document.getElementById('submit').innerText)").await;
        assert!(!browser.at("submit").await.is_enabled().await.unwrap());
        let before = browser.text("submit").await;
        browser.until(&format!("document.getElementById('submit').innerText !== {before:?}")).await;

        // A request for another address does not have to wait.
        browser.type_into("email", "bob@example.com").await;
        assert!(browser.at("submit").await.is_enabled().await.unwrap());
        browser.click("submit").await;
        browser.until_shown("sent").await;
        street.system.until_idle().await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn people_on_a_network_that_sends_too_many_requests_see_how_long_to_wait() {
    let street = Street::of(Plan::default().api("IP_RATE_LIMIT", "1/1m"), 30).await;
    browse(|browser| async move {
        for shown in ["sent", "notice"] {
            browser.go(&street.page("/")).await;
            browser.ask_for("ada@example.com").await;
            browser.until_shown(shown).await;
        }
        assert!(browser.text("notice").await.contains("from your network"));
        browser.assert_accessible("a network's limit").await;
        browser.until("/ in (0:\\d\\d|1:00)$/.test(document.getElementById('submit').innerText)").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn an_unavailable_api_is_reported_and_the_address_is_kept() {
    let plan = Plan { own_server: true, ..Plan::default() };
    let street = Street::of(plan, 30).await;
    browse(|browser| async move {
        // The api's database is unavailable. The page shows that sign-in is unavailable, and when to try again.
        street.system.server.as_ref().unwrap().halt().await;
        browser.go(&street.page("/")).await;
        browser.ask_for("ada@example.com").await;
        browser.until_text("notice", "Sign-in is not available at the moment").await;
        browser.assert_accessible("the database is unavailable").await;
        browser.until("/ in 0:\\d\\d$/.test(document.getElementById('submit').innerText)").await;

        // The api itself is unreachable.
        street.system.apis[0].kill();
        street.system.apis[0].wait().await;
        browser.until("!document.getElementById('submit').disabled").await;
        browser.click("submit").await;
        browser.until_text("notice", "cannot be reached").await;
        browser.assert_accessible("the api is unreachable").await;
        assert!(browser.at("submit").await.is_enabled().await.unwrap());
        assert_eq!(browser.value("document.getElementById('email').value").await, "ada@example.com");
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_page_that_the_api_does_not_accept_is_distinguished_from_an_unreachable_api() {
    let street = Street::of(Plan::default().api("CALLBACK_ORIGINS", "https://elsewhere.example"), 30).await;
    browse(|browser| async move {
        browser.go(&street.page("/")).await;
        browser.ask_for("ada@example.com").await;
        browser.until_text("notice", "does not accept requests from this page").await;
        browser.assert_accessible("a refused page").await;
        street.finish();
    })
    .await;
}
