//! The server-rendered example portal, with `LINK_STYLE=token_hash`. Only the button uses up a link, only the portal's
//! own pages may submit the button's form, and the hash and the session do not leak to scripts or logs.

use sandbox::{Fault, FaultKind, Mail, PortalSsr, PortalSsrSettings, client};
use serde_json::json;
use tests::{Plan, TestSystem};

use crate::{
    chromium::{Browser, browse},
    looks::assert_readable_everywhere,
    mail_asked_elsewhere, mail_to,
    scanner::scan_mail,
};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const PAGE: &str = "/projects/42?tab=files";

struct Street {
    system: TestSystem,
    portal: PortalSsr,
}

impl Street {
    async fn of(plan: Plan) -> Street {
        let system =
            TestSystem::with(plan.worker("LINK_STYLE", "token_hash").api("TRUSTED_PROXIES", "127.0.0.1")).await;
        let portal = PortalSsr::start(PortalSsrSettings {
            api: system.url("/api").await,
            supabase_url: system.supabase.url(),
            // The test acts as a proxy in front of the portal, so that it can choose the visitor's IP address.
            trusted_proxies: "127.0.0.1".into(),
        })
        .await
        .unwrap_or_else(|error| panic!("{error}: run the tests with `just browser-test`, which installs the packages"));
        Street { system, portal }
    }

    fn page(&self, path: &str) -> String {
        format!("{}{path}", self.portal.url())
    }

    /// Ends the test, and fails if the portal logged a token hash.
    fn finish(self) {
        let log = self.portal.log().join("\n");
        assert!(log.contains("GET /auth/callback 200"), "{log}");
        assert!(!log.contains("token_hash") && !log.contains("?"), "{log}");
        self.system.finish_with_any_jobs();
    }

    /// Requests a mail as a person on another device would, and returns the mail.
    async fn mail_asked_elsewhere(&self, email: &str, next: &str) -> Mail {
        mail_asked_elsewhere(&self.system, &self.portal.url(), email, next).await
    }

    /// Posts a form with these headers, as a browser does.
    async fn post(&self, path: &str, form: &[(&str, &str)], headers: &[(&str, &str)]) -> reqwest::Response {
        let form = reqwest::Url::parse_with_params("http://form/", form).unwrap().query().unwrap().to_owned();
        let request = client().unwrap().post(self.page(path)).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).send().await.unwrap()
    }
}

/// Opens a page of the portal without a session, and requests a mail with the form to which the portal redirects.
async fn ask(browser: &Browser, street: &Street, address: &str) -> Mail {
    browser.go(&street.page(PAGE)).await;
    browser.until_shown("email").await;
    browser.ask_for(address).await;
    browser.until_shown("sent").await;
    mail_to(&street.system, &address.to_lowercase()).await
}

async fn open_and_press(browser: &Browser, mail: &Mail) {
    browser.go(mail.link().unwrap()).await;
    browser.until_shown("sign-in").await;
    browser.click("sign-in").await;
}

async fn assert_signed_in(browser: &Browser, street: &Street, address: &str) {
    browser.until_shown("page").await;
    assert_eq!(browser.value("location.href").await, street.page(PAGE));
    assert_eq!(browser.text("who").await, address);
}

#[tokio::test]
async fn a_token_hash_link_still_works_after_a_scanner_has_opened_it() {
    let street = Street::of(Plan::default()).await;
    browse(|browser| async move {
        browser.go(&street.page("/")).await;
        assert_readable_everywhere(&browser, "the rendered form").await;
        let mail = ask(&browser, &street, "Ada@Example.com").await;
        assert_eq!(browser.text("address").await, ADA);
        assert_readable_everywhere(&browser, "the rendered page after submitting the form").await;
        assert_eq!(scan_mail(&mail).await, 1);
        assert_eq!(street.system.supabase.verify_posts(), []);

        browser.go(mail.link().unwrap()).await;
        browser.until_shown("sign-in").await;
        assert_readable_everywhere(&browser, "the page with the button").await;
        browser.click("sign-in").await;
        assert_signed_in(&browser, &street, ADA).await;
        assert_readable_everywhere(&browser, "the rendered page after signing in").await;
        assert_eq!(browser.value("document.cookie + document.referrer").await, street.page("/"));
        for cookie in browser.driver.get_all_cookies().await.unwrap() {
            let kept = (cookie.http_only, cookie.same_site.map(|same_site| format!("{same_site:?}")));
            assert_eq!((&*cookie.name, kept), ("session", (Some(true), Some("Lax".to_owned()))));
        }

        // Open the link again. It has already been used up.
        open_and_press(&browser, &mail).await;
        browser.until_text("title", "This link did not sign you in").await;
        browser.until_text("text", "used already").await;
        assert_readable_everywhere(&browser, "a used link on the rendered portal").await;

        browser.go(&street.page(PAGE)).await;
        let session = browser.driver.get_named_cookie("session").await.unwrap();
        browser.click("sign-out").await;
        browser.until_shown("email").await;
        assert!(browser.driver.get_all_cookies().await.unwrap().is_empty());
        // The session has also ended at Supabase.
        browser.driver.add_cookie(session).await.unwrap();
        browser.go(&street.page(PAGE)).await;
        browser.until_shown("email").await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn the_rendered_portal_asks_before_it_accepts_an_unexpected_session() {
    let street = Street::of(Plan::default()).await;
    browse(|browser| async move {
        let bob = street.mail_asked_elsewhere(BOB, PAGE).await;
        open_and_press(&browser, &bob).await;
        browser.until_text("question-title", "Sign in as bob@example.com?").await;
        assert!(browser.text("unasked").await.contains("another device"));
        assert_readable_everywhere(&browser, "an unrequested link on the rendered portal").await;
        browser.click("yes").await;
        assert_signed_in(&browser, &street, BOB).await;

        // Open another person's link.
        let eve = street.mail_asked_elsewhere("eve@example.com", "/home").await;
        open_and_press(&browser, &eve).await;
        browser.until_text("question-title", "Sign in as eve@example.com instead?").await;
        assert_eq!(browser.text("now").await, "You are signed in as bob@example.com.");
        assert_readable_everywhere(&browser, "another person's session on the rendered portal").await;
        assert_eq!(browser.text("no").await, "Stay signed in as bob@example.com");
        browser.click("no").await;
        browser.until_shown("page").await;
        assert_eq!(browser.text("who").await, BOB);
        let names: Vec<String> =
            browser.driver.get_all_cookies().await.unwrap().into_iter().map(|cookie| cookie.name).collect();
        assert_eq!(names, ["session"]);

        // While Bob is signed in, the portal accepts another link of his without asking.
        street.mail_asked_elsewhere(BOB, "/home").await;
        let mails = street.system.mailgun.wait_for_mails(3).await.unwrap();
        open_and_press(&browser, &mails[2]).await;
        browser.until("location.pathname === '/home'").await;
        assert_eq!(browser.text("who").await, BOB);
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn another_sites_form_and_a_malformed_hash_never_reach_supabase() {
    let street = Street::of(Plan::default()).await;
    browse(|browser| async move {
        let mail = ask(&browser, &street, ADA).await;
        let link = mail.link().unwrap();
        let hash = link.split_once("token_hash=").unwrap().1.split('&').next().unwrap();

        // Submit the form from a page of another site.
        let action = street.page("/auth/callback");
        let form = format!("<form method=post action='{action}'><input name=token_hash value={hash}><button id=go>");
        browser.go(&format!("data:text/html,{form}")).await;
        browser.click("go").await;
        browser.until_text("title", "This did not work").await;
        browser.assert_accessible("a form from another site").await;
        let own = street.portal.url();
        for headers in [
            vec![],
            vec![("origin", "https://evil.example")],
            vec![("origin", "null")],
            vec![("origin", own.as_str()), ("sec-fetch-site", "cross-site")],
            vec![("origin", own.as_str()), ("sec-fetch-site", "same-site")],
        ] {
            for path in ["/auth/callback", "/auth/accept", "/auth/decline", "/sign-in", "/sign-out"] {
                let form = [("token_hash", hash), ("email", "eve@example.com")];
                let answer = street.post(path, &form, &headers).await;
                assert_eq!(answer.status(), 403, "{path} {headers:?}");
            }
        }

        // Open links and post forms with a malformed hash or a wrong type.
        browser.go(&link.replace(hash, &hash[..40])).await;
        browser.until_text("title", "This link is incomplete").await;
        assert_readable_everywhere(&browser, "a malformed hash").await;
        browser.go(&link.replace("type=email", "type=recovery")).await;
        browser.until_text("title", "This link is incomplete").await;
        for malformed in ["", "x", &hash[..55], &format!("{hash}0"), &hash.to_uppercase().replace('0', "G")] {
            let answer = street.post("/auth/callback", &[("token_hash", malformed)], &[("origin", &own)]).await;
            assert_eq!(answer.status(), 400, "{malformed}");
        }
        assert_eq!(street.system.supabase.verify_posts(), []);

        open_and_press(&browser, &mail).await;
        assert_signed_in(&browser, &street, ADA).await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn errors_are_shown_and_an_unused_link_keeps_its_button() {
    let street = Street::of(Plan::default().api("RECIPIENT_RATE_LIMIT", "1/15m")).await;
    browse(|browser| async move {
        browser.go(&street.page("/?next=/projects/42%3Ftab=files")).await;
        browser.ask_for("ada@example,com").await;
        browser.until_text("email-error", "like name@example.com").await;
        assert_eq!(browser.value("document.getElementById('email').value").await, "ada@example,com");
        assert_eq!(browser.value("document.activeElement.id").await, "email");
        assert_readable_everywhere(&browser, "a typo in the rendered form").await;
        let mail = ask(&browser, &street, ADA).await;
        browser.go(&street.page("/")).await;
        browser.ask_for(ADA).await;
        browser.until_shown("notice").await;
        assert!(browser.text("notice").await.contains("already sent several mails"));
        assert_readable_everywhere(&browser, "a rate-limit message in the rendered form").await;

        let faults = street.system.supabase.verify_faults();
        browser.go(mail.link().unwrap()).await;
        for (fault, text) in [(Fault::status(429), "wait a minute"), (FaultKind::Cut.into(), "cannot be reached")] {
            faults.add(fault.always());
            browser.click("sign-in").await;
            browser.until_text("notice", text).await;
            browser.assert_accessible(text).await;
            faults.clear();
        }
        browser.click("sign-in").await;
        assert_signed_in(&browser, &street, ADA).await;
        street.finish();
    })
    .await;
}

/// The portal's server sends all requests, so it must pass on each visitor's IP address. If it did not, one visitor
/// could use up everyone's limits.
#[tokio::test]
async fn the_portal_passes_the_visitors_ip_address_to_the_api_and_supabase() {
    let street = Street::of(Plan::default().api("IP_RATE_LIMIT", "1/1m")).await;
    let own = street.portal.url();
    let visitor = |address| [("origin", own.as_str()), ("x-forwarded-for", address)];
    let statuses = async |address| {
        let form = [("email", ADA), ("next", "/home")];
        street.post("/sign-in", &form, &visitor(address)).await.status().as_u16()
    };
    // Entries that the visitor added to `x-forwarded-for` before the proxy's own entry are ignored.
    assert_eq!(statuses("203.0.113.1").await, 303);
    assert_eq!(statuses("198.51.100.9, 203.0.113.1").await, 429);
    assert_eq!(statuses("203.0.113.2").await, 303);

    let mail = mail_to(&street.system, ADA).await;
    let link = mail.link().unwrap();
    assert_eq!(client().unwrap().get(link).send().await.unwrap().status(), 200);
    let hash = link.split_once("token_hash=").unwrap().1.split('&').next().unwrap();
    let answer = street.post("/auth/callback", &[("token_hash", hash)], &visitor("2001:db8::7")).await;
    assert_eq!(answer.status(), 200);
    for (header, part) in [
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'"),
        ("referrer-policy", "strict-origin"),
        ("set-cookie", "HttpOnly"),
    ] {
        assert!(answer.headers()[header].to_str().unwrap().contains(part), "{header}: {answer:?}");
    }
    let posts = street.system.supabase.verify_posts();
    let seen = json!([posts[0].forwarded_for, posts[0].sb_forwarded_for, posts[0].apikey]);
    assert_eq!(seen, json!(["2001:db8::7", "2001:db8::7", "sandbox-anon-key"]));
    assert_eq!(posts.len(), 1);
    street.finish();
}

/// Anybody can craft a link to the callback page. Whatever the link's `next` is, the browser stays on the portal.
#[tokio::test]
async fn the_rendered_callback_never_redirects_to_another_site() {
    let street = Street::of(Plan::default()).await;
    let own = street.portal.url();
    let mail = street.mail_asked_elsewhere(ADA, "/home").await;
    let link = mail.link().unwrap();
    assert_eq!(client().unwrap().get(link).send().await.unwrap().status(), 200);
    let hash = link.split_once("token_hash=").unwrap().1.split('&').next().unwrap();
    let answer = street.post("/auth/callback", &[("token_hash", hash)], &[("origin", &own)]).await;
    let cookies = answer.headers().get_all("set-cookie").iter();
    let cookies: Vec<&str> = cookies.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
    let headers = [("origin", own.as_str()), ("cookie", &cookies.join("; "))];
    let blob = format!("blob:{own}/home");
    for (next, lands_at) in [
        ("https://example.com/", "/home"),
        ("//example.com/", "/home"),
        ("/\\example.com/", "/home"),
        ("/\t/example.com/", "/home"),
        ("javascript:alert(1)", "/home"),
        (blob.as_str(), "/home"),
        ("/auth/callback", "/home"),
        ("/.//example.com/", "//example.com/"),
        ("orders?page=2", "/orders?page=2"),
    ] {
        let answer = street.post("/auth/accept", &[("address", ADA), ("next", next)], &headers).await;
        assert_eq!(answer.status(), 303, "{next}");
        assert_eq!(answer.headers()["location"], format!("{own}{lands_at}"), "{next}");
    }
    // Post a form from an older page, which asked about another person's session, and a form without an address.
    for form in [vec![("address", BOB), ("next", "/home")], vec![("next", "/home")]] {
        assert_eq!(street.post("/auth/accept", &form, &headers).await.status(), 403, "{form:?}");
    }
    street.finish();
}
