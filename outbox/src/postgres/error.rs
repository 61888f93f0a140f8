//! Database errors, and whether a retry can help.

use std::time::Duration;

use sqlx::{
    migrate::MigrateError,
    postgres::{PgDatabaseError, PgSeverity},
};

use super::{
    database_url::DatabaseUrlError,
    describe::{describe, describe_migration},
};

/// Maximum time for a statement or transaction, including the network. Postgres ends a slow statement sooner (see
/// `connect`). This timeout covers a peer that disappears: without the timeout, the kernel would wait 15 minutes for
/// the peer.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(12);

/// The message of [`Error::ReadOnly`].
pub(crate) const READ_ONLY: &str = "the server is read-only: it is a standby, or default_transaction_read_only is on";

/// A database error. Its text leaves out the detail that Postgres adds to some errors, because it may contain values
/// from rows.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Postgres or the connection to it failed.
    #[error("{}", describe(.0))]
    Database(#[from] sqlx::Error),
    /// The server accepts no writes: it is a standby, or was made read-only.
    #[error("{READ_ONLY}")]
    ReadOnly,
    /// Some of this version's migrations have not been applied.
    #[error("migration {needed} has not been applied to the database: run this version's `magic-link-worker migrate`")]
    TablesTooOld {
        /// The newest migration of this version.
        needed: i64,
    },
    /// A newer version has migrated the tables in a way that this version does not understand.
    #[error(
        "the tables require migration {needed}, but this program only has migrations up to {knows}: \
         run the newer version"
    )]
    ProgramTooOld {
        /// The newest migration of this version.
        knows: i64,
        /// The migration that a program must include to use the tables.
        needed: i32,
    },
    /// `DATABASE_URL` points to a connection pooler in transaction or statement mode. An operator must change the URL
    /// or the pooler's mode.
    #[error("{}", describe_pooler(*.is_supabase))]
    TransactionPooler {
        /// Whether the pooler is one of Supabase's.
        is_supabase: bool,
    },
    /// `DATABASE_URL` cannot be used.
    #[error("DATABASE_URL {0}")]
    Url(#[from] DatabaseUrlError),
    /// There was no answer in time. The statement may have been executed.
    #[error("the database did not answer within {} s", STATEMENT_TIMEOUT.as_secs())]
    TimedOut,
    /// A migration could not be applied.
    #[error("the tables cannot be migrated: {}", describe_migration(.0))]
    Migrate(#[from] MigrateError),
}

impl Error {
    /// Where to find the reason for this error. See [`outage_reason`](crate::outage_reason).
    #[must_use]
    pub fn reason_source(&self) -> ReasonSource {
        match self {
            Self::Database(sqlx::Error::PoolTimedOut) => ReasonSource::NewConnection,
            Self::Database(sqlx::Error::Database(error)) if error.code().is_some_and(|code| is_session_code(&code)) => {
                ReasonSource::Pooler
            }
            _ => ReasonSource::Error,
        }
    }

    /// Whether the work may succeed later without an operator's help: for example, Postgres is unreachable or read-only
    /// at the moment, or another version is being rolled out. False if the statement itself is wrong, or if only an
    /// operator can fix the problem.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| is_outage_code(&code)) || ends_session(error.as_ref())
            }
            Self::Database(error) => matches!(
                error,
                sqlx::Error::Io(_)
                    | sqlx::Error::Tls(_)
                    | sqlx::Error::Protocol(_)
                    | sqlx::Error::PoolTimedOut
                    | sqlx::Error::PoolClosed
                    | sqlx::Error::WorkerCrashed
            ),
            // `TablesTooOld` and `ProgramTooOld` occur while another version is being rolled out. Both errors disappear
            // when the tables have been migrated or this program has been replaced.
            Self::TimedOut | Self::ReadOnly | Self::TablesTooOld { .. } | Self::ProgramTooOld { .. } => true,
            Self::Url(_) | Self::TransactionPooler { .. } => false,
            // If Postgres refuses a migration, an operator must act: for example, the role lacks the right to create
            // tables.
            Self::Migrate(MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _)) => {
                error.as_database_error().is_none()
            }
            Self::Migrate(_) => false,
        }
    }

    /// The reason why the database cannot be used. Call this only for an error that [is an outage](Self::is_outage).
    #[must_use]
    pub fn outage(&self) -> OutageReason {
        let kind = if self.is_about_tables() { OutageKind::WrongTables } else { OutageKind::Away };
        OutageReason { kind, text: self.to_string() }
    }

    /// Whether Postgres answers, but its tables are missing or belong to another version.
    fn is_about_tables(&self) -> bool {
        match self {
            Self::TablesTooOld { .. } | Self::ProgramTooOld { .. } => true,
            Self::Database(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| matches!(&*code, UNDEFINED_TABLE | TABLES_FOR_NEWER))
            }
            _ => false,
        }
    }
}

/// Why the database cannot be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutageReason {
    /// Whether the problem is the server or its tables.
    pub kind: OutageKind,
    /// The reason, with the server's own message if there is one.
    pub text: String,
}

/// What makes the database unusable: the server or its tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageKind {
    /// Postgres does not answer, refuses connections or accepts no writes.
    Away,
    /// Postgres answers, but its tables are missing or belong to another version. The reason's text explains what to
    /// do.
    WrongTables,
}

impl OutageReason {
    /// Creates the reason for a database that is unavailable.
    pub fn away(text: impl Into<String>) -> Self {
        Self { kind: OutageKind::Away, text: text.into() }
    }
}

/// Where to find the reason for an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReasonSource {
    /// The error itself contains the reason.
    Error,
    /// The server's answer to a new connection contains the reason. The pool's error shows only that no connection was
    /// available.
    NewConnection,
    /// A check of the pooler may find the reason: the connection was switched to another session, which suggests a
    /// pooler in transaction mode.
    Pooler,
}

fn describe_pooler(is_supabase: bool) -> &'static str {
    if is_supabase {
        "DATABASE_URL points to a connection pooler in transaction mode: use the pooler's port 5432, which is in \
         session mode"
    } else {
        "DATABASE_URL points to a connection pooler in transaction or statement mode: set the pooler to session mode, or \
         connect to Postgres directly"
    }
}

/// Runs work, and cancels it after the maximum time for a statement. After a cancellation, the pool or the session
/// checks the connection before using it again, or replaces it.
///
/// # Errors
/// [`Error::TimedOut`], and the errors of the work.
pub async fn in_time<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::time::timeout(STATEMENT_TIMEOUT, work).await.unwrap_or(Err(Error::TimedOut))
}

/// SQLSTATE for a table that a migration has yet to create.
pub(super) const UNDEFINED_TABLE: &str = "42P01";
/// SQLSTATE for a function that a migration has yet to create.
pub(super) const UNDEFINED_FUNCTION: &str = "42883";
/// Our own SQLSTATE for tables that require a newer program.
const TABLES_FOR_NEWER: &str = "OB001";

/// SQLSTATEs of errors that can go away without a change on our side (Postgres, appendix A): connection errors (08),
/// resources (53: disk, memory, connections), operator intervention (57: shutdown, timeouts), system errors (58), a
/// read-only server after a failover (25006), a transaction that was idle too long (25P03), serialization failures and
/// deadlocks (40), a lock timeout (55P03), tables that a migration has yet to create (42P01), tables that require a
/// newer program (OB001, our own), and the errors that a pooler in transaction mode causes.
fn is_outage_code(code: &str) -> bool {
    matches!(code.get(..2), Some("08" | "40" | "53" | "57" | "58"))
        || matches!(code, "25006" | "25P03" | "55P03" | UNDEFINED_TABLE | TABLES_FOR_NEWER)
        || is_session_code(code)
}

/// SQLSTATEs that occur after a connection has been given another server session with other prepared statements: a
/// statement does not exist (26000), already exists (42P05) or expects different parameters (08P01).
fn is_session_code(code: &str) -> bool {
    matches!(code, "26000" | "42P05" | "08P01")
}

/// Whether Postgres, or a pooler in front of it, has ended or refused the session, whatever the SQLSTATE. Examples: a
/// wrong password after a rotation (28P01), a full pooler (XX000), a database that is being renamed (3D000).
fn ends_session(error: &dyn sqlx::error::DatabaseError) -> bool {
    error
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether the same transaction may succeed if it is repeated immediately: 40001, 40P01, and 23505 for a row that a
/// concurrent transaction has inserted.
pub(crate) fn is_collision(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(code.as_deref(), Some("40001" | "40P01" | "23505"))
}

/// Whether the partition for a row was missing. Postgres reports this as a failed check (23514) without a constraint
/// name.
pub(crate) fn is_missing_partition(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        .is_some_and(|error| error.code() == "23514" && error.constraint().is_none())
}

/// Whether the statement called a function that does not exist, probably because its migration has not been applied.
pub(crate) fn is_undefined_function(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some(UNDEFINED_FUNCTION)
}

/// Whether a unique index refused the row.
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
