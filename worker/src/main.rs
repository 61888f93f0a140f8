//! `magic-link-worker`: reads its settings, starts logging and delivers mail; or runs one of its commands.

use std::process::ExitCode;

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use outbox::Email;
use program::{
    COMMIT, ListenError, LogSettings, SettingErrors, VERSION, fail, forbid_core_dumps, load_dotenv, refuse, start_log,
};
use worker::{
    commands::{CommandError, example_env::print_example_env, forget::forget, migrate::migrate, upstreams::upstreams},
    settings::{DatabaseSettings, WorkerArguments, WorkerCommand, WorkerSettings},
    tasks::run::run,
};

/// Building and sending mail allocates a lot, on all threads: with the system's allocator the worker mails a sixth to a
/// third fewer. mimalloc takes twice the memory (docs/performance.md). The api gains nothing from it and does without.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    try_main().unwrap_or_else(|error| fail(format!("magic-link-worker: {error}")))
}

fn try_main() -> anyhow::Result<ExitCode> {
    forbid_core_dumps()?;
    let dotenv = load_dotenv();
    let matches = WorkerArguments::command().get_matches();
    let arguments = WorkerArguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Before `.env` is judged: the example is for somebody who has none.
    if let Some(WorkerCommand::ExampleEnv) = &arguments.command {
        print_example_env()?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(errors) = dotenv {
        return Ok(refuse(errors));
    }
    match &arguments.command {
        Some(WorkerCommand::Migrate) => with_database(&arguments, async |database| migrate(database).await),
        Some(WorkerCommand::Upstreams) => with_database(&arguments, async |database| upstreams(database).await),
        // An address that would be refused today may be in an old row.
        Some(WorkerCommand::Forget { address }) => match Email::parse(address)
            .or_else(|error| Email::from_stored(&address.trim().to_lowercase()).map_err(|_| error))
        {
            Ok(address) => with_database(&arguments, async |database| forget(database, &address).await),
            Err(error) => Ok(refuse([format!("{address}: {error}")])),
        },
        Some(WorkerCommand::ExampleEnv) | None => deliver(&arguments, &matches),
    }
}

/// Delivers mail until a signal.
fn deliver(arguments: &WorkerArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    with_settings(arguments, WorkerSettings::read, async |settings| {
        let changed = WorkerArguments::changed(matches);
        let commit = COMMIT.unwrap_or("unknown");
        tracing::info!(version = VERSION, commit, settings = changed, "magic-link-worker starts");
        run(settings).await
    })
}

/// Runs a command that needs the database and nothing else.
fn with_database(
    arguments: &WorkerArguments,
    work: impl AsyncFnOnce(&DatabaseSettings) -> Result<(), CommandError>,
) -> anyhow::Result<ExitCode> {
    with_settings(arguments, DatabaseSettings::read, async |database| work(database).await.map_err(Into::into))
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
    match tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // A bad setting that only the start can find.
        Err(error) if error.is::<ListenError>() => Ok(refuse([error])),
        Err(error) => Err(error),
    }
}
