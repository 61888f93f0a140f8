//! How the pages and the mails look: nothing scrolls sideways on a phone, and axe finds no violation in light or dark
//! mode. With `SCREENSHOTS=folder`, the tests save screenshots in that folder. `just browser-pictures` updates the
//! screenshots in docs/images.

use std::{path::PathBuf, time::Duration};

use sandbox::{PortalFiles, PortalSettings, Programs};
use serde_json::json;
use tests::{TestSystem, get_at};

use crate::{
    Street,
    chromium::{Browser, browse},
    looks::{LOOKS, Look, NARROW},
    mails::mailbox_of,
    plan_with, plan_with_code,
};

async fn keep(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("SCREENSHOTS") else {
        return;
    };
    let picture = browser.driver.screenshot_as_png().await.unwrap();
    std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), picture).unwrap();
}

#[tokio::test]
async fn every_page_is_readable_in_light_and_dark_mode_and_on_a_phone() {
    let portal = PortalSettings { mails_show_code: true, ..PortalSettings::default() };
    let mut plan = plan_with_code("confirm");
    let files = PortalFiles::write("https://library.example.com").unwrap();
    plan.mailgun.preview = Some(files.preview(&Programs::build().await.unwrap().worker));
    let street = Street::with_portal(plan, portal).await;
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

            let mail = street.system.mailgun.wait_for_mail(&person, Duration::from_secs(10)).await.unwrap();
            browser.go(&street.mailbox()).await;
            browser.until_shown("mails").await;
            browser.assert_readable(&format!("the mailbox, {name}")).await;
            keep(&browser, &format!("mailbox-{name}")).await;

            browser.go(mail.link().unwrap()).await;
            browser.until_shown("sign-in").await;
            browser.assert_readable(&format!("the confirm page, {name}")).await;
            keep(&browser, &format!("confirm-{name}")).await;

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

/// The mails sent with `LINK_STYLE=confirm`, with and without a code, and a mail with only a code.
#[tokio::test]
async fn every_mail_is_readable_in_light_and_dark_mode_and_on_a_phone() {
    browse(|browser| async move {
        for (mail, plan) in [
            ("link-and-code", plan_with_code("confirm")),
            ("link", plan_with("confirm")),
            ("code", plan_with_code("code")),
        ] {
            let system = TestSystem::with(plan).await;
            system.ask("ada@example.com").await;
            let html = system.mailgun.wait_for_mail("ada@example.com", Duration::from_secs(10)).await.unwrap().html;
            show_mail(&browser, &html, NARROW).await;
            browser.assert_fits(&format!("the mail with {mail}, {}", NARROW.name)).await;
            for look in LOOKS {
                show_mail(&browser, &html, look).await;
                let what = format!("the mail with {mail}, {}", look.name);
                browser.assert_fits(&what).await;
                browser.assert_mail_accessible(&what).await;
                keep(&browser, &format!("mail-{mail}-{}", look.name)).await;
            }
            system.finish_with_any_jobs();
        }
    })
    .await;
}

/// The mail and the confirm page in every language.
#[tokio::test]
async fn every_language_is_readable_and_shown_in_its_writing_direction() {
    let system = TestSystem::with(plan_with_code("confirm").api("LANGUAGES", "en,de,fr,es,ar")).await;
    browse(|browser| async move {
        let mut mails = vec![];
        for (language, direction, time_zone) in [
            ("en", "ltr", "Europe/London"),
            ("de", "ltr", "Europe/Berlin"),
            ("fr", "ltr", "Europe/Paris"),
            ("es", "ltr", "America/Mexico_City"),
            ("ar", "rtl", "Africa/Cairo"),
        ] {
            let email = format!("{language}@example.com");
            let body = json!({
                "email": email, "callback_origin": "https://example.com", "locale": language, "time_zone": time_zone,
            });
            assert_eq!(system.post(&body).await.status, 200);
            let mail = system.mailgun.wait_for_mail(&email, Duration::from_secs(10)).await.unwrap();
            for look in [LOOKS[0], NARROW] {
                show_mail(&browser, &mail.html, look).await;
                let what = format!("the mail in {language}, {}", look.name);
                browser.assert_fits(&what).await;
                browser.assert_mail_accessible(&what).await;
                browser.look_like(look).await;
                browser.go(mail.link().unwrap()).await;
                browser.until_shown("sign-in").await;
                browser.assert_readable(&format!("the confirm page in {language}, {}", look.name)).await;
                let shown = browser.value("getComputedStyle(document.querySelector('h1')).direction").await;
                assert_eq!(shown, direction, "{language}");
            }
            mails.push(mail.html);
        }
        keep_contact_sheet(&browser, &mails, 340, "mail-languages").await;
        system.finish_with_any_jobs();
    })
    .await;
}

/// The mails of `cargo dev`'s two portals.
#[tokio::test]
async fn every_portals_mail_has_that_portals_name_and_colour() {
    let files = PortalFiles::write("https://library.example.com").unwrap();
    let mailgun = mailbox_of(&files).await;
    get_at(&format!("{}/mails", mailgun.url())).await;
    browse(|browser| async move {
        let mut mails = vec![];
        for (name, text, colour) in [
            ("library-de-link-and-code", "Stadtbücherei", "rgb(122, 31, 92)"),
            ("example-en-link-and-code", "Example Portal", "rgb(29, 95, 214)"),
        ] {
            for mode in ["light", "dark"] {
                let (status, mail) = get_at(&format!("{}/mails/shown/{name}-{mode}.html", mailgun.url())).await;
                assert_eq!(status, 200, "{name}");
                for look in [LOOKS[0], NARROW] {
                    show_mail(&browser, &mail, look).await;
                    let what = format!("{name}, {mode}, {}", look.name);
                    browser.assert_fits(&what).await;
                    browser.assert_mail_accessible(&what).await;
                }
                assert!(browser.value("document.querySelector('h1').innerText").await.as_str().unwrap().contains(text));
                if mode == "light" {
                    let button = "getComputedStyle(document.querySelector('a.button')).backgroundColor";
                    assert_eq!(browser.value(button).await, colour, "{name}");
                }
                mails.push(mail);
            }
        }
        keep_contact_sheet(&browser, &mails, 425, "mail-portals").await;
    })
    .await;
}

/// Saves a screenshot of all mails side by side, each this many pixels wide.
async fn keep_contact_sheet(browser: &Browser, mails: &[String], width: u32, name: &str) {
    let look = Look { width: width * u32::try_from(mails.len()).unwrap(), height: 960, ..LOOKS[0] };
    browser.look_like(look).await;
    browser.go("about:blank").await;
    let frames = mails.iter().map(|html| {
        let html = html.replace('&', "&amp;").replace('"', "&quot;");
        format!("<iframe srcdoc=\"{html}\" scrolling=\"no\" style=\"width:{width}px;height:100vh;border:0\"></iframe>")
    });
    let page = format!("<body style=\"margin:0;display:flex\">{}</body>", frames.collect::<String>());
    browser.value(&format!("(document.open(), document.write({}), document.close())", json!(page))).await;
    browser
        .until("[...document.querySelectorAll('iframe')].every((frame) => frame.contentDocument?.querySelector('h1'))")
        .await;
    let heights = "[...document.querySelectorAll('iframe')].map((frame) => frame.contentDocument.body.scrollHeight)";
    let height = browser.value(&format!("Math.max(...{heights})")).await.as_u64().unwrap();
    browser.look_like(Look { height: height.try_into().unwrap(), ..look }).await;
    keep(browser, name).await;
}

/// Shows only the HTML of a mail, in a window as wide as a mail program's and as high as the mail.
pub(crate) async fn show_mail(browser: &Browser, html: &str, look: Look) {
    let look = Look { width: look.width.min(700), height: 300, ..look };
    browser.look_like(look).await;
    browser.go("about:blank").await;
    let write = format!("(document.open(), document.write({}), document.close())", json!(html));
    browser.value(&write).await;
    let height = browser.value("document.documentElement.scrollHeight").await;
    browser.look_like(Look { height: height.as_u64().unwrap().try_into().unwrap(), ..look }).await;
}
