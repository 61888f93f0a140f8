//! The subcommands, one file each. Each subcommand prints its result to stdout for the person who runs it.

pub mod check;
pub mod example_env;
pub mod forget;
pub mod jobs;
pub mod migrate;
pub mod pause;
mod plain;
pub mod preview;
mod preview_page;
pub mod send_test;
pub mod upstreams;

use std::path::{Path, PathBuf};

use outbox::{Error, PgPool, ProgramKind, operate::pauses::PauseTarget};
use program::io_problem;

use crate::settings::DatabaseSettings;

/// Why a command failed. The message is for the person who ran the command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The database is unavailable or unusable, or refused a statement.
    #[error("{0}")]
    Database(#[from] Error),
    /// The result cannot be printed.
    #[error("the result cannot be printed: {}", io_problem(.0))]
    Output(#[from] std::io::Error),
    /// There is no such job.
    #[error("{0}")]
    NoSuchJob(String),
    /// At least one job was not cancelled or retried. The output has a line with the reason for each such job.
    #[error("at least one job was left unchanged: its line above shows why")]
    NotDone,
    /// A command that changes jobs was given neither ids nor a filter. The field contains the command.
    #[error("specify the jobs to {0} by their ids, or select them with a filter such as --code")]
    NothingSelected(&'static str),
    /// A command that changes jobs was given both ids and a filter.
    #[error("specify either ids or a filter, not both")]
    IdsAndFilter,
    /// The filter selects a state whose jobs the command cannot change. The field contains the message.
    #[error("{0}")]
    WrongState(&'static str),
    /// A filter selects more than this number of jobs.
    #[error("the filter selects more than {0} jobs: select fewer, for example with --portal, --domain or --since")]
    TooManyJobs(usize),
    /// The target that should be resumed is not paused.
    #[error("{0} is not paused")]
    NotPaused(PauseTarget),
    /// The system cannot generate a random key.
    #[error("the system cannot generate random numbers for a key")]
    Random,
    /// There are no words for the requested language.
    #[error("mails are not available in the language `{tag}`, only in {known}")]
    Language {
        /// The requested language tag.
        tag: String,
        /// The tags of all languages for which there are words.
        known: String,
    },
    /// There is no such portal.
    #[error("there is no portal `{id}`: {known}")]
    Portal {
        /// The requested portal's id.
        id: String,
        /// The ids of all portals.
        known: String,
    },
    /// Mailgun did not accept a mail.
    #[error("the mail was not sent: {0}")]
    Mailgun(String),
    /// A mail cannot be rendered.
    #[error("the mail cannot be rendered: {0}")]
    Mail(String),
    /// A file cannot be written, or a folder cannot be created.
    #[error("{}: {}", .path.display(), io_problem(.error))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl CommandError {
    fn file(path: &Path, error: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), error }
    }
}

/// Connects to the database as [`connect`] does. Also fails if the tables do not match this version.
async fn connect_to_tables(settings: &DatabaseSettings, program: &str) -> Result<PgPool, Error> {
    let pool = connect(settings, program).await?;
    outbox::check_schema(&pool, ProgramKind::Worker).await?;
    Ok(pool)
}

/// Connects to the database. Fails if the connection goes through a pooler in transaction mode.
async fn connect(settings: &DatabaseSettings, program: &str) -> Result<PgPool, Error> {
    let pool = outbox::connect(&settings.url, settings.max_connections, program)?;
    outbox::check_pooler(&pool).await?;
    Ok(pool)
}
