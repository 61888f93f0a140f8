//! `magic-link-api`: reads its settings, and serves.

use std::{
    io::{IsTerminal as _, Write as _, stdout},
    process::ExitCode,
};

use anyhow::Context as _;
use api::settings::{LogFormat, RawSettings, Settings};
use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tracing::Level;
use tracing_subscriber::{
    EnvFilter, Layer as _, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

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
    let lines = match settings.log_format {
        LogFormat::Text => fmt::layer().with_ansi(stdout().is_terminal()).boxed(),
        LogFormat::Json => fmt::layer().json().with_span_list(false).boxed(),
    };
    let fit = filter_fn(|line| *line.level() <= most(line.target()));
    let filter = EnvFilter::try_new(&settings.log_filter)?;
    tracing_subscriber::registry().with(filter).with(lines.with_filter(fit)).try_init()?;
    Ok(())
}

/// The most that is written, whatever `RUST_LOG` asks for. Below info, HTTP libraries may write heads and bodies:
/// addresses. And sqlx tells at info what only the writer of a migration needs to know.
fn most(target: &str) -> Level {
    match target.split("::").next() {
        Some("api" | "outbox" | "magic_link_api") => Level::TRACE,
        Some("poem" | "sqlx") => Level::WARN,
        _ => Level::INFO,
    }
}
