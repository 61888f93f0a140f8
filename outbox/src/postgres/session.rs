//! A session with Postgres that repeats a write after a collision, or after creating a missing partition.

use std::time::{Duration, Instant};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::time::timeout;

use super::{
    connect::{CHECK_TIMEOUT, TRUSTED_FOR, is_writable},
    error::{Error, in_time, is_collision, is_missing_partition},
    partitions,
    pooler::DISTRUST,
};

/// Maximum number of retries after a collision. Each collision means that another session's write has succeeded, and
/// each session runs one write at a time. So if this many sessions each write once for the same recipient at the same
/// time, all of the writes succeed.
const MAX_COLLISIONS: u32 = 32;

/// How long a session keeps a connection. It then returns the connection to the pool, which replaces it: the memory of
/// a server process grows with the number of tables that the process has used.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// A connection that is taken from the pool when it is first needed, and kept from one write to the next. Returning it
/// after each write would cost round trips. Also, the pool pings a returned connection without a time limit. If the
/// server never answered the ping, the pool would lose the connection, and a committer's pool has no other.
#[derive(Debug)]
pub(crate) struct Session {
    pool: PgPool,
    held: Option<HeldConnection>,
}

#[derive(Debug)]
struct HeldConnection {
    connection: PoolConnection<Postgres>,
    taken_at: Instant,
    /// When the connection became idle. `None` while it is in use.
    idle_since: Option<Instant>,
    /// Whether the last statement failed.
    has_failed: bool,
}

impl Session {
    /// Creates a session that does not have a connection yet.
    pub(crate) fn of(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), held: None }
    }

    /// Records that there is nothing to write for now. If the connection then stays idle for too long, it is checked
    /// before its next use. If the session has kept it for longer than `MAX_AGE`, it is returned to the pool.
    pub(crate) fn pause(&mut self) {
        self.held.take_if(|held| held.taken_at.elapsed() > MAX_AGE);
        if let Some(held) = &mut self.held {
            held.idle_since = Some(Instant::now());
        }
    }

    /// Returns the result of a write, or `None` if [`persist!`] should try the write again: after a collision, or after
    /// this function has created a missing partition.
    pub(crate) async fn conclude<T>(
        &mut self,
        done: Result<T, Error>,
        tries: &mut RetryState,
    ) -> Option<Result<T, Error>> {
        match done {
            Err(Error::Database(error)) if is_collision(&error) && tries.collisions < MAX_COLLISIONS => {
                tries.collisions += 1;
                None
            }
            Err(Error::Database(error)) if is_missing_partition(&error) && !tries.partitions_made => {
                tries.partitions_made = true;
                let made = in_time(async { Ok(partitions::make_on(self.connection().await?).await?) }).await;
                made.err().map(Err)
            }
            Ok(done) => Some(Ok(done)),
            Err(error) => {
                self.handle_error(&error);
                Some(Err(error))
            }
        }
    }

    /// Handles an error: drops the connection after a timeout, and otherwise has it checked before its next use.
    fn handle_error(&mut self, error: &Error) {
        if matches!(error, Error::TimedOut)
            && let Some(held) = self.held.take()
        {
            // Drop the connection without closing it, because a clean close would wait for the server.
            drop(held.connection.detach());
        } else if let Some(held) = &mut self.held {
            held.has_failed = true;
        }
    }

    /// Checks that the session has, or can get, a connection to a server that accepts writes.
    pub(crate) async fn check(&mut self) -> Result<(), Error> {
        // `connection` checks an idle connection, and the pool checks the connections that it hands out.
        let checked = in_time(async { Ok(self.connection().await.map(drop)?) }).await;
        self.pause();
        checked
    }

    /// Returns the connection. Takes a new one from the pool if the session has no working connection.
    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let usable = match self.held.take() {
            Some(held) => held.into_usable().await,
            None => None,
        };
        let held = match usable {
            Some(held) => held,
            None => HeldConnection::from(self.pool.acquire().await?),
        };
        Ok(&mut self.held.insert(held).connection)
    }
}

impl HeldConnection {
    fn from(connection: PoolConnection<Postgres>) -> Self {
        Self { connection, taken_at: Instant::now(), idle_since: None, has_failed: false }
    }

    /// Returns the connection if it can be used. If it was idle for longer than `TRUSTED_FOR`, or if its last statement
    /// failed, its server must first confirm within `CHECK_TIMEOUT` that it accepts writes. Returns `None` if the
    /// server does not confirm this, or if a pooler has mixed up sessions since the connection was taken.
    async fn into_usable(mut self) -> Option<Self> {
        if DISTRUST.concerns(self.taken_at.elapsed()) {
            drop(self.connection.detach());
            return None;
        }
        let is_trusted = !self.has_failed && self.idle_since.is_none_or(|since| since.elapsed() <= TRUSTED_FOR);
        if is_trusted || matches!(timeout(CHECK_TIMEOUT, is_writable(&mut *self.connection)).await, Ok(Ok(true))) {
            return Some(Self { idle_since: None, has_failed: false, ..self });
        }
        drop(self.connection.detach());
        None
    }
}

/// How often a write has collided so far, and whether missing partitions have been created for it.
#[derive(Debug, Default)]
pub(crate) struct RetryState {
    collisions: u32,
    partitions_made: bool,
}

impl RetryState {
    pub(crate) fn has_collided(&self) -> bool {
        self.collisions > 0
    }
}

/// Runs a statement or transaction in a session, within the statement timeout. Repeats it if it collided with another
/// transaction, or if the partition for its day was missing.
///
/// The closure's optional second parameter is true if an earlier try collided.
///
/// This is a macro because the compiler cannot prove that the future of a closure that borrows the connection is
/// `Send`.
macro_rules! persist {
    ($session:expr, |$connection:ident| $work:expr) => {
        persist!($session, |$connection, _is_retry| $work)
    };
    ($session:expr, |$connection:ident, $is_retry:ident| $work:expr) => {{
        let session: &mut $crate::postgres::session::Session = $session;
        let mut tries = $crate::postgres::session::RetryState::default();
        loop {
            let $is_retry = tries.has_collided();
            let done = $crate::postgres::error::in_time(async {
                let $connection = session.connection().await?;
                Ok($work.await?)
            });
            let done = done.await;
            if let Some(done) = session.conclude(done, &mut tries).await {
                break done;
            }
        }
    }};
}
pub(crate) use persist;
