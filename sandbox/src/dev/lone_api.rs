//! The api alone, with an empty database behind it, for as long as a command runs that tries it out.

use super::{migrate, settings};
use crate::{Database, Program, Programs, Role};
use serde_json::Value;
use std::{ffi::OsString, process::ExitStatus, time::Duration};

/// How long it has until its tables are ready.
const START: Duration = Duration::from_secs(30);

/// Runs a command against an api: API_URL is where its document's paths are, API_METRICS_URL its metrics. The limits are
/// those that a stranger meets, but for that of requests per address. API_WITHOUT_DATABASE_URL is a second api, whose
/// database is away for good: whatever is asked of it, it answers 503.
///
/// # Errors
/// When the api does not start, or the command cannot be started.
pub async fn with_api(command: &[OsString]) -> anyhow::Result<ExitStatus> {
    let programs = Programs::build_visibly().await?;
    let database = Database::open().await?;
    database.set_roles().await?;
    migrate(&programs.worker, &database.url_as(Role::Owner)).await?;
    database.set_roles().await?;
    let api = Program::spawn(&programs.api, "api", &settings::for_lone_api(database.url_as(Role::Api)), &[])?;
    api.wait_for_line("the tables are ready", START).await?;
    let public = api.address().await?;
    let line = api.wait_for_line("listening privately", START).await?;
    let line: Value = serde_json::from_str(&line)?;
    let private = line["fields"]["address"].as_str().unwrap_or_default();
    // The discard service's port, where nobody listens.
    let nowhere = settings::for_lone_api("postgres://nobody@127.0.0.1:9/none".into());
    let lost = Program::spawn(&programs.api, "api without a database", &nowhere, &[])?;
    let addresses = [
        ("API_URL", format!("http://{public}/api")),
        ("API_METRICS_URL", format!("http://{private}/metrics")),
        ("API_WITHOUT_DATABASE_URL", format!("http://{}/api", lost.address().await?)),
    ];
    let status = database.run(command, &addresses).await?;
    drop((api, lost));
    database.stop().await;
    Ok(status)
}
