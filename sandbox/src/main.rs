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
    /// Runs everything until Ctrl-C: Postgres, both stand-ins, the api, the worker, the mailbox page.
    ///
    /// Reads no .env. The programs get only the sandbox's own settings. SANDBOX_DATABASE_URL names an existing database
    /// to use instead of starting a Postgres server. It must be on this machine, and either empty or created by an
    /// earlier sandbox. SANDBOX_POSTGRES_DOWNLOAD=1 downloads a Postgres server even if one is installed.
    Dev {
        /// Where the links in mails point: the worker's LINK_STYLE.
        #[arg(long, value_enum, value_name = "STYLE", default_value_t)]
        link_style: DevLinkStyle,
    },
    /// Runs a command with DATABASE_URL set to a migrated database, which is removed afterwards.
    ///
    /// Example: sandbox database -- cargo sqlx prepare --workspace
    Database {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Runs a command with API_URL set to an api on an empty database. Both are removed afterwards.
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

/// The command's exit code, or 128 plus its signal, like a shell.
async fn code_of(ends: impl Future<Output = anyhow::Result<ExitStatus>>) -> anyhow::Result<i32> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Ctrl-C reaches the command too. Wait for the command to exit instead of dying first.
    let _interrupt = signal(SignalKind::interrupt())?;
    let status = tokio::select! {
        status = ends => status?,
        // The kernel sends SIGTERM to the command when this process exits.
        _ = terminate.recv() => return Ok(143),
    };
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    Ok(code.unwrap_or(1))
}
