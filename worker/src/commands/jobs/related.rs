//! Reads the history of a job: the job itself, and all records that explain its state.

use chrono::{DateTime, Utc};
use outbox::{
    JobState, PgPool,
    history::story::{self, JobDetails, RelatedJob, ReportedEvent, Suppression, TriedStep},
    operate::{
        actions::{self, JobAction, JobRetry},
        pauses::{self, Pause, PauseTarget},
    },
    upstreams::{self, Stop, UpstreamState},
};

use crate::commands::CommandError;

/// A job, with all records that explain its state.
#[derive(Debug, Clone)]
pub(super) struct Story {
    /// The job.
    pub(super) job: JobDetails,
    /// The callback without its query. `None` if the database role is not allowed to read callbacks.
    pub(super) callback: Option<String>,
    /// The steps that workers tried, in chronological order.
    pub(super) steps: Vec<TriedStep>,
    /// The events that Mailgun reported, in chronological order.
    pub(super) events: Vec<ReportedEvent>,
    /// For a superseded job: the job whose mail the person gets instead.
    pub(super) replaced_by: Option<RelatedJob>,
    /// The operators' actions on the job, in chronological order.
    pub(super) actions: Vec<JobAction>,
    /// The retry of the job, if an operator has filed one.
    pub(super) retry: Option<JobRetry>,
    /// The retry that created this job, if it was created by a retry.
    pub(super) retry_of: Option<JobRetry>,
    /// The pauses that hold up the job. Empty if the job has ended.
    pub(super) pauses: Vec<Pause>,
    /// The recipient's suppression, if it is still in force.
    pub(super) suppression: Option<Suppression>,
    /// The upstreams that are stopped.
    pub(super) stops: Vec<Stop>,
    /// Both upstreams.
    pub(super) upstreams: Vec<UpstreamState>,
    /// The time just before the job and its records were read, by Postgres's clock.
    pub(super) now: DateTime<Utc>,
}

impl Story {
    /// Reads all records that explain the state of a job.
    pub(super) async fn of(pool: &PgPool, job: JobDetails, now: DateTime<Utc>) -> Result<Self, CommandError> {
        let replaced_by = match (job.state, job.code.as_deref()) {
            (JobState::Superseded, Some("duplicate")) => story::repeated(pool, &job).await?,
            (JobState::Superseded, _) => story::successor(pool, &job).await?,
            _ => None,
        };
        let suppression = story::suppression(pool, &job.recipient).await?;
        let (retry, retry_of) = actions::retries_of(pool, job.id).await?;
        let mut pauses = if job.state.is_open() { pauses::pauses(pool).await? } else { vec![] };
        pauses.retain(|pause| match pause.target.parse() {
            Ok(PauseTarget::Portal(id)) => job.portal.as_deref() == Some(&id),
            _ => true,
        });
        Ok(Self {
            actions: actions::of_job(pool, job.id).await?,
            retry,
            retry_of,
            pauses,
            callback: story::callback(pool, job.id).await?,
            steps: story::steps(pool, &[job.id], DateTime::UNIX_EPOCH).await?,
            events: story::events(pool, job.id).await?,
            replaced_by,
            suppression: suppression.filter(|suppression| suppression.until > now),
            stops: upstreams::stops(pool).await?,
            upstreams: upstreams::upstream_states(pool).await?,
            job,
            now,
        })
    }
}
