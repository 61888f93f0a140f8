//! The test harness: a test's database, with a pool for each role, and helpers that run a job through the outbox.

use std::{ops::Deref, time::Duration};

use chrono::Utc;
use outbox::{
    CallbackUrl, ClaimOptions, ClaimedJob, Email, EnqueuePolicy, Enqueued, Finish, JobEnd, JobId, Load, NewJob,
    NewLink, PgPool, Recorded, Requeue, Requeued, Seal, SendDecision, ShownHost, Step, StepOutcome, StepRecord,
};
use sandbox::{JobRow, Role, TestDatabase, eventually};

/// A test that leaves jobs open must end with [`expect_open_jobs`](TestDatabase::expect_open_jobs).
pub(crate) struct TestOutbox {
    database: TestDatabase,
    /// Connects as the worker's role.
    pub(crate) pool: PgPool,
    pub(crate) api: PgPool,
    pub(crate) viewer: PgPool,
    pub(crate) operator: PgPool,
    pub(crate) admission: EnqueuePolicy,
}

impl Deref for TestOutbox {
    type Target = TestDatabase;

    fn deref(&self) -> &TestDatabase {
        &self.database
    }
}

impl TestOutbox {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let connect = |role| outbox::connect(&database.url_as(role).into(), 8, "test").unwrap();
        let (pool, api, viewer) = (connect(Role::Worker), connect(Role::Api), connect(Role::Viewer));
        let operator = connect(Role::Operator);
        let admission = EnqueuePolicy {
            per_recipient: "10/15m,30/1d".parse().unwrap(),
            per_recipient_and_client: "5/15m,10/1d".parse().unwrap(),
            duplicate_window: Duration::from_secs(10),
            deadline: Duration::from_secs(900),
        };
        Self { database, pool, api, viewer, operator, admission }
    }

    /// The load that an api sees. Waiting jobs are counted up to `count_to`.
    pub(crate) async fn load(&self, count_to: u32) -> Load {
        outbox::queue_state(&self.api, count_to).await.unwrap().load
    }

    /// Waits until the sessions of the programs' roles have ended. Only then has Postgres counted everything that they
    /// read.
    pub(crate) async fn wait_until_sessions_end(&self) {
        let others =
            "select count(*) from pg_stat_activity where datname = current_database() and usename <> current_user";
        eventually("the end of the programs' sessions", async || {
            let open: i64 = self.scalar(others).await;
            if open == 0 { Ok(()) } else { Err(open) }
        })
        .await;
    }

    /// Waits until at least `count` sessions are waiting for a lock.
    pub(crate) async fn until_sessions_wait_for_locks(&self, count: i64) {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock'";
        eventually(&format!("{count} sessions waiting for a lock"), async || {
            let waiting: i64 = self.scalar(waiting).await;
            if waiting >= count { Ok(()) } else { Err(waiting) }
        })
        .await;
    }

    pub(crate) async fn enqueue(&self, requests: &[NewJob]) -> Vec<Enqueued> {
        outbox::test_support::enqueue(&self.api, &self.admission, requests).await.unwrap()
    }

    /// Enqueues one request and expects that it is accepted.
    pub(crate) async fn queued(&self, request: NewJob) -> JobId {
        let id = request.id;
        assert_eq!(self.enqueue(&[request]).await, [Enqueued::Queued]);
        id
    }

    pub(crate) async fn claim(&self, limit: i64) -> Vec<ClaimedJob> {
        let options = ClaimOptions { worker: "test", lease: Duration::from_secs(30), limit };
        outbox::claim(&self.pool, options).await.unwrap()
    }

    pub(crate) async fn claim_one(&self) -> ClaimedJob {
        let mut claimed = self.claim(1).await;
        assert_eq!(claimed.len(), 1, "there is no claimable job");
        claimed.remove(0)
    }

    pub(crate) async fn seal(&self, job: &ClaimedJob) -> SendDecision {
        let link = NewLink {
            sealed: b"sealed".to_vec(),
            message_id: format!("<{}@test>", job.lease.job),
            age: Duration::from_millis(20),
        };
        self.seal_with(job, Some(link)).await
    }

    /// Seals a job with a new link, or with its stored link if `link` is `None`.
    pub(crate) async fn seal_with(&self, job: &ClaimedJob, link: Option<NewLink>) -> SendDecision {
        let step = link.as_ref().and_then(|_| record(job, ok(Step::GenerateLink)));
        outbox::test_support::seal(&self.pool, &[Seal { lease: job.lease, link, step }]).await.unwrap()[0]
    }

    pub(crate) async fn finish(&self, job: &ClaimedJob, end: JobEnd) -> Recorded {
        outbox::finish(&self.pool, &[Finish { lease: job.lease, end, step: None }]).await.unwrap()[0]
    }

    /// Finishes a job, and records its last step.
    pub(crate) async fn finish_by(&self, job: &ClaimedJob, end: JobEnd, step: StepRecord) -> Recorded {
        let finish = Finish { lease: job.lease, end, step: record(job, step) };
        outbox::finish(&self.pool, &[finish]).await.unwrap()[0]
    }

    pub(crate) async fn requeue(&self, job: &ClaimedJob, delay: Duration) -> Requeued {
        let failure = Some(outbox::Failure::new("upstream_away", "It did not answer."));
        let back = Requeue { lease: job.lease, delay, failure, is_uncounted: false, suspected: None, step: None };
        outbox::requeue(&self.pool, &[back]).await.unwrap()[0]
    }

    pub(crate) async fn job(&self, id: JobId) -> JobRow {
        self.find(id.0).await.expect("the job exists")
    }
}

/// One of the outbox's statements, from `.sqlx`.
pub(crate) struct Statement {
    pub(crate) text: String,
    /// Number of parameters.
    pub(crate) parameters: usize,
}

impl Statement {
    /// The only statement that contains `part`.
    pub(crate) fn with(part: &str) -> Self {
        let found: Vec<Self> = statements().into_iter().filter(|statement| statement.text.contains(part)).collect();
        assert_eq!(found.len(), 1, "{part}");
        found.into_iter().next().unwrap()
    }

    /// A `null` for each parameter.
    pub(crate) fn nulls(&self) -> String {
        vec!["null"; self.parameters].join(", ")
    }

    /// Returns Postgres's plan for the statement. `pool` must have the programs' session settings, and a role with the
    /// rights that the statement needs. `arguments` are SQL expressions, separated by commas.
    pub(crate) async fn plan(&self, pool: &PgPool, arguments: &str) -> String {
        let mut connection = pool.acquire().await.unwrap();
        let prepare = format!("prepare it as {}", self.text);
        sqlx::raw_sql(sqlx::AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
        let arguments = if arguments.is_empty() { String::new() } else { format!("({arguments})") };
        let explain = format!("explain (costs off) execute it {arguments}");
        let lines = sqlx::raw_sql(sqlx::AssertSqlSafe(explain)).fetch_all(&mut *connection).await.unwrap();
        sqlx::raw_sql("deallocate it").execute(&mut *connection).await.unwrap();
        lines.iter().map(|line| sqlx::Row::get::<String, _>(line, 0) + "\n").collect()
    }
}

/// All of the outbox's statements, from `.sqlx`.
pub(crate) fn statements() -> Vec<Statement> {
    let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.sqlx")).unwrap();
    let files = folder.map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    let statement = |file: String| {
        let file: serde_json::Value = serde_json::from_str(&file).unwrap();
        let parameters = file["describe"]["parameters"]["Left"].as_array().map_or(0, Vec::len);
        Statement { text: file["query"].as_str().unwrap().to_owned(), parameters }
    };
    files.map(statement).collect()
}

pub(crate) fn request(recipient: &str) -> NewJob {
    NewJob {
        id: JobId::new(),
        recipient: Email::parse(recipient).unwrap(),
        callback_url: CallbackUrl::parse("https://portal.example.com/auth/callback").unwrap(),
        shown_host: ShownHost::parse("portal.example.com").unwrap(),
        language: "en".to_owned(),
        time_zone: None,
        portal: None,
        portal_quota: None,
        deadline: None,
        client: "203.0.113.7".to_owned(),
        request_id: "test".to_owned(),
        traceparent: None,
    }
}

/// A request for a page of the portal. Requests for different pages do not count as double clicks.
pub(crate) fn request_for(recipient: &str, page: &str) -> NewJob {
    let url = format!("https://portal.example.com/auth/callback?next=%2F{page}");
    NewJob { callback_url: CallbackUrl::parse(url).unwrap(), ..request(recipient) }
}

/// Returns the record of a step, with the attempt number of a claimed job.
pub(crate) fn record(job: &ClaimedJob, step: StepRecord) -> Option<StepRecord> {
    Some(StepRecord { attempt: job.attempt, ..step })
}

pub(crate) fn ok(step: Step) -> StepRecord {
    StepRecord {
        attempt: 1,
        worker: "test".into(),
        step,
        outcome: StepOutcome::Ok,
        http_status: Some(200),
        failure: None,
        started_at: Utc::now(),
        duration: Duration::from_millis(20),
    }
}
