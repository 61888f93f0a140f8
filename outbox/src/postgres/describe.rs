//! Describes errors from the database library so that an operator knows what to do. The descriptions leave out the
//! detail that Postgres adds to some errors, because it may contain values from rows. They also leave out references to
//! the source code of Postgres and of the library.

use std::io::ErrorKind;

use sqlx::migrate::MigrateError;

use super::error::{UNDEFINED_FUNCTION, UNDEFINED_TABLE};

/// Describes an error from a statement or a connection.
pub(super) fn describe(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => "timed out waiting for a free database connection".to_owned(),
        sqlx::Error::Database(error) => {
            let message = error.message();
            match error.code() {
                Some(code) if [UNDEFINED_TABLE, UNDEFINED_FUNCTION].contains(&&*code) => {
                    format!(
                        "some tables or functions are missing ({message}): run this version's `magic-link-worker migrate`"
                    )
                }
                Some(code) => format!("Postgres reported: {message} (SQLSTATE {code})"),
                None => format!("Postgres reported: {message}"),
            }
        }
        // sqlx reports a refused certificate as an I/O error.
        sqlx::Error::Io(error) => {
            let text = error.to_string();
            describe_certificate(&text).map_or_else(|| describe_connection(error), str::to_owned)
        }
        sqlx::Error::Tls(error) => {
            let text = error.to_string();
            describe_certificate(&text).map_or_else(|| format!("TLS to Postgres failed: {text}"), str::to_owned)
        }
        sqlx::Error::Protocol(message) => message.clone(),
        sqlx::Error::WorkerCrashed => "the connection to Postgres ended unexpectedly".to_owned(),
        other => other.to_string(),
    }
}

/// Describes why the tables cannot be migrated.
pub(super) fn describe_migration(error: &MigrateError) -> String {
    match error {
        MigrateError::Execute(error) => describe(error),
        MigrateError::ExecuteMigration(error, version) => format!("migration {version}: {}", describe(error)),
        MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => {
            format!("migration {version} in the database differs from this program's: check which build applied it")
        }
        other => other.to_string(),
    }
}

/// Describes an I/O error on the connection.
fn describe_connection(error: &std::io::Error) -> String {
    let text = error.to_string();
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => {
            "connection refused: no server is listening on the host and port in DATABASE_URL"
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => "the host in DATABASE_URL cannot be reached",
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => "the connection to Postgres was lost",
        ErrorKind::TimedOut => "Postgres did not answer in time",
        ErrorKind::NotFound => "a file named in DATABASE_URL does not exist (the socket or the sslrootcert file)",
        ErrorKind::PermissionDenied => "no permission to open a file named in DATABASE_URL (socket or certificate)",
        _ if text.contains("lookup address") => "the host name in DATABASE_URL cannot be resolved",
        // The operating system's message, without the error number.
        _ => return text.split(" (os error").next().unwrap_or_default().to_owned(),
    };
    words.to_owned()
}

/// Describes why a certificate was refused and what to do about it, based on the text of rustls's error (as seen with
/// Postgres 15).
fn describe_certificate(error: &str) -> Option<&'static str> {
    let advice = [
        (
            "UnsupportedCertVersion",
            "the server's TLS certificate has X.509 version 1: replace it with a version 3 certificate",
        ),
        (
            "CaUsedAsEndEntity",
            "the server's TLS certificate belongs to a certificate authority: give the server its own certificate, \
             signed by that authority",
        ),
        (
            "UnknownIssuer",
            "the server's TLS certificate is signed by an unknown authority: add \
             sslrootcert=/path/to/the/authority.pem to DATABASE_URL",
        ),
        (
            "not valid for name",
            "the server's TLS certificate is for another host name: use that name in DATABASE_URL, or sslmode=verify-ca",
        ),
        ("certificate expired", "the server's TLS certificate has expired"),
    ];
    advice.into_iter().find(|(words, _)| error.contains(words)).map(|(_, advice)| advice)
}

#[cfg(test)]
mod tests {
    use std::io::Error as IoError;

    use crate::Error;

    #[test]
    fn the_error_for_a_refused_certificate_says_what_to_do() {
        for (words, advice) in [
            ("invalid peer certificate: Other(OtherError(UnsupportedCertVersion))", "version 3"),
            ("invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", "its own certificate"),
            ("invalid peer certificate: UnknownIssuer", "sslrootcert="),
            ("invalid peer certificate: certificate not valid for name \"127.0.0.1\"; it is for db", "verify-ca"),
        ] {
            let error = Error::from(sqlx::Error::Io(IoError::other(words)));
            assert!(error.to_string().contains(advice), "{error}");
            assert!(error.is_outage());
        }
    }

    #[test]
    fn a_connection_error_is_described_without_its_os_error_number() {
        for (number, words) in
            [(111, "connection refused: "), (104, "was lost"), (113, "cannot be reached"), (24, "open files")]
        {
            let error = Error::from(sqlx::Error::Io(IoError::from_raw_os_error(number))).to_string();
            assert!(error.contains(words) && !error.contains("os error"), "{error}");
        }
    }
}
