//! Forgets a person: the address, and what was said about it, goes from all tables; counts stay.

use sqlx::PgPool;

use crate::{
    Email, Error,
    postgres::session::{Session, persist},
};

/// Rows of a table that held something about the person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// The table.
    pub relation: String,
    /// Its rows that were changed or deleted.
    pub rows: u64,
}

/// Removes an address. Open jobs of it end; all its jobs stay, as nobody's.
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
