//! Probes for settings that are valid individually but do not fit together.

use std::time::Duration;

use super::finding::Finding;
use crate::settings::{CheckSettings, MIN_LINK_LIFETIME};

/// The longest time that a claimed job should wait because of `MAILGUN_RATE`. While it waits, no other worker can send
/// its mail.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Checks whether individually valid settings also fit together.
pub(super) fn check(settings: &CheckSettings) -> Vec<Finding> {
    let CheckSettings { worker: settings, job_deadline, .. } = settings;
    let limits = &settings.limits;
    let mut findings: Vec<Finding> = settings
        .warnings()
        .into_iter()
        .map(|warning| Finding::warn(warning.probe, warning.problem, warning.action))
        .collect();
    findings.extend(check_lease(limits.lease, limits.upstream_timeout));
    findings.extend(check_rate(limits.concurrency, settings.mailgun.rate.interval()));
    findings.extend(job_deadline.and_then(|deadline| check_lifetime(limits.link_lifetime, deadline)));
    if findings.is_empty() {
        findings.push(Finding::ok("settings.fit", "The settings fit together"));
    }
    findings
}

/// Checks that a lease is longer than a call. While a worker that cannot reach Postgres waits for the response to its
/// last call, another worker must not take over the job.
fn check_lease(lease: Duration, timeout: Duration) -> Option<Finding> {
    if lease > timeout {
        return None;
    }
    let wanted = timeout.as_secs() * 2 + 1;
    let message = format!(
        "LEASE_SECONDS ({} s) is not longer than UPSTREAM_TIMEOUT ({} s), so another worker may take over a job while \
         a call for it is still running, and the person may get two mails",
        lease.as_secs(),
        timeout.as_secs()
    );
    Some(Finding::warn("settings.lease", message, format!("Set LEASE_SECONDS to {wanted} or more")))
}

/// Checks that a link still works if its mail is sent right at the job's deadline. The api refuses to start if its own
/// `LINK_LIFETIME` is too short, but the worker's `LINK_LIFETIME` may differ from the api's.
fn check_lifetime(lifetime: Duration, deadline: Duration) -> Option<Finding> {
    let wanted = deadline + MIN_LINK_LIFETIME;
    if lifetime >= wanted {
        return None;
    }
    let message = format!(
        "LINK_LIFETIME ({} s) is less than JOB_DEADLINE ({} s) plus five minutes, so a late mail could contain an \
         expired link",
        lifetime.as_secs(),
        deadline.as_secs()
    );
    let action = format!(
        "Set LINK_LIFETIME and Supabase's MAILER_OTP_EXP to {}s or more, or lower JOB_DEADLINE",
        wanted.as_secs()
    );
    Some(Finding::warn("settings.lifetime", message, action))
}

fn check_rate(concurrency: usize, interval: Duration) -> Option<Finding> {
    let seconds = interval.as_secs_f64();
    let wait = seconds * concurrency as f64;
    if wait <= LONGEST_WAIT.as_secs_f64() {
        return None;
    }
    let fitting = (LONGEST_WAIT.as_nanos() / interval.as_nanos().max(1)).max(1);
    let message = format!(
        "WORKER_CONCURRENCY ({concurrency}) is too large for MAILGUN_RATE: a claimed job may wait {wait:.0} s, and no \
         other worker can send its mail in the meantime"
    );
    Some(Finding::warn(
        "settings.rate",
        message,
        format!("Set WORKER_CONCURRENCY to {fitting} or less, or raise MAILGUN_RATE"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_must_be_longer_than_a_call() {
        let seconds = Duration::from_secs;
        assert_eq!(check_lease(seconds(30), seconds(12)), None);
        for (lease, timeout, wanted) in [(12, 12, "25 or more"), (5, 30, "61 or more")] {
            let action = check_lease(seconds(lease), seconds(timeout)).unwrap().action.unwrap();
            assert!(action.ends_with(wanted), "{action}");
        }
    }

    #[test]
    fn a_link_must_outlive_the_deadline_by_five_minutes() {
        let minutes = Duration::from_mins;
        assert_eq!(check_lifetime(minutes(20), minutes(15)), None);
        let action = check_lifetime(minutes(19), minutes(15)).unwrap().action.unwrap();
        assert!(action.contains("to 1200s or more"), "{action}");
    }

    #[test]
    fn claimed_jobs_must_not_wait_long_for_the_rate_limit() {
        assert_eq!(check_rate(64, Duration::from_millis(50)), None);
        assert_eq!(check_rate(60, Duration::from_secs(1)), None);
        let action = check_rate(64, Duration::from_secs(6)).unwrap().action.unwrap();
        assert_eq!(action, "Set WORKER_CONCURRENCY to 10 or less, or raise MAILGUN_RATE");
    }
}
