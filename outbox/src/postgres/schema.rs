//! Applies migrations, and checks whether the tables support this version of the program. While an upgrade is being
//! rolled out, or after it has been rolled back, programs run with tables that a newer version has migrated.

use sqlx::{PgPool, migrate::Migrator};

use super::error::{Error, is_undefined_function};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// A program that uses the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgramKind {
    /// `magic-link-worker`.
    Worker,
    /// `magic-link-api`.
    Api,
}

impl ProgramKind {
    /// The program's name in the tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Worker => "worker",
            Self::Api => "api",
        }
    }
}

/// The newest migration of this version.
pub(crate) fn newest_migration() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default()
}

/// Applies the migrations that are missing. Programs that start at the same time wait for each other. Migrations that a
/// newer version has applied are ignored.
///
/// # Errors
/// [`Error::Migrate`], for example because Postgres is unreachable, because the role lacks the right to create tables,
/// or because a migration was changed after it had been applied.
pub async fn migrate(pool: &PgPool) -> Result<(), Error> {
    let mut migrator = Migrator { migrations: MIGRATOR.migrations.clone(), ..Migrator::DEFAULT };
    migrator.set_ignore_missing(true);
    Ok(migrator.run(pool).await?)
}

/// Checks that the server answers, and that its tables support this version of the program.
///
/// # Errors
/// [`Error::Database`], [`Error::TablesTooOld`] or [`Error::ProgramTooOld`].
pub async fn check_schema(pool: &PgPool, program: ProgramKind) -> Result<(), Error> {
    let versions = sqlx::query!(
        r#"select migration as "migration!", worker_from as "worker_from!", api_from as "api_from!" from outbox_versions()"#,
    )
    .fetch_one(pool)
    .await;
    let knows = newest_migration();
    let versions = match versions {
        Err(error) if is_undefined_function(&error) => return Err(Error::TablesTooOld { needed: knows }),
        versions => versions?,
    };
    let needed = match program {
        ProgramKind::Worker => versions.worker_from,
        ProgramKind::Api => versions.api_from,
    };
    if versions.migration < knows {
        return Err(Error::TablesTooOld { needed: knows });
    }
    if knows < i64::from(needed) {
        return Err(Error::ProgramTooOld { knows, needed });
    }
    Ok(())
}
