//! Runs jobs through the outbox like a worker whose upstreams answer instantly: claims each job, seals its link,
//! records the `generate_link` and `send` steps, and finishes the job. The bench runs in process and without HTTP, so
//! that it measures only the outbox.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use outbox::{
    ClaimOptions, ClaimedJob, Finish, GroupCommit, JobEnd, JobId, NewLink, PgPool, QueueCursor, Recorded, Seal,
    SendDecision, Step, StepOutcome, StepRecord,
};
use sandbox::{Postgres, Role};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::{figures::Figures, statistics::rate};

/// Size of a sealed Supabase link.
const SEALED_BYTES: usize = 240;

/// Enqueues jobs for different recipients. The ids ascend, as in the api, and the addresses are in random order.
pub(crate) async fn fill(admin: &PgPool, jobs: u64) {
    let ids: Vec<Uuid> = (0..jobs).map(|_| JobId::new().0).collect();
    // Run the statements separately, because `vacuum` cannot run in a transaction. The checkpoint comes first, as in
    // the benches of the other job queues.
    sqlx::raw_sql("checkpoint").execute(admin).await.unwrap();
    sqlx::query(
        "insert into email_jobs (id, state, recipient, mailbox, callback_url, deadline_at, request_id, place, seq)
         select
           id, 'queued', address, address, 'https://example.com/auth/callback?next=%2Fprojects%2F42',
           now() + interval '1 day', 'bench', n, n
         from
           (select id, nextval('email_jobs_seq') as n from unnest($1::uuid[]) as given (id)) as numbered,
           format('%s@example.com', left(md5(n::text), 16)) as address",
    )
    .bind(ids)
    .execute(admin)
    .await
    .unwrap();
    sqlx::raw_sql("vacuum (analyze) email_jobs_open").execute(admin).await.unwrap();
}

/// Measures drains with and without a history of ended jobs. Alternates between the databases, because the machine's
/// speed varies. Also measures the dead tuples that a drain leaves.
pub(crate) async fn measure(figures: &mut Figures, histories: &[u64]) {
    let server = Postgres::start().await.unwrap();
    let mut databases = Vec::new();
    for (number, jobs) in [0].iter().chain(histories).enumerate() {
        let database = BenchDatabase::open(&server, number, *jobs).await;
        databases.push(database);
    }
    for round in 0..3 {
        for database in &databases {
            let rate = database.drain(JOBS, CONCURRENCY, Batching::Grouped).await;
            figures.add("drain", database.name(), rate, "/s");
            if round == 0 && database.history == 0 {
                let dead = database.dead_tuples_per_job().await;
                figures.add("drain", "dead tuples of the open partition per job", dead, "");
            }
        }
    }
    let during_a_dump = databases[0].drain_during_a_dump().await;
    figures.add("drain", "instant upstreams, 1000 at a time, while a dump runs", during_a_dump, "/s");
    let one_table = BenchDatabase::without_a_hot_partition(&server).await;
    let rate = one_table.drain(JOBS, CONCURRENCY, Batching::Grouped).await;
    figures.add("ablation", "drain, 1000 at a time, a million ended jobs in the table of open jobs", rate, "/s");
    let empty = &databases[0];
    figures.add("drain", "instant upstreams, 64 at a time", empty.drain(JOBS, 64, Batching::Grouped).await, "/s");
    let single = empty.drain(JOBS / 5, 64, Batching::Single).await;
    figures.add("ablation", "drain, 64 at a time, one commit per record", single, "/s");
    let size = "select pg_size_pretty(pg_total_relation_size('email_jobs_open'))";
    let size: String = sandbox::scalar(&empty.admin, size).await;
    println!("  size of the open partition with its indexes after {} jobs: {size}", JOBS * 5);
}

/// Repeats the measurements that are compared with those of other job queues.
pub(crate) async fn measure_again(figures: &mut Figures) {
    let server = Postgres::start().await.unwrap();
    let database = BenchDatabase::open(&server, 0, 0).await;
    for _ in 0..3 {
        figures.add("drain", database.name(), database.drain(JOBS, CONCURRENCY, Batching::Grouped).await, "/s");
    }
}

/// Number of jobs in each drain.
const JOBS: u64 = 100_000;
/// Number of concurrent deliveries.
const CONCURRENCY: usize = 1_000;

/// A database with a history of ended jobs.
struct BenchDatabase {
    database: String,
    history: u64,
    admin: PgPool,
    worker: PgPool,
}

impl BenchDatabase {
    async fn open(server: &Postgres, number: usize, history: u64) -> Self {
        let name = format!("drain_{number}");
        server.create_outbox(&name).await.unwrap();
        let admin = outbox::connect(&server.url(&name).into(), 2, "bench").unwrap();
        let worker = outbox::connect(&server.url_as(&name, Role::Worker).into(), 8, "bench").unwrap();
        if history > 0 {
            println!("  inserting {history} ended jobs …");
            let mut connection = PgConnection::connect(&server.url(&name)).await.unwrap();
            let fill = format!("set fill.jobs = {history}; {}", include_str!("../../fill_history.sql"));
            // In production, this history would have been vacuumed days ago. Vacuum it now, so that autovacuum does not
            // run during the drain.
            for statement in [&fill, "vacuum (analyze)", "checkpoint"] {
                sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
            }
        }
        Self { database: name, history, admin, worker }
    }

    /// Opens a database in which ended jobs are in the same table as open ones, as they would be without partitions.
    async fn without_a_hot_partition(server: &Postgres) -> Self {
        const ENDED: u64 = 1_000_000;
        let database = Self::open(server, usize::MAX, 0).await;
        println!("  inserting {ENDED} ended jobs into the table of open jobs …");
        for statement in [
            "alter table email_jobs drop constraint only_open_jobs_are_unfinished",
            &format!(
                "insert into email_jobs_open (
                   id, state, recipient, mailbox, callback_url, attempt, attempted_at, message_id, deadline_at, request_id,
                   place, seq)
                 select
                   gen_random_uuid(), 'sent', name, name, 'https://example.com/auth/callback?next=%2Fprojects%2F42', 1,
                   now(), '<' || n || '@example.com>', now() + interval '1 day', 'bench', -n, -n
                 from generate_series(1, {ENDED}) as n, format('%s@example.com', left(md5(n || ' ended'), 16)) as name"
            ),
        ] {
            let mut connection = PgConnection::connect(&server.url(&database.database)).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
        }
        database
    }

    fn name(&self) -> String {
        let history = if self.history == 0 { String::new() } else { format!(", over {} ended jobs", self.history) };
        format!("instant upstreams, {CONCURRENCY} at a time{history}")
    }

    async fn drain(&self, jobs: u64, concurrency: usize, batching: Batching) -> f64 {
        fill(&self.admin, jobs).await;
        drain(&self.worker, jobs, concurrency, batching).await
    }

    /// Drains while a transaction holds a snapshot from before the first claim, as a dump or a long report does. Dead
    /// tuples cannot be removed during this time.
    async fn drain_during_a_dump(&self) -> f64 {
        fill(&self.admin, JOBS).await;
        let mut dump = self.admin.begin().await.unwrap();
        let hold = "set transaction isolation level repeatable read; set local idle_in_transaction_session_timeout = 0; select 1";
        sqlx::raw_sql(hold).execute(&mut *dump).await.unwrap();
        drain(&self.worker, JOBS, CONCURRENCY, Batching::Grouped).await
    }

    /// Counts dead tuples soon after the drain and before a vacuum, as the benches of the other job queues do.
    async fn dead_tuples_per_job(&self) -> f64 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let dead = "from pg_stat_user_tables where relname = 'email_jobs_open'";
        sandbox::scalar(&self.admin, &format!("select n_dead_tup::float8 / {JOBS} {dead}")).await
    }
}

/// How records are committed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Batching {
    /// Many records share one commit, as in a worker.
    Grouped,
    /// Each record has its own commit.
    Single,
}

/// Drains all jobs with this many concurrent deliveries. Returns the rate in jobs per second.
async fn drain(pool: &PgPool, jobs: u64, concurrency: usize, batching: Batching) -> f64 {
    let slots = Arc::new(Semaphore::new(concurrency));
    let worker = Arc::new(BenchWorker {
        pool: pool.clone(),
        seals: GroupCommit::of_seals(pool, |_, _| ()).unwrap(),
        ends: GroupCommit::of_finishes(pool, |_, _| ()).unwrap(),
        name: "bench".into(),
        batching,
        done: AtomicU64::new(0),
    });
    let mut head = QueueCursor::default();
    let began = Instant::now();
    while worker.done.load(Ordering::Relaxed) < jobs {
        // Wait for one free slot, then claim as many jobs as there are free slots.
        drop(slots.acquire().await.unwrap());
        let options = ClaimOptions {
            worker: &worker.name,
            lease: Duration::from_secs(30),
            limit: i64::try_from(slots.available_permits()).unwrap(),
        };
        let claimed = head.claim(pool, options).await.unwrap();
        if claimed.is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for job in claimed {
            let slot = Arc::clone(&slots).acquire_owned().await.unwrap();
            let worker = Arc::clone(&worker);
            tokio::spawn(async move {
                worker.deliver(job).await;
                drop(slot);
            });
        }
    }
    rate(jobs, began.elapsed())
}

struct BenchWorker {
    pool: PgPool,
    seals: GroupCommit<Seal, SendDecision>,
    ends: GroupCommit<Finish, Recorded>,
    name: Arc<str>,
    batching: Batching,
    done: AtomicU64,
}

impl BenchWorker {
    async fn deliver(&self, job: ClaimedJob) {
        let link = NewLink {
            sealed: vec![7; SEALED_BYTES],
            message_id: format!("<{}.0123456789abcdef@mg.example.com>", job.lease.job),
            age: Duration::from_millis(20),
        };
        let seal = Seal { lease: job.lease, link: Some(link), step: self.record(&job, Step::GenerateLink) };
        let finish = Finish { lease: job.lease, end: JobEnd::Sent, step: self.record(&job, Step::Send) };
        let (cleared, recorded) = match self.batching {
            Batching::Grouped => (self.seals.commit(seal).await.unwrap(), self.ends.commit(finish).await.unwrap()),
            Batching::Single => {
                let cleared = outbox::test_support::seal(&self.pool, &[seal]).await.unwrap()[0];
                (cleared, outbox::finish(&self.pool, &[finish]).await.unwrap()[0])
            }
        };
        assert!(matches!(cleared, SendDecision::Send));
        assert_eq!(recorded, Recorded::Done);
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn record(&self, job: &ClaimedJob, step: Step) -> Option<StepRecord> {
        Some(StepRecord {
            attempt: job.attempt,
            worker: Arc::clone(&self.name),
            step,
            outcome: StepOutcome::Ok,
            http_status: Some(200),
            failure: None,
            started_at: chrono::Utc::now(),
            duration: Duration::from_millis(20),
        })
    }
}
