//! The connection pool, and the settings of its sessions.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgExecutor, PgPool, Row as _, postgres::PgPoolOptions};

use super::{
    database_url::{self, DatabaseUrlError},
    error::{Error, OutageReason, READ_ONLY, ReasonSource},
    pooler::{DISTRUST, PoolerMonitor},
    schema::newest_migration,
};

/// Maximum time to wait for a connection from the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that was idle for longer than this is checked before it is used, so that a restart of Postgres is
/// noticed. Under load, when each round trip counts, no connection is idle that long.
pub(crate) const TRUSTED_FOR: Duration = Duration::from_millis(50);

/// A connection that is returned to the pool, perhaps in the middle of a statement after a timeout, is closed unless it
/// answers within this time. sqlx also checks the connection, but without a timeout: on a network that silently drops
/// packets, each statement would cost the pool a connection. (A connection that stops answering between the two checks
/// is lost until the network's own timeout. A pool has other connections. A committer has only one connection, so it
/// does not return that connection to the pool: see `session`.)
pub(crate) const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Settings of each session. The timeouts end the transactions of frozen clients, because `skip locked` skips the rows
/// that these clients have locked. They also end hung statements, because these block a connection. The settings are
/// sent with `set`, because poolers drop unknown startup options. The `outbox.migration` setting, which is sent in the
/// same query, lets the functions in the database check this program's version: see `schema`.
const SESSION_SETTINGS: &str = "
set idle_in_transaction_session_timeout = '5s';
set statement_timeout = '10s';
set lock_timeout = '5s';
-- JIT compilation would take longer than running any of our statements. Postgres cannot know that, because
-- new day partitions have no statistics.
set jit = off;
-- Plan each statement once, and use indexes whatever the statistics say: the open partition grows
-- from empty to a hundred thousand rows within a minute, so its statistics are outdated.
set plan_cache_mode = force_generic_plan;
set enable_seqscan = off;
-- Starting parallel workers takes milliseconds, far longer than running any of our statements. Without this setting,
-- Postgres would start them wherever it can only use a sequential scan, because `enable_seqscan = off` makes that look
-- expensive.
set max_parallel_workers_per_gather = 0;
-- A bitmap scan would collect and sort all waiting jobs. The queue's index is already in order, and a
-- claim needs only the first few.
set enable_bitmapscan = off;
set enable_hashjoin = off;
set enable_mergejoin = off;
set timezone = 'UTC';
-- A pooler may hand out a session that still contains another connection's prepared statements.
deallocate all";

/// Whether a session can write. A session cannot write if its server is a standby, has become a standby since the
/// session began, or was made read-only by an operator.
const IS_WRITABLE: &str = "select current_setting('transaction_read_only') = 'off'";

/// Whether a session can write. Costs one round trip, like a ping.
pub(crate) async fn is_writable<'c>(session: impl PgExecutor<'c>) -> Result<bool, sqlx::Error> {
    let row = sqlx::raw_sql(IS_WRITABLE).fetch_one(session).await?;
    row.try_get(0)
}

/// Ends the server session of a read-only connection that came from a pooler. When our connection closes, the pooler
/// keeps the server session, and after a failover the pooler would hand out the read-only session again for up to an
/// hour. A server session that is older than our connection must come from a pooler.
const END_IF_POOLED: &str = "
select pg_terminate_backend(pid)
from pg_stat_activity
where pid = pg_backend_pid()
  and backend_start < clock_timestamp() - interval '1 second'";

/// Creates a pool that connects when it is first used, so that a program can start, and report that it is not ready,
/// while Postgres is unreachable.
///
/// # Errors
/// [`Error::Url`] if `url` cannot be used.
pub fn connect(url: &SecretString, max_connections: u32, program: &str) -> Result<PgPool, Error> {
    let options = database_url::parse(url.expose_secret())?;
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // `before_acquire` checks only idle connections. Checking every connection would add a round trip to each
        // statement.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            let is_distrusted = DISTRUST.concerns(meta.age);
            Box::pin(async move {
                if is_distrusted {
                    Ok(false)
                } else if meta.idle_for > TRUSTED_FOR {
                    is_writable(&mut *connection).await
                } else {
                    Ok(true)
                }
            })
        })
        .after_release(|connection, meta| {
            let is_distrusted = DISTRUST.concerns(meta.age);
            Box::pin(async move {
                if is_distrusted {
                    return Ok(false);
                }
                // After a failover, a session on the old primary may survive. Such a session must not remain in the
                // pool.
                let answer = tokio::time::timeout(CHECK_TIMEOUT, is_writable(&mut *connection)).await;
                answer.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                // All statements are sent in one round trip.
                let statements =
                    format!("{SESSION_SETTINGS}; set outbox.migration = '{}'; {IS_WRITABLE}", newest_migration());
                let row = sqlx::raw_sql(AssertSqlSafe(statements)).fetch_one(&mut *connection).await?;
                if row.try_get(0)? {
                    return Ok(());
                }
                // This statement returns an error if it ends the session.
                let _ = sqlx::raw_sql(END_IF_POOLED).execute(connection).await;
                Err(sqlx::Error::Protocol(READ_ONLY.to_owned()))
            })
        })
        .connect_lazy_with(options.application_name(program)))
}

/// Checks whether `url` is a Postgres URL.
///
/// # Errors
/// What is wrong with the URL, without any part of the password.
pub fn check_url(url: &str) -> Result<(), DatabaseUrlError> {
    database_url::parse(url).map(drop)
}

/// Returns the reason why the database cannot be used, for operators: `reason` itself, or the reason that a new
/// connection or a check of the pooler revealed.
pub async fn outage_reason(
    pool: &PgPool,
    monitor: &PoolerMonitor,
    reason: OutageReason,
    source: ReasonSource,
) -> OutageReason {
    let found = match source {
        ReasonSource::Error => Ok(()),
        ReasonSource::NewConnection => try_connection(pool).await,
        ReasonSource::Pooler => monitor.check_now(pool).await,
    };
    found.map_or_else(|error| error.outage(), |()| reason)
}

/// Opens one more connection and closes it again, to find out why the pool has no connection. The pool does not report
/// the reason.
async fn try_connection(pool: &PgPool) -> Result<(), Error> {
    let attempt = async {
        let mut connection = PgConnection::connect_with(&pool.connect_options()).await?;
        let is_writable = is_writable(&mut connection).await?;
        connection.close().await?;
        if is_writable { Ok(()) } else { Err(Error::ReadOnly) }
    };
    tokio::time::timeout(ACQUIRE_TIMEOUT, attempt).await.unwrap_or(Err(Error::TimedOut))
}
