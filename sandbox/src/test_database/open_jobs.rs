//! Counts the open jobs at the end of a test.

use std::{io, panic, thread, time::Duration};

use sqlx::{Connection as _, PgConnection, postgres::PgConnectOptions};

use crate::JobRow;

/// SQLSTATE of a query on a table that does not exist.
const UNDEFINED_TABLE: &str = "42P01";

/// Time limit for counting the open jobs. A lock that the test still holds must not keep the test from ending.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What must be true when a test ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum ExpectedEnd {
    /// This number of jobs is open.
    OpenJobs(i64),
    /// Any number of jobs may be open: the number does not matter to the test, or its harness has already checked it.
    AnyOpenJobs,
    /// The test has called its harness's `finish`.
    Finish,
}

/// An unexpected number of open jobs.
#[derive(Debug)]
pub struct SeenOpenJobs {
    /// Number of open jobs.
    pub count: i64,
    /// The oldest open jobs.
    pub first: Vec<JobRow>,
}

impl SeenOpenJobs {
    /// Counts the open jobs. If the number is not the expected one, returns it with the oldest open jobs. If there are
    /// no tables, the number is 0.
    pub(super) async fn unless(expected: i64, connection: &mut PgConnection) -> Result<Option<Self>, sqlx::Error> {
        let counted = sqlx::query_scalar("select count(*) from email_jobs_open").fetch_one(&mut *connection).await;
        let count = match counted {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => 0,
            counted => counted?,
        };
        if count == expected {
            return Ok(None);
        }
        Ok(Some(Self { count, first: JobRow::first_open(connection).await }))
    }

    /// A line for each job.
    fn lines(&self) -> String {
        let line = |job: &JobRow| format!("\n  {} {} {}", job.state, job.recipient, job.code.as_deref().unwrap_or(""));
        self.first.iter().map(line).collect()
    }
}

/// Fails the test unless this number of jobs is open.
///
/// This function is called in `drop`, which cannot await, so it counts on a separate thread. That thread cannot use the
/// test's pool, because the pool's connections belong to the test's runtime.
pub(super) fn assert_open_jobs(url: &str, expected: i64) {
    let counted = thread::scope(|scope| scope.spawn(|| count(url, expected)).join());
    match counted.unwrap_or_else(|panicked| panic::resume_unwind(panicked)) {
        Ok(None) => {}
        Ok(Some(seen)) => panic!(
            "open jobs at the end of the test: {} instead of {expected}; if this is intended, call \
             `expect_open_jobs`{}",
            seen.count,
            seen.lines()
        ),
        Err(error) => panic!(
            "could not count the open jobs at the end of the test; if the test stops the server, call \
             `allow_any_open_jobs`: {error}"
        ),
    }
}

fn count(url: &str, expected: i64) -> Result<Option<SeenOpenJobs>, sqlx::Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let counted = async {
        let options: PgConnectOptions = url.parse()?;
        let mut connection = PgConnection::connect_with(&options).await?;
        SeenOpenJobs::unless(expected, &mut connection).await
    };
    let in_time = runtime.block_on(async { tokio::time::timeout(TIMEOUT, counted).await });
    in_time.unwrap_or(Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}
