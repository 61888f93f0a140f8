//! Pauses that operators set and all workers obey.

use std::{fmt, str::FromStr, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::postgres::error::{Error, in_time};

/// What an operator can pause: a value of `operator_pauses.target`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum PauseTarget {
    /// All mail.
    Mail,
    /// All jobs, because every job needs a link from Supabase Auth.
    Supabase,
    /// All mail, because every mail goes through Mailgun.
    Mailgun,
    /// The jobs of the portal with this id: `^[a-z0-9][a-z0-9-]{0,31}$`.
    Portal(String),
}

impl fmt::Display for PauseTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail => f.write_str("mail"),
            Self::Supabase => f.write_str("supabase"),
            Self::Mailgun => f.write_str("mailgun"),
            Self::Portal(id) => write!(f, "portal:{id}"),
        }
    }
}

/// The text is not a [`PauseTarget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be mail, supabase, mailgun or portal:ID")]
pub struct UnknownTarget;

impl FromStr for PauseTarget {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Self, UnknownTarget> {
        match text {
            "mail" => Ok(Self::Mail),
            "supabase" => Ok(Self::Supabase),
            "mailgun" => Ok(Self::Mailgun),
            _ => {
                let id = text.strip_prefix("portal:").ok_or(UnknownTarget)?;
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                let is_id = (1..=32).contains(&id.len())
                    && id.bytes().all(|byte| is_plain(byte) || byte == b'-')
                    && id.bytes().next().is_some_and(is_plain);
                if is_id { Ok(Self::Portal(id.to_owned())) } else { Err(UnknownTarget) }
            }
        }
    }
}

/// A pause that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// What is paused: the text of a [`PauseTarget`].
    pub target: String,
    /// The operator's reason.
    pub reason: String,
    /// Role of the operator who set the pause.
    pub paused_by: String,
    /// When the pause began.
    pub paused_at: DateTime<Utc>,
    /// When the pause ends, unless an operator ends it earlier.
    pub ends_at: DateTime<Utc>,
}

/// Pauses a target. If the target is already paused, changes the reason and the end of the pause. `lasts` is 1 second
/// to 7 days, and `reason` is 1 to 500 bytes. Returns the time when the pause ends.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`]. The SQLSTATE is 22023 if a value is out of range, or if the running
/// programs have other portals but not this one.
pub async fn pause(pool: &PgPool, target: &PauseTarget, reason: &str, lasts: Duration) -> Result<DateTime<Utc>, Error> {
    in_time(async {
        let until = sqlx::query_scalar!(
            r#"select until as "until!" from email_pause($1, $2, make_interval(secs => $3))"#,
            target.to_string(),
            reason,
            lasts.as_secs_f64(),
        );
        Ok(until.fetch_one(pool).await?)
    })
    .await
}

/// Ends a pause and wakes the workers. Returns false if the target was not paused.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn resume(pool: &PgPool, target: &PauseTarget, reason: Option<&str>) -> Result<bool, Error> {
    in_time(async {
        let resumed = sqlx::query_scalar!(r#"select email_resume($1, $2) as "resumed!""#, target.to_string(), reason);
        Ok(resumed.fetch_one(pool).await?)
    })
    .await
}

/// The pauses that are in force.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn pauses(pool: &PgPool) -> Result<Vec<Pause>, Error> {
    in_time(async {
        let pauses = sqlx::query_as!(
            Pause,
            "
            select target, reason, paused_by, paused_at, ends_at
            from operator_pauses
            where ends_at > clock_timestamp()
            order by portal is not null, target
            ",
        );
        Ok(pauses.fetch_all(pool).await?)
    })
    .await
}
