//! `magic-link-worker`: reads the settings, then works; or only migrates, or forgets a person.

use std::{
    io::{ErrorKind, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use nix::sys::resource::{Resource, setrlimit};
use outbox::{Email, Forgotten, settings::Fault};
use worker::{
    logs,
    settings::{Arguments, Command, DatabaseSettings, LogSettings, Settings},
    tasks::{prepare, run::run},
};

/// A missing or bad setting, as clap's own errors.
const BAD_SETTINGS: u8 = 2;

/// Mails are put together and let go by the thousand, on whichever thread: with the system's allocator the worker mails a sixth
/// to a third fewer. It takes twice the memory (docs/performance.md); the api, which gains nothing by it, does without.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    // A core dump would hold links and keys.
    setrlimit(Resource::RLIMIT_CORE, 0, 0).context("core dumps cannot be turned off")?;
    if let Err(fault) = read_dotenv() {
        return Ok(refuse(&[fault]));
    }
    let arguments = Arguments::parse();
    match &arguments.command {
        Some(Command::Migrate) => with_database(&arguments, async |database| migrate(database).await),
        Some(Command::Forget { address }) => match Email::parse(address) {
            Ok(address) => with_database(&arguments, async |database| forget(database, &address).await),
            Err(error) => Ok(refuse(&[format!("{address}: {error}")])),
        },
        None => match (LogSettings::read(&arguments), Settings::read(&arguments)) {
            (Ok(logs), Ok(settings)) => start(logs, run(&settings)),
            (logs, settings) => Ok(refuse_all(logs.err(), settings.err())),
        },
    }
}

/// `.env` of the current directory, not of its parents. What the environment has already goes before it.
fn read_dotenv() -> Result<(), String> {
    match dotenvy::from_path(".env") {
        Ok(()) => Ok(()),
        Err(dotenvy::Error::Io(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(dotenvy::Error::Io(error)) => Err(format!(".env: cannot be read: {error}")),
        // Its own message shows the line, which may hold a secret.
        Err(_) => Err(".env: has a line that is not NAME=value (example: LINK_LIFETIME=1h)".to_owned()),
    }
}

/// A command that needs the database and nothing else.
fn with_database(
    arguments: &Arguments,
    work: impl AsyncFnOnce(&DatabaseSettings) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    match (LogSettings::read(arguments), DatabaseSettings::read(arguments)) {
        (Ok(logs), Ok(database)) => start(logs, work(&database)),
        (logs, database) => Ok(refuse_all(logs.err(), database.err())),
    }
}

fn start(logs: LogSettings, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    logs::start(logs)?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

async fn migrate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let pool = outbox::connect(&settings.url, settings.max_connections, "magic-link-worker migrate")?;
    prepare::migrate(&pool).await?;
    tracing::info!("the tables are up to date");
    Ok(())
}

/// Says what was done on stdout: this is for the person who asked for it.
async fn forget(settings: &DatabaseSettings, address: &Email) -> anyhow::Result<()> {
    let pool = outbox::connect(&settings.url, settings.max_connections, "magic-link-worker forget")?;
    let forgotten = outbox::forget(&pool, address).await?;
    let mut out = std::io::stdout().lock();
    for Forgotten { relation, rows } in forgotten {
        writeln!(out, "{relation:<24} {rows:>6}")?;
    }
    writeln!(out, "Supabase's user and what Mailgun keeps are theirs to delete.")?;
    Ok(())
}

fn refuse_all(first: Option<Vec<Fault>>, second: Option<Vec<Fault>>) -> ExitCode {
    let faults: Vec<String> = [first, second].into_iter().flatten().flatten().map(|fault| fault.to_string()).collect();
    refuse(&faults)
}

#[expect(clippy::print_stderr, reason = "there are no logs yet, and this is for the person who starts the program")]
fn refuse(faults: &[String]) -> ExitCode {
    for fault in faults {
        eprintln!("{fault}");
    }
    ExitCode::from(BAD_SETTINGS)
}
