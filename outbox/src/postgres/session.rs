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

/// Maximum number of retries after a collision. With each collision, the write of another session has succeeded, and each
/// session runs one write at a time. So this many sessions can write for the same recipient at once.
const MAX_COLLISIONS: u32 = 32;

/// Maximum age of a connection. An older connection is returned to the pool, which replaces it, because the memory of a server
/// process grows with the number of tables that it has used.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// A connection that is taken from the pool when it is first needed, and kept from one write to the next. Returning it after
/// each write would cost round trips. Also, the pool pings a returned connection without a time limit: if the server stops
/// answering at that moment, the pool loses the connection, and a committer has only one connection.
#[derive(Debug)]
pub(crate) struct Session {
    pool: PgPool,
    held: Option<HeldConnection>,
}

#[derive(Debug)]
struct HeldConnection {
    connection: PoolConnection<Postgres>,
    taken_at: Instant,
    /// When it became idle; `None` while it is in use.
    idle_since: Option<Instant>,
    /// Whether the last statement failed.
    has_failed: bool,
}

impl Session {
    /// Creates a session that does not have a connection yet.
    pub(crate) fn of(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), held: None }
    }

    /// Records that there is nothing to write for now. If the connection then stays idle for too long, it is checked before its
    /// next use.
    pub(crate) fn pause(&mut self) {
        self.held.take_if(|held| held.taken_at.elapsed() > MAX_AGE);
        if let Some(held) = &mut self.held {
            held.idle_since = Some(Instant::now());
        }
    }

    /// Decides after a try whether to retry (`None`) or to return a result. See [`persist!`].
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
            // Closing the connection properly would mean waiting for the server.
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

    /// Returns the connection if it can be used. If it was idle or a statement failed, its server must first confirm in time
    /// that it accepts writes. `None` if the server does not confirm this, or if a pooler has mixed up sessions since the
    /// connection was taken.
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

/// The errors of earlier tries of a write.
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
/// This is a macro because the compiler cannot prove that the future of a closure that borrows the connection is `Send`.
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
