//! `magic-link-worker upstreams`: prints the state of the upstreams. Each worker also reports this state at
//! `/health/ready` and `/metrics`, but the command works even if no worker is running.

use std::io::{Write as _, stdout};

use chrono::SecondsFormat;
use outbox::{
    operate::pauses,
    upstreams::{self, Stop, StopKind, UpstreamState},
};

use super::{CommandError, connect_to_tables, pause::pause_line};
use crate::settings::DatabaseSettings;

/// Prints one line per upstream: whether the upstream is stopped or paused, and for a stop also its start, its reason
/// and the setting to check. Also prints one line per pause that an operator has set.
///
/// # Errors
/// [`CommandError::Database`] or [`CommandError::Output`].
pub async fn upstreams(settings: &DatabaseSettings) -> Result<(), CommandError> {
    let pool = connect_to_tables(settings, "magic-link-worker upstreams").await?;
    let (states, stops) = (upstreams::upstream_states(&pool).await?, upstreams::stops(&pool).await?);
    let mut out = stdout().lock();
    for state in states {
        let stop = stops.iter().find(|stop| stop.upstream == state.upstream);
        writeln!(out, "{:<9} {}", state.upstream.as_str(), describe(state, stop))?;
    }
    for pause in pauses::pauses(&pool).await? {
        writeln!(out, "{}", pause_line(&pause))?;
    }
    Ok(())
}

fn describe(state: UpstreamState, stop: Option<&Stop>) -> String {
    let pause = if state.is_paused { "paused, because it is rate-limiting us" } else { "" };
    let Some(stop) = stop else {
        return if state.is_paused { pause.to_owned() } else { "ok".to_owned() };
    };
    let kind = match stop.kind {
        StopKind::Breaker => "down (breaker open)",
        StopKind::SlowMode => "down (slow mode)",
    };
    let since = stop.since.to_rfc3339_opts(SecondsFormat::Secs, true);
    let Stop { failure, setting, .. } = stop;
    let stopped = format!("{kind} since {since}: {}: {} Check {setting}.", failure.code, sentence(&failure.message));
    if state.is_paused { format!("{stopped} Also {pause}.") } else { stopped }
}

fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) { text.to_owned() } else { format!("{text}.") }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use outbox::{Failure, Upstream};

    use super::*;

    #[test]
    fn each_state_is_described_with_the_setting_to_check() {
        let state =
            |is_slow, is_paused| UpstreamState { upstream: Upstream::Mailgun, is_open: false, is_slow, is_paused };
        let stop = Stop {
            upstream: Upstream::Mailgun,
            kind: StopKind::SlowMode,
            since: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
            failure: Failure { code: "mailgun_no_answer".to_owned(), message: "Mailgun does not answer".to_owned() },
            setting: "MAILGUN_BASE_URL".to_owned(),
        };
        assert_eq!(describe(state(false, false), None), "ok");
        assert_eq!(describe(state(false, true), None), "paused, because it is rate-limiting us");
        let down = "down (slow mode) since 2027-01-15T08:00:00Z: mailgun_no_answer: Mailgun does not answer. \
                    Check MAILGUN_BASE_URL.";
        assert_eq!(describe(state(true, false), Some(&stop)), down);
        assert_eq!(
            describe(state(true, true), Some(&stop)),
            format!("{down} Also paused, because it is rate-limiting us.")
        );
    }
}
