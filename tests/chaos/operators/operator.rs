//! An operator, and the outcome of each action.

use std::time::Duration;

use futures_util::future::join_all;
use outbox::{
    Error, JobId, PgPool, in_time,
    operate::{
        actions::ActionOutcome,
        cancel,
        pauses::{self, PauseTarget},
        retries,
    },
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use sandbox::Role;
use sqlx::FromRow;
use tests::{TestSystem, record::now};
use tokio::time::{sleep, timeout};

use crate::people;

/// Time between two attempts to look up an action while Postgres is down.
const PACE: Duration = Duration::from_millis(50);

/// Maximum time to query jobs. If a query fails or takes longer, for example during an outage, the operator acts on
/// jobs from an earlier query.
const LONGEST_LOOK: Duration = Duration::from_millis(500);

/// Ends the sessions of one operator ($1), so that an action cannot take effect after it has been looked up.
const END_SESSIONS: &str = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where application_name = $1";
const TOOK_EFFECT: &str = "select exists (select from operator_actions where reason = $1)";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Cancel(JobId),
    Retry(JobId),
    Pause(PauseTarget, Duration),
    Resume(PauseTarget),
}

/// An action by an operator.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(crate) deed: Deed,
    /// The operator's reason. It is unique, so it identifies the action's row in `operator_actions`.
    pub(crate) reason: String,
    /// An operator's actions that began at the same time have the same number.
    pub(crate) batch: usize,
    /// When the action began.
    pub(crate) from: f64,
    /// When the answer arrived, or when the action was looked up.
    pub(crate) to: f64,
    pub(crate) outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Postgres answered. The codes of pauses and resumes are `paused`, `resumed` and `not_paused`.
    Answered(ActionOutcome),
    /// No answer arrived. The action was then looked up in `operator_actions`.
    LookedUp { error: String, took_effect: bool },
}

impl Deed {
    /// The value of `operator_actions.action`.
    pub(crate) fn action(&self) -> &'static str {
        match self {
            Self::Cancel(_) => "cancel",
            Self::Retry(_) => "retry",
            Self::Pause(..) => "pause",
            Self::Resume(_) => "resume",
        }
    }

    /// The id of the job, or the target of the pause.
    pub(crate) fn object(&self) -> String {
        match self {
            Self::Cancel(job) | Self::Retry(job) => job.to_string(),
            Self::Pause(target, _) | Self::Resume(target) => target.to_string(),
        }
    }

    async fn perform(&self, pool: &PgPool, reason: &str) -> Result<ActionOutcome, Error> {
        let outcome = |code: &str| ActionOutcome { code: code.to_owned(), message: String::new() };
        match self {
            Self::Cancel(job) => cancel::cancel(pool, *job, Some(reason)).await,
            Self::Retry(job) => retries::file(pool, *job, Some(reason)).await,
            Self::Pause(target, lasts) => pauses::pause(pool, target, reason, *lasts).await.map(|_| outcome("paused")),
            Self::Resume(target) => {
                let resumed = pauses::resume(pool, target, Some(reason)).await;
                resumed.map(|resumed| outcome(if resumed { "resumed" } else { "not_paused" }))
            }
        }
    }
}

impl Act {
    /// The outcome's code. `None` if no answer arrived.
    pub(crate) fn code(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Answered(outcome) => Some(&outcome.code),
            Outcome::LookedUp { .. } => None,
        }
    }

    /// Whether the action took effect. `None` for `cancelling`, because that code is also returned if an earlier action
    /// cancelled the job.
    pub(crate) fn took_effect(&self) -> Option<bool> {
        match &self.outcome {
            Outcome::LookedUp { took_effect, .. } => Some(*took_effect),
            Outcome::Answered(outcome) => match outcome.code.as_str() {
                "cancelling" => None,
                code => Some(["cancelled", "filed", "paused", "resumed"].contains(&code)),
            },
        }
    }
}

#[derive(Debug)]
pub(crate) struct Operator {
    name: &'static str,
    /// Connections that use the operators' role.
    pool: PgPool,
    /// Connections for picking jobs and looking up actions.
    admin: PgPool,
    pub(crate) rng: StdRng,
    pub(crate) acts: Vec<Act>,
    batches: usize,
}

impl Operator {
    pub(crate) fn new(system: &TestSystem, name: &'static str, seed: u64) -> Self {
        // Two actions may run at the same time, and each needs a connection.
        let pool = outbox::connect(&system.url_as(Role::Operator).into(), 2, name).unwrap();
        let (admin, rng) = (system.admin.clone(), StdRng::seed_from_u64(seed));
        Self { name, pool, admin, rng, acts: vec![], batches: 0 }
    }

    /// Waits for a random time in this range of milliseconds.
    pub(crate) async fn wait(&mut self, millis: std::ops::Range<u64>) {
        sleep(Duration::from_millis(self.rng.random_range(millis))).await;
    }

    /// Returns the rows of a query, or `None` if the query fails or takes too long, for example while Postgres is down.
    pub(crate) async fn rows<T>(&self, query: &'static str) -> Option<Vec<T>>
    where
        T: for<'r> FromRow<'r, sqlx::postgres::PgRow> + Send + Unpin,
    {
        timeout(LONGEST_LOOK, sqlx::query_as(query).fetch_all(&self.admin)).await.ok()?.ok()
    }

    /// Performs these actions at the same time.
    pub(crate) async fn act(&mut self, deeds: Vec<Deed>) {
        let mut reasons = vec![];
        for number in 0..deeds.len() {
            // The reason contains an address. The test fails if a program logs the reason, because no log may contain
            // an address.
            let person = people::address(self.rng.random_range(0..people::PEOPLE));
            reasons.push(format!("{} {}.{number}: requested by {person}", self.name, self.batches));
        }
        let acts = deeds.into_iter().zip(reasons).map(async |(deed, reason)| {
            let from = now();
            let answer = deed.perform(&self.pool, &reason).await;
            let outcome = match answer {
                Ok(outcome) => Outcome::Answered(outcome),
                Err(error) => Outcome::LookedUp { error: error.to_string(), took_effect: false },
            };
            Act { deed, reason, batch: self.batches, from, to: now(), outcome }
        });
        let mut acts = join_all(acts).await;
        for act in &mut acts {
            if let Outcome::LookedUp { took_effect, .. } = &mut act.outcome {
                *took_effect = self.look_up(&act.reason).await;
                act.to = now();
            }
        }
        self.batches += 1;
        self.acts.extend(acts);
    }

    /// Looks up whether an action took effect. Retries until Postgres answers.
    async fn look_up(&self, reason: &str) -> bool {
        loop {
            let found = in_time(async {
                sqlx::query(END_SESSIONS).bind(self.name).execute(&self.admin).await?;
                Ok(sqlx::query_scalar(TOOK_EFFECT).bind(reason).fetch_one(&self.admin).await?)
            });
            match found.await {
                Ok(took_effect) => return took_effect,
                Err(_) => sleep(PACE).await,
            }
        }
    }
}
