//! Every state of the confirm page is readable: in light and dark mode, on a small screen, and with forced colours.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use confirm::{ConfirmKeys, Content, Expiry};
use serde_json::json;
use tests::CONFIRM_KEY;

use crate::{
    Street,
    chromium::{Browser, browse},
    looks::ALL_LOOKS,
    plan_with,
};

/// A sealing key that the server under test does not have: 32 bytes 0x02, in Base64.
const OTHER_KEY: &str = "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const TITLE: &str = "document.querySelector('h1')?.innerText";
/// An address whose part before the `@` has the maximum of 64 characters.
const LONG_ADDRESS: &str = "somebody-with-a-very-long-name-that-no-line-of-a-small-screen-fi@a-very-long-name-of-a-company-or-a-department.example";

fn content() -> Content {
    let in_an_hour = SystemTime::now() + Duration::from_hours(1);
    Content {
        verify_url: "http://127.0.0.1:9/auth/v1/verify".to_owned(),
        token_hash: "0123456789abcdef0123456789abcdef0123456789abcdef01234567".to_owned(),
        recipient: Some("ada@example.com".to_owned()),
        callback_url: "https://example.com/auth/callback?next=%2Fa".to_owned(),
        shown_host: "example.com".to_owned(),
        has_code: false,
        language: None,
        expires_at: Expiry(in_an_hour.duration_since(UNIX_EPOCH).unwrap().as_secs()),
    }
}

fn payload_with(key: &str, content: &Content) -> String {
    let keys: ConfirmKeys = key.parse().unwrap();
    keys.encode(content, keys.current()).unwrap()
}

fn payload(content: &Content) -> String {
    payload_with(CONFIRM_KEY, content)
}

/// Checks the open page in every look.
async fn assert_readable(browser: &Browser, state: &str, title: &str) {
    browser.until(&format!("{TITLE} === {title:?}")).await;
    for look in ALL_LOOKS {
        browser.look_like(look).await;
        browser.assert_readable(&format!("the confirm page, {state}, {}", look.name)).await;
        assert_names_are_whole(browser, state).await;
        if look.has_forced_colors {
            assert_edges_are_visible(browser, state).await;
        }
    }
}

/// Fails if an address or host that fits on one line is broken across lines. What fits depends on the fonts that are
/// installed.
async fn assert_names_are_whole(browser: &Browser, state: &str) {
    let broken = browser
        .value(
            "[...document.querySelectorAll('bdi')].filter((name) => { \
               const lines = name.getBoundingClientRect().height / parseFloat(getComputedStyle(name).fontSize); \
               const block = name.closest('h1, p, button, a.button'); \
               const style = getComputedStyle(block); \
               const sides = [style.paddingLeft, style.paddingRight, style.borderLeftWidth, style.borderRightWidth]; \
               const room = sides.reduce((room, side) => room - parseFloat(side), block.getBoundingClientRect().width); \
               name.style.cssText = 'white-space: nowrap; max-width: none'; \
               const width = name.getBoundingClientRect().width; \
               name.style.cssText = ''; \
               return width <= room && lines > 1.6; \
             }).map((name) => name.textContent)",
        )
        .await;
    assert_eq!(broken, json!([]), "{state}: an address or host that fits on one line is broken across lines");
}

/// Fails if a button has no visible edge. Forced colours remove the background that makes it look like a button.
async fn assert_edges_are_visible(browser: &Browser, state: &str) {
    assert_eq!(browser.value("matchMedia('(forced-colors: active)').matches").await, true);
    let hidden = browser
        .value(
            "[...document.querySelectorAll('button, a.button')].map((each) => getComputedStyle(each)).filter((style) => \
             parseFloat(style.borderTopWidth) < 1 || style.borderTopColor === style.backgroundColor).length",
        )
        .await;
    assert_eq!(hidden, 0, "{state}: a button has no visible edge");
}

#[tokio::test]
async fn the_confirm_page_is_readable_in_every_state() {
    let street = Street::of(plan_with("confirm"), 30).await;
    let page = street.system.url("/auth/confirm/").await;
    let good = payload(&content());
    let (start, end) = good.split_at(80);
    let long_host = format!("{}.example.com", "a-long-label-of-a-host".repeat(2));
    let ready = [
        ("with an address", good.clone()),
        ("with a link that is broken across lines", format!("{start}%0D%0A%20{end}%3E")),
        ("with a hyphen", payload(&Content { recipient: Some("person-1@example.com".to_owned()), ..content() })),
        ("with a code", payload(&Content { has_code: true, ..content() })),
        ("without an address", payload(&Content { recipient: None, ..content() })),
        ("with a long address", payload(&Content { recipient: Some(LONG_ADDRESS.to_owned()), ..content() })),
    ];
    browse(|browser| async move {
        for (state, payload) in ready {
            browser.go(&format!("{page}{payload}")).await;
            assert_readable(&browser, state, "Sign in to example.com").await;
        }
        browser.go(&format!("{page}{}", payload(&Content { shown_host: long_host.clone(), ..content() }))).await;
        assert_readable(&browser, "with a long host", &format!("Sign in to {long_host}")).await;
        street.finish();
    })
    .await;
}

#[tokio::test]
async fn every_error_on_the_confirm_page_is_readable() {
    let street = Street::of(plan_with("confirm").api("CONFIRM_RATE_LIMIT", "40/1h"), 30).await;
    let page = street.system.url("/auth/confirm/").await;
    let good = payload(&content());
    let (start, end) = good.split_at(80);
    let moved = Content { callback_url: "https://old.example.com/auth/callback".to_owned(), ..content() };
    let problems = [
        ("cut off", good[..good.len() - 3].to_owned(), "This link is incomplete"),
        ("altered", format!("{start}A{end}"), "This link is incomplete"),
        ("sealed by another server", payload_with(OTHER_KEY, &content()), "This link is incomplete"),
        ("expired", payload(&Content { expires_at: Expiry(1_000_000_000), ..content() }), "This link has expired"),
        ("to a portal that has moved", payload(&moved), "This link cannot be used"),
    ];
    browse(|browser| async move {
        for (state, payload, title) in problems {
            browser.go(&format!("{page}{payload}")).await;
            assert_readable(&browser, state, title).await;
        }

        let link = format!("{page}{good}");
        browser
            .go(&format!("data:text/html,<form method=post action={link}><button id=post>Post</button></form>"))
            .await;
        browser.click("post").await;
        assert_readable(&browser, "posted by another site", "Please open the link from your mail").await;

        // The confirm page cannot be embedded in a frame, so Chromium shows its own error page in the frame.
        browser.go(&format!("data:text/html,<iframe id=frame src={link}></iframe>")).await;
        browser.at("frame").await.enter_frame().await.unwrap();
        assert_eq!(browser.value("location.href").await, "chrome-error://chromewebdata/");
        assert_eq!(browser.value("document.getElementById('sign-in')").await, serde_json::Value::Null);
        browser.driver.enter_default_frame().await.unwrap();

        while browser.value(TITLE).await != "Too many requests" {
            browser.go(&link).await;
        }
        assert_readable(&browser, "opened too often", "Too many requests").await;
        street.finish();
    })
    .await;
}
