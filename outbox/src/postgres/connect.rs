//! The pool of connections, and the migrations.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::Error;

/// Longest wait for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that has rested for longer is asked whether it lives before it is used: none that outlived a restart of
/// Postgres is taken for sound, and under load, when each round trip counts, none rests for so long.
const TRUSTED_FOR: Duration = Duration::from_millis(50);

/// A connection that was given back in the middle of a statement, as after a time-out, has this long to answer, or is closed.
/// sqlx asks too, but without end: on a network gone silent each statement would cost the pool a connection for good.
const ANSWER: Duration = Duration::from_secs(3);

/// A pool that connects when it is first used, so that a program starts, and says that it is not ready, while
/// Postgres is still away.
///
/// # Errors
/// [`Error::Database`] where `url` is not a Postgres URL.
pub fn connect(url: &SecretString, max_connections: u32, program: &str) -> Result<PgPool, Error> {
    let options: PgConnectOptions = url.expose_secret().parse()?;
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // One that was in use a moment ago need not be asked whether it lives: that would be a round trip more for each.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TRUSTED_FOR {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                let answer = tokio::time::timeout(ANSWER, connection.ping()).await;
                answer.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map(|()| true)
            })
        })
        .after_connect(|connection, _| {
            Box::pin(async move {
                // A frozen client's locks hide rows from SKIP LOCKED, and a hung statement holds a connection:
                // both end by themselves. By `set`, since poolers drop unknown start-up options.
                sqlx::raw_sql(
                    "set idle_in_transaction_session_timeout = '5s';
                     set statement_timeout = '10s';
                     set lock_timeout = '5s';
                     -- Compiling a statement takes longer than any of ours runs, and tables that come and go by the
                     -- day have no statistics that would tell Postgres so.
                     set jit = off;
                     -- A plan of each statement is made once, by index whatever the statistics say: the open partition goes
                     -- from empty to a hundred thousand rows within a minute, and its statistics are of another time.
                     set plan_cache_mode = force_generic_plan;
                     set enable_seqscan = off;
                     -- Nor all that wait into a bitmap, to be sorted: the queue's index has them in order, and a claim needs few.
                     set enable_bitmapscan = off;
                     set enable_hashjoin = off;
                     set enable_mergejoin = off;
                     set timezone = 'UTC'",
                )
                .execute(connection)
                .await
                .map(drop)
            })
        })
        .connect_lazy_with(options.application_name(program)))
}

/// Whether a text is a Postgres URL, for whoever reads the settings.
///
/// # Errors
/// What is wrong with it, without the URL, which holds a password.
pub fn check_url(url: &str) -> Result<(), String> {
    let known = ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme));
    match url.parse::<PgConnectOptions>() {
        Ok(_) if known => Ok(()),
        _ => Err("is not a Postgres URL, or has a parameter that is not known".to_owned()),
    }
}

/// Brings the tables up to date. Programs that start together wait for each other.
///
/// # Errors
/// [`Error::Migrate`]: Postgres is away, the role may not create tables, or a newer version was here before.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    Ok(sqlx::migrate!("../migrations").run(pool).await?)
}

/// Whether Postgres answers and the tables are there.
///
/// # Errors
/// [`Error::Database`] where not.
pub async fn ping(pool: &PgPool) -> Result<(), Error> {
    sqlx::query!("select from email_jobs_open limit 0").execute(pool).await?;
    Ok(())
}
