//! What a company's mail scanner does with a mail: it opens every URL, and watches what the pages' scripts do.

use std::{collections::BTreeSet, time::Duration};

use reqwest::{Client, Method, redirect};
use sandbox::Mail;

use crate::chromium::{Browser, browse};

/// Returns the URLs in a mail's text and HTML.
pub(crate) fn addresses(mail: &Mail) -> BTreeSet<String> {
    let both = format!("{} {}", mail.text, mail.html.replace("&amp;", "&").replace("&#38;", "&"));
    let words = both.split(|c: char| c.is_whitespace() || "<>\"'".contains(c));
    words.filter(|word| word.starts_with("http://") || word.starts_with("https://")).map(str::to_owned).collect()
}

/// Opens every URL in the mail, one after another, in a new browser. Returns the number of URLs.
pub(crate) async fn scan_mail(mail: &Mail) -> usize {
    let addresses = addresses(mail);
    if !addresses.is_empty() {
        browse(async |browser| {
            for address in &addresses {
                scan(&browser, address).await;
            }
        })
        .await;
    }
    addresses.len()
}

/// Requests the link with HEAD and GET three times each, then opens it in a new tab, where the page's scripts run.
pub(crate) async fn scan(browser: &Browser, link: &str) {
    let client = Client::builder().redirect(redirect::Policy::limited(5)).no_proxy().build().unwrap();
    for _ in 0..3 {
        for method in [Method::HEAD, Method::GET] {
            client.request(method, link).send().await.unwrap();
        }
    }
    browser.driver.new_tab().await.unwrap();
    browser.to_newest_tab().await;
    browser.go(link).await;
    // Wait as a scanner does, to see what the page's scripts do.
    tokio::time::sleep(Duration::from_secs(5)).await;
    browser.driver.close_window().await.unwrap();
    browser.to_newest_tab().await;
}
