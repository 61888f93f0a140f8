//! The outbox: the job tables and everything that the two programs do with these tables.
//!
//! The api enqueues jobs (`enqueue`). A worker claims each job, stores the link before mailing it, and records how the
//! job ended (`running`). Periodic tasks rescue jobs whose worker died, expire late jobs and delete old rows
//! (`maintenance`). Mailgun's reports update a job after its mail has been handed to Mailgun (`reports`), and `monitor`
//! tracks the state of the queue and of the upstreams. `group_commit` combines many of these writes into one
//! transaction. `history` reads what operators want to know about jobs. `operate` contains the operators' actions:
//! cancelling and retrying jobs, and pausing mail.
//!
//! All SQL statements of the two programs are in this crate. The crate knows nothing about HTTP or mail. Deadlines,
//! leases, pauses and quotas are measured by Postgres's clock. Every write that a delivery makes to its job includes
//! the job's [`Lease`]. If another worker has claimed the job in the meantime, the write changes nothing.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod enqueue;
mod group_commit;
pub mod history;
mod maintenance;
mod model;
mod monitor;
pub mod operate;
mod postgres;
mod reports;
mod running;
#[cfg(feature = "test-support")]
pub mod test_support;

pub use enqueue::request::{EnqueuePolicy, Enqueued, NewJob};
pub use group_commit::{CommitError, GroupCommit, OnCommit};
pub use maintenance::{
    expire::expire,
    forget::{Forgotten, forget},
    forget_idle_quotas::{LONGEST_DUPLICATE_WINDOW, forget_idle_quotas},
    rescue::{Rescued, rescue},
    roll_up::{forget_hours, roll_up},
};
pub use model::{
    callback_url::{CallbackUrl, CallbackUrlError},
    code_point::CodePoint,
    delivery_status::DeliveryStatus,
    duration::parse_duration,
    email::{Email, EmailError},
    ended_job::EndedJob,
    failure::Failure,
    job_id::{JobId, Lease},
    job_state::JobState,
    mailbox::Mailbox,
    quota::{Quota, Quotas},
    shown_host::{ShownHost, ShownHostError},
    step::{Step, StepOutcome, StepRecord},
    upstream::Upstream,
};
pub use monitor::{
    backlog::{Backlog, backlog},
    capacity::{Load, PausedPortal, QueueState, publish_capacity, queue_state},
    programs, redirect_checks, upstreams,
};
pub use postgres::{
    connect::{check_url, connect, outage_reason},
    database_url::DatabaseUrlError,
    error::{Error, OutageKind, OutageReason, ReasonSource, in_time},
    inspect,
    job_listener::JobListener,
    partitions,
    pooler::{PoolerMonitor, check_pooler},
    schema::{ProgramKind, check_schema, migrate},
};
pub use reports::{
    events::{
        DeliveryEvent, LONGEST_REPORT_AGE, Report, ReportOutcome, ReportStatus, SignedToken, SuppressionOutcome,
        forget_reports, take_reports,
    },
    mailgun_event::{MailgunEvent, Malformed},
    reconcile,
    redact::redact,
    suppression::{self, SuppressionReason},
};
pub use running::{
    claim::{ClaimOptions, ClaimedJob, SealedLink, claim, claim_probe, next_due, promote_due, renew_leases},
    finish::{Finish, JobEnd, Recorded, finish},
    queue_cursor::QueueCursor,
    requeue::{Requeue, Requeued, SuspectedFailure, requeue},
    seal::{NewLink, Seal, SendDecision},
    step_records::steps_with_code,
};
pub use sqlx::PgPool;
