//! Renders a mail's scan button, and the result of its newest scan.

use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::Method;

use super::{
    Scan, Verdict, Visit,
    fetch::{End, Fetch},
    url,
};
use crate::{html::escape, mailgun::mail::Mail};

/// Maximum length of a URL that is shown in full, in characters.
const SHOWN_LENGTH: usize = 60;
/// Number of characters that are shown from the end of a longer URL.
const SHOWN_END: usize = 8;

/// Renders the scan button. `data-visit` is the URL that the browser visits with scripts on.
pub(in crate::mailgun) fn button(mail: &Mail) -> String {
    if url::all(mail).is_empty() {
        return "<p class=\"soft no-link\">This mail has no link to scan.</p>".to_owned();
    }
    let number = mail.number;
    let visit = url::first_here(mail).map(|url| format!(" data-visit=\"{}\"", escape(&url)));
    format!(
        "<form class=\"scanner\" method=\"post\" action=\"/scan\"{}>\
         <input type=\"hidden\" name=\"mail\" value=\"{number}\"><button>Scan this mail</button></form>",
        visit.unwrap_or_default()
    )
}

/// Renders the result of the newest scan. Without a scan, the element is empty but present, because the page's script
/// replaces it later.
pub(in crate::mailgun) fn result(mail: &Mail, scans: &[Scan]) -> String {
    let newest = scans.iter().rev().find(|scan| scan.mail == mail.number);
    let shown = newest.map(|scan| describe(mail, scan)).unwrap_or_default();
    format!("<div class=\"scan\" id=\"scan-{}\">{shown}</div>", mail.number)
}

fn describe(mail: &Mail, scan: &Scan) -> String {
    let at = DateTime::<Utc>::from(scan.at);
    let here = url::first_here(mail);
    let visit_of = |url: &str| (here.as_deref() == Some(url)).then(|| describe_visit(scan.visit));
    let urls: String =
        url::all(mail).iter().map(|url| describe_url(url, &scan.fetches) + visit_of(url).unwrap_or_default()).collect();
    format!(
        "<p>Scanned at <time datetime=\"{}\">{}</time>. {}</p><dl>{urls}</dl>",
        at.to_rfc3339_opts(SecondsFormat::Millis, true),
        at.format("%H:%M:%S UTC"),
        conclusion(scan),
    )
}

fn conclusion(scan: &Scan) -> String {
    if !scan.fetches.iter().any(Fetch::has_opened) {
        return "<strong>Nothing was opened, so the scan changed nothing.</strong>".to_owned();
    }
    let (class, text) = match scan.verdict() {
        Some(Verdict::StillSignsIn) => ("good", "The link still works."),
        Some(Verdict::UsedUp) => {
            ("bad", "The scanner used up the link: a person who opens it now gets <code>otp_expired</code>.")
        }
        Some(Verdict::DidNotSignInBefore) => ("bad", "The link did not work even before the scan."),
        None => return String::new(),
    };
    format!("<strong class=\"{class}\">{text}</strong>")
}

fn describe_url(url: &str, fetches: &[Fetch]) -> String {
    let of_url: Vec<&Fetch> = fetches.iter().filter(|fetch| fetch.url == url).collect();
    let results = match of_url.iter().any(|fetch| fetch.has_opened()) {
        true => [Method::HEAD, Method::GET].map(|method| describe_method(&method, &of_url)).concat(),
        false => "<dd>not fetched: not on this machine</dd>".to_owned(),
    };
    format!("<dt>{}</dt>{results}", escape(&shorten(url)))
}

/// Renders the results of one method: `GET: 303 → 200 (3 times)` or, if they differ, the list of results.
fn describe_method(method: &Method, fetches: &[&Fetch]) -> String {
    let mut results: Vec<String> =
        fetches.iter().filter(|fetch| fetch.method == *method).map(|fetch| describe_fetch(fetch)).collect();
    let times = results.len();
    results.dedup();
    let results = match &results[..] {
        [only] => format!("{only} ({times} times)"),
        several => several.join(", then "),
    };
    format!("<dd>{method}: {results}</dd>")
}

fn describe_fetch(fetch: &Fetch) -> String {
    let mut steps: Vec<String> = fetch.statuses.iter().map(u16::to_string).collect();
    match fetch.end {
        End::Answered => (),
        End::NotHere => steps.push("not fetched: not on this machine".to_owned()),
        End::NoAnswer => steps.push("no response".to_owned()),
        End::TooManyRedirects => steps.push("too many redirects".to_owned()),
    }
    steps.join(" → ")
}

fn describe_visit(visit: Visit) -> &'static str {
    match visit {
        Visit::None => "<dd>not visited with scripts on, because this page's own script did not run</dd>",
        Visit::Pending => {
            "<dd>being visited with scripts on, for 5 seconds. Do not click anything in the scanner's window.</dd>"
        }
        Visit::Done => "<dd>visited with scripts on, for 5 seconds</dd>",
        Visit::LeftOpen => {
            "<dd>visited with scripts on, for 5 seconds. If the scanner's window is still open, close it yourself: \
             the page that it shows prevents the mailbox from closing it.</dd>"
        }
        Visit::Blocked => {
            "<dd>not visited with scripts on: the browser blocked the scanner's window. Allow pop-ups for this \
             page, and scan again.</dd>"
        }
    }
}

/// Shortens a long URL to its beginning and its end.
fn shorten(url: &str) -> String {
    let characters: Vec<char> = url.chars().collect();
    if characters.len() <= SHOWN_LENGTH {
        return url.to_owned();
    }
    let (start, end) = (&characters[..SHOWN_LENGTH - SHOWN_END - 1], &characters[characters.len() - SHOWN_END..]);
    start.iter().chain(&['…']).chain(end).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_url_is_shortened_in_the_middle() {
        let url = |length: usize| format!("http://localhost/{}é23456789", "a".repeat(length - 26));
        assert_eq!(shorten(&url(60)), url(60));
        assert_eq!(shorten(&url(61)), format!("http://localhost/{}…23456789", "a".repeat(34)));
    }
}
