//! Duration and seed of a run.

use std::{env, time::Duration};

/// The usual duration of a run. A run that lasts at least this long must reach every situation (see `not_reached`).
pub(crate) const USUAL_TIME: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Duration of the faults. The drain is not included.
    pub(crate) time: Duration,
}

impl Run {
    /// Reads `CHAOS_SEED` and `CHAOS_SECONDS`. An empty variable counts as unset.
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str| {
            let text = env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
        };
        Self {
            // A seed that is short enough to copy by hand.
            seed: number("CHAOS_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000)),
            time: number("CHAOS_SECONDS").map_or(USUAL_TIME, Duration::from_secs),
        }
    }
}
