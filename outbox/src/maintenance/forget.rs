//! Erases a person: removes the address, and any text about the person, from all tables. Counts are kept.

use sqlx::PgPool;

use crate::{
    model::email::Email,
    postgres::{
        error::Error,
        session::{Session, persist},
    },
};

/// The number of rows of a table that contained something about the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The table.
    pub relation: String,
    /// Number of rows that were changed or deleted.
    pub rows: u64,
}

/// Erases an address. Its open jobs end. The rows of all jobs for the address are kept, but the address is removed from them.
///
/// # Errors
/// [`Error::Database`]: nothing was removed.
pub async fn forget(pool: &PgPool, address: &Email) -> Result<Vec<Forgotten>, Error> {
    let rows = persist!(&mut Session::of(pool), |connection| async {
        let forget =
            sqlx::query!(r#"select relation as "relation!", rows as "rows!" from email_forget($1)"#, address.as_str(),);
        forget.fetch_all(connection).await
    })?;
    Ok(rows.into_iter().map(|row| Forgotten { relation: row.relation, rows: row.rows.unsigned_abs() }).collect())
}
