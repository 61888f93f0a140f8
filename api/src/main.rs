//! The program `magic-link-api`. It reads its settings, starts logging and serves requests, or it prints the OpenAPI
//! document.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use api::{
    ServeError,
    document::PublishedLimits,
    settings::{ApiArguments, ApiCommand, ApiSettings},
};
use clap::{CommandFactory as _, FromArgMatches as _};
use program::{
    COMMIT, VERSION, fail, forbid_core_dumps, io_problem, load_dotenv, raise_open_files_limit, refuse, start_log,
};

fn main() -> ExitCode {
    run().unwrap_or_else(|error| fail(format!("magic-link-api: {error}")))
}

fn run() -> anyhow::Result<ExitCode> {
    forbid_core_dumps()?;
    let dotenv = load_dotenv();
    let matches = ApiArguments::command().get_matches();
    let arguments = ApiArguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    // Print the document before `.env` and the settings are checked, because it needs neither.
    if let Some(ApiCommand::Openapi) = arguments.command {
        let document = api::document::json(&PublishedLimits::default());
        stdout().write_all(document.as_bytes()).map_err(|error| anyhow::anyhow!("stdout: {}", io_problem(&error)))?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(errors) = dotenv {
        return Ok(refuse(errors));
    }
    let settings = match ApiSettings::read(&arguments) {
        Ok(settings) => settings,
        Err(errors) => return Ok(refuse(errors)),
    };
    // Each open connection needs a file descriptor, and the api serves thousands of connections.
    raise_open_files_limit()?;
    start_log(settings.log.clone(), &["api", "outbox", "magic_link_api"])?;
    let changed = ApiArguments::changed(&matches);
    tracing::info!(
        version = VERSION,
        commit = COMMIT.unwrap_or("unknown"),
        settings = changed,
        "magic-link-api is starting"
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(api::serve(settings)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // `DatabaseUrl` and `Listen` are caused by bad settings, but only `serve` can detect them.
        Err(error @ (ServeError::DatabaseUrl | ServeError::Listen(_))) => Ok(refuse([error])),
        Err(error) => Err(error.into()),
    }
}
