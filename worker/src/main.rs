//! `magic-link-worker`: reads its settings, starts logging, and then delivers mail or runs a subcommand.

use std::{io::ErrorKind, process::ExitCode};

use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};
use outbox::Email;
use program::{
    COMMIT, ListenError, LogSettings, SettingErrors, VERSION, fail, forbid_core_dumps, load_dotenv, not_done,
    not_found, refuse, start_log,
};
use worker::{
    commands::{
        CommandError,
        check::{check, check_caller},
        example_env::print_example_env,
        forget::forget,
        jobs::jobs,
        migrate::migrate,
        pause::{pause, resume},
        preview::{PreviewChoice, preview},
        send_test::{SendTestSettings, TestMail, send_test},
        upstreams::upstreams,
    },
    settings::{
        CallerQuestion, CheckArguments, CheckSettings, DatabaseSettings, MailCommand, WorkerArguments, WorkerCommand,
        WorkerSettings, read_looks,
    },
    tasks::run::run,
};

/// Rendering and sending mail allocates a lot on all threads. With the system's allocator, the worker sent 16 and 35 %
/// fewer mails in two comparisons, and used half the memory (docs/performance.md). The api gains nothing from mimalloc
/// and does not use it.
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
    // Run `example-env` before reporting errors in `.env`, because somebody who needs the example may not have a valid
    // `.env` yet.
    if let Some(WorkerCommand::ExampleEnv) = &arguments.command {
        print_example_env()?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(errors) = dotenv {
        return Ok(refuse(errors));
    }
    match &arguments.command {
        Some(WorkerCommand::Migrate) => with_database(&arguments, async |database| migrate(database).await),
        Some(WorkerCommand::Check(options)) if options.peer.is_some() => find_caller(options),
        Some(WorkerCommand::Check(options)) => check_all(&arguments, options),
        Some(WorkerCommand::Upstreams) => with_database(&arguments, async |database| upstreams(database).await),
        // Old rows may contain addresses that `Email::parse` now rejects.
        Some(WorkerCommand::Forget { address }) => match Email::parse(address)
            .or_else(|error| Email::from_stored(&address.trim().to_lowercase()).map_err(|_| error))
        {
            Ok(address) => with_database(&arguments, async |database| forget(database, &address).await),
            Err(error) => Ok(refuse([format!("{address}: {error}")])),
        },
        Some(WorkerCommand::Jobs(command)) => for_operators(&arguments, async |database| jobs(database, command).await),
        Some(WorkerCommand::Pause(options)) => {
            for_operators(&arguments, async |database| pause(database, options).await)
        }
        Some(WorkerCommand::Resume(options)) => {
            for_operators(&arguments, async |database| resume(database, options).await)
        }
        Some(WorkerCommand::Mail(command)) => mail(&arguments, command),
        Some(WorkerCommand::ExampleEnv) | None => deliver(&arguments, &matches),
    }
}

/// Runs all checks. Logs nothing, because log lines would mix with the report on stdout.
fn check_all(arguments: &WorkerArguments, options: &CheckArguments) -> anyhow::Result<ExitCode> {
    let mut errors = SettingErrors::default();
    let log = LogSettings::read(&arguments.log_format, &arguments.rust_log, &mut errors);
    let settings = CheckSettings::read(arguments, options, &mut errors);
    match errors.into_result(log.and(settings)) {
        Ok(settings) => {
            let is_sound = block_on(check(&settings))??;
            Ok(if is_sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(errors) => Ok(refuse(errors)),
    }
}

/// Shows whose rate limit a request counts against. Needs none of the worker's settings.
fn find_caller(options: &CheckArguments) -> anyhow::Result<ExitCode> {
    let mut errors = SettingErrors::default();
    let question = CallerQuestion::read(options, &mut errors);
    match errors.into_result(question) {
        Ok(question) => Ok(check_caller(&question).map(|()| ExitCode::SUCCESS)?),
        Err(errors) => Ok(refuse(errors)),
    }
}

/// Runs a command that shows or changes jobs or pauses. Logs nothing, because log lines on stdout would break scripts
/// that read the output. If the reader closes the pipe, the command exits successfully.
fn for_operators(
    arguments: &WorkerArguments,
    work: impl AsyncFnOnce(&DatabaseSettings) -> Result<(), CommandError>,
) -> anyhow::Result<ExitCode> {
    let mut errors = SettingErrors::default();
    let database = DatabaseSettings::read(arguments, &mut errors);
    let database = match errors.into_result(database) {
        Ok(database) => database,
        Err(errors) => return Ok(refuse(errors)),
    };
    match block_on(work(&database))? {
        Err(CommandError::NoSuchJob(message)) => Ok(not_found(message)),
        Err(error @ CommandError::NotPaused(_)) => Ok(not_found(error)),
        Err(error @ CommandError::NotDone) => Ok(not_done(error)),
        Err(
            error @ (CommandError::NothingSelected(_)
            | CommandError::IdsAndFilter
            | CommandError::WrongState(_)
            | CommandError::TooManyJobs(_)),
        ) => Ok(refuse([error])),
        Err(CommandError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(ExitCode::SUCCESS),
        ended => Ok(ended.map(|()| ExitCode::SUCCESS)?),
    }
}

/// Runs a `mail` subcommand.
fn mail(arguments: &WorkerArguments, command: &MailCommand) -> anyhow::Result<ExitCode> {
    match command {
        MailCommand::Preview { out, language, style, portal } => {
            let sender = arguments.mail_from.as_deref();
            let choice = PreviewChoice { language: language.as_deref(), style: *style, portal: portal.as_deref() };
            with_settings(arguments, read_looks, async |looks| Ok(preview(looks, sender, out, choice)?))
        }
        MailCommand::SendTest { to, language, style, portal } => match Email::parse(to) {
            Ok(to) => with_settings(arguments, SendTestSettings::read, async |settings| {
                let mail =
                    TestMail { to: &to, language: language.as_deref(), style: *style, portal: portal.as_deref() };
                Ok(send_test(settings, mail).await?)
            }),
            Err(error) => Ok(refuse([format!("{to}: {error}")])),
        },
    }
}

/// Delivers mail until the process receives SIGTERM or SIGINT.
fn deliver(arguments: &WorkerArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    with_settings(arguments, WorkerSettings::read, async |settings| {
        let changed = WorkerArguments::changed(matches);
        let commit = COMMIT.unwrap_or("unknown");
        tracing::info!(version = VERSION, commit, settings = changed, "magic-link-worker is starting");
        run(settings).await
    })
}

/// Runs a command that needs only the database settings.
fn with_database(
    arguments: &WorkerArguments,
    work: impl AsyncFnOnce(&DatabaseSettings) -> Result<(), CommandError>,
) -> anyhow::Result<ExitCode> {
    with_settings(arguments, DatabaseSettings::read, async |database| work(database).await.map_err(Into::into))
}

/// Reads the settings for the log and for `work`, then starts logging and runs `work`. Reports all invalid settings
/// together.
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
    match block_on(work)? {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // The listen address is also a setting, but an unusable address is noticed only when the worker tries to listen
        // on it.
        Err(error) if error.is::<ListenError>() => Ok(refuse([error])),
        Err(error) => Err(error),
    }
}

/// Installs the TLS provider, and runs `work` to completion.
fn block_on<T>(work: impl Future<Output = T>) -> anyhow::Result<T> {
    rustls::crypto::ring::default_provider()
        .install_default()
        .map_err(|_| anyhow::anyhow!("a TLS provider is already installed"))?;
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work))
}
