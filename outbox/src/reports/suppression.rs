//! Suppressed addresses, which are not mailed for a while. `email_take_reports` adds and lifts suppressions, the api
//! checks them before it accepts a request, and an operator can lift a suppression with `select
//! email_lift_suppression('ann@example.com')`.

use std::time::Duration;

use sqlx::PgPool;

use crate::postgres::error::Error;

/// Why an address is not mailed for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum SuppressionReason {
    /// The recipient's server reported that the user or domain does not exist.
    Bounce,
    /// The recipient reported a mail as spam.
    Complaint,
    /// Mailgun does not mail the address, because the address is on Mailgun's list of bounces.
    #[sqlx(rename = "suppress-bounce")]
    ListedBounce,
    /// Mailgun does not mail the address, because the address is on Mailgun's list of complaints.
    #[sqlx(rename = "suppress-complaint")]
    ListedComplaint,
    /// Mailgun does not mail the address, because the address is on Mailgun's list of unsubscribes.
    #[sqlx(rename = "suppress-unsubscribe")]
    ListedUnsubscribe,
}

impl SuppressionReason {
    /// All reasons.
    pub const ALL: [Self; 5] =
        [Self::Bounce, Self::Complaint, Self::ListedBounce, Self::ListedComplaint, Self::ListedUnsubscribe];

    /// The value in `suppressed_recipients.reason` and in metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bounce => "bounce",
            Self::Complaint => "complaint",
            Self::ListedBounce => "suppress-bounce",
            Self::ListedComplaint => "suppress-complaint",
            Self::ListedUnsubscribe => "suppress-unsubscribe",
        }
    }
}

/// Deletes suppressions that ended more than `after` ago, so that the next suppression of the same address counts as
/// its first. Returns the number of deleted rows.
///
/// # Errors
/// [`Error::Database`].
pub async fn forget(pool: &PgPool, after: Duration) -> Result<u64, Error> {
    let deleted = sqlx::query!(
        "delete from suppressed_recipients where until < clock_timestamp() - make_interval(secs => $1)",
        after.as_secs_f64(),
    )
    .execute(pool)
    .await?;
    Ok(deleted.rows_affected())
}

/// The addresses that operators want removed from Mailgun's lists, oldest request first.
///
/// # Errors
/// [`Error::Database`].
pub async fn wanted_lifts(pool: &PgPool, limit: i64) -> Result<Vec<String>, Error> {
    let wanted = sqlx::query_scalar!("select recipient from suppression_lifts order by requested_at limit $1", limit);
    Ok(wanted.fetch_all(pool).await?)
}

/// Records that an address was removed from Mailgun's lists.
///
/// # Errors
/// [`Error::Database`].
pub async fn mark_lifted(pool: &PgPool, recipient: &str) -> Result<(), Error> {
    sqlx::query!("delete from suppression_lifts where recipient = $1", recipient).execute(pool).await?;
    Ok(())
}

/// Suppressed addresses that have not been compared with Mailgun's lists for at least `every`, with their reasons.
///
/// # Errors
/// [`Error::Database`].
pub async fn unchecked(pool: &PgPool, every: Duration, limit: i64) -> Result<Vec<(String, SuppressionReason)>, Error> {
    let rows = sqlx::query!(
        r#"
        select recipient, reason as "reason: SuppressionReason"
        from suppressed_recipients
        where until > clock_timestamp()
          and (checked_at is null or checked_at < clock_timestamp() - make_interval(secs => $1))
        order by checked_at nulls first
        limit $2
        "#,
        every.as_secs_f64(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.recipient, row.reason)).collect())
}

/// Records whether an address is on the Mailgun list that matches the reason for its suppression. If the address was on
/// the list before and no longer is, lifts the suppression and returns true.
///
/// # Errors
/// [`Error::Database`].
pub async fn set_listed(pool: &PgPool, recipient: &str, is_listed: bool) -> Result<bool, Error> {
    let gone = sqlx::query_scalar!(
        r#"
        with gone as (
          delete from suppressed_recipients
          where recipient = $1 and listed and not $2
          returning recipient
        ),
        checked as (
          update suppressed_recipients
          set listed = $2, checked_at = clock_timestamp()
          where recipient = $1 and ($2 or not listed)
        )
        select exists (select from gone) as "gone!"
        "#,
        recipient,
        is_listed,
    );
    Ok(gone.fetch_one(pool).await?)
}
