//! Detects a connection pooler in transaction or statement mode (PgBouncer, Supavisor).
//!
//! Such a pooler runs each transaction in any of its server sessions. Our settings, prepared statements and LISTEN
//! would then affect other clients instead of us.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Row as _, Transaction, postgres::PgConnectOptions};

use super::error::{Error, in_time};

/// Number of comparisons. A single comparison is not enough, because a pooler may use the same session twice by chance.
const ROUNDS: u32 = 3;

/// Time between two checks of the pooler while a program runs.
const RECHECK_INTERVAL: Duration = Duration::from_secs(10);

/// Identifies a server session. The start time distinguishes two sessions with the same process id. It is converted to
/// epoch seconds, so that its text does not depend on the session's time zone.
const SERVER_SESSION: &str = "
    select concat_ws(' ', pid, extract(epoch from backend_start)) from pg_stat_activity where pid = pg_backend_pid()";

/// Checks that `DATABASE_URL` does not point to a pooler in transaction or statement mode. Call this function before
/// anything else uses the pool. It opens two separate connections and sends nothing that outlives a transaction.
///
/// # Errors
/// [`Error::TransactionPooler`] if `DATABASE_URL` points to such a pooler. [`Error::Database`] or [`Error::TimedOut`]
/// if the check failed.
pub async fn check_pooler(pool: &PgPool) -> Result<(), Error> {
    let options = pool.connect_options();
    let is_kept = in_time(async { Ok(compare_new_sessions(&options).await?) }).await?;
    if is_kept { Ok(()) } else { Err(transaction_pooler(pool)) }
}

/// Repeats the check of the pooler while a program runs, because an operator may change the pooler's mode.
#[derive(Debug, Default)]
pub struct PoolerMonitor {
    last: Mutex<LastCheck>,
}

#[derive(Debug, Default, Clone, Copy)]
enum LastCheck {
    #[default]
    None,
    Good(Instant),
    /// Sessions have been mixed up since the last good check.
    Bad,
}

impl PoolerMonitor {
    /// Checks the pooler with two connections from the pool. Does nothing if the last check was less than 10 seconds
    /// ago and found no fault.
    ///
    /// # Errors
    /// [`Error::TransactionPooler`]. If the pool has no connection, or a connection fails, returns `Ok`, because
    /// other checks detect such failures.
    pub async fn check(&self, pool: &PgPool) -> Result<(), Error> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(last, LastCheck::Good(at) if at.elapsed() < RECHECK_INTERVAL) {
            return Ok(());
        }
        let checked = check_pooled(pool).await;
        // After the first good check that follows a bad one, replace the connections again, because sessions may have
        // been mixed up between the two checks.
        if checked.is_err() || matches!(last, LastCheck::Bad) {
            DISTRUST.begin();
        }
        self.record(if checked.is_ok() { LastCheck::Good(Instant::now()) } else { LastCheck::Bad });
        checked
    }

    /// Checks the pooler immediately, and causes all connections to be replaced. Call this after a connection has
    /// been switched to a different server session.
    ///
    /// # Errors
    /// The same errors as [`check`](Self::check).
    pub(super) async fn check_now(&self, pool: &PgPool) -> Result<(), Error> {
        let checked = check_pooled(pool).await;
        DISTRUST.begin();
        self.record(LastCheck::Bad);
        checked
    }

    fn record(&self, check: LastCheck) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = check;
    }
}

/// One value for the whole program, because all of its pools connect to the same database.
pub(super) static DISTRUST: Distrust = Distrust { until: Mutex::new(None) };

/// Which connections must not be used again, because a pooler has mixed up their sessions.
#[derive(Debug)]
pub(super) struct Distrust {
    /// Connections opened before this time are not reused.
    until: Mutex<Option<Instant>>,
}

impl Distrust {
    fn begin(&self) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age must be closed.
    pub(super) fn concerns(&self, age: Duration) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until.elapsed() < age)
    }
}

/// Checks the pooler with two connections from the pool. Returns `Ok` if the check is not possible.
async fn check_pooled(pool: &PgPool) -> Result<(), Error> {
    let is_kept = in_time(async { Ok(compare_pooled_sessions(pool).await?) }).await;
    if matches!(is_kept, Ok(false)) { Err(transaction_pooler(pool)) } else { Ok(()) }
}

fn transaction_pooler(pool: &PgPool) -> Error {
    Error::TransactionPooler { is_supabase: is_supabase(pool.connect_options().get_host()) }
}

/// Whether each connection keeps its server session from one transaction to the next. If the pool has only one
/// connection, compares two new connections.
async fn compare_pooled_sessions(pool: &PgPool) -> Result<bool, sqlx::Error> {
    if pool.options().get_max_connections() < 2 {
        return compare_new_sessions(&pool.connect_options()).await;
    }
    let (mut first, mut second) = tokio::try_join!(pool.acquire(), pool.acquire())?;
    compare_sessions(&mut first, &mut second).await
}

/// Compares the sessions of two new connections, which, unlike those of the pool, have not sent SET.
async fn compare_new_sessions(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    let mut first = PgConnection::connect_with(options).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let kept = compare_sessions(&mut first, &mut second).await?;
    // Ignore errors: the result is known, and the server notices a connection that was not closed cleanly.
    let _ = tokio::join!(first.close(), second.close());
    Ok(kept)
}

/// Whether each connection keeps its server session. Sends only simple queries, because a pooler may not support
/// prepared statements.
async fn compare_sessions(first: &mut PgConnection, second: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // RDS Proxy also changes sessions between transactions, but no longer does so once a connection has declared a
    // cursor or used SET. All of the pool's connections use SET, so declare a cursor here to make the proxy treat the
    // compared connections in the same way. With other poolers, the cursor has no effect, because it ends with its
    // transaction.
    let Some(mut transaction) = begin(first).await? else { return Ok(false) };
    sqlx::raw_sql("declare pooler_check cursor for select 1").execute(&mut *transaction).await?;
    transaction.rollback().await?;
    for round in 0..ROUNDS {
        let before = server_session(first).await?;
        let Some(mut transaction) = begin(second).await? else { return Ok(false) };
        // The open transaction of the second connection holds its session, which may be the session that the first
        // connection had before.
        let is_taken = server_session(&mut transaction).await? == before;
        // Do not query the first connection if its session was taken: the pooler may have no other session, and would
        // not answer.
        let is_kept = !is_taken && server_session(first).await? == before;
        transaction.rollback().await?;
        if !is_kept || !is_kept_over_queries(first, second, round + 1).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether `first` has the same session before and after some queries on `second`. A pooler that rotates its sessions
/// gives `first` the same session again after one query if the pooler has two sessions, and after two queries if it has
/// three. So pass a different number of queries in each call.
async fn is_kept_over_queries(
    first: &mut PgConnection,
    second: &mut PgConnection,
    queries: u32,
) -> Result<bool, sqlx::Error> {
    let before = server_session(first).await?;
    for _ in 0..queries {
        server_session(second).await?;
    }
    Ok(server_session(first).await? == before)
}

/// Begins a transaction. `None` if a pooler in statement mode refuses it.
async fn begin(connection: &mut PgConnection) -> Result<Option<Transaction<'_, Postgres>>, sqlx::Error> {
    match connection.begin().await {
        Ok(transaction) => Ok(Some(transaction)),
        // Compare the message, because PgBouncer also uses the code of this refusal (08P01) for other refusals.
        Err(sqlx::Error::Database(error)) if error.message().contains("statement pooling") => Ok(None),
        Err(error) => Err(error),
    }
}

async fn server_session(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(SERVER_SESSION).fetch_one(connection).await?.try_get(0)
}

/// Whether a host is one of Supabase's shared poolers. Their port 6543 is in transaction mode, and their port 5432 is
/// in session mode.
fn is_supabase(host: &str) -> bool {
    host.trim_end_matches('.').to_ascii_lowercase().ends_with(".pooler.supabase.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supabase_poolers_are_recognised_by_their_host() {
        for (host, expected) in [
            ("aws-0-eu-central-1.pooler.supabase.com", true),
            ("AWS-0-eu-central-1.Pooler.Supabase.com.", true),
            ("db.abcdefgh.supabase.co", false),
            ("pooler.supabase.com.example.com", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_supabase(host), expected, "{host}");
            let advice = Error::TransactionPooler { is_supabase: expected }.to_string();
            assert_eq!(advice.contains("port 5432"), expected, "{advice}");
            assert!(advice.contains("session mode"), "{advice}");
        }
    }
}
