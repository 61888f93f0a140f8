//! Sets up a database with `deploy/roles.sql`, as operators do: one role owns the tables, and each program has a role
//! with only the rights that it needs.

use crate::{PostgresError, ServerAddress, programs::workspace_root};
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrator, raw_sql};
use std::{fs, path::PathBuf};

/// A database role that `deploy/roles.sql` creates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Owns and migrates the tables.
    Owner,
    /// The role of `magic-link-api`.
    Api,
    /// The role of `magic-link-worker`.
    Worker,
    /// Reads the views.
    Viewer,
    /// Reads the views, cancels and retries jobs, and pauses mail.
    Operator,
}

impl Role {
    pub(crate) const ALL: [Role; 5] = [Role::Owner, Role::Api, Role::Worker, Role::Viewer, Role::Operator];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Owner => "magic_link_owner",
            Role::Api => "magic_link_api",
            Role::Worker => "magic_link_worker",
            Role::Viewer => "magic_link_viewer",
            Role::Operator => "magic_link_operator",
        }
    }
}

/// Why the database could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// The database could not be created.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// `deploy/roles.sql` cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// A connection to the database, or a statement in `deploy/roles.sql`, failed.
    #[error("deploy/roles.sql: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl ServerAddress {
    /// Creates a database with the roles of `deploy/roles.sql`, migrated by its owner, with partitions for a week.
    ///
    /// # Errors
    /// See [`RolesError`].
    pub async fn create_outbox(&self, name: &str) -> Result<(), RolesError> {
        self.create_database(name).await?;
        self.set_roles(name).await?;
        let mut owner = PgConnection::connect(&self.url_as(name, Role::Owner)).await?;
        Migrator::new(workspace_root().join("migrations")).await?.run(&mut owner).await?;
        owner.close().await?;
        self.set_roles(name).await?;
        let mut worker = PgConnection::connect(&self.url_as(name, Role::Worker)).await?;
        sqlx::query("select email_make_partitions(7)").execute(&mut worker).await?;
        // Postgres cannot clone a database while a client is connected to it.
        worker.close().await?;
        Ok(())
    }

    /// Runs `deploy/roles.sql` in a database and sets the roles' passwords.
    ///
    /// # Errors
    /// See [`RolesError`].
    pub async fn set_roles(&self, database: &str) -> Result<(), RolesError> {
        let file = workspace_root().join("deploy/roles.sql");
        let script = fs::read_to_string(&file).map_err(|error| RolesError::File(file, error))?;
        let mut admin = PgConnection::connect(&self.url(database)).await?;
        raw_sql(AssertSqlSafe(script)).execute(&mut admin).await?;
        for role in Role::ALL {
            let statement = format!("alter role {} password '{}'", role.name(), self.password());
            raw_sql(AssertSqlSafe(statement)).execute(&mut admin).await?;
        }
        admin.close().await?;
        Ok(())
    }
}
