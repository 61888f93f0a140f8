//! `magic-link-api`: reads its settings, and serves.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    process::ExitCode,
};

use anyhow::Context as _;
use api::settings::{LogFormat, RawSettings, Settings};
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing_subscriber::EnvFilter;

/// Takes requests for sign-in links and puts them into the outbox, from which magic-link-worker mails them.
///
/// Settings come from the environment, and from the file .env in the current directory if there is one.
#[derive(Parser)]
#[command(name = "magic-link-api", version)]
struct Cli {
    #[command(flatten)]
    settings: RawSettings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the OpenAPI document. Needs no settings.
    Openapi,
}

/// Settings that are missing or bad: the code that shells use for a wrong call.
const BAD_SETTINGS: u8 = 2;

fn main() -> anyhow::Result<ExitCode> {
    // Before clap looks at the environment, and before there is a second thread that could look at it too.
    let env_file = dotenvy::from_path(".env");
    let cli = Cli::parse();
    if let Some(Command::Openapi) = cli.command {
        stdout().write_all(api::document::json().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(error) = env_file
        && !error.not_found()
    {
        return complain([format!(".env: {}", unquoted(&error))]);
    }
    let settings = match Settings::read(&cli.settings) {
        Ok(settings) => settings,
        Err(faults) => return complain(faults),
    };
    set_limits()?;
    start_log(&settings)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(api::serve(settings)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error @ (api::ServeError::DatabaseUrl | api::ServeError::Listen { .. })) => complain([error]),
        Err(error) => Err(error.into()),
    }
}

fn set_limits() -> anyhow::Result<()> {
    // Memory holds addresses and the database's password: it is never written to disk.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("cannot forbid core dumps")?;
    // A shell's usual 1,024 files are a tenth of the connections that are to be served.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).context("cannot read the limit of open files")?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise the limit of open files")
}

/// A line per fault.
fn complain(faults: impl IntoIterator<Item: std::fmt::Display>) -> anyhow::Result<ExitCode> {
    let mut stderr = std::io::stderr().lock();
    for fault in faults {
        writeln!(stderr, "{fault}")?;
    }
    Ok(ExitCode::from(BAD_SETTINGS))
}

/// What is wrong with `.env`, without the line itself, which may hold a password.
fn unquoted(error: &dotenvy::Error) -> String {
    match error {
        dotenvy::Error::LineParse(_, position) => format!("a line cannot be read, at its character {position}"),
        other => other.to_string(),
    }
}

fn start_log(settings: &Settings) -> anyhow::Result<()> {
    // Postgres's notices (a table exists already, and the like) are for whoever writes the migrations.
    let filter = EnvFilter::try_new(&settings.log_filter)?.add_directive("sqlx::postgres::notice=warn".parse()?);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(stdout().is_terminal());
    match settings.log_format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
