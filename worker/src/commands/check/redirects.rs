//! Compares the callbacks of the portals with Supabase's redirect allow list. If a callback is not on the list,
//! Supabase replaces it without an error, and the person lands on another page.

use outbox::CallbackUrl;

use super::{finding::Finding, in_time};
use crate::{
    runtime::redirect_checker::TEST_QUERIES,
    settings::{CheckSettings, CheckedCallback},
    upstream::{verdict::verify::RedirectAnswer, verify::VerifyClient},
};

pub(super) const PROBE: &str = "supabase.redirect";

/// Maximum number of callbacks that one run checks. By default, Supabase accepts a burst of 30 requests to `/verify`
/// from one address, and each callback needs three requests. Eight callbacks use 24 requests, and leave six for the
/// worker and for people who sign in from the same address.
const MAX_CALLBACKS: usize = 8;

pub(super) async fn check(settings: &CheckSettings, client: &VerifyClient) -> Vec<Finding> {
    if settings.callbacks.is_empty() {
        let why = "There is no callback to check: set PORTALS_FILE, or pass --callback with the callback page's URL";
        return vec![Finding::skip(PROBE, why)];
    }
    let (asked, other): (Vec<_>, Vec<_>) = settings.callbacks.iter().partition(|it| it.leads_through_supabase);
    let mut findings = vec![];
    let mut is_limited = false;
    for callback in asked.iter().take(MAX_CALLBACKS) {
        let finding = if is_limited {
            Finding::skip(
                PROBE,
                format!(
                    "{}: not checked, because Supabase gave no clear answer about an earlier callback",
                    name(callback)
                ),
            )
        } else {
            let answers = ask(client, callback).await;
            is_limited = answers.is_none();
            judge(callback, answers.as_ref())
        };
        findings.push(finding);
    }
    let left: Vec<String> = asked.iter().skip(MAX_CALLBACKS).map(|callback| name(callback)).collect();
    if !left.is_empty() {
        let why = format!(
            "These callbacks were not checked, because Supabase limits the rate of these checks: {}. To check them, run \
             the command again with only these callbacks (--portal or --callback)",
            left.join(", ")
        );
        findings.push(Finding::skip(PROBE, why));
    }
    findings.extend(other.into_iter().map(|callback| {
        let why = "not checked, because the allow list does not apply to this portal's LINK_STYLE";
        Finding::skip(PROBE, format!("{}: {why}", name(callback)))
    }));
    findings
}

fn name(callback: &CheckedCallback) -> String {
    match &callback.portal {
        Some(portal) => format!("{} (portal {portal})", callback.url),
        None => callback.url.clone(),
    }
}

/// Asks Supabase about a callback with each of the three test queries. An answer is `None` if Supabase allows the URL.
/// Otherwise, the answer is the URL that links would lead to. Returns `None` if any answer is unclear or does not
/// arrive in time.
async fn ask(client: &VerifyClient, callback: &CheckedCallback) -> Option<[Option<String>; 3]> {
    let mut answers = [const { None }; 3];
    for (query, answer) in TEST_QUERIES.iter().zip(&mut answers) {
        match in_time(client.ask_redirect(&format!("{}{query}", callback.url))).await? {
            RedirectAnswer::Allowed => {}
            RedirectAnswer::Refused { leads_to } => *answer = Some(leads_to),
            RedirectAnswer::Unclear => return None,
        }
    }
    Some(answers)
}

fn judge(callback: &CheckedCallback, answers: Option<&[Option<String>; 3]>) -> Finding {
    let (name, url) = (name(callback), &callback.url);
    let Some(answers) = answers else {
        let message = format!("{name}: Supabase gave no clear answer, perhaps because of a rate limit");
        return Finding::warn(PROBE, message, "Run the check again in a minute");
    };
    let Some(leads_to) = answers.iter().flatten().next() else {
        let message = format!("{name}: the redirect allow list accepts this callback with any value of ?next=");
        return Finding::ok(PROBE, message);
    };
    let message = match answers {
        [None, None, Some(_)] => format!(
            "{name}: the redirect allow list accepts ?next=/, but not a longer path with dots and slashes, because * \
             in an entry matches neither dots nor slashes"
        ),
        [None, Some(_), _] => format!("{name}: the redirect allow list accepts this callback only without ?next="),
        [Some(_), None, None] => format!("{name}: the redirect allow list accepts this callback only with ?next="),
        _ => {
            // Leave out the query: the origin and the path are enough to recognise the page.
            let page = CallbackUrl::parse(leads_to.as_str())
                .map_or_else(|_| "another page".to_owned(), |to| to.origin_and_path());
            format!("{name}: the redirect allow list does not accept this callback, so links to {url} lead to {page}")
        }
    };
    let entry = &callback.entry;
    Finding::fail(
        PROBE,
        message,
        format!("Add both entries to Supabase's redirect allow list (Redirect URLs): {entry},{entry}\\?**"),
    )
}
