//! Tries every 100 ms whether a new connection can write, through the address that the programs use.

use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tests::record::now;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{interval, timeout},
};

use crate::spans::{Span, gaps};

const PACE: Duration = Duration::from_millis(100);
/// Maximum time for a connection and its write.
const PATIENCE: Duration = Duration::from_secs(2);
/// Without a write for so long, in seconds, there is no writable primary. Less than this is a busy machine.
const AWAY: f64 = 0.5;
/// Sessions on a read-only server that are kept to see whether somebody closes them.
const MOST_WITNESSES: usize = 5;

/// A prober at work.
pub(crate) struct Prober {
    stop: watch::Sender<bool>,
    work: tokio::task::JoinHandle<Probes>,
}

/// What a prober has found.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    /// When each write was confirmed, in order.
    written: Vec<f64>,
    /// Sessions that turned out to be read-only.
    witnesses: Vec<PgConnection>,
}

enum Probe {
    Written(f64),
    ReadOnly(PgConnection),
    Failed,
}

impl Prober {
    /// Creates the prober's table. It is no part of the outbox.
    pub(crate) async fn prepare(url: &str) {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let table = "create table if not exists probes (at timestamptz primary key default clock_timestamp())";
        sqlx::raw_sql(table).execute(&mut connection).await.unwrap();
    }

    /// Starts to probe.
    pub(crate) fn start(url: String) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, work: tokio::spawn(probe_until(stopped, url)) }
    }

    /// Stops, and returns what was found.
    pub(crate) async fn stop(self) -> Probes {
        self.stop.send_replace(true);
        self.work.await.unwrap()
    }
}

impl Probes {
    /// When no new connection could write.
    pub(crate) fn outages(&self) -> Vec<Span> {
        gaps(&self.written, AWAY)
    }

    /// Number of sessions on read-only servers that nobody has closed.
    pub(crate) async fn sessions_kept(self) -> usize {
        let mut kept = 0;
        for mut witness in self.witnesses {
            let asked = sqlx::query_scalar("select pg_is_in_recovery()").fetch_one(&mut witness);
            if matches!(timeout(PATIENCE, asked).await, Ok(Ok(true))) {
                kept += 1;
            }
        }
        kept
    }
}

async fn probe_until(mut stopped: watch::Receiver<bool>, url: String) -> Probes {
    let (mut pace, mut running, mut probes) = (interval(PACE), JoinSet::new(), Probes::default());
    while !*stopped.borrow() {
        tokio::select! {
            _ = pace.tick() => drop(running.spawn(probe(url.clone()))),
            Some(done) = running.join_next() => probes.note(done.unwrap()),
            _ = stopped.changed() => {}
        }
    }
    running.join_all().await.into_iter().for_each(|probe| probes.note(probe));
    probes.written.sort_by(f64::total_cmp);
    probes
}

impl Probes {
    fn note(&mut self, probe: Probe) {
        match probe {
            Probe::Written(at) => self.written.push(at),
            Probe::ReadOnly(session) if self.witnesses.len() < MOST_WITNESSES => self.witnesses.push(session),
            Probe::ReadOnly(_) | Probe::Failed => {}
        }
    }
}

async fn probe(url: String) -> Probe {
    timeout(PATIENCE, try_to_write(&url)).await.ok().flatten().unwrap_or(Probe::Failed)
}

async fn try_to_write(url: &str) -> Option<Probe> {
    let mut session = PgConnection::connect(url).await.ok()?;
    match sqlx::query("insert into probes default values").execute(&mut session).await {
        Ok(_) => {
            let at = now();
            session.close().await.ok();
            Some(Probe::Written(at))
        }
        Err(error) => {
            let code = error.as_database_error()?.code()?;
            (code == "25006").then_some(Probe::ReadOnly(session))
        }
    }
}
