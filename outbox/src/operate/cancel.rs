//! Cancels open jobs.

use sqlx::PgPool;

use super::actions::ActionOutcome;
use crate::{
    model::job_id::JobId,
    postgres::error::{Error, in_time},
};

/// Cancels an open job. A waiting job ends immediately. A running job is ended by its worker before the mail is sent. A
/// job whose mail may be on its way is not cancelled: a running job that already has a sealed link, or a waiting job
/// whose mail Mailgun has reported as accepted. `reason` is at most 500 bytes.
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
