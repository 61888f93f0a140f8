//! `magic-link-worker jobs`: shows operators and scripts what happened to mails. `list`, `show` and `tail` only read,
//! and need only the role `magic_link_viewer` from deploy/roles.sql. `cancel` and `retry` need the role
//! `magic_link_operator`. No command prints a link, a token or a sign-in code. The messages of mail servers and
//! upstreams are untrusted, so `text` makes them safe to print.

mod act;
mod advice;
mod cancel;
mod json;
mod list;
mod next;
mod related;
mod retry;
mod sentences;
mod show;
mod table;
mod tail;
pub(super) mod text;

use outbox::{Error, PgPool};

use super::{CommandError, connect_to_tables};
use crate::settings::{DatabaseSettings, JobsCommand};

/// Runs one of the `jobs` commands.
///
/// # Errors
/// [`CommandError::Database`], [`CommandError::Output`] or [`CommandError::NoSuchJob`]. `cancel` and `retry` also
/// return [`CommandError::NotDone`], [`CommandError::NothingSelected`], [`CommandError::IdsAndFilter`],
/// [`CommandError::WrongState`] and [`CommandError::TooManyJobs`].
pub async fn jobs(settings: &DatabaseSettings, command: &JobsCommand) -> Result<(), CommandError> {
    match command {
        JobsCommand::List(arguments) => list::list(&open(settings, "list").await?, arguments).await,
        JobsCommand::Show(arguments) => show::show(&open(settings, "show").await?, arguments).await,
        JobsCommand::Cancel(arguments) => cancel::cancel(&open(settings, "cancel").await?, arguments).await,
        JobsCommand::Retry(arguments) => retry::retry(&open(settings, "retry").await?, arguments).await,
        JobsCommand::Tail(arguments) => tail::tail(&open(settings, "tail").await?, arguments.format).await,
    }
}

async fn open(settings: &DatabaseSettings, command: &str) -> Result<PgPool, Error> {
    connect_to_tables(settings, &format!("magic-link-worker jobs {command}")).await
}
