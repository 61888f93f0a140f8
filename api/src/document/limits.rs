//! The limits in the guide's table: this server's own limits, or the default limits in the committed document.

use std::{fmt::Write as _, time::Duration};

use outbox::{EnqueuePolicy, Quota, Quotas, parse_duration};

use crate::settings::defaults;

/// The part of the guide that [`PublishedLimits::fill_in`] replaces.
const PLACEHOLDER: &str = "<!-- limits -->\n";

/// The limits that the OpenAPI document publishes.
#[derive(Debug, Clone)]
pub struct PublishedLimits {
    pub(crate) per_network: Quota,
    pub(crate) admission: EnqueuePolicy,
    pub(crate) link_lifetime: Duration,
}

impl Default for PublishedLimits {
    /// The limits of a server with default settings.
    fn default() -> Self {
        const VALID: &str = "the defaults are valid: a test parses them";
        Self {
            per_network: defaults::IP_RATE_LIMIT.parse().expect(VALID),
            admission: EnqueuePolicy {
                per_recipient: defaults::RECIPIENT_RATE_LIMIT.parse().expect(VALID),
                per_recipient_and_client: defaults::RECIPIENT_CLIENT_RATE_LIMIT.parse().expect(VALID),
                duplicate_window: parse_duration(defaults::DUPLICATE_WINDOW).expect(VALID),
                deadline: parse_duration(defaults::JOB_DEADLINE).expect(VALID),
            },
            link_lifetime: parse_duration(defaults::LINK_LIFETIME).expect(VALID),
        }
    }
}

impl PublishedLimits {
    /// Replaces the placeholder in the guide with a table.
    pub(super) fn fill_in(&self, guide: &str) -> String {
        let EnqueuePolicy { per_recipient, per_recipient_and_client, duplicate_window, deadline } = &self.admission;
        let rows = [
            ("Requests from one network", quota(&self.per_network)),
            ("Requests for one address from all networks", quotas(per_recipient)),
            ("Requests for one address from one network", quotas(per_recipient_and_client)),
            ("A repeat of the same request counts as a double click within", duration(*duplicate_window)),
            ("A mail that could not be sent expires after", duration(*deadline)),
            ("A link works for", duration(self.link_lifetime)),
        ];
        let mut table = "| limit | on this server |\n|---|---|\n".to_owned();
        for (name, value) in rows {
            // Writing to a string cannot fail.
            writeln!(table, "| {name} | {value} |").ok();
        }
        guide.replace(PLACEHOLDER, &table)
    }
}

/// Formats a quota: `30 per minute`, `10 per 15 minutes`.
fn quota(Quota { limit, window }: &Quota) -> String {
    let window = duration(*window);
    format!("{limit} per {}", window.strip_prefix("1 ").unwrap_or(&window))
}

/// Formats quotas: `10 per 15 minutes and 30 per day`.
fn quotas(quotas: &Quotas) -> String {
    quotas.iter().map(quota).collect::<Vec<_>>().join(" and ")
}

/// Formats a whole number of seconds in the largest unit that divides it: `90 seconds`, `15 minutes`, `1 day`.
fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let units = [(86_400, "day"), (3_600, "hour"), (60, "minute")];
    let (unit, name) = units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "second"));
    let number = seconds / unit;
    format!("{number} {name}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_are_written_in_words() {
        for (text, expected) in [
            ("30/1m", "30 per minute"),
            ("10/15m,30/1d", "10 per 15 minutes and 30 per day"),
            ("1/90s", "1 per 90 seconds"),
            ("5/120s", "5 per 2 minutes"),
            ("1000/1s", "1000 per second"),
            ("2/36h", "2 per 36 hours"),
        ] {
            assert_eq!(quotas(&text.parse().unwrap()), expected);
        }
    }

    #[test]
    fn the_table_replaces_the_placeholder() {
        let guide = PublishedLimits::default().fill_in("before\n\n<!-- limits -->\n\nafter\n");
        assert!(guide.starts_with(
            "before\n\n| limit | on this server |\n|---|---|\n| Requests from one network | 30 per minute |\n"
        ));
        assert!(guide.ends_with("| A link works for | 1 hour |\n\nafter\n"));
    }
}
