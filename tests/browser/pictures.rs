//! How the pages look: nothing is cut off or scrolls sideways on a phone, and text is readable in light and dark.
//! With `SCREENSHOTS=folder` pictures are kept there: docs/images has them from `just browser-pictures`.

use std::{path::PathBuf, time::Duration};

use serde_json::{Value, json};
use tests::Plan;

use crate::{
    Street,
    chromium::{Browser, browse},
};

/// Name, width, height, whether dark.
const LOOKS: [(&str, u32, u32, bool); 3] =
    [("light", 1100, 700, false), ("dark", 1100, 700, true), ("phone", 390, 780, false)];

async fn look_like(browser: &Browser, (_, width, height, dark): (&str, u32, u32, bool)) {
    let tools = browser.driver.cdp();
    let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500 });
    tools.send_raw("Emulation.setDeviceMetricsOverride", screen).await.unwrap();
    let scheme = if dark { "dark" } else { "light" };
    let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
    tools.send_raw("Emulation.setEmulatedMedia", media).await.unwrap();
}

/// The least contrast of any text with what is behind it (WCAG 2.2, 1.4.3 asks for 4.5), and the text.
const LEAST_CONTRAST: &str = r"(() => {
  const rgb = (color) => color.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = rgb(getComputedStyle(e).backgroundColor);
      if (color[3] !== 0) return color;
    }
    return [255, 255, 255];
  };
  let least = [99, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    if (!text || !element.checkVisibility() || element.closest('script, style, noscript, :disabled')) continue;
    const [a, b] = [light(rgb(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least[0]) least = [contrast, text];
  }
  return least;
})()";

async fn assert_readable(browser: &Browser, what: &str) {
    let least = browser.value(LEAST_CONTRAST).await;
    assert!(least[0].as_f64().unwrap() >= 4.5, "{what}: {least}");
    let wide = browser.value("document.documentElement.scrollWidth - innerWidth").await;
    assert!(wide.as_i64().unwrap() <= 0, "{what} scrolls sideways by {wide} px");
    let nameless = browser
        .value("[...document.querySelectorAll('input:not([type=hidden]), button, iframe')].filter((e) => !(e.labels?.length || e.textContent.trim() || e.title || e.ariaLabel)).map((e) => e.outerHTML)")
        .await;
    assert_eq!(nameless, Value::Array(vec![]), "{what} has controls without a name");
}

async fn keep(browser: &Browser, name: &str) {
    let Some(folder) = std::env::var_os("SCREENSHOTS") else {
        return;
    };
    let picture = browser.driver.screenshot_as_png().await.unwrap();
    std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), picture).unwrap();
}

#[tokio::test]
async fn the_portal_and_the_mailbox_are_readable_light_dark_and_on_a_phone() {
    let street = Street::of(Plan::default(), 30).await;
    browse(|browser| async move {
        for (number, look) in LOOKS.into_iter().enumerate() {
            let name = look.0;
            look_like(&browser, look).await;
            browser.go(&street.page("/?next=/projects/42")).await;
            browser.ask_for("ada@example,com").await;
            browser.until_shown("email-error").await;
            assert_readable(&browser, &format!("the form, {name}")).await;
            let person = format!("person-{number}@example.com");
            browser.ask_for(&person).await;
            browser.until_shown("sent").await;
            assert_readable(&browser, &format!("the portal, {name}")).await;
            keep(&browser, &format!("portal-{name}")).await;

            street.system.mailgun.wait_for_mail(&person, Duration::from_secs(10)).await.unwrap();
            browser.go(&street.mailbox()).await;
            browser.until_shown("mails").await;
            assert_readable(&browser, &format!("the mailbox, {name}")).await;
            keep(&browser, &format!("mailbox-{name}")).await;

            browser.go(&street.page("/auth/callback#error=access_denied&error_code=otp_expired")).await;
            browser.until_shown("title").await;
            assert_readable(&browser, &format!("a used link, {name}")).await;
        }
    })
    .await;
}
