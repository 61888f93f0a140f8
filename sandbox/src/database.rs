//! The sandbox's database: a new one in a Postgres server that the sandbox starts, or the database in
//! SANDBOX_DATABASE_URL. The sandbox empties that database at every start. To protect other data if the variable is
//! wrong, the database must be on this machine, and must be empty or have been used by an earlier sandbox.

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

/// The sandbox cannot use its database, or cannot run a command that needs the database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The sandbox could not start a Postgres server.
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    /// The variable is not a connection string.
    #[error("{VARIABLE} is not a Postgres connection string: {0}")]
    NotAUrl(sqlx::Error),
    /// The roles could not be created.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// The host in the variable is not this machine.
    #[error(
        "{VARIABLE} contains the host {0}: the sandbox empties the database, \
         so the host must be this machine (localhost, 127.0.0.1, ::1)"
    )]
    NotLocal(String),
    /// The database in the variable is not empty, and no sandbox has used it before.
    #[error(
        "the database in {VARIABLE} is not empty (it contains {0}), and no sandbox has used it before: \
         use an empty one, for example one created with: createdb magic_link_sandbox"
    )]
    NotOurs(String),
    /// The database in the variable cannot be reached, or a statement failed.
    #[error("{VARIABLE}: {0}")]
    Sql(#[from] sqlx::Error),
    /// A migration failed.
    #[error("migrations: {0}")]
    Migrate(#[from] MigrateError),
    /// The command could not be run.
    #[error("cannot run {command}: {source}")]
    Command {
        /// The program's name.
        command: String,
        /// The operating system's error.
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
    /// Empties and opens the database in SANDBOX_DATABASE_URL. Without that variable, starts a server with a new
    /// database.
    ///
    /// # Errors
    /// No server can be started, or the database in the variable cannot be reached or must not be emptied.
    pub async fn open() -> Result<Database, DatabaseError> {
        Database::open_announced(&|_| ()).await
    }

    /// Like [`Database::open`], but announces which server is used and whether it is downloaded.
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

    /// The connection string for one of the roles in `deploy/roles.sql`. For a database in SANDBOX_DATABASE_URL, this
    /// is the unchanged URL: roles belong to the whole server, and its owner decides which roles exist.
    pub(crate) fn url_as(&self, role: Role) -> String {
        self.postgres.as_ref().map_or_else(|| self.url.clone(), |postgres| postgres.url_as(NAME, role))
    }

    /// Creates the roles if the sandbox started the server. Call it before the migrations and again after them.
    pub(crate) async fn set_roles(&self) -> Result<(), DatabaseError> {
        match &self.postgres {
            Some(postgres) => Ok(postgres.set_roles(NAME).await?),
            None => Ok(()),
        }
    }

    /// A description of the database for the output of `cargo dev`.
    pub fn description(&self) -> String {
        match &self.postgres {
            Some(postgres) => format!("Postgres {}", postgres.major_version()),
            None => format!("the database in {VARIABLE}"),
        }
    }

    /// Runs the workspace's migrations.
    ///
    /// # Errors
    /// The database cannot be reached, or a migration fails.
    pub async fn migrate(&self) -> Result<(), DatabaseError> {
        let migrator = Migrator::new(workspace_root().join("migrations")).await?;
        let mut connection = PgConnection::connect(&self.url).await?;
        migrator.run(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }

    /// Runs a command with DATABASE_URL and the variables in `extra` set, and waits for it to exit.
    ///
    /// # Errors
    /// The command cannot be started.
    pub async fn run(&self, command: &[OsString], extra: &[(&str, String)]) -> Result<ExitStatus, DatabaseError> {
        let (program, args) = command.split_first().map_or((OsString::new(), command), |both| (both.0.clone(), both.1));
        let mut command = Command::new(&program);
        command.args(args).env("DATABASE_URL", &self.url).envs(extra.iter().cloned());
        let process = Process::spawn(command, Signal::SIGTERM).map_err(|source| {
            let command = program.to_string_lossy().into_owned();
            DatabaseError::Command { command, source }
        })?;
        Ok(process.wait().await)
    }

    /// Stops the server with a fast shutdown, if the sandbox started it.
    pub async fn stop(self) {
        if let Some(postgres) = self.postgres {
            postgres.stop().await;
        }
    }
}

/// A schema with this name marks a database that a sandbox may empty.
const MARK: &str = "magic_link_sandbox";

async fn empty_if_ours(url: &str) -> Result<(), DatabaseError> {
    let options: PgConnectOptions = url.parse().map_err(DatabaseError::NotAUrl)?;
    // Check the host that sqlx will connect to, whichever part of the URL sets it.
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

/// Returns the name of a relation that does not belong to Postgres itself, if there is one.
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
