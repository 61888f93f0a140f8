//! `magic-link-worker`: reads its settings, starts logging and delivers mail; or only migrates, or forgets a person.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use outbox::{Email, Forgotten};
use program::{LogSettings, SettingErrors, forbid_core_dumps, load_dotenv, refuse, start_log};
use worker::{
    settings::{DatabaseSettings, WorkerArguments, WorkerCommand, WorkerSettings},
    tasks::{prepare, run::run},
};

/// Building and sending mail allocates a lot, on all threads: with the system's allocator the worker mails a sixth to a
/// third fewer. mimalloc takes twice the memory (docs/performance.md). The api gains nothing from it and does without.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<ExitCode> {
    forbid_core_dumps()?;
    if let Err(errors) = load_dotenv() {
        return Ok(refuse(errors));
    }
    let arguments = WorkerArguments::parse();
    match &arguments.command {
        Some(WorkerCommand::Migrate) => with_database(&arguments, async |database| migrate(database).await),
        // An address that would be refused today may be in an old row.
        Some(WorkerCommand::Forget { address }) => match Email::parse(address)
            .or_else(|error| Email::from_stored(&address.trim().to_lowercase()).map_err(|_| error))
        {
            Ok(address) => with_database(&arguments, async |database| forget(database, &address).await),
            Err(error) => Ok(refuse([format!("{address}: {error}")])),
        },
        None => with_settings(&arguments, WorkerSettings::read, async |settings| run(settings).await),
    }
}

/// Runs a command that needs the database and nothing else.
fn with_database(
    arguments: &WorkerArguments,
    work: impl AsyncFnOnce(&DatabaseSettings) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    with_settings(arguments, DatabaseSettings::read, work)
}

/// Reads the settings of the log and those of the work, then starts both; or reports all bad settings at once.
fn with_settings<S>(
    arguments: &WorkerArguments,
    read: fn(&WorkerArguments, &mut SettingErrors) -> Option<S>,
    work: impl AsyncFnOnce(&S) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut errors = SettingErrors::default();
    let log = LogSettings::read(&arguments.log_format, &arguments.rust_log, &mut errors);
    let settings = read(arguments, &mut errors);
    match errors.into_result(log.zip(settings)) {
        Ok((log, settings)) => start(log, work(&settings)),
        Err(errors) => Ok(refuse(errors)),
    }
}

fn start(log: LogSettings, work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    start_log(log, &["worker", "outbox", "magic_link_worker"])?;
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is installed already"))?;
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

async fn migrate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let pool = outbox::connect(&settings.url, settings.max_connections, "magic-link-worker migrate")?;
    outbox::check_pooler(&pool).await?;
    prepare::migrate(&pool).await?;
    tracing::info!("the tables are up to date");
    Ok(())
}

/// Prints the counts to stdout, for the person who ran the command.
async fn forget(settings: &DatabaseSettings, address: &Email) -> anyhow::Result<()> {
    let pool = outbox::connect(&settings.url, settings.max_connections, "magic-link-worker forget")?;
    outbox::check_pooler(&pool).await?;
    let forgotten = outbox::forget(&pool, address).await?;
    let mut out = std::io::stdout().lock();
    for Forgotten { relation, rows } in forgotten {
        writeln!(out, "{relation:<24} {rows:>6}")?;
    }
    writeln!(out, "Supabase's user and what Mailgun keeps are theirs to delete.")?;
    Ok(())
}
