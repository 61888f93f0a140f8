//! Jobs through the outbox as a worker takes them, with upstreams that answer at once: claim, link stored under its seal,
//! journal of both steps, end. In process and without HTTP, so that what is measured is the outbox.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use outbox::{
    Attempt, ClaimOptions, ClaimedJob, Cleared, End, Finish, GroupCommit, JournalEntry, NewLink, Outcome, PgPool,
    Recorded, Seal, Step,
};
use sqlx::AssertSqlSafe;
use tokio::sync::Semaphore;

/// As long as a link of Supabase's, sealed.
const SEALED_BYTES: usize = 240;

/// Puts so many jobs into the queue, each of somebody else's.
pub(crate) async fn fill(admin: &PgPool, jobs: u64) {
    let statement = format!(
        "insert into email_jobs (id, state, recipient, mailbox, callback_url, deadline_at, request_id, place, seq)
         select
           (lpad(to_hex((extract(epoch from now()) * 1000)::bigint), 12, '0') || '7' || left(md5(n::text), 3) || '8'
             || substr(md5(n::text), 4, 15))::uuid,
           'queued', 'drained-' || n || '@example.com', 'drained-' || n || '@example.com',
           'https://example.com/auth/callback?next=%2Fprojects%2F42', now() + interval '1 day', 'bench', n, n
         from (select nextval('email_jobs_seq') as n from generate_series(1, {jobs})) as numbers;
         "
    );
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await.unwrap();
    for statement in ["vacuum (analyze) email_jobs_open", "checkpoint"] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(admin).await.unwrap();
    }
}

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Batching {
    /// As workers do.
    Grouped,
    /// Each by a commit of its own.
    Single,
}

/// Jobs a second until all are done, by so many deliveries at a time.
pub(crate) async fn drain(pool: &PgPool, jobs: u64, concurrency: usize, batching: Batching) -> f64 {
    let slots = Arc::new(Semaphore::new(concurrency));
    let worker = Arc::new(Worker {
        pool: pool.clone(),
        seals: GroupCommit::of_seals(pool.clone(), |n, t| note(0, n, t)),
        ends: GroupCommit::of_ends(pool.clone(), |n, t| note(1, n, t)),
        name: "bench".into(),
        batching,
        done: AtomicU64::new(0),
    });
    let began = Instant::now();
    while worker.done.load(Ordering::Relaxed) < jobs {
        // Room for one at least, and then for all that there is.
        drop(slots.acquire().await.unwrap());
        let options = ClaimOptions {
            worker: &worker.name,
            lease: Duration::from_secs(30),
            limit: i64::try_from(slots.available_permits()).unwrap(),
            probe: false,
        };
        let t = Instant::now();
        let claimed = outbox::claim(pool, options).await.unwrap();
        note(2, claimed.len(), t.elapsed());
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
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let jobs = jobs as f64;
    jobs / began.elapsed().as_secs_f64()
}

struct Worker {
    pool: PgPool,
    seals: GroupCommit<Seal, Cleared>,
    ends: GroupCommit<Finish, Recorded>,
    name: Arc<str>,
    batching: Batching,
    done: AtomicU64,
}

impl Worker {
    async fn deliver(&self, job: ClaimedJob) {
        let link = NewLink {
            sealed: vec![7; SEALED_BYTES],
            message_id: format!("<{}.0123456789abcdef@mg.example.com>", job.lease.job),
            age: Duration::from_millis(20),
        };
        let seal = Seal { lease: job.lease, link: Some(link), journal: self.entry(&job, Step::GenerateLink) };
        let finish = Finish { lease: job.lease, end: End::Sent, journal: self.entry(&job, Step::Send) };
        let (cleared, recorded) = match self.batching {
            Batching::Grouped => (self.seals.commit(seal).await.unwrap(), self.ends.commit(finish).await.unwrap()),
            Batching::Single => {
                let cleared = outbox::seal(&self.pool, &[seal]).await.unwrap()[0];
                (cleared, outbox::finish(&self.pool, &[finish]).await.unwrap()[0])
            }
        };
        assert!(matches!(cleared, Cleared::Send { .. }));
        assert_eq!(recorded, Recorded::Done);
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn entry(&self, job: &ClaimedJob, step: Step) -> Option<JournalEntry> {
        let step = Attempt {
            step,
            outcome: Outcome::Ok,
            http_status: Some(200),
            failure: None,
            started_at: chrono::Utc::now(),
            duration: Duration::from_millis(20),
        };
        Some(JournalEntry { step, attempt: job.attempt, worker: Arc::clone(&self.name) })
    }
}

static NOTES: [[AtomicU64; 3]; 3] = [const { [const { AtomicU64::new(0) }; 3] }; 3];
pub(crate) fn note(kind: usize, n: usize, t: Duration) {
    NOTES[kind][0].fetch_add(1, Ordering::Relaxed);
    NOTES[kind][1].fetch_add(n as u64, Ordering::Relaxed);
    NOTES[kind][2].fetch_add(t.as_micros() as u64, Ordering::Relaxed);
}
pub(crate) fn notes() {
    for (kind, name) in ["seal", "end", "claim"].iter().enumerate() {
        let [c, n, t] = [0, 1, 2].map(|i| NOTES[kind][i].swap(0, Ordering::Relaxed) as f64);
        println!("   {name}: {c} commits, {:.1} each, {:.2} ms each, {:.1} us per row", n / c, t / c / 1e3, t / n);
    }
}
