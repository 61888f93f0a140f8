//! Parses `DATABASE_URL`. The URL is checked before sqlx parses it, because sqlx logs the parts that it does not
//! understand, and such a part may contain a piece of the password.

use sqlx::postgres::PgConnectOptions;
use url::{Host, Url};

/// Why a string cannot be used as `DATABASE_URL`. The messages contain no part of a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    /// The string does not start with `postgres://` or `postgresql://`.
    #[error("is not a Postgres URL: it must start with postgres:// or postgresql://")]
    NotPostgres,
    /// A `/`, `?` or `#` in the password ends the host part of a URL too early.
    #[error("has an @ or a # after the host: percent-encode the password (/ is %2F, ? is %3F, # is %23, @ is %40)")]
    UnencodedPassword,
    /// The URL has a parameter that sqlx would ignore.
    #[error("has an unknown parameter: {0}")]
    UnknownParameter(String),
    /// The URL cannot be parsed, or its port or a known parameter has an invalid value.
    #[error("has an invalid host, port or parameter value")]
    BadValue,
}

/// The parameters that sqlx understands (sqlx-postgres 0.9, `options/parse.rs`). A name that ends with `[` is a prefix.
const PARAMETERS: [&str; 19] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "options[",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "ssl-mode",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement-cache-capacity",
    "user",
];

/// Parses a URL such as `postgres://user:password@host:5432/database`.
///
/// # Errors
/// [`DatabaseUrlError`].
pub(crate) fn parse(text: &str) -> Result<PgConnectOptions, DatabaseUrlError> {
    let text = text.trim();
    let rest = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let rest = rest.ok_or(DatabaseUrlError::NotPostgres)?;
    // The host part ends at the first of these characters. If an @ or a # follows, that character was not the end of
    // the host but part of an unencoded password.
    let (_, behind_host) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    if behind_host.contains(['@', '#']) {
        return Err(DatabaseUrlError::UnencodedPassword);
    }
    let url = Url::parse(text).map_err(|_| DatabaseUrlError::BadValue)?;
    for (name, _) in url.query_pairs() {
        if !is_known(&name) {
            let is_name =
                name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            return Err(DatabaseUrlError::UnknownParameter(if is_name { name.into_owned() } else { "…".to_owned() }));
        }
    }
    let options: PgConnectOptions = text.parse().map_err(|_| DatabaseUrlError::BadValue)?;
    Ok(match url.host() {
        // sqlx would keep the brackets and try to resolve `[::1]` as a host name.
        Some(Host::Ipv6(address)) if options.get_host().starts_with('[') => options.host(&address.to_string()),
        _ => options,
    })
}

fn is_known(name: &str) -> bool {
    PARAMETERS.iter().any(|known| name == *known || (known.ends_with('[') && name.starts_with(known)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> Option<DatabaseUrlError> {
        parse(text).err()
    }

    #[test]
    fn postgres_urls_are_parsed() {
        for (text, host, port) in [
            ("postgres://user:secret@db.internal/outbox", "db.internal", 5432),
            ("postgresql://user:p%3Fa%23b%2Fc%40d@db.internal:6543/outbox?sslmode=require", "db.internal", 6543),
            ("postgres://user:p@ss@db.internal/outbox", "db.internal", 5432),
            ("postgres://user:secret@[::1]:5433/outbox", "::1", 5433),
            ("postgres://user:secret@127.0.0.1/outbox?application_name=mail&options[geqo]=off", "127.0.0.1", 5432),
            ("postgres://user@localhost/outbox?host=/var/run/postgresql", "localhost", 5432),
        ] {
            let options = parse(text).unwrap();
            assert_eq!((options.get_host(), options.get_port()), (host, port), "{text}");
        }
    }

    #[test]
    fn no_message_shows_any_part_of_a_password() {
        for password in
            ["se?same", "se#same", "se/same", "12?sesame", "12#sesame", "12/sesame", "?sesame", "s@e?sesame=1&x"]
        {
            let text = format!("postgres://user:{password}@db.internal/outbox");
            assert_eq!(error(&text), Some(DatabaseUrlError::UnencodedPassword), "{password}");
        }
        let text = "postgres://user:sesame@db.internal/outbox?";
        assert_eq!(
            error(&format!("{text}pgbouncer=true")),
            Some(DatabaseUrlError::UnknownParameter("pgbouncer".to_owned()))
        );
        for odd in ["pg%20bouncer=true", "sslmode=sesame", "port=sesame"] {
            assert!(!error(&format!("{text}{odd}")).unwrap().to_string().contains("sesame"), "{odd}");
        }
        for other in ["mysql://user:sesame@db/outbox", "sesame", "postgres://user:sesame@db.internal:port/outbox"] {
            assert!(!error(other).unwrap().to_string().contains("sesame"), "{other}");
        }
    }
}
