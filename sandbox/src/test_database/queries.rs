//! The queries and statements that tests run in their database, as superuser. If a query fails, the test fails.

use sqlx::{AssertSqlSafe, Decode, FromRow, Type, postgres::PgRow};
use uuid::Uuid;

use super::{SeenOpenJobs, TestDatabase};
use crate::{JobRow, StepRow, eventually};

impl TestDatabase {
    /// Runs a query that returns one row with one column, and returns the value.
    pub async fn scalar<T>(&self, query: &str) -> T
    where
        T: for<'r> Decode<'r, sqlx::Postgres> + Type<sqlx::Postgres> + Send + Unpin,
    {
        crate::scalar(&self.admin, query).await
    }

    /// Runs a query, and returns all rows.
    pub async fn rows<Row>(&self, query: &str) -> Vec<Row>
    where
        Row: for<'r> FromRow<'r, PgRow> + Send + Unpin,
    {
        crate::rows(&self.admin, query).await
    }

    /// Runs statements.
    pub async fn execute(&self, statements: &str) {
        let executed = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&self.admin).await;
        executed.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// All jobs, in the order of acceptance.
    pub async fn jobs(&self) -> Vec<JobRow> {
        JobRow::all(&self.admin).await
    }

    /// The only job in the database.
    pub async fn only_job(&self) -> JobRow {
        JobRow::only(&self.admin).await
    }

    /// The job with this id, if there is one.
    pub async fn find(&self, id: Uuid) -> Option<JobRow> {
        JobRow::find(&self.admin, id).await
    }

    /// The job that belongs to a request, if there is one.
    pub async fn find_by_request(&self, request_id: &str) -> Option<JobRow> {
        JobRow::find_by_request(&self.admin, request_id).await
    }

    /// The steps of all jobs, in the order in which they began.
    pub async fn steps(&self) -> Vec<StepRow> {
        StepRow::all(&self.admin).await
    }

    /// Every row of every table as a line of JSON, for tests that check what is stored. Bytes are shown in hexadecimal.
    pub async fn dump(&self) -> String {
        let tables =
            "select oid::regclass::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'";
        let mut dump = String::new();
        for (table,) in self.rows::<(String,)>(tables).await {
            for (row,) in self.rows::<(String,)>(&format!("select to_jsonb(t)::text from {table} t")).await {
                dump += &row;
                dump.push('\n');
            }
        }
        dump
    }

    /// Waits until this number of jobs is open.
    pub async fn until_open_jobs(&self, count: i64) {
        eventually(&format!("{count} open jobs"), async || self.check_open_jobs(count).await).await;
    }

    /// Checks that this number of jobs is open. If not, returns the actual number and the oldest open jobs.
    pub async fn check_open_jobs(&self, count: i64) -> Result<(), SeenOpenJobs> {
        let mut connection = self.admin.acquire().await.unwrap();
        let seen = SeenOpenJobs::unless(count, &mut connection).await.unwrap();
        seen.map_or(Ok(()), Err)
    }
}
