//! The one database of a sandbox: in a server of its own, or the one that SANDBOX_DATABASE_URL names.
//! The latter is emptied at every start, so it must be on this machine, and either empty or emptied by
//! a sandbox before: nobody's data are lost to a wrong variable.

use crate::{
    Durability, Postgres, PostgresError, Role, RolesError, postgres::Announce, process::Process,
    programs::workspace_root,
};
use nix::sys::signal::Signal;
use sqlx::{
    Connection, Executor, PgConnection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};
use std::{
    ffi::OsString,
    io,
    net::IpAddr,
    process::{Command, ExitStatus},
};

const VARIABLE: &str = "SANDBOX_DATABASE_URL";
const NAME: &str = "magic_link";

/// Why there is no database, or why the one named is left alone.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// No server of our own.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The variable holds no connection string.
    #[error("{VARIABLE} is not a Postgres connection string: {0}")]
    NotAUrl(sqlx::Error),
    /// The roles could not be made.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// It names another machine.
    #[error(
        "{VARIABLE} names the host {0}: the sandbox empties its database, \
         so it takes only one on this machine (localhost, 127.0.0.1, ::1)"
    )]
    NotLocal(String),
    /// It names a database with something in it.
    #[error(
        "{VARIABLE} names a database that is not empty (it has {0}) and that no sandbox made: \
         name an empty one, for instance after: createdb magic_link_sandbox"
    )]
    NotOurs(String),
    /// It does not answer, or refuses.
    #[error("{VARIABLE}: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migrations: {0}")]
    Migrate(#[from] MigrateError),
    /// The command could not be run.
    #[error("cannot run {command}: {source}")]
    Command {
        /// Its name.
        command: String,
        /// What the system said.
        source: io::Error,
    },
}

/// An empty database, ready for migrations.
#[derive(Debug)]
pub struct Database {
    url: String,
    postgres: Option<Postgres>,
}

impl Database {
    /// The database that SANDBOX_DATABASE_URL names, emptied; else a new one in a server of its own.
    ///
    /// # Errors
    /// When there is no server to be had, or the one named is not one to empty.
    pub async fn open() -> Result<Database, DatabaseError> {
        Database::open_announced(&|_| ()).await
    }

    /// The same; announces which server is used, and a download.
    pub(crate) async fn open_announced(announce: &Announce) -> Result<Database, DatabaseError> {
        if let Ok(url) = std::env::var(VARIABLE) {
            empty_if_ours(&url).await?;
            return Ok(Database { url, postgres: None });
        }
        let postgres = Postgres::start_announced(Durability::Stock, announce).await?;
        postgres.create_database(NAME).await?;
        Ok(Database { url: postgres.url(NAME), postgres: Some(postgres) })
    }

    /// The connection string.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The connection string for one of the roles of `deploy/roles.sql`. A database that was named from outside is used
    /// as it was named: roles are the whole server's, and its owner's to make.
    pub(crate) fn url_as(&self, role: Role) -> String {
        self.postgres.as_ref().map_or_else(|| self.url.clone(), |postgres| postgres.url_as(NAME, role))
    }

    /// Makes the roles, if the server is our own; before the migrations, and again after them.
    pub(crate) async fn set_roles(&self) -> Result<(), DatabaseError> {
        match &self.postgres {
            Some(postgres) => Ok(postgres.set_roles(NAME).await?),
            None => Ok(()),
        }
    }

    /// What it is, for people.
    pub fn description(&self) -> String {
        match &self.postgres {
            Some(postgres) => format!("Postgres {}", postgres.major_version()),
            None => format!("the database of {VARIABLE}"),
        }
    }

    /// Runs the workspace's migrations.
    ///
    /// # Errors
    /// When one of them fails.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        let migrator = Migrator::new(workspace_root().join("migrations")).await?;
        let mut connection = PgConnection::connect(&self.url).await?;
        migrator.run(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Runs a command with DATABASE_URL set, and these variables besides, and waits for its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn run(&self, command: &[OsString], besides: &[(&str, String)]) -> Result<ExitStatus, DatabaseError> {
        let (program, args) = command.split_first().map_or((OsString::new(), command), |both| (both.0.clone(), both.1));
        let mut command = Command::new(&program);
        command.args(args).env("DATABASE_URL", &self.url).envs(besides.iter().cloned());
        let process = Process::spawn(command, Signal::SIGTERM).map_err(|source| {
            let command = program.to_string_lossy().into_owned();
            DatabaseError::Command { command, source }
        })?;
        Ok(process.wait().await)
    }

    /// Stops its server politely.
    pub async fn stop(self) {
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}

/// A schema of this name is the sandbox's mark.
const MARK: &str = "magic_link_sandbox";

async fn empty_if_ours(url: &str) -> Result<(), DatabaseError> {
    let options: PgConnectOptions = url.parse().map_err(DatabaseError::NotAUrl)?;
    // What sqlx will really connect to, whichever parameter of the URL named it.
    if options.get_socket().is_none() && !is_local(options.get_host()) {
        return Err(DatabaseError::NotLocal(options.get_host().to_owned()));
    }
    let mut connection = PgConnection::connect_with(&options).await?;
    let marked: bool = sqlx::query_scalar("select exists (select from pg_namespace where nspname = $1)")
        .bind(MARK)
        .fetch_one(&mut connection)
        .await?;
    if !marked && let Some(table) = a_table(&mut connection).await? {
        return Err(DatabaseError::NotOurs(table));
    }
    connection
        .execute(sqlx::AssertSqlSafe(format!(
            "begin; create schema if not exists {MARK}; \
             drop schema if exists public cascade; create schema public; commit"
        )))
        .await?;
    connection.close().await?;
    Ok(())
}

fn is_local(host: &str) -> bool {
    let bare = host.trim_matches(['[', ']']);
    let address: Option<IpAddr> = bare.parse().ok();
    host == "localhost" || host.starts_with('/') || address.is_some_and(|ip| ip.is_loopback())
}

/// Any table, view or sequence that is not Postgres's own.
async fn a_table(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "select format('%I.%I', n.nspname, c.relname)
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         where n.nspname not in ('pg_catalog', 'information_schema')
           and n.nspname not like 'pg\\_toast%'
           and n.nspname not like 'pg\\_temp%'
         order by 1
         limit 1",
    )
    .fetch_optional(connection)
    .await
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_this_machine_is_local() {
        for (host, local) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("[::1]", true),
            ("/var/run/postgresql", true),
            ("db.example.com", false),
            ("10.0.0.1", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com", false),
            ("", false),
        ] {
            assert_eq!(is_local(host), local, "{host}");
        }
    }
}
