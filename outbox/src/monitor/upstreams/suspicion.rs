//! Suspects: recipients for whom a service failed, while it is not yet known whether the service fails for everybody.
//!
//! After a failure for a recipient, the worker makes a check call. If the check call also fails, the service is stopped
//! immediately. If not, the recipient becomes a suspect. A later success for any recipient clears the suspects. The
//! service is stopped when there are three suspects.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;

use super::stop::{StopReason, StoppedBy, stop};
use crate::{model::upstream::Upstream, postgres::error::Error};

/// Number of suspects that stop a service.
const MAX_SUSPECTS: i32 = 3;

/// Who is affected by a recorded failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Suspicion {
    /// Only the recipient of the call, as far as is known.
    Personal,
    /// All recipients: the service is stopped, or was stopped and has been resumed by a call that began later.
    Stopped {
        /// Whether this failure stopped the service, so that the caller should log the stop.
        is_new: bool,
    },
}

/// Reserves a check call. Returns false if a worker has started one in the last `min_interval`, or if an operator has
/// paused the service.
///
/// # Errors
/// [`Error::Database`].
pub async fn take_check(pool: &PgPool, upstream: Upstream, min_interval: Duration) -> Result<bool, Error> {
    let taken = sqlx::query!(
        "
        update upstreams
        set checked_at = clock_timestamp()
        where name = $1
          and coalesce(checked_at <= clock_timestamp() - make_interval(secs => $2), true)
          -- Make no check calls while an operator has paused the service: it may be down.
          and not exists (select from operator_pauses where target = $1 and ends_at > clock_timestamp())
        ",
        upstream.as_str(),
        min_interval.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(taken.rows_affected() == 1)
}

/// Records that a call for a recipient failed although no check call failed. The call for the recipient began at
/// `began_at`, and `recipient` is a SHA-256 hash of the address. The third suspect stops the service.
///
/// # Errors
/// [`Error::Database`].
pub async fn suspect(
    pool: &PgPool,
    upstream: Upstream,
    recipient: &[u8; 32],
    began_at: Instant,
    reason: &StopReason<'_>,
) -> Result<Suspicion, Error> {
    // Acquire the connection before calling `elapsed`: otherwise, the wait for a connection would make the call look
    // more recent.
    let mut connection = pool.acquire().await?;
    let count = sqlx::query_scalar!(
        r#"
        update upstreams
        set
          suspects = case when $2 = any(suspects) then suspects else suspects || $2 end,
          suspected_since = coalesce(suspected_since, clock_timestamp() - make_interval(secs => $3))
        where name = $1
          and stopped_by is null
          and coalesce(resumed_at <= clock_timestamp() - make_interval(secs => $3), true)
        returning cardinality(suspects) as "count!"
        "#,
        upstream.as_str(),
        &recipient[..],
        began_at.elapsed().as_secs_f64(),
    )
    .fetch_optional(&mut *connection)
    .await?;
    drop(connection);
    match count {
        None => Ok(Suspicion::Stopped { is_new: false }),
        Some(count) if count >= MAX_SUSPECTS => {
            let is_new = stop(pool, upstream, StoppedBy::Suspects, began_at, reason).await?;
            Ok(Suspicion::Stopped { is_new })
        }
        Some(_) => Ok(Suspicion::Personal),
    }
}

/// Records that a call for a recipient, which began at `began_at`, succeeded. This clears the suspects if the first of
/// their failed calls began earlier. To save writes, call this function only if there may be suspects or the service
/// may be stopped.
///
/// # Errors
/// [`Error::Database`].
pub async fn record_success(pool: &PgPool, upstream: Upstream, began_at: Instant) -> Result<(), Error> {
    // Acquire the connection before calling `elapsed`: otherwise, the wait for a connection would make the call look
    // more recent.
    let mut connection = pool.acquire().await?;
    sqlx::query!(
        "
        update upstreams
        set
          suspects = case when suspected_since < began_at then '{}' else suspects end,
          suspected_since = case when suspected_since < began_at then null else suspected_since end,
          last_success_at = greatest(last_success_at, began_at)
        from (select clock_timestamp() - make_interval(secs => $2) as began_at) as call
        where name = $1
        ",
        upstream.as_str(),
        began_at.elapsed().as_secs_f64(),
    )
    .execute(&mut *connection)
    .await?;
    Ok(())
}
