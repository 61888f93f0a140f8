//! `magic-link-worker check`: finds problems that would keep mails from arriving. Operators run it before the first
//! request and during an outage. The command sends no mail and changes nothing, except that `--as` replaces the current
//! link of one account.
//!
//! The probes are grouped into files by system, and the systems are checked in parallel. A probe has a name and returns
//! a `Finding`, which includes what to do. With `--peer`, the command runs none of these probes, and shows only whose
//! rate limit a request counts against.

mod caller;
mod dns;
mod dns_records;
mod dns_resolver;
mod finding;
mod mailgun;
mod own_link;
mod postgres;
mod redirects;
mod report;
mod settings_fit;
mod supabase;
mod webhooks;

use std::time::Duration;

use finding::{Finding, ProbeResult};
use report::{Progress, Secrets};

use super::CommandError;
use crate::settings::{CallerQuestion, CheckSettings};

/// Maximum time for one probe.
const PROBE_LIMIT: Duration = Duration::from_secs(15);
/// Maximum time for one call to an upstream. Shorter than [`PROBE_LIMIT`], so that the call can still report its own
/// error.
const CALL_LIMIT: Duration = Duration::from_secs(12);

/// Runs all probes and prints their findings. Returns true if no probe failed.
///
/// # Errors
/// [`CommandError::Output`].
pub async fn check(settings: &CheckSettings) -> Result<bool, CommandError> {
    let progress = Progress::new(!settings.is_json);
    let (postgres, supabase, (mailgun, dns)) = tokio::join!(
        progress.of("Postgres", postgres::check(settings)),
        progress.of("Supabase Auth", supabase::check(settings)),
        async {
            let (findings, domain) = progress.of("Mailgun", mailgun::check(settings)).await;
            // The DNS probes run after the Mailgun probes, because Mailgun reports the names of the DKIM records.
            (findings, progress.of("DNS", dns::check(settings, domain.as_ref())).await)
        },
    );
    progress.end();
    let findings: Vec<Finding> =
        [settings_fit::check(settings), postgres, supabase, mailgun, dns].into_iter().flatten().collect();
    report::print(&findings, &Secrets::of(&settings.worker), settings.is_json)?;
    Ok(findings.iter().all(|finding| finding.result != ProbeResult::Fail))
}

/// Prints whose rate limit a request counts against.
///
/// # Errors
/// [`CommandError::Output`].
pub fn check_caller(question: &CallerQuestion) -> Result<(), CommandError> {
    report::print(&caller::check(question), &Secrets::default(), question.is_json)
}

/// Waits for the result of a probe. Returns `None` if the probe takes longer than [`PROBE_LIMIT`].
async fn in_time<T>(probe: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(PROBE_LIMIT, probe).await.ok()
}
