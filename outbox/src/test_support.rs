//! For tests and benches only (feature `test-support`): direct access to batched writes that the programs make through
//! [`GroupCommit`](crate::GroupCommit). Here the caller decides what a batch contains.
#![allow(clippy::missing_errors_doc, reason = "each function returns the errors of the function that it calls")]

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
