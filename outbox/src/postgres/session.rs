//! A session with Postgres in which writes are run, again where that helps.

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection};

use super::{
    error::{in_time, is_collision, is_missing_partition},
    partitions,
};
use crate::Error;

/// Most times that a write is run again because of others. Each time one of them got through, and each program has one
/// at a time: so many replicas may ask for the same person at once.
const MOST_COLLISIONS: u32 = 32;

/// A connection of the pool, taken when it is first needed and kept from one write to the next, for whoever writes without
/// a pause: to give one back and take another costs round trips, each time.
#[derive(Debug)]
pub(crate) struct Session {
    pool: PgPool,
    held: Option<PoolConnection<Postgres>>,
}

impl Session {
    /// A session that has yet to begin.
    pub(crate) fn of(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), held: None }
    }

    /// Gives the connection back: the pool looks after one that rests.
    pub(crate) fn pause(&mut self) {
        self.held = None;
    }

    /// Whether a try was the last, and then how it ended: see [`persist!`].
    pub(crate) async fn conclude<T>(
        &mut self,
        done: Result<T, Error>,
        tries: &mut RetryState,
    ) -> Option<Result<T, Error>> {
        match done {
            Err(Error::Database(error)) if is_collision(&error) && tries.collisions < MOST_COLLISIONS => {
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
                // Whether the connection is sound is for the pool to find out.
                self.held = None;
                Some(Err(error))
            }
        }
    }

    /// The connection, from the pool if none is held.
    pub(crate) async fn connection(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let held = match self.held.take() {
            Some(held) => held,
            None => self.pool.acquire().await?,
        };
        Ok(self.held.insert(held))
    }
}

/// What was tried already.
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

/// Runs a statement or transaction in a session, within the time that one may take: again where it collided with another,
/// and again where its day's partition was missing.
///
/// The work may ask whether it collided before.
///
/// A macro, since the compiler does not see of a closure that borrows the connection that its future may change threads.
macro_rules! persist {
    ($session:expr, |$connection:ident| $work:expr) => {
        persist!($session, |$connection, _again| $work)
    };
    ($session:expr, |$connection:ident, $again:ident| $work:expr) => {{
        let session: &mut $crate::postgres::session::Session = $session;
        let mut tries = $crate::postgres::session::RetryState::default();
        loop {
            let $again = tries.has_collided();
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
