//! Lists of jobs, newest first.
//!
//! A person's jobs, a request's jobs, open jobs, and failed or expired jobs are found through an index. For any other
//! filter, one page compares at most `SCAN` ended jobs with the filter and reports how far back it searched. No list
//! reads the whole history.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{first_id_at, time_of};
use crate::{
    model::{delivery_status::DeliveryStatus, job_id::JobId, job_state::JobState},
    postgres::error::{Error, in_time},
};

/// Maximum number of ended jobs that one page compares with a filter that no index supports.
const SCAN: i64 = 50_000;

/// If fewer jobs than this have failed or expired, they are read through their index and sorted. Otherwise, failures
/// are frequent enough to be found among the newest jobs.
const FEW: i64 = 8_000;

/// Maximum number of scans, of [`SCAN`] jobs each, in the search for a request id whose time is unknown.
const SCANS_FOR_REQUEST: u32 = 8;

/// Maximum difference between the clocks of an api and of Postgres. The times in job ids and request ids come from the
/// api's clock, and the times in the rows come from Postgres's clock.
const CLOCK_DIFFERENCE: TimeDelta = TimeDelta::minutes(10);

/// Codes of jobs that ended as `sent`, `superseded` or `cancelled`. A filter for any other code looks only for open,
/// failed and expired jobs.
const CODES_WITHOUT_FAILURE: [&str; 4] = ["newer_request", "duplicate", "no_trace", "cancelled"];

/// A job as shown in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedJob {
    /// Its id.
    pub id: JobId,
    /// Its state.
    pub state: JobState,
    /// What Mailgun reported about the job's mail.
    pub delivery: Option<DeliveryStatus>,
    /// Number of attempts so far.
    pub attempt: i16,
    /// Code of the job's last failure, or the code with which the job ended.
    pub code: Option<String>,
    /// Human-readable explanation of the code. May contain text from third parties.
    pub message: Option<String>,
    /// The job's portal. `None` if the deployment has no portals.
    pub portal: Option<String>,
    /// The address that the link is mailed to.
    pub recipient: String,
    /// `X-Request-Id` of the request.
    pub request_id: String,
    /// When the request was accepted.
    pub created_at: DateTime<Utc>,
    /// When the job ended. `None` while the job is open.
    pub finished_at: Option<DateTime<Utc>>,
}

/// Which jobs to list. A field that is `None` matches all jobs.
#[derive(Debug, Clone)]
pub struct JobFilter {
    /// State.
    pub state: Option<JobState>,
    /// What Mailgun reported about the job's mail.
    pub delivery: Option<DeliveryStatus>,
    /// Code of the job's last failure, or the code with which the job ended.
    pub code: Option<String>,
    /// Id of the portal. `default` also matches jobs without a portal.
    pub portal: Option<String>,
    /// The recipient's whole address.
    pub recipient: Option<String>,
    /// Domain of the recipient's address.
    pub domain: Option<String>,
    /// `X-Request-Id`.
    pub request_id: Option<String>,
    /// Ended jobs are listed only if they were requested since this time. Open jobs are listed regardless of their age.
    pub since: DateTime<Utc>,
    /// Only jobs that are older than this job are listed. Used to get the next page.
    pub before: Option<JobId>,
}

impl JobFilter {
    /// A filter that matches all open jobs, and all ended jobs that were requested since the given time.
    #[must_use]
    pub fn since(since: DateTime<Utc>) -> Self {
        Self {
            state: None,
            delivery: None,
            code: None,
            portal: None,
            recipient: None,
            domain: None,
            request_id: None,
            since,
            before: None,
        }
    }

    /// Whether the filter restricts anything other than the recipient, the time and the page.
    fn is_selective(&self) -> bool {
        self.state.is_some()
            || self.delivery.is_some()
            || self.code.is_some()
            || self.portal.is_some()
            || self.domain.is_some()
            || self.request_id.is_some()
    }

    /// Whether an open job can match the filter.
    fn allows_open(&self) -> bool {
        self.state.is_none_or(JobState::is_open)
    }

    /// Whether an ended job can match the filter.
    fn allows_ended(&self) -> bool {
        self.state.is_none_or(|state| !state.is_open())
    }

    /// Whether the filter matches no ended jobs other than failed and expired ones.
    fn is_about_failures(&self) -> bool {
        match (self.state, self.code.as_deref()) {
            (Some(state), _) => matches!(state, JobState::Failed | JobState::Expired),
            (None, Some(code)) => !CODES_WITHOUT_FAILURE.contains(&code),
            (None, None) => false,
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The jobs, newest first.
    pub jobs: Vec<ListedJob>,
    /// The [`JobFilter::before`] for the next page. `None` if this is the last page.
    pub next: Option<JobId>,
    /// The time of the oldest job that was compared with the filter. `None` if the search did not stop early, or if it
    /// found more jobs than fit on the page.
    pub searched_to: Option<DateTime<Utc>>,
}

/// Lists the newest `limit` jobs that match the filter.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn list(pool: &PgPool, filter: &JobFilter, limit: usize) -> Result<Page, Error> {
    let count = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    if let Some(recipient) = &filter.recipient {
        return Ok(page(of_person(pool, filter, recipient, count).await?, limit, None));
    }
    if let Some(request_id) = &filter.request_id {
        return of_request(pool, filter, request_id, limit).await;
    }
    // Read the open jobs first: a job that ends between the two statements is then read twice instead of being missed.
    let mut jobs = if filter.allows_open() { open(pool, filter, count).await? } else { vec![] };
    let mut floor = None;
    if filter.allows_ended() {
        let (ended, stopped_at) = ended(pool, filter, count).await?;
        floor = stopped_at;
        jobs = merge(jobs, ended);
    }
    Ok(page(jobs, limit, floor))
}

/// The jobs with a request id, newest first. Several requests can have the same id, because callers may choose the id.
async fn of_request(pool: &PgPool, filter: &JobFilter, request_id: &str, limit: usize) -> Result<Page, Error> {
    let count = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let open = if filter.allows_open() { open(pool, filter, count).await? } else { vec![] };
    // A request id that the api generated is a UUIDv7, which starts with the time of the request.
    if let Some(time) = request_id.parse().ok().and_then(time_of) {
        let before = first_id_at(time + CLOCK_DIFFERENCE).min(before(filter));
        let floor = first_id_at(time - CLOCK_DIFFERENCE);
        let found = merge(open.clone(), newest(pool, filter, before, floor, count).await?);
        if !found.is_empty() {
            return Ok(page(found, limit, None));
        }
    }
    let mut filter = filter.clone();
    if let Some(indexed_since) = requests_indexed_since(pool).await? {
        let found = by_request(pool, &filter, request_id, indexed_since, count).await?;
        if !found.is_empty() || indexed_since <= filter.since - CLOCK_DIFFERENCE {
            return Ok(page(merge(open, found), limit, None));
        }
        // Only jobs from before the index existed remain to be searched.
        filter.before = Some(JobId(before(&filter).min(first_id_at(indexed_since + CLOCK_DIFFERENCE))));
    }
    let since = first_id_at(filter.since);
    for _ in 0..SCANS_FOR_REQUEST {
        let floor = scan_floor(pool, &filter, since).await?;
        let found = newest(pool, &filter, before(&filter), floor.unwrap_or(since), count).await?;
        if !found.is_empty() || floor.is_none() {
            return Ok(page(merge(open, found), limit, None));
        }
        filter.before = floor.map(JobId);
    }
    Ok(page(open, limit, filter.before.map(|id| id.0)))
}

/// The ended jobs that match the filter, and the id at which the search stopped if it stopped early.
async fn ended(pool: &PgPool, filter: &JobFilter, count: i64) -> Result<(Vec<ListedJob>, Option<Uuid>), Error> {
    if filter.is_about_failures() && count_failures(pool, filter.since).await? < FEW {
        return Ok((failures(pool, filter, count).await?, None));
    }
    let since = first_id_at(filter.since);
    let floor = if filter.is_selective() { scan_floor(pool, filter, since).await? } else { None };
    Ok((newest(pool, filter, before(filter), floor.unwrap_or(since), count).await?, floor))
}

fn before(filter: &JobFilter) -> Uuid {
    filter.before.map_or(Uuid::max(), |id| id.0)
}

/// Merges open and ended jobs, newest first, and drops duplicates.
fn merge(open: Vec<ListedJob>, ended: Vec<ListedJob>) -> Vec<ListedJob> {
    let mut jobs = ended;
    for job in open {
        if jobs.iter().all(|known| known.id != job.id) {
            jobs.push(job);
        }
    }
    jobs.sort_unstable_by_key(|job| std::cmp::Reverse(job.id));
    jobs
}

/// Cuts a page after `limit` jobs, or at the id where the search stopped.
fn page(mut jobs: Vec<ListedJob>, limit: usize, floor: Option<Uuid>) -> Page {
    if let Some(floor) = floor {
        // Open jobs older than the floor are listed on a later page, together with the ended jobs of the same age.
        jobs.retain(|job| job.id.0 >= floor);
    }
    if jobs.len() > limit {
        jobs.truncate(limit);
        let next = jobs.last().map(|job| job.id);
        return Page { jobs, next, searched_to: None };
    }
    Page { jobs, next: floor.map(JobId), searched_to: floor.and_then(time_of_floor) }
}

/// The time at the start of a job id, which may be any version of UUID.
fn time_of_floor(id: Uuid) -> Option<DateTime<Utc>> {
    i64::try_from(id.as_u128() >> 80).ok().and_then(DateTime::from_timestamp_millis)
}

/// Selects jobs whose columns match the filter, newest first. The macro itself uses the parameters `$1` to `$8`.
macro_rules! matching {
    ($with:literal, $from:literal, $filter:expr, $before:expr, $count:expr $(, $more:expr)*) => {
        sqlx::query_as!(
            ListedJob,
            $with
                + r#"
            select
              id as "id!: JobId",
              state as "state!: JobState",
              delivery as "delivery: DeliveryStatus",
              attempt as "attempt!",
              code,
              message,
              portal,
              recipient as "recipient!",
              request_id as "request_id!",
              created_at as "created_at!",
              nullif(finished_at, 'infinity') as finished_at
            "#
                + $from
                + r#"
              and id < $7
              and ($1::text is null or state = $1)
              and ($2::text is null or delivery = $2)
              and ($3::text is null or code = $3)
              and ($4::text is null or coalesce(portal, 'default') = $4)
              and ($5::text is null or split_part(recipient, '@', 2) = $5)
              and ($6::text is null or request_id = $6)
            order by id desc
            limit $8
            "#,
            $filter.state.map(JobState::as_str),
            $filter.delivery.map(DeliveryStatus::as_str),
            $filter.code,
            $filter.portal,
            $filter.domain,
            $filter.request_id,
            $before,
            $count
            $(, $more)*
        )
    };
}

/// The open jobs that match the filter, however old they are.
async fn open(pool: &PgPool, filter: &JobFilter, count: i64) -> Result<Vec<ListedJob>, Error> {
    let jobs = matching!("", "from email_jobs where finished_at = 'infinity'", filter, before(filter), count);
    in_time(async { Ok(jobs.fetch_all(pool).await?) }).await
}

/// The ended jobs that match the filter and have ids from `floor` up to `before` (exclusive), newest first.
async fn newest(
    pool: &PgPool,
    filter: &JobFilter,
    before: Uuid,
    floor: Uuid,
    count: i64,
) -> Result<Vec<ListedJob>, Error> {
    let jobs =
        matching!("", "from email_jobs where finished_at < 'infinity' and id >= $9", filter, before, count, floor);
    in_time(async { Ok(jobs.fetch_all(pool).await?) }).await
}

/// The failed and expired jobs that match the filter, found through the index `email_jobs_failures`.
async fn failures(pool: &PgPool, filter: &JobFilter, count: i64) -> Result<Vec<ListedJob>, Error> {
    // Without `materialized`, Postgres might read all ids in descending order to avoid the sort.
    let jobs = matching!(
        r#"
        with failed as materialized (
          select
            id, state, delivery, attempt, code, message, portal, recipient, request_id, created_at, finished_at
          from email_jobs
          where state in ('failed', 'expired')
            and finished_at >= $9 and finished_at < 'infinity'
        )"#,
        "from failed where id >= $10",
        filter,
        before(filter),
        count,
        filter.since - CLOCK_DIFFERENCE,
        first_id_at(filter.since)
    );
    in_time(async { Ok(jobs.fetch_all(pool).await?) }).await
}

/// A person's jobs, found through the index on recipients.
async fn of_person(pool: &PgPool, filter: &JobFilter, recipient: &str, count: i64) -> Result<Vec<ListedJob>, Error> {
    let jobs = matching!(
        r#"
        with theirs as materialized (
          select
            id, state, delivery, attempt, code, message, portal, recipient, request_id, created_at, finished_at
          from email_jobs
          where recipient = $9
        )"#,
        "from theirs where (id >= $10 or finished_at = 'infinity')",
        filter,
        before(filter),
        count,
        recipient,
        first_id_at(filter.since)
    );
    in_time(async { Ok(jobs.fetch_all(pool).await?) }).await
}

/// The day of the oldest partition that has an index on the request ids that callers chose. `None` if no partition has
/// one. Partitions from before migration 0020 do not have the index.
async fn requests_indexed_since(pool: &PgPool) -> Result<Option<DateTime<Utc>>, Error> {
    let day = sqlx::query_scalar!(
        r"
        select min(to_date(substr(relname, length('email_jobs_') + 1, 8), 'YYYYMMDD')::timestamp at time zone 'utc')
        from pg_class
        where relnamespace = (select relnamespace from pg_class where oid = 'email_jobs'::regclass)
          and relname ~ '^email_jobs_[0-9]{8}_request$'
        ",
    );
    in_time(async { Ok(day.fetch_one(pool).await?) }).await
}

/// The ended jobs with a request id that the caller chose, found through the index on such ids.
async fn by_request(
    pool: &PgPool,
    filter: &JobFilter,
    request_id: &str,
    indexed_since: DateTime<Utc>,
    count: i64,
) -> Result<Vec<ListedJob>, Error> {
    let jobs = matching!(
        r#"
        with theirs as materialized (
          select
            id, state, delivery, attempt, code, message, portal, recipient, request_id, created_at, finished_at
          from email_jobs
          where request_id = $9
            -- Repeat the condition of the partial index: otherwise, Postgres would not use the index.
            and request_id !~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
            and finished_at >= $10 and finished_at < 'infinity'
        )"#,
        "from theirs where id >= $11",
        filter,
        before(filter),
        count,
        request_id,
        indexed_since,
        first_id_at(filter.since)
    );
    in_time(async { Ok(jobs.fetch_all(pool).await?) }).await
}

/// Counts the jobs that failed or expired since the given time, up to [`FEW`].
async fn count_failures(pool: &PgPool, since: DateTime<Utc>) -> Result<i64, Error> {
    let count = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from (
          select from email_jobs
          where state in ('failed', 'expired')
            and finished_at >= $1 and finished_at < 'infinity'
          limit $2
        ) as counted
        "#,
        since - CLOCK_DIFFERENCE,
        FEW,
    );
    in_time(async { Ok(count.fetch_one(pool).await?) }).await
}

/// The id at which a scan stops because it has read [`SCAN`] ended jobs. `None` if the scan reaches `since` first.
async fn scan_floor(pool: &PgPool, filter: &JobFilter, since: Uuid) -> Result<Option<Uuid>, Error> {
    let floor = sqlx::query_scalar!(
        r#"
        select id
        from email_jobs
        where finished_at < 'infinity'
          and id < $1 and id >= $2
        order by id desc
        offset $3
        limit 1
        "#,
        before(filter),
        since,
        SCAN,
    );
    in_time(async { Ok(floor.fetch_optional(pool).await?) }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_for_failures_is_recognised() {
        let any = JobFilter::since(Utc::now());
        let state = |state| JobFilter { state: Some(state), ..any.clone() };
        let code = |code: &str| JobFilter { code: Some(code.to_owned()), ..any.clone() };
        assert!(!any.is_about_failures() && !any.is_selective());
        for filter in [state(JobState::Failed), state(JobState::Expired), code("hook_failed")] {
            assert!(filter.is_about_failures() && filter.is_selective(), "{filter:?}");
        }
        let no_failures = ["duplicate", "no_trace", "newer_request", "cancelled"].map(code);
        for filter in [vec![state(JobState::Sent), state(JobState::Cancelled)], no_failures.to_vec()].concat() {
            assert!(!filter.is_about_failures() && filter.is_selective(), "{filter:?}");
        }
    }
}
