//! `--as`: requests one real link for an existing account, and checks it. Shows neither the link nor the code.

use outbox::{CallbackUrl, Email, Error, PgPool};

use super::{
    finding::{Finding, masked},
    in_time,
    supabase::Clients,
};
use crate::{
    settings::{CheckSettings, CheckedCallback, LinkStyle, PortalLinks, WorkerSettings},
    upstream::{code_gate::SAFE_CODE_DIGITS, supabase::LinkFacts, verdict::verify::LinkPathAnswer},
};

pub(super) const PROBE: &str = "supabase.link";
const REDIRECT: &str = "supabase.link-redirect";
const CODE: &str = "supabase.code";

pub(super) async fn check(settings: &CheckSettings, clients: &Clients) -> Vec<Finding> {
    let Some(account) = &settings.account else {
        let why = "This probe needs a real link: pass --as with the address of an account that belongs to you";
        return vec![Finding::skip(PROBE, why)];
    };
    match in_time(has_open_job(settings, account)).await.unwrap_or(Err(Error::TimedOut)) {
        Ok(false) => {}
        Ok(true) => {
            let why = format!("{} has an open job whose link must not be replaced: try again later", masked(account));
            return vec![Finding::skip(PROBE, why)];
        }
        Err(error) => {
            return vec![Finding::skip(PROBE, format!("Could not check whether the account has an open job: {error}"))];
        }
    }
    let checked = settings.callbacks.iter().find(|it| it.leads_through_supabase);
    let callback = checked.and_then(|checked| CallbackUrl::parse(checked.url.as_str()).ok());
    match in_time(clients.supabase.inspect_link(account, callback.as_ref())).await {
        None => vec![Finding::fail(PROBE, "Supabase did not answer in time", "See the project's Auth log")],
        Some(Err(failure)) if failure.reason.code == "unknown_user" => {
            let message = format!("{} has no account", masked(account));
            vec![Finding::fail(PROBE, message, "Pass --as with an address that has an account")]
        }
        Some(Err(failure)) => {
            let message = format!("Supabase did not create a link for {}: {}", masked(account), failure.reason.message);
            vec![Finding::fail(PROBE, message, format!("Look up {} in docs/troubleshooting.md", failure.reason.code))]
        }
        Some(Ok(facts)) => {
            let path = check_path(clients, &facts, callback.as_ref()).await;
            let links = all_links(&settings.worker);
            let leads_through_supabase = links.iter().any(|links| links.style.leads_through_supabase());
            let redirect = if leads_through_supabase {
                judge_redirect(&facts, checked)
            } else {
                Finding::skip(REDIRECT, "With this LINK_STYLE, the mailed links do not go through Supabase")
            };
            vec![
                judge_link(account, &facts, path, leads_through_supabase),
                redirect,
                judge_code(facts.code_digits, &links),
            ]
        }
    }
}

async fn has_open_job(settings: &CheckSettings, account: &Email) -> Result<bool, Error> {
    let pool: PgPool = outbox::connect(&settings.worker.database.url, 2, "magic-link-worker check")?;
    outbox::check_pooler(&pool).await?;
    outbox::inspect::has_open_job(&pool, account).await
}

/// The link settings of each portal: where its links lead, and which codes its mails show.
fn all_links(settings: &WorkerSettings) -> Vec<PortalLinks> {
    let portals = &settings.reloadable.portals;
    let of_file = portals.ids().map(|ids| {
        let links = |id: &String| portals.find(Some(id)).map(|portal| portal.links.clone());
        ids.iter().filter_map(links).collect()
    });
    of_file.unwrap_or_else(|| vec![settings.links.default.clone()])
}

/// Checks whether the link's path exists on its server. Sends a request only to a server that `LINK_ORIGINS` allows.
async fn check_path(clients: &Clients, facts: &LinkFacts, callback: Option<&CallbackUrl>) -> LinkPathAnswer {
    if !facts.is_origin_allowed {
        return LinkPathAnswer::Unclear;
    }
    let callback = callback.map_or("https://portal.example.com/", CallbackUrl::as_str);
    in_time(clients.verify.ask_link_path(&facts.verify_url, callback)).await.unwrap_or(LinkPathAnswer::Unclear)
}

fn judge_link(account: &Email, facts: &LinkFacts, path: LinkPathAnswer, leads_through_supabase: bool) -> Finding {
    let (url, origin) = (&facts.verify_url, facts.verify_url.origin().ascii_serialization());
    if !facts.is_for_recipient {
        let message = format!("Supabase returned a link for an address other than {}", masked(account));
        let action =
            "Look for a cache between the worker and Supabase that answers a request with the response to another one";
        return Finding::fail(PROBE, message, action);
    }
    if facts.is_banned {
        let message = format!("Supabase has banned {}, so the account's links do not work", masked(account));
        return Finding::warn(PROBE, message, "Pass --as with another account");
    }
    if !leads_through_supabase {
        return Finding::ok(PROBE, format!("Supabase creates links for {}", masked(account)));
    }
    if !facts.is_origin_allowed {
        let message = format!("Links lead to {origin}, which is not in LINK_ORIGINS");
        let action = format!(
            "Correct Supabase's API_EXTERNAL_URL, or set LINK_ORIGINS to {origin} if that is Supabase's address"
        );
        return Finding::fail(PROBE, message, action);
    }
    match path {
        LinkPathAnswer::Served => Finding::ok(PROBE, format!("Links lead to {url}, and this path exists")),
        LinkPathAnswer::NotFound => {
            let message = format!("Links lead to {url}, where the server responds with 404");
            Finding::fail(
                PROBE,
                message,
                "Set Supabase's MAILER_URLPATHS_* to /auth/v1/verify, and check its API_EXTERNAL_URL",
            )
        }
        LinkPathAnswer::Unclear => Finding::warn(
            PROBE,
            format!("Links lead to {url}, but it is unclear whether the server has this path"),
            "Open this URL in a browser",
        ),
    }
}

fn judge_redirect(facts: &LinkFacts, callback: Option<&CheckedCallback>) -> Finding {
    let Some(CheckedCallback { url, entry, .. }) = callback else {
        return Finding::skip(REDIRECT, "There is no callback to check: pass --callback");
    };
    if facts.redirect_to == *url {
        return Finding::ok(REDIRECT, format!("The link redirects to {url}"));
    }
    let page = CallbackUrl::parse(facts.redirect_to.as_str())
        .map_or_else(|_| "another page".to_owned(), |to| to.origin_and_path());
    Finding::fail(
        REDIRECT,
        format!("The link redirects to {page} instead of {url}"),
        format!("Add both entries to Supabase's redirect allow list (Redirect URLs): {entry},{entry}\\?**"),
    )
}

/// Checks that Supabase's codes are at least as long as every portal requires, and too long to be guessed.
fn judge_code(digits: usize, links: &[PortalLinks]) -> Finding {
    let wanted = links.iter().filter_map(|links| links.mail_code.min_digits()).max();
    match wanted {
        Some(wanted) if digits < wanted => {
            let without = if links.iter().any(|links| links.style == LinkStyle::Code) {
                "portals whose mails contain only a code send no mail"
            } else {
                "mails go out without a code"
            };
            let message =
                format!("Supabase's codes have {digits} digits, but MAIL_CODE requires {wanted} or more: {without}");
            Finding::fail(CODE, message, format!("Set Supabase's MAILER_OTP_LENGTH (Email OTP length) to {wanted}"))
        }
        _ if (1..SAFE_CODE_DIGITS).contains(&digits) => {
            let message = format!(
                "Supabase creates a code with each link. With {digits} digits, the code can be guessed even if no mail \
                 shows it"
            );
            Finding::warn(CODE, message, "Set Supabase's MAILER_OTP_LENGTH (Email OTP length) to 10")
        }
        _ => Finding::ok(CODE, format!("Supabase's codes have {digits} digits")),
    }
}
