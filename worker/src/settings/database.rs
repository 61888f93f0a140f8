//! The settings for Postgres.

use outbox::check_url;
use program::SettingErrors;
use secrecy::SecretString;

use super::WorkerArguments;

/// The settings for Postgres.
pub struct DatabaseSettings {
    /// `postgres://…`
    pub url: SecretString,
    /// Size of the connection pool, at least 2, because one connection listens for notifications.
    pub max_connections: u32,
    /// Whether the worker runs the migrations when it starts.
    pub migrate_on_start: bool,
}

impl DatabaseSettings {
    /// Reads these settings. Adds an error for each invalid setting, and returns `None` if any setting is invalid.
    pub fn read(arguments: &WorkerArguments, errors: &mut SettingErrors) -> Option<Self> {
        const EXAMPLE: &str = "postgres://magic_link:secret@db.internal/magic_link";
        let url = errors
            .required("DATABASE_URL", EXAMPLE, arguments.database_url.as_deref().map(str::trim))
            .and_then(|url| errors.read("DATABASE_URL", EXAMPLE, check_url(url).map(|()| url.into())));
        let max_connections =
            errors.in_range("DATABASE_MAX_CONNECTIONS", "10", &arguments.database_max_connections, 2..=1_000);
        let migrate_on_start = errors.parse_bool("MIGRATE_ON_START", "true", &arguments.migrate_on_start);
        Some(Self { url: url?, max_connections: max_connections?, migrate_on_start: migrate_on_start? })
    }
}
