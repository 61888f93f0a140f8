//! One run: how long, and from which seed.

use std::{env, time::Duration};

/// Long enough to meet every trouble.
pub(crate) const USUAL_TIME: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) seed: u64,
    /// Of the troubles; the drain comes on top.
    pub(crate) time: Duration,
}

impl Run {
    /// As `CHAOS_SEED` and `CHAOS_SECONDS` say; empty ones count as not set.
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str| {
            let text = env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|error| panic!("{name}={text}: {error}")))
        };
        Self {
            // Short enough to be copied by hand.
            seed: number("CHAOS_SEED").unwrap_or_else(|| rand::random_range(0..1_000_000)),
            time: number("CHAOS_SECONDS").map_or(USUAL_TIME, Duration::from_secs),
        }
    }
}
