//! `magic-link-worker migrate`: brings the tables up to date.

use super::{CommandError, connect};
use crate::{settings::DatabaseSettings, tasks::prepare};

/// Brings the tables up to date and creates the partitions for the coming days.
///
/// # Errors
/// [`CommandError::Database`].
pub async fn migrate(settings: &DatabaseSettings) -> Result<(), CommandError> {
    let pool = connect(settings, "magic-link-worker migrate").await?;
    prepare::migrate(&pool).await?;
    tracing::info!("the tables are up to date");
    Ok(())
}
