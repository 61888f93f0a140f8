//! `magic-link-api`: reads its settings, starts logging and serves; or prints the OpenAPI document.

use std::{
    io::{Write as _, stdout},
    process::ExitCode,
};

use api::{
    ServeError,
    document::PublishedLimits,
    settings::{ApiArguments, ApiCommand, ApiSettings},
};
use clap::Parser as _;
use program::{forbid_core_dumps, load_dotenv, raise_open_files_limit, refuse, start_log};

fn main() -> anyhow::Result<ExitCode> {
    forbid_core_dumps()?;
    let dotenv = load_dotenv();
    let arguments = ApiArguments::parse();
    // Before `.env` and the settings are judged: the document needs neither.
    if let Some(ApiCommand::Openapi) = arguments.command {
        stdout().write_all(api::document::json(&PublishedLimits::default()).as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if let Err(errors) = dotenv {
        return Ok(refuse(errors));
    }
    let settings = match ApiSettings::read(&arguments) {
        Ok(settings) => settings,
        Err(errors) => return Ok(refuse(errors)),
    };
    // Each open connection is a file, and the api serves thousands.
    raise_open_files_limit()?;
    start_log(settings.log.clone(), &["api", "outbox", "magic_link_api"])?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match runtime.block_on(api::serve(settings)) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // These two are bad settings that only the start can find.
        Err(error @ (ServeError::DatabaseUrl | ServeError::Listen { .. })) => Ok(refuse([error])),
        Err(error) => Err(error.into()),
    }
}
