//! The one-time code, which people type on the "Check your mail" page.

use sandbox::{Fault, FaultKind, Mail, PortalSettings};

use crate::{
    Street,
    chromium::{Browser, browse},
    looks::assert_readable_everywhere,
    plan_with_code,
    scanner::scan_mail,
};

const ADA: &str = "ada@example.com";

/// A system whose mails contain a ten-digit code, and whose worker runs with this `LINK_STYLE`.
async fn street(style: &str) -> Street {
    let portal = PortalSettings { mails_show_code: true, ..PortalSettings::default() };
    Street::with_portal(plan_with_code(style), portal).await
}

async fn ask(browser: &Browser, street: &Street, address: &str) {
    browser.go(&street.page("/projects/42?tab=files")).await;
    browser.until_shown("email").await;
    browser.ask_for(address).await;
    browser.until_shown("code").await;
}

fn code_in(mail: &Mail) -> String {
    let is_code = |line: &&str| line.len() == 10 && line.bytes().all(|byte| byte.is_ascii_digit());
    mail.text.lines().find(is_code).unwrap_or_else(|| panic!("{}", mail.text)).to_owned()
}

/// Inserts text into the code field as a paste does: in a single input event.
async fn paste(browser: &Browser, text: &str) {
    browser.at("code").await.clear().await.unwrap();
    browser.value("document.getElementById('code').focus()").await;
    let pasted = browser.value(&format!("document.execCommand('insertText', false, {text:?})")).await;
    assert_eq!(pasted, true);
}

async fn assert_signed_in(browser: &Browser, street: &Street, address: &str) {
    browser.until_shown("page").await;
    assert_eq!(browser.value("location.href").await, street.page("/projects/42?tab=files"));
    assert_eq!(browser.text("who").await, address);
}

#[tokio::test]
async fn a_code_pasted_with_spaces_and_dashes_works_after_a_wrong_code() {
    let street = street("confirm").await;
    browse(|browser| async move {
        ask(&browser, &street, "Info@Müller.example").await;
        let address = "info@xn--mller-kva.example";
        let code = code_in(&street.mail_to(address).await);
        assert_readable_everywhere(&browser, "the page with a code field").await;

        let posts = || street.system.supabase.verify_posts().len();
        for no_code in ["", "12345", "12345678901", "My code is 1234567890", "١٢٣٤٥٦٧٨٩٠"] {
            paste(&browser, "0").await;
            paste(&browser, no_code).await;
            browser.click("code-submit").await;
            browser.until_text("code-error", "6 to 10 digits").await;
        }
        assert_eq!(posts(), 0);
        let wrong = if code == "0000000000" { "1111111111" } else { "0000000000" };
        browser.type_into("code", wrong).await;
        assert_eq!(browser.text("code-error").await, "");
        browser.click("code-submit").await;
        browser.until_text("code-error", "wrong, used or too old").await;
        assert_eq!(browser.value("document.activeElement.id").await, "code");
        assert_eq!(browser.value("document.activeElement.getAttribute('aria-invalid')").await, "true");
        assert_readable_everywhere(&browser, "a wrong code").await;

        // The pasted code contains spaces, a no-break space, a zero-width space, a dash and full-width digits.
        let full_width = |digit: char| char::from_u32(u32::from(digit) - u32::from('0') + 0xff10).unwrap();
        let end: String = code[7..].chars().map(full_width).collect();
        let pasted = format!(" {}\u{a0}{}\u{200b}\u{2013}{end} ", &code[..3], &code[3..7]);
        paste(&browser, &pasted).await;
        browser.click("code-submit").await;
        assert_signed_in(&browser, &street, address).await;
        assert_eq!(browser.value("localStorage.length").await, 1);
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn the_page_explains_why_a_code_was_refused_and_allows_another_try() {
    let street = street("confirm").await;
    browse(|browser| async move {
        ask(&browser, &street, ADA).await;
        let code = code_in(&street.mail_to(ADA).await);
        browser.type_into("code", &code).await;
        for (fault, text) in [(Fault::status(429), "wait a minute"), (Fault::from(FaultKind::Cut), "cannot be reached")]
        {
            // The fault must apply to every call, because a browser automatically repeats a request if an open
            // connection is cut.
            street.system.supabase.verify_faults().add(fault.always());
            browser.click("code-submit").await;
            browser.until_text("code-error", text).await;
            street.system.supabase.verify_faults().clear();
            browser.assert_accessible(text).await;
        }
        street.system.supabase.ban(ADA);
        browser.click("code-submit").await;
        browser.until_text("code-error", "blocked").await;
        street.system.supabase.ban_until(ADA, chrono::Utc::now());
        browser.click("code-submit").await;
        assert_signed_in(&browser, &street, ADA).await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn a_code_still_works_after_a_scanner_has_opened_the_mail() {
    for (style, addresses) in [("confirm", 1), ("code", 0)] {
        let street = street(style).await;
        browse(|browser| async move {
            ask(&browser, &street, ADA).await;
            let mail = street.mail_to(ADA).await;
            assert_eq!(scan_mail(&mail).await, addresses, "{}", mail.text);
            browser.type_into("code", &code_in(&mail)).await;
            browser.click("code-submit").await;
            assert_signed_in(&browser, &street, ADA).await;
            street.finish();
        })
        .await;
    }
}
