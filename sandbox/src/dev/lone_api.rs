//! Runs a command against an api that has an empty database and no worker.

use super::{migrate, settings};
use crate::{Database, Program, Programs, Role};
use serde_json::Value;
use std::{ffi::OsString, process::ExitStatus, time::Duration};

/// Maximum time to wait for each log line that shows that the api is ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a command against an api. The command's environment contains the api's addresses: API_URL is the base URL of
/// the paths in the OpenAPI document, and API_METRICS_URL is the URL of the metrics. All limits have their defaults,
/// except that the limit per client address is practically off. API_WITHOUT_DATABASE_URL is the base URL of a second
/// api, which never reaches its database, so that every endpoint that needs a database answers 503.
///
/// # Errors
/// An api does not start, or the command cannot be started.
pub async fn with_api(command: &[OsString]) -> anyhow::Result<ExitStatus> {
    let programs = Programs::build_visibly().await?;
    let database = Database::open().await?;
    database.set_roles().await?;
    migrate(&programs.worker, &database.url_as(Role::Owner)).await?;
    database.set_roles().await?;
    let api = Program::spawn(&programs.api, "api", &settings::for_lone_api(database.url_as(Role::Api)), &[])?;
    api.wait_for_line("the tables are ready", START_TIMEOUT).await?;
    let public = api.address().await?;
    let line = api.wait_for_line("listening privately", START_TIMEOUT).await?;
    let line: Value = serde_json::from_str(&line)?;
    let private = line["fields"]["address"].as_str().unwrap_or_default();
    // Port 9 is reserved for the discard service, which is hardly ever enabled, so nothing listens there.
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
