//! The ways in which the programs connect to the primary, and the disruptions to test with each of them.

use std::time::Duration;

use crate::{balancer::OldSessions, disruption::Disruption};

/// How long people send requests in most runs.
const MINUTE: Duration = Duration::from_secs(60);
const HALF_A_MINUTE: Duration = Duration::from_secs(30);

/// A way in which the programs connect to the primary.
pub(crate) struct Variant {
    /// The name of the variant and of its database.
    pub(crate) name: &'static str,
    /// What is between the programs and the primary, as shown in the table of figures.
    pub(crate) description: &'static str,
    pub(crate) old_sessions: OldSessions,
    /// Whether PgBouncer, in session mode, is between the programs and the balancer.
    pub(crate) has_pooler: bool,
    /// The disruptions, each with the time for which people send requests.
    pub(crate) disruptions: &'static [(Disruption, Duration)],
}

pub(crate) const VARIANTS: [Variant; 3] = [
    Variant {
        name: "shutdown",
        description: "HAProxy, `shutdown-sessions`",
        old_sessions: OldSessions::ShutDown,
        has_pooler: false,
        disruptions: &[
            (Disruption::Switchover, MINUTE),
            (Disruption::Kill, MINUTE),
            (Disruption::Freeze, MINUTE),
            (Disruption::FreezeStandby, HALF_A_MINUTE),
        ],
    },
    Variant {
        name: "keep",
        description: "HAProxy keeps old sessions and notices a failover after 9 s",
        old_sessions: OldSessions::Keep,
        has_pooler: false,
        disruptions: &[(Disruption::Switchover, MINUTE), (Disruption::Kill, MINUTE), (Disruption::Freeze, MINUTE)],
    },
    Variant {
        name: "pooler",
        description: "PgBouncer, HAProxy, `shutdown-sessions`",
        old_sessions: OldSessions::ShutDown,
        has_pooler: true,
        disruptions: &[(Disruption::Switchover, HALF_A_MINUTE)],
    },
];
