//! Pauses mail or one upstream for a short time, and then resumes it or lets the pause run out.

use std::time::Duration;

use outbox::operate::pauses::PauseTarget;
use rand::{Rng as _, seq::IndexedRandom as _};
use tokio::time::Instant;

use super::operator::{Act, Deed, Operator};

/// Milliseconds between two pauses. Most of the time, nothing is paused.
const INTERVAL_MS: std::ops::Range<u64> = 2_500..7_000;
/// How long a pause lasts, in milliseconds.
const LASTS_MS: std::ops::Range<u64> = 1_000..3_000;
/// Milliseconds after which an operator ends a pause. Every second pause is ended in this way; the others run out.
const RESUMED_AFTER_MS: std::ops::Range<u64> = 200..900;
/// Probability that an operator starts or ends a pause twice at the same time. Two pauses that start at the same time
/// have different lengths.
const TWICE: f64 = 0.25;

const TARGETS: [PauseTarget; 3] = [PauseTarget::Mail, PauseTarget::Supabase, PauseTarget::Mailgun];

pub(super) async fn run(mut operator: Operator, end: Instant) -> Vec<Act> {
    let mut is_resumed = false;
    while Instant::now() < end {
        is_resumed = !is_resumed;
        operator.wait(INTERVAL_MS).await;
        let target = TARGETS.choose(&mut operator.rng).unwrap().clone();
        let mut pauses = vec![];
        for _ in 0..times(&mut operator) {
            let lasts = Duration::from_millis(operator.rng.random_range(LASTS_MS));
            pauses.push(Deed::Pause(target.clone(), lasts));
        }
        operator.act(pauses).await;
        if is_resumed {
            operator.wait(RESUMED_AFTER_MS).await;
            let resumes = vec![Deed::Resume(target); times(&mut operator)];
            operator.act(resumes).await;
        } else {
            operator.wait(LASTS_MS).await;
        }
    }
    operator.act(TARGETS.map(Deed::Resume).to_vec()).await;
    operator.acts
}

fn times(operator: &mut Operator) -> usize {
    if operator.rng.random_bool(TWICE) { 2 } else { 1 }
}
