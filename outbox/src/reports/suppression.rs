//! Addresses that are not mailed for a while. `email_take_reports` suppresses and lifts; the door asks before it takes
//! a request; an operator lifts with `select email_lift_suppression('ann@example.com')`.

use std::time::Duration;

use sqlx::PgPool;

use crate::Error;

/// Why an address is not mailed for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuppressionReason {
    /// The mailbox's server knows no such user or domain.
    Bounce,
    /// Its reader called a mail spam.
    Complaint,
    /// Mailgun does not mail it: it is on its list of bounces.
    ListedBounce,
    /// The same: of complaints.
    ListedComplaint,
    /// The same: of unsubscribes.
    ListedUnsubscribe,
}

impl SuppressionReason {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Bounce, Self::Complaint, Self::ListedBounce, Self::ListedComplaint, Self::ListedUnsubscribe];

    fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text)
    }

    /// As it stands in `suppressed_recipients.reason`, and in metrics.
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

/// Deletes suppressions that ended so long ago that the next one is a first one again. Tells how many.
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

/// An address that an operator wants taken off Mailgun's lists, the longest asked for first.
///
/// # Errors
/// [`Error::Database`].
pub async fn wanted_lifts(pool: &PgPool, at_most: i64) -> Result<Vec<String>, Error> {
    let wanted = sqlx::query_scalar!("select recipient from suppression_lifts order by requested_at limit $1", at_most);
    Ok(wanted.fetch_all(pool).await?)
}

/// An address is off Mailgun's lists.
///
/// # Errors
/// [`Error::Database`].
pub async fn lifted(pool: &PgPool, recipient: &str) -> Result<(), Error> {
    sqlx::query!("delete from suppression_lifts where recipient = $1", recipient).execute(pool).await?;
    Ok(())
}

/// Suppressed addresses that Mailgun has not been asked about for a while, and why they are suppressed.
///
/// # Errors
/// [`Error::Database`].
pub async fn unchecked(
    pool: &PgPool,
    every: Duration,
    at_most: i64,
) -> Result<Vec<(String, SuppressionReason)>, Error> {
    let rows = sqlx::query!(
        "
        select recipient, reason
        from suppressed_recipients
        where until > clock_timestamp()
          and (checked_at is null or checked_at < clock_timestamp() - make_interval(secs => $1))
        order by checked_at nulls first
        limit $2
        ",
        every.as_secs_f64(),
        at_most,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().filter_map(|row| Some((row.recipient, SuppressionReason::parse(&row.reason)?))).collect())
}

/// Whether the address is on Mailgun's list: one that was and no longer is, is suppressed no more. True if it was lifted.
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
