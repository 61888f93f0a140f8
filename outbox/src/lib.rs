//! The outbox: the jobs' table and everything that may be done with it.
//!
//! The api [`enqueue()`]s; a worker [`claim()`]s, [`seal()`]s the link it was given, and records how it ended
//! ([`finish()`], [`put_back()`]); housekeeping [`rescue()`]s, [`expire()`]s and keeps the [`partitions`]. Every SQL
//! statement of the project stands in this crate, one function each; it knows neither HTTP nor a mail.
//!
//! All times are Postgres's clock. Every write of a running job names its [`Lease`]: one that another
//! worker has taken over changes nothing.

mod attempts;
mod backlog;
mod capacity;
mod claim;
mod connect;
mod delivery;
mod email;
mod enqueue;
mod error;
mod events;
mod expire;
mod finish;
mod forget;
mod forget_idle_quotas;
mod group_commit;
mod job;
mod mailgun_event;
pub mod partitions;
mod put_back;
mod queue_head;
mod quota;
pub mod reconcile;
mod redact;
mod rescue;
mod roll_up;
mod seal;
mod session;
pub mod settings;
pub mod suppression;
pub mod upstreams;
mod wake;

pub use attempts::{JournalEntry, attempts_with_code};
pub use backlog::{Backlog, backlog};
pub use capacity::{Load, load, publish_capacity};
pub use claim::{ClaimOptions, ClaimedJob, SealedLink, claim, next_due, promote_due, renew_leases};
pub use connect::{check_url, connect, migrate, ping};
pub use delivery::Delivery;
pub use email::{Email, EmailError};
pub use enqueue::{Admission, Enqueued, NewJob, enqueue};
pub use error::{Error, in_time};
pub use events::{
    DeliveryEvent, LONGEST_REPORT_AGE, Report, Reported, SignedToken, Suppressed, Told, forget_reports, take_reports,
};
pub use expire::{Expired, expire};
pub use finish::{End, Finish, Recorded, finish};
pub use forget::{Forgotten, forget};
pub use forget_idle_quotas::{LONGEST_DUPLICATE_WINDOW, forget_idle_quotas};
pub use group_commit::{GroupCommit, NotCommitted, OnCommit};
pub use job::{Attempt, Failure, JobId, Lease, Outcome, Step};
pub use mailgun_event::{MailgunEvent, Malformed};
pub use put_back::{PutBack, Returned, put_back};
pub use queue_head::QueueHead;
pub use quota::{Quota, Quotas};
pub use redact::redact;
pub use rescue::{Rescued, rescue};
pub use roll_up::{forget_hours, roll_up};
pub use seal::{Cleared, NewLink, Seal, seal};
pub use sqlx::PgPool;
pub use suppression::SuppressionReason;
pub use wake::Wake;
