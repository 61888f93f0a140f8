//! Probes that check whether Supabase Auth answers, accepts the key, and serves the path that links lead to.

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

/// The clients for Supabase Auth.
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
        findings.extend(rest.map(|probe| Finding::skip(probe, "This probe needs an answer from Supabase Auth")));
        return findings;
    }
    let (is_path_served, verify) = check_verify(settings, &clients).await;
    findings.push(verify);
    findings.extend(if is_path_served {
        redirects::check(settings, &clients.verify).await
    } else {
        vec![Finding::skip(redirects::PROBE, "This probe needs an answer from Supabase's /verify")]
    });
    findings.extend(if is_key_accepted {
        own_link::check(settings, &clients).await
    } else {
        vec![Finding::skip(own_link::PROBE, "This probe needs a key that Supabase Auth accepts")]
    });
    findings
}

/// Returns the findings about the connection and the key, whether Supabase Auth answered, and whether it accepts the
/// key.
fn judge(answer: &CheckResult, settings: &SupabaseClientSettings) -> (Vec<Finding>, bool, bool) {
    let reached = Finding::ok(CONNECTION, "Supabase Auth answers");
    match answer {
        CheckResult::Passed => {
            (vec![reached, Finding::ok(KEY, "Supabase Auth accepts SUPABASE_SERVICE_ROLE_KEY")], true, true)
        }
        CheckResult::Failed(failure) if is_about_key(failure) => {
            (vec![reached, Finding::fail(KEY, &failure.reason.message, key_action(settings))], true, false)
        }
        CheckResult::Failed(failure) => {
            let action = match failure.reason.code.as_str() {
                "supabase_unreachable" => {
                    "Check SUPABASE_URL, DNS, HTTPS_PROXY, SUPABASE_CA_FILE and the network".to_owned()
                }
                "supabase_wrong_url" => "Set SUPABASE_URL to the project's URL, without /auth/v1".to_owned(),
                "supabase_unavailable" | "supabase_timeout" => {
                    "Check Supabase's status page and the project's Auth log".to_owned()
                }
                _ => format!("Check {}", failure.setting(Upstream::Supabase)),
            };
            let findings = vec![
                Finding::fail(CONNECTION, &failure.reason.message, action),
                Finding::skip(KEY, "This probe needs an answer from Supabase Auth"),
            ];
            (findings, false, false)
        }
        CheckResult::Unclear => {
            let message = "It is unclear whether Supabase Auth accepts the key, perhaps because of a rate limit";
            (vec![reached, Finding::warn(KEY, message, "Run the check again in a minute")], true, false)
        }
    }
}

/// What to do about a key that Supabase Auth refuses. If the key belongs to a project other than the one in
/// `SUPABASE_URL`, the text includes the key's project.
fn key_action(settings: &SupabaseClientSettings) -> String {
    let action = "Set SUPABASE_SERVICE_ROLE_KEY to this project's secret key (sb_secret_…), or to its service_role JWT";
    let is_in_url =
        |project: &String| settings.url.host_str().is_some_and(|host| host.split('.').next() == Some(project.as_str()));
    match project_of_key(&settings.key).filter(|project| !is_in_url(project)) {
        Some(project) => format!("{action}. The current key belongs to the project {project}: also check SUPABASE_URL"),
        None => action.to_owned(),
    }
}

fn is_about_key(failure: &UpstreamFailure) -> bool {
    failure.setting(Upstream::Supabase) == "SUPABASE_SERVICE_ROLE_KEY"
}

/// Returns whether the path that links lead to exists or could exist, and the finding about it.
async fn check_verify(settings: &CheckSettings, clients: &Clients) -> (bool, Finding) {
    let url = clients.verify.endpoint();
    let callback = settings.callbacks.first().map_or("https://portal.example.com/", |callback| callback.url.as_str());
    match in_time(clients.verify.ask_link_path(url, callback)).await.unwrap_or(LinkPathAnswer::Unclear) {
        LinkPathAnswer::Served => (true, Finding::ok(VERIFY, format!("The path of {url} exists"))),
        LinkPathAnswer::NotFound => {
            let message = format!("{url} responds with 404, so links do not work");
            let action = "Configure the gateway in front of Supabase Auth to forward /auth/v1/verify, and set \
                          MAILER_URLPATHS_* to /auth/v1/verify";
            (false, Finding::fail(VERIFY, message, action))
        }
        LinkPathAnswer::Unclear => {
            let message = format!("{url} gave no clear answer, perhaps because of a rate limit");
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
