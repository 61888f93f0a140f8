//! For tests and benches only (feature `test-support`): the batched writes that the programs reach through
//! [`GroupCommit`](crate::GroupCommit), called directly, so that a test decides what is in a batch.
#![allow(clippy::missing_errors_doc, reason = "the errors are those of the functions that they call")]

use sqlx::PgPool;

use crate::{
    enqueue::{
        batch::enqueue_in,
        request::{EnqueuePolicy, Enqueued, NewJob},
    },
    postgres::{error::Error, notify::notify, session::Session},
    running::seal::{Seal, SendDecision, seal_in},
};

/// Enqueues one batch of requests, and wakes the workers.
pub async fn enqueue(pool: &PgPool, policy: &EnqueuePolicy, requests: &[NewJob]) -> Result<Vec<Enqueued>, Error> {
    let outcomes = enqueue_in(&mut Session::of(pool), policy, requests).await?;
    notify(pool).await?;
    Ok(outcomes)
}

/// Seals one batch of links.
pub async fn seal(pool: &PgPool, seals: &[Seal]) -> Result<Vec<SendDecision>, Error> {
    seal_in(&mut Session::of(pool), seals).await
}
