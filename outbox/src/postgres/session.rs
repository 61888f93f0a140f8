//! A session with Postgres that retries a write when that helps.

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

use super::{
    error::{Error, in_time, is_collision, is_missing_partition},
    partitions,
};

/// Maximum number of retries after a collision. At each collision another program's write succeeded, and each program has one
/// write at a time, so this many replicas may write for the same recipient at once.
const MAX_COLLISIONS: u32 = 32;

/// A connection of the pool that is taken when it is first needed, and kept from one write to the next. Returning it and
/// taking another would cost round trips for each write.
#[derive(Debug)]
pub(crate) struct Session {
    pool: PgPool,
    held: Option<PoolConnection<Postgres>>,
}

impl Session {
    /// A session without a connection yet.
    pub(crate) fn of(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), held: None }
    }

    /// Returns the connection to the pool, which checks idle connections.
    pub(crate) fn pause(&mut self) {
        self.held = None;
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
                // The pool checks whether the connection still works.
                self.held = None;
                Some(Err(error))
            }
        }
    }

    /// Checks that there is a connection to a server that takes writes, or that one can be had.
    pub(crate) async fn check(&mut self) -> Result<(), Error> {
        // A connection that is held has just been used; the pool checks those that it hands out.
        in_time(async { Ok(self.connection().await.map(drop)?) }).await
    }

    /// The connection; taken from the pool if there is none.
    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let held = match self.held.take() {
            Some(held) => held,
            None => self.pool.acquire().await?,
        };
        Ok(self.held.insert(held))
    }
}

/// What previous tries met.
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

/// Runs a statement or transaction in a session, within the statement timeout. It is repeated if it collided with another one,
/// and if the partition of its day was missing.
///
/// The second name in the closure is true if an earlier try collided.
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
