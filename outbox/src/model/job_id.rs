//! The id of a job, and a worker's lease on a job.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Id of a job: a UUIDv7, so it starts with the time of the request. The mail contains it as Mailgun's variable
/// `job_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, sqlx::Type)]
#[sqlx(transparent)]
pub struct JobId(pub Uuid);

impl JobId {
    /// A new id.
    #[must_use]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl Default for JobId {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// A worker's lease on a running job. Only a claim creates a lease. A write that carries a stale lease changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The leased job.
    pub job: JobId,
    /// Fencing token: a number that increases with every claim.
    pub(crate) token: i64,
}

/// Sorts a batch by job. Every write to several running jobs locks the jobs in this order, so that two writes cannot
/// deadlock. A deadlock would delay both writes by a second.
pub(crate) fn in_lock_order<T>(batch: &[T], job: impl Fn(&T) -> JobId) -> Vec<&T> {
    let mut sorted: Vec<&T> = batch.iter().collect();
    sorted.sort_unstable_by_key(|it| job(it));
    sorted
}

/// Splits leases into job ids and fencing tokens, which statements take as two arrays.
pub(crate) fn lease_columns<'a>(leases: impl IntoIterator<Item = &'a Lease>) -> (Vec<Uuid>, Vec<i64>) {
    leases.into_iter().map(|lease| (lease.job.0, lease.token)).unzip()
}
