//! Everything that the story of a job needs: the job, and what explains it.

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

/// A job with what explains it.
#[derive(Debug, Clone)]
pub(super) struct Story {
    /// The job.
    pub(super) job: JobDetails,
    /// The callback without its query. `None` if the role may not read it.
    pub(super) callback: Option<String>,
    /// What workers tried, in order of time.
    pub(super) steps: Vec<TriedStep>,
    /// What Mailgun reported, in order of time.
    pub(super) events: Vec<ReportedEvent>,
    /// For a superseded job: the job whose mail the person gets instead.
    pub(super) replaced_by: Option<RelatedJob>,
    /// What operators did to the job, in order of time.
    pub(super) actions: Vec<JobAction>,
    /// The retry of the job, if an operator has filed one.
    pub(super) retry: Option<JobRetry>,
    /// The retry that added the job, if one did.
    pub(super) retry_of: Option<JobRetry>,
    /// The pauses that hold the job, if it is open.
    pub(super) pauses: Vec<Pause>,
    /// The suppression of the recipient, if it is still in force.
    pub(super) suppression: Option<Suppression>,
    /// The upstreams that are stopped.
    pub(super) stops: Vec<Stop>,
    /// Both upstreams.
    pub(super) upstreams: Vec<UpstreamState>,
    /// When all this was read, by Postgres's clock.
    pub(super) now: DateTime<Utc>,
}

impl Story {
    /// Reads what explains a job.
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
