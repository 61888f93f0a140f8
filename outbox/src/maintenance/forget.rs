//! Erases a person: removes the address, and any text about the person, from all tables. Counts are kept.

use sqlx::PgPool;

use crate::{
    model::email::Email,
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// The number of rows in one table that contained data about the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The table.
    pub relation: String,
    /// Number of rows that were changed or deleted.
    pub rows: u64,
}

/// Ends the open jobs for an address, and removes the person's data from all tables. The rows of jobs, attempts, events
/// and operators' actions are kept without that data.
///
/// # Errors
/// [`Error::Database`] or [`Error::TimedOut`].
pub async fn forget(pool: &PgPool, address: &Email) -> Result<Vec<Forgotten>, Error> {
    let rows = persist!(&mut Session::of(pool), |connection| async {
        let forget =
            sqlx::query!(r#"select relation as "relation!", rows as "rows!" from email_forget($1)"#, address.as_str(),);
        forget.fetch_all(connection).await
    })?;
    Ok(rows.into_iter().map(|row| Forgotten { relation: row.relation, rows: row.rows.unsigned_abs() }).collect())
}
