//! Pauses that a service requests when it rate-limits us.

use std::time::Duration;

use sqlx::PgPool;

use crate::{model::upstream::Upstream, postgres::error::Error};

/// Pauses claims, and for Mailgun also sending, because the service requested a pause. A pause is never shortened.
/// Returns true if the service was not already paused, so that only one caller logs the pause.
///
/// # Errors
/// [`Error::Database`].
pub async fn pause(pool: &PgPool, upstream: Upstream, time: Duration) -> Result<bool, Error> {
    let is_new = sqlx::query_scalar!(
        r#"
        with before as (
          select paused_until from upstreams where name = $1 for update
        )
        update upstreams
        set paused_until = greatest(upstreams.paused_until, clock_timestamp() + make_interval(secs => $2))
        from before
        where name = $1
        returning coalesce(before.paused_until <= clock_timestamp(), true) as "is_new!"
        "#,
        upstream.as_str(),
        time.as_secs_f64(),
    )
    .fetch_one(pool)
    .await?;
    Ok(is_new)
}

/// Removes pauses that have ended, and returns the services that had requested them. Each service is returned to only
/// one worker, which logs the end of the pause.
///
/// # Errors
/// [`Error::Database`].
pub async fn end_pauses(pool: &PgPool) -> Result<Vec<Upstream>, Error> {
    let ended = sqlx::query_scalar!(
        r#"
        update upstreams
        set paused_until = null
        where paused_until <= clock_timestamp()
        returning name as "name: Upstream"
        "#,
    )
    .fetch_all(pool)
    .await?;
    Ok(ended)
}
