//! What can go wrong between us and Postgres, and whether trying again helps.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;

/// Longest time for a statement or transaction, network included. Postgres ends a statement sooner (`connect`); this is
/// for a peer that went without a word, which the kernel would wait a quarter of an hour for.
const LONGEST: Duration = Duration::from_secs(12);

/// A statement failed. Its text names no value that was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres, or the way to it.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    /// No answer came in time. What was asked may have been done.
    #[error("the database did not answer within {} s", LONGEST.as_secs())]
    TimedOut,
    /// A migration could not be applied.
    #[error("migrating the database: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Error {
    /// Whether Postgres is away or unable to take a write for now, rather than that the statement is wrong.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.code().is_some_and(|code| is_outage_code(&code)),
            Self::Database(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            ),
            Self::TimedOut => true,
            // The tables are another version's, or the role may not make them: for an operator.
            Self::Migrate(sqlx::migrate::MigrateError::Execute(error)) => error.as_database_error().is_none(),
            Self::Migrate(_) => false,
        }
    }
}

/// Gives work up that takes longer than any statement may. Its connection is not used again before it is sound.
///
/// # Errors
/// [`Error::TimedOut`], and those of the work.
pub async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(LONGEST, work).await.unwrap_or(Err(Error::TimedOut))
}

/// SQLSTATEs that pass without a change of ours (Postgres, appendix A): the connection's (08), resources (53: disk,
/// memory, connections), an operator's hand (57: shutdown, time-outs), the system (58), read-only after a failover
/// (25006), a transaction cut for idling (25P03), serialization and deadlocks (40), a lock not had in time (55P03),
/// and tables that a migration has yet to make (42P01).
fn is_outage_code(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58"))
        || matches!(code, "25006" | "25P03" | "55P03" | "42P01")
}

/// Whether the same transaction may well pass when it is run again at once: 40001, 40P01, and 23505 for a row that
/// somebody else has made this moment.
pub(crate) fn is_collision(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01" | "23505"))
}

/// Whether a row found no partition for its day. Postgres reports it as a failed check (23514) without a constraint's name.
pub(crate) fn is_missing_partition(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| error.code() == "23514" && error.constraint().is_none())
}

/// Whether a unique index refused the row.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
