//! Opens a new connection every 100 ms at the address that the programs use, and checks whether the connection can
//! write.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tests::record::now;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::spans::{Span, gaps};

const INTERVAL: Duration = Duration::from_millis(100);
/// Maximum time to open a connection and write through it.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Maximum number of concurrent probes.
const MAX_PROBES: usize = 20;
/// Maximum number of concurrent probes through PgBouncer. PgBouncer opens the sessions of a role one after another, so
/// more probes would keep waiting for each other until they all time out.
const MAX_PROBES_THROUGH_A_POOLER: usize = 4;
/// If no write succeeds for this many seconds and a probe fails in that time, the prober assumes that there is no
/// writable primary.
const AWAY: f64 = 0.5;
/// Number of sessions on read-only servers that are kept open to see whether the balancer closes them.
const MAX_WITNESSES: usize = 5;

/// The reason recorded for a probe that timed out.
const NO_ANSWER: &str = "no answer";

/// A running prober.
pub(crate) struct Prober {
    stop: watch::Sender<bool>,
    work: tokio::task::JoinHandle<Probes>,
}

/// The results of all probes of a run.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    /// The times at which writes were confirmed, in ascending order.
    written: Vec<f64>,
    /// Sessions on read-only servers that the prober keeps open.
    witnesses: Vec<PgConnection>,
    /// The time of each failed probe, and the reason why it failed. Probes whose sessions were read-only are included.
    failures: Vec<(f64, String)>,
}

enum Probe {
    Written(f64),
    ReadOnly { at: f64, port: i32, session: PgConnection },
    Failed(f64, String),
}

impl Prober {
    /// Creates the prober's table, which is not part of the outbox.
    pub(crate) async fn prepare(url: &str) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let table = "create table if not exists probes (at timestamptz primary key default clock_timestamp())";
        sqlx::raw_sql(table).execute(&mut connection).await.unwrap();
    }

    /// Starts the prober. With a pooler, it runs fewer probes concurrently.
    pub(crate) fn start(url: String, has_pooler: bool) -> Self {
        let (stop, stopped) = watch::channel(false);
        let most = if has_pooler { MAX_PROBES_THROUGH_A_POOLER } else { MAX_PROBES };
        Self { stop, work: tokio::spawn(probe_until(stopped, url, most)) }
    }

    /// Stops the prober and returns its results.
    pub(crate) async fn stop(self) -> Probes {
        self.stop.send_replace(true);
        self.work.await.unwrap()
    }
}

impl Probes {
    /// Returns the periods in which no new connection could write. A gap between two writes is not an outage if no
    /// probe failed in it: the machine was merely busy.
    pub(crate) fn outages(&self) -> Vec<Span> {
        let has_failures = |gap: &Span| self.failures.iter().any(|(at, _)| (gap.from..gap.to).contains(at));
        gaps(&self.written, AWAY).into_iter().filter(has_failures).collect()
    }

    /// Returns the time after which new connections no longer hung: when the last hanging connection was opened, or the
    /// end of the outage if none hung after it. A balancer that notices a failover late still forwards some new
    /// connections to a frozen server although another server is already the primary.
    pub(crate) fn settled(&self, outage: &Span) -> f64 {
        let mut hung: Vec<f64> = self.failures.iter().filter(|(_, why)| why == NO_ANSWER).map(|(at, _)| *at).collect();
        hung.sort_by(f64::total_cmp);
        hung.into_iter().fold(outage.to, |last, at| if (last..=last + AWAY).contains(&at) { at } else { last })
    }

    /// Lists the failed probes with their times and reasons, one per line.
    pub(crate) fn failures(&self) -> String {
        self.failures.iter().map(|(at, why)| format!("{at:.1} {why}\n")).collect()
    }

    /// Returns how many of the sessions on read-only servers are still open.
    pub(crate) async fn sessions_kept(self) -> usize {
        let mut kept = 0;
        for mut witness in self.witnesses {
            let asked = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut witness);
            if matches!(timeout(TIMEOUT, asked).await, Ok(Ok(true))) {
                kept += 1;
            }
        }
        kept
    }

    fn record(&mut self, probe: Probe) {
        match probe {
            Probe::Written(at) => self.written.push(at),
            Probe::ReadOnly { at, port, session } => {
                self.failures.push((at, format!("the server on port {port} is read-only")));
                if self.witnesses.len() < MAX_WITNESSES {
                    self.witnesses.push(session);
                }
            }
            Probe::Failed(at, why) => self.failures.push((at, why)),
        }
    }
}

async fn probe_until(mut stopped: watch::Receiver<bool>, url: String, most: usize) -> Probes {
    let (mut pace, mut running, mut probes) = (interval(INTERVAL), JoinSet::new(), Probes::default());
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !*stopped.borrow() {
        tokio::select! {
            _ = pace.tick(), if running.len() < most => drop(running.spawn(probe(url.clone()))),
            Some(done) = running.join_next() => probes.record(done.unwrap()),
            _ = stopped.changed() => {}
        }
    }
    running.join_all().await.into_iter().for_each(|probe| probes.record(probe));
    probes.written.sort_by(f64::total_cmp);
    probes
}

async fn probe(url: String) -> Probe {
    let began = now();
    match timeout(TIMEOUT, try_to_write(&url)).await {
        Ok(Ok(probe)) => probe,
        Ok(Err(error)) => Probe::Failed(began, error.to_string()),
        Err(_) => Probe::Failed(began, NO_ANSWER.to_owned()),
    }
}

async fn try_to_write(url: &str) -> Result<Probe, sqlx::Error> {
    let mut session = PgConnection::connect(url).await?;
    match sqlx::query("insert into probes default values").execute(&mut session).await {
        Ok(_) => {
            let at = now();
            session.close().await.ok();
            Ok(Probe::Written(at))
        }
        Err(error) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("25006")) => {
            let port: i32 = sqlx::query_scalar("select inet_server_port()").fetch_one(&mut session).await?;
            Ok(Probe::ReadOnly { at: now(), port, session })
        }
        Err(error) => Err(error),
    }
}
