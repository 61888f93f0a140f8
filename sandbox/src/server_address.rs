//! The port of a local Postgres server, and the password that its superuser and the sandbox's roles share.

use crate::{PostgresError, roles::Role};
use sqlx::{Connection, PgConnection};

/// A Postgres server on 127.0.0.1, or a proxy in front of one.
#[derive(Clone, Debug)]
pub struct ServerAddress {
    port: u16,
    password: String,
}

impl ServerAddress {
    /// Creates an address. `password` is the password of the superuser and of all roles of the sandbox.
    pub fn new(port: u16, password: impl Into<String>) -> ServerAddress {
        ServerAddress { port, password: password.into() }
    }

    /// The same address with another port: that of a proxy in front of this server, or of a server with the same
    /// password.
    #[must_use]
    pub fn at_port(&self, port: u16) -> ServerAddress {
        ServerAddress { port, password: self.password.clone() }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }

    /// The connection string of a database, for the superuser.
    pub fn url(&self, database: &str) -> String {
        self.url_of("postgres", database)
    }

    /// The connection string of a database for one of the roles.
    pub fn url_as(&self, database: &str, role: Role) -> String {
        self.url_of(role.name(), database)
    }

    fn url_of(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}:{}@127.0.0.1:{}/{database}", self.password, self.port)
    }

    /// Creates an empty database.
    ///
    /// # Errors
    /// The database already exists, or the server cannot be reached.
    pub async fn create_database(&self, name: &str) -> Result<(), PostgresError> {
        let name = quoted(name);
        self.admin(format!("create database {name}")).await
    }

    /// Creates a copy of the database `template`, which must have no connections.
    ///
    /// # Errors
    /// The template does not exist, a client is connected to it, `name` already exists, or the server cannot be
    /// reached.
    pub async fn clone_database(&self, template: &str, name: &str) -> Result<(), PostgresError> {
        let (name, template) = (quoted(name), quoted(template));
        self.admin(format!("create database {name} template {template}")).await
    }

    /// Drops a database if it exists, and closes its connections.
    ///
    /// # Errors
    /// The server cannot be reached.
    pub async fn drop_database(&self, name: &str) -> Result<(), PostgresError> {
        let name = quoted(name);
        self.admin(format!("drop database if exists {name} with (force)")).await
    }

    /// Runs a statement in the database `postgres`, as the superuser.
    async fn admin(&self, statement: String) -> Result<(), PostgresError> {
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
        connection.close().await?;
        Ok(())
    }
}

/// Quotes a name for SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
