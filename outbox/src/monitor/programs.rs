//! Tracks which programs are running. Each program reports itself every [`REPORT_INTERVAL`] and gets a summary of all
//! running programs, so that its health check can show whether the programs' connections exceed the server's limit, and
//! whether versions or keys differ.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use sqlx::{PgPool, types::Json};
use tokio::time::timeout;

use crate::postgres::{
    error::{Error, in_time},
    schema::{ProgramKind, newest_migration},
};

/// Time between two reports. A program that has not reported for three times this interval is left out of the summary.
pub const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Maximum time that a stopping program waits for the database.
const STOP_PATIENCE: Duration = Duration::from_secs(1);

/// A running program.
#[derive(Debug, Clone)]
pub struct Program {
    /// The program's unique name. At most 128 bytes.
    pub name: String,
    /// Whether the program is an api or a worker.
    pub kind: ProgramKind,
    /// The program's version. At most 64 bytes.
    pub version: &'static str,
    /// The commit that the program was built from, if known. At most 64 bytes.
    pub commit: Option<&'static str>,
    /// Maximum number of connections to Postgres that the program opens.
    pub max_connections: u32,
    /// Ids of a worker's sealing keys. The first key encrypts new links. `None` for an api.
    pub sealing_keys: Option<Vec<String>>,
    /// A worker's `LINK_STYLE`: `confirm`, `verify`, `token_hash` or `code`. `None` for an api.
    pub link_style: Option<&'static str>,
    /// Ids of the keys of confirm links. The first key encrypts new links. `None` if `CONFIRM_KEY` is not set.
    pub confirm_keys: Option<Vec<String>>,
    /// Ids of the portals in the program's `PORTALS_FILE`, at most 10,000. `None` if the program has no portals. See
    /// [`ProgramReporter::set_portals`].
    pub portals: Option<Vec<String>>,
}

/// A summary of the running programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProgramsSummary {
    /// Number of running apis.
    pub apis: i64,
    /// Number of running workers.
    pub workers: i64,
    /// Maximum number of connections that all programs together can open.
    pub max_connections: i64,
    /// Number of connections that the Postgres server allows.
    pub connections_allowed: i32,
    /// The programs' versions, each with its commit.
    pub versions: Vec<String>,
    /// The workers' distinct lists of sealing keys. Each list is one string, with the ids separated by spaces.
    pub sealing_keys: Vec<String>,
    /// Problems that an operator should look at.
    pub warnings: Vec<ProgramsWarning>,
    /// Ids of the portals that at least one worker has loaded, sorted. See [`worker_portals`](Self::worker_portals).
    worker_portals: BTreeSet<String>,
}

impl ProgramsSummary {
    /// Ids of the portals that at least one running worker has loaded. `None` if no worker is running. The set is empty
    /// if the running workers have no portals, or if their version does not report portals.
    pub fn worker_portals(&self) -> Option<&BTreeSet<String>> {
        (self.workers > 0).then_some(&self.worker_portals)
    }
}

/// A problem that an operator should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramsWarning {
    /// One of [`ProgramsWarning::CODES`].
    pub code: String,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl ProgramsWarning {
    /// All codes.
    pub const CODES: [&str; 4] =
        ["confirm_keys_differ", "sealing_keys_differ", "too_few_connections", "versions_differ"];
}

/// Reports one program to the database and keeps the latest summary of all programs.
#[derive(Debug)]
pub struct ProgramReporter {
    program: Program,
    portals: Mutex<Option<Vec<String>>>,
    latest: Mutex<Option<ProgramsSummary>>,
}

impl ProgramReporter {
    /// Creates a reporter, which has no summary until its first report.
    pub fn new(program: Program) -> Self {
        Self { portals: Mutex::new(program.portals.clone()), program, latest: Mutex::default() }
    }

    /// Sets the portals that the program reports, starting with the next report. Call this after the portals have been
    /// reloaded.
    pub fn set_portals(&self, portals: Option<Vec<String>>) {
        *self.portals.lock().unwrap_or_else(PoisonError::into_inner) = portals;
    }

    /// The portals that the program reports. `None` if the program has no portals.
    pub fn portals(&self) -> Option<Vec<String>> {
        self.portals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reports that the program is running, and logs each new warning.
    ///
    /// # Errors
    /// [`Error::Database`] or [`Error::TimedOut`]. After an error, [`latest`](Self::latest) returns `None`.
    pub async fn report(&self, pool: &PgPool) -> Result<(), Error> {
        let portals = self.portals();
        let reported = in_time(self.program.report(pool, portals.as_deref())).await;
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match reported {
            Ok(summary) => {
                log_new_warnings(latest.as_ref(), &summary);
                *latest = Some(summary);
                Ok(())
            }
            Err(error) => {
                *latest = None;
                Err(error)
            }
        }
    }

    /// Reports that the program is stopping. Gives up if the database does not answer within a second.
    pub async fn report_stop(&self, pool: &PgPool) {
        let stopped = timeout(STOP_PATIENCE, self.program.report_stop(pool)).await;
        if !matches!(stopped, Ok(Ok(()))) {
            tracing::debug!(
                "could not delete this program's row in email_programs; the row is ignored after 30 seconds"
            );
        }
    }

    /// The summary from the last report. `None` if that report failed, or if there has been no report yet.
    pub fn latest(&self) -> Option<ProgramsSummary> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn log_new_warnings(before: Option<&ProgramsSummary>, now: &ProgramsSummary) {
    for warning in &now.warnings {
        if before.is_none_or(|before| before.warnings.iter().all(|known| known.code != warning.code)) {
            tracing::warn!(code = warning.code, "{}", warning.message);
        }
    }
}

impl Program {
    async fn report(&self, pool: &PgPool, portals: Option<&[String]>) -> Result<ProgramsSummary, Error> {
        let row = sqlx::query!(
            r#"
            select
              apis as "apis!",
              workers as "workers!",
              max_connections as "max_connections!",
              connections_allowed as "connections_allowed!",
              coalesce(versions, '{}') as "versions!",
              coalesce(sealing_keys, '{}') as "sealing_keys!",
              coalesce(warnings, '[]') as "warnings!: Json<Vec<ProgramsWarning>>",
              coalesce(worker_portals, '{}') as "worker_portals!"
            from email_program_alive($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            "#,
            self.name,
            self.kind.as_str(),
            self.version,
            self.commit,
            i32::try_from(newest_migration()).unwrap_or(i32::MAX),
            i32::try_from(self.max_connections).unwrap_or(i32::MAX),
            self.sealing_keys.as_deref(),
            self.link_style,
            self.confirm_keys.as_deref(),
            portals,
        )
        .fetch_one(pool)
        .await?;
        Ok(ProgramsSummary {
            apis: row.apis,
            workers: row.workers,
            max_connections: row.max_connections,
            connections_allowed: row.connections_allowed,
            versions: row.versions,
            sealing_keys: row.sealing_keys,
            warnings: row.warnings.0,
            worker_portals: row.worker_portals.into_iter().collect(),
        })
    }

    async fn report_stop(&self, pool: &PgPool) -> Result<(), Error> {
        sqlx::query!("select email_program_stopped($1)", self.name).execute(pool).await?;
        Ok(())
    }
}
