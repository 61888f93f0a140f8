//! Compares the callbacks of the portals with Supabase's redirect allow list. Supabase replaces a callback that it does not allow
//! without an error, and the person lands on another page.

use outbox::CallbackUrl;

use super::{finding::Finding, in_time};
use crate::{
    runtime::redirect_checker::TEST_QUERIES,
    settings::{CheckSettings, CheckedCallback},
    upstream::{verdict::verify::RedirectAnswer, verify::VerifyClient},
};

pub(super) const PROBE: &str = "supabase.redirect";

/// Maximum number of callbacks to ask about. By default, Supabase accepts 30 such requests at once from one address,
/// and each callback takes three. The remaining six are left to the worker and to people who sign in from the same
/// address.
const MAX_CALLBACKS: usize = 8;

pub(super) async fn check(settings: &CheckSettings, client: &VerifyClient) -> Vec<Finding> {
    if settings.callbacks.is_empty() {
        let why = "The worker knows the portals' callbacks only from PORTALS_FILE: pass --callback with the URL of the callback page";
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
        let why = format!("Supabase limits these requests, so run the check with --portal for: {}", left.join(", "));
        findings.push(Finding::skip(PROBE, why));
    }
    findings.extend(other.into_iter().map(|callback| {
        Finding::skip(PROBE, format!("{}: with its LINK_STYLE, the allow list does not matter", name(callback)))
    }));
    findings
}

fn name(callback: &CheckedCallback) -> String {
    match &callback.portal {
        Some(portal) => format!("{} (portal {portal})", callback.url),
        None => callback.url.clone(),
    }
}

/// The answers for the three test URLs: `None` for an allowed one, otherwise where links would lead. Returns `None` if
/// any answer is unclear.
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
        let message = format!("{name}: Supabase gives no clear answer, perhaps because of a rate limit");
        return Finding::warn(PROBE, message, "Run the check again in a minute");
    };
    let Some(leads_to) = answers.iter().flatten().next() else {
        return Finding::ok(PROBE, format!("{name}: links may lead to it, with any value of ?next="));
    };
    let message = match answers {
        [None, None, Some(_)] => format!(
            "{name}: the redirect allow list accepts ?next=/, but not a longer path with dots and slashes, because a * \
            in an entry does not match them"
        ),
        [None, Some(_), _] => format!("{name}: the redirect allow list accepts it only without ?next="),
        [Some(_), None, None] => format!("{name}: the redirect allow list accepts it only with ?next="),
        _ => {
            // Without a query, because the URL is only needed to recognise the page.
            let page = CallbackUrl::parse(leads_to.as_str())
                .map_or_else(|_| "another page".to_owned(), |to| to.origin_and_path());
            format!("{name}: the redirect allow list does not accept it, so links to {url} lead to {page}")
        }
    };
    let entry = &callback.entry;
    Finding::fail(
        PROBE,
        message,
        format!("Add both entries to Supabase's redirect allow list (Redirect URLs): {entry},{entry}\\?**"),
    )
}
