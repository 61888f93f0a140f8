//! The sandbox on the command line: `sandbox dev` (`cargo dev`), `sandbox database` and `sandbox api`.
#![expect(clippy::print_stderr, reason = "a command says on the terminal what went wrong")]

use clap::{Parser, Subcommand};
use sandbox::{Database, Stop};
use std::{ffi::OsString, os::unix::process::ExitStatusExt, process::ExitStatus};
use tokio::signal::unix::{SignalKind, signal};

/// The world outside, on one machine: Postgres, Supabase Auth, Mailgun and a mailbox.
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
    /// Reads no .env and hands the programs only settings of its own. SANDBOX_DATABASE_URL, if set,
    /// names the database: on this machine, and empty or made by an earlier sandbox.
    /// SANDBOX_POSTGRES_DOWNLOAD=1 downloads a Postgres server even if one is installed.
    Dev,
    /// Runs a command with DATABASE_URL set to a migrated database that is gone afterwards.
    ///
    /// For instance: sandbox database -- cargo sqlx prepare --workspace
    Database {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Runs a command with API_URL set to the api, alone, on an empty database; both are gone afterwards.
    ///
    /// For instance: sandbox api -- sh -c 'curl -i "$API_URL/openapi.json"'
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
        SandboxCommand::Dev => Ok(match sandbox::dev().await? {
            Stop::Asked => 0,
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

/// The command's own exit code, or 128 and its signal, as a shell has it.
async fn code_of(ends: impl Future<Output = anyhow::Result<ExitStatus>>) -> anyhow::Result<i32> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Ctrl-C reaches the command, too, and its end is ours: so it is only kept from killing us.
    let _interrupt = signal(SignalKind::interrupt())?;
    let status = tokio::select! {
        status = ends => status?,
        // The command gets SIGTERM from the kernel when we are gone.
        _ = terminate.recv() => return Ok(143),
    };
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    Ok(code.unwrap_or(1))
}
