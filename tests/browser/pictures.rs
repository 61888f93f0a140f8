//! How the pages look: nothing scrolls sideways on a phone, and axe finds no violation in light and dark.
//! With `SCREENSHOTS=folder`, the test saves screenshots there. `just browser-pictures` updates those in docs/images.

use std::{path::PathBuf, time::Duration};

use tests::Plan;

use crate::{
    Street,
    chromium::{Browser, browse},
    looks::LOOKS,
};

async fn keep(browser: &Browser, name: &str) {
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
            let name = look.name;
            browser.look_like(look).await;
            browser.go(&street.page("/?next=/projects/42")).await;
            browser.ask_for("ada@example,com").await;
            browser.until_shown("email-error").await;
            browser.assert_readable(&format!("the form, {name}")).await;
            let person = format!("person-{number}@example.com");
            browser.ask_for(&person).await;
            browser.until_shown("sent").await;
            browser.assert_readable(&format!("the portal, {name}")).await;
            keep(&browser, &format!("portal-{name}")).await;

            street.system.mailgun.wait_for_mail(&person, Duration::from_secs(10)).await.unwrap();
            browser.go(&street.mailbox()).await;
            browser.until_shown("mails").await;
            browser.assert_readable(&format!("the mailbox, {name}")).await;
            keep(&browser, &format!("mailbox-{name}")).await;

            browser.go(&street.page("/auth/callback#error=access_denied&error_code=otp_expired")).await;
            browser.until_shown("title").await;
            browser.assert_readable(&format!("a used link, {name}")).await;

            browser.go(&street.system.url("/api/docs").await).await;
            browser.until("document.querySelector('.introduction-section table') && document.querySelector('.references-rendered h2')").await;
            browser.assert_readable(&format!("the docs, {name}")).await;
            keep(&browser, &format!("docs-{name}")).await;
        }
        street.finish();
    })
    .await;
}
