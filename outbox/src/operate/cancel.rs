//! Cancels open jobs.

use sqlx::PgPool;

use super::actions::ActionOutcome;
use crate::{
    model::job_id::JobId,
    postgres::error::{Error, in_time},
};

/// Cancels an open job. A waiting job ends at once. A running one ends as soon as its worker would mail it. Nothing happens if its
/// link is ready, because the mail may be on its way. `reason` is at most 500 bytes.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn cancel(pool: &PgPool, job: JobId, reason: Option<&str>) -> Result<ActionOutcome, Error> {
    in_time(async {
        let outcome = sqlx::query_as!(
            ActionOutcome,
            r#"select outcome as "code!", message as "message!" from email_cancel_job($1, $2)"#,
            job.0,
            reason,
        );
        Ok(outcome.fetch_one(pool).await?)
    })
    .await
}
