//! `magic-link-worker jobs`: what happened to mails, for operators and scripts. The commands only read, and the role
//! `magic_link_viewer` of deploy/roles.sql may run them. They never print a link, a token or a code of a mail. The
//! messages of mail servers and upstreams are untrusted, so `text` makes them safe to print.

mod advice;
mod json;
mod list;
mod next;
mod related;
mod sentences;
mod show;
mod table;
mod tail;
mod text;

use outbox::{PgPool, ProgramKind};

use super::{CommandError, connect};
use crate::settings::{DatabaseSettings, JobsCommand};

/// Runs a command about jobs.
///
/// # Errors
/// [`CommandError::Database`], [`CommandError::Output`] or [`CommandError::NoSuchJob`].
pub async fn jobs(settings: &DatabaseSettings, command: &JobsCommand) -> Result<(), CommandError> {
    match command {
        JobsCommand::List(arguments) => list::list(&open(settings, "list").await?, arguments).await,
        JobsCommand::Show(arguments) => show::show(&open(settings, "show").await?, arguments).await,
        JobsCommand::Tail(arguments) => tail::tail(&open(settings, "tail").await?, arguments.format).await,
    }
}

async fn open(settings: &DatabaseSettings, command: &str) -> Result<PgPool, CommandError> {
    let pool = connect(settings, &format!("magic-link-worker jobs {command}")).await?;
    outbox::check_schema(&pool, ProgramKind::Worker).await?;
    Ok(pool)
}
