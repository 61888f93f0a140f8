//! The sandbox on the command line: `sandbox dev` (`cargo dev`), `sandbox database` and `sandbox api`.
#![expect(clippy::print_stderr, reason = "prints errors for the person at the terminal")]

use clap::{Parser, Subcommand};
use sandbox::{Database, DevLinkStyle, Stop};
use std::{ffi::OsString, os::unix::process::ExitStatusExt, process::ExitStatus};
use tokio::signal::unix::{SignalKind, signal};

/// Runs Postgres and stand-ins for Supabase Auth and Mailgun on this machine.
#[derive(Debug, Parser)]
#[command(name = "sandbox")]
struct SandboxArguments {
    #[command(subcommand)]
    command: SandboxCommand,
}

#[derive(Debug, Subcommand)]
enum SandboxCommand {
    /// Runs everything until Ctrl-C: Postgres, both stand-ins, the api, the worker and the mailbox page.
    ///
    /// The .env file is not read; the programs get only the sandbox's own settings. Set SANDBOX_DATABASE_URL to use an
    /// existing database instead of starting a Postgres server. The database must be on this machine, and either empty
    /// or used by an earlier sandbox: it is emptied at every start. Set SANDBOX_POSTGRES_DOWNLOAD=1 to download a
    /// Postgres server even if one is installed.
    Dev {
        /// Where the links in mails point. This sets the worker's LINK_STYLE.
        #[arg(long, value_enum, value_name = "STYLE", default_value_t)]
        link_style: DevLinkStyle,
    },
    /// Runs a command with DATABASE_URL set to a new, migrated database, and removes the database afterwards.
    ///
    /// Example: sandbox database -- cargo sqlx prepare --workspace
    Database {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Runs a command with API_URL set to the URL of a new api with an empty database, and removes both afterwards.
    ///
    /// Example: sandbox api -- sh -c 'curl -i "$API_URL/openapi.json"'
    Api {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

fn main() {
    let cli = SandboxArguments::parse();
    let code = match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sandbox: {error:#}");
            1
        }
    };
    std::process::exit(code);
}

#[tokio::main]
async fn run(command: SandboxCommand) -> anyhow::Result<i32> {
    match command {
        SandboxCommand::Dev { link_style } => Ok(match sandbox::dev(link_style).await? {
            Stop::Requested => 0,
            Stop::ProgramEnded => 1,
        }),
        SandboxCommand::Database { command } => code_of(with_database(&command)).await,
        SandboxCommand::Api { command } => code_of(sandbox::with_api(&command)).await,
    }
}

async fn with_database(command: &[OsString]) -> anyhow::Result<ExitStatus> {
    let database = Database::open().await?;
    database.migrate().await?;
    let status = database.run(command, &[]).await?;
    database.stop().await;
    Ok(status)
}

/// Returns the command's exit code or, if a signal ended the command, 128 plus the signal's number, like a shell.
async fn code_of(ends: impl Future<Output = anyhow::Result<ExitStatus>>) -> anyhow::Result<i32> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Ctrl-C also reaches the command. Catch the signal here, so that this process does not exit before the command.
    let _interrupt = signal(SignalKind::interrupt())?;
    let status = tokio::select! {
        status = ends => status?,
        // The kernel sends SIGTERM to the command when this process exits.
        _ = terminate.recv() => return Ok(143),
    };
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    Ok(code.unwrap_or(1))
}
