//! Pauses that a service asked for by rate limiting.

use std::time::Duration;

use sqlx::PgPool;

use crate::{model::upstream::Upstream, postgres::error::Error};

/// Pauses all claims and sends for a while, because the service asked for it. A pause is never shortened.
///
/// # Errors
/// [`Error::Database`].
pub async fn pause(pool: &PgPool, upstream: Upstream, time: Duration) -> Result<(), Error> {
    sqlx::query!(
        "
        update upstreams
        set paused_until = greatest(paused_until, clock_timestamp() + make_interval(secs => $2))
        where name = $1
        ",
        upstream.as_str(),
        time.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(())
}
