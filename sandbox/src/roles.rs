//! A database as an operator sets it up by `deploy/roles.sql`: its tables belong to one role, and each program has a
//! role that can do no more than it must.

use crate::{PostgresError, ServerAddress, programs::workspace_root};
use sqlx::{AssertSqlSafe, Connection, PgConnection, migrate::Migrator, raw_sql};
use std::{fs, path::PathBuf};

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Owns the tables, and migrates them.
    Owner,
    /// `magic-link-api`.
    Api,
    /// `magic-link-worker`.
    Worker,
    /// Reads the views.
    Viewer,
}

impl Role {
    pub(crate) const ALL: [Role; 4] = [Role::Owner, Role::Api, Role::Worker, Role::Viewer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Role::Owner => "magic_link_owner",
            Role::Api => "magic_link_api",
            Role::Worker => "magic_link_worker",
            Role::Viewer => "magic_link_viewer",
        }
    }
}

/// Why there is no such database.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// Not even an empty one.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The roles' file cannot be read.
    #[error("{0}: {1}")]
    File(PathBuf, std::io::Error),
    /// The server refuses a statement of it.
    #[error("deploy/roles.sql: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl ServerAddress {
    /// Makes a database, migrated by its owner, with the roles of `deploy/roles.sql` and the partitions of a week.
    ///
    /// # Errors
    /// When it is there already, or the workspace's SQL is at fault.
    pub async fn create_outbox(&self, name: &str) -> Result<(), RolesError> {
        self.create_database(name).await?;
        self.set_roles(name).await?;
        let mut owner = PgConnection::connect(&self.url_as(name, Role::Owner)).await?;
        Migrator::new(workspace_root().join("migrations")).await?.run(&mut owner).await?;
        owner.close().await?;
        self.set_roles(name).await?;
        let mut worker = PgConnection::connect(&self.url_as(name, Role::Worker)).await?;
        sqlx::query("select email_make_partitions(7)").execute(&mut worker).await?;
        // A database that somebody is connected to cannot be cloned.
        worker.close().await?;
        Ok(())
    }

    /// Runs `deploy/roles.sql` in a database, and gives the roles their passwords.
    ///
    /// # Errors
    /// As [`ServerAddress::create_outbox`].
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
