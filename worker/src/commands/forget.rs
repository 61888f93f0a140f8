//! `magic-link-worker forget`: removes a person's address from the database.

use std::io::{Write as _, stdout};

use outbox::{Email, Forgotten};

use super::{CommandError, connect};
use crate::settings::DatabaseSettings;

/// Ends a person's open jobs, removes the address from all tables, and prints for each table how many rows were changed
/// or deleted.
///
/// # Errors
/// [`CommandError::Database`] or [`CommandError::Output`].
pub async fn forget(settings: &DatabaseSettings, address: &Email) -> Result<(), CommandError> {
    let pool = connect(settings, "magic-link-worker forget").await?;
    let forgotten = outbox::forget(&pool, address).await?;
    let mut out = stdout().lock();
    for Forgotten { relation, rows } in forgotten {
        writeln!(out, "{relation:<24} {rows:>6}")?;
    }
    writeln!(out, "The user in Supabase and the data at Mailgun were not deleted: delete them separately.")?;
    Ok(())
}
