//! Probes of Supabase Auth: whether it answers, accepts the key and serves the path of links.

use outbox::Upstream;

use super::{CALL_LIMIT, finding::Finding, in_time, own_link, redirects};
use crate::{
    settings::{CheckSettings, SupabaseClientSettings, project_of_key},
    upstream::{
        check::CheckResult,
        supabase::SupabaseClient,
        verdict::{UpstreamFailure, verify::LinkPathAnswer},
        verify::VerifyClient,
    },
};

const CONNECTION: &str = "supabase.connection";
const KEY: &str = "supabase.key";
const VERIFY: &str = "supabase.verify";

/// The clients of Supabase Auth.
pub(super) struct Clients {
    pub(super) supabase: SupabaseClient,
    pub(super) verify: VerifyClient,
}

impl Clients {
    fn new(settings: &CheckSettings) -> anyhow::Result<Self> {
        let worker = &settings.worker;
        let timeout = worker.limits.upstream_timeout.min(CALL_LIMIT);
        let supabase = SupabaseClient::new(&worker.supabase, &worker.mailgun.domain, timeout)?;
        Ok(Self { supabase, verify: VerifyClient::new(&worker.supabase, timeout)? })
    }
}

pub(super) async fn check(settings: &CheckSettings) -> Vec<Finding> {
    let clients = match Clients::new(settings) {
        Ok(clients) => clients,
        Err(error) => {
            return vec![Finding::fail(
                CONNECTION,
                format!("The HTTP client cannot be created: {error}"),
                "Check SUPABASE_URL and SUPABASE_CA_FILE",
            )];
        }
    };
    let answer = in_time(clients.supabase.check(settings.worker.limits.upstream_timeout.min(CALL_LIMIT)))
        .await
        .unwrap_or(CheckResult::Unclear);
    let (mut findings, is_reached, is_key_accepted) = judge(&answer, &settings.worker.supabase);
    if !is_reached {
        let rest = [VERIFY, redirects::PROBE, own_link::PROBE];
        findings.extend(rest.map(|probe| Finding::skip(probe, "Supabase Auth must answer first")));
        return findings;
    }
    let (is_path_served, verify) = check_verify(settings, &clients).await;
    findings.push(verify);
    findings.extend(if is_path_served {
        redirects::check(settings, &clients.verify).await
    } else {
        vec![Finding::skip(redirects::PROBE, "Supabase's /verify must answer first")]
    });
    findings.extend(if is_key_accepted {
        own_link::check(settings, &clients).await
    } else {
        vec![Finding::skip(own_link::PROBE, "Supabase must accept the key first")]
    });
    findings
}

/// The findings about the connection and the key, whether Supabase Auth answered, and whether it accepts the key.
fn judge(answer: &CheckResult, settings: &SupabaseClientSettings) -> (Vec<Finding>, bool, bool) {
    let reached = Finding::ok(CONNECTION, "Supabase Auth answers");
    match answer {
        CheckResult::Passed => (vec![reached, Finding::ok(KEY, "Supabase Auth accepts the key")], true, true),
        CheckResult::Failed(failure) if is_about_key(failure) => {
            (vec![reached, Finding::fail(KEY, &failure.reason.message, key_action(settings))], true, false)
        }
        CheckResult::Failed(failure) => {
            let action = match failure.reason.code.as_str() {
                "supabase_unreachable" => {
                    "Check SUPABASE_URL, DNS, HTTPS_PROXY, SUPABASE_CA_FILE and the network in between".to_owned()
                }
                "supabase_wrong_url" => "Set SUPABASE_URL to the project's URL, without /auth/v1".to_owned(),
                "supabase_unavailable" | "supabase_timeout" => {
                    "See Supabase's status page, and the project's Auth log".to_owned()
                }
                _ => format!("Check {}", failure.setting(Upstream::Supabase)),
            };
            let findings = vec![
                Finding::fail(CONNECTION, &failure.reason.message, action),
                Finding::skip(KEY, "Supabase Auth must answer first"),
            ];
            (findings, false, false)
        }
        CheckResult::Unclear => {
            let message =
                "The answer does not show whether Supabase Auth accepts the key, perhaps because of a rate limit";
            (vec![reached, Finding::warn(KEY, message, "Run the check again in a minute")], true, false)
        }
    }
}

/// Says which project the key belongs to if the key names it and the URL does not.
fn key_action(settings: &SupabaseClientSettings) -> String {
    let action =
        "Set SUPABASE_SERVICE_ROLE_KEY to this project's secret key (sb_secret_…), or to the JWT of its service_role";
    let is_in_url =
        |project: &String| settings.url.host_str().is_some_and(|host| host.split('.').next() == Some(project.as_str()));
    match project_of_key(&settings.key).filter(|project| !is_in_url(project)) {
        Some(project) => format!("{action}. The present key belongs to the project {project}: check SUPABASE_URL, too"),
        None => action.to_owned(),
    }
}

fn is_about_key(failure: &UpstreamFailure) -> bool {
    failure.setting(Upstream::Supabase) == "SUPABASE_SERVICE_ROLE_KEY"
}

/// Whether the path of links may be served, and the finding.
async fn check_verify(settings: &CheckSettings, clients: &Clients) -> (bool, Finding) {
    let url = clients.verify.endpoint();
    let callback = settings.callbacks.first().map_or("https://portal.example.com/", |callback| callback.url.as_str());
    match in_time(clients.verify.ask_link_path(url, callback)).await.unwrap_or(LinkPathAnswer::Unclear) {
        LinkPathAnswer::Served => (true, Finding::ok(VERIFY, format!("{url} is served"))),
        LinkPathAnswer::NotFound => {
            let message = format!("{url} answers with 404, so links do not work");
            let action = "Let the gateway in front of Supabase Auth pass /auth/v1/verify on, and set MAILER_URLPATHS_* to /auth/v1/verify";
            (false, Finding::fail(VERIFY, message, action))
        }
        LinkPathAnswer::Unclear => {
            let message = format!("{url} gives no clear answer, perhaps because of a rate limit");
            (
                true,
                Finding::warn(
                    VERIFY,
                    message,
                    "Run the check again in a minute. If the answer is still unclear, open this URL in a browser",
                ),
            )
        }
    }
}
