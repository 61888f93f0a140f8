//! Prints the findings and, on a terminal, the progress of the check.

use std::{
    io::{self, IsTerminal as _, Write as _, stderr, stdout},
    sync::{Mutex, PoisonError},
};

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::finding::Finding;
use crate::{
    commands::{CommandError, plain::plain},
    settings::{ProxySettings, WorkerSettings},
};

/// Minimum length, in bytes, of a secret that is removed from the output. Removing shorter secrets could damage
/// ordinary words.
const SHORTEST_SECRET: usize = 4;

/// The secrets in the settings that the worker sends to other systems. The probes do not print secrets, but messages
/// may contain text in which another system repeats a secret. Secrets are therefore removed from the whole output.
#[derive(Default)]
pub(super) struct Secrets(Vec<SecretString>);

impl Secrets {
    pub(super) fn of(settings: &WorkerSettings) -> Self {
        let WorkerSettings { database, supabase, mailgun, .. } = settings;
        let password = Url::parse(database.url.expose_secret()).ok().and_then(|url| Some(url.password()?.into()));
        let proxy = mailgun.connection.proxy.as_ref().and_then(ProxySettings::password);
        let keys = [Some(supabase.key.clone()), Some(mailgun.key.clone()), mailgun.events_key.clone(), password, proxy];
        Self(keys.into_iter().flatten().filter(|key| key.expose_secret().len() >= SHORTEST_SECRET).collect())
    }

    /// Returns the text as one line, without secrets and without characters that could confuse a terminal.
    fn remove_from(&self, text: &str) -> String {
        let text = self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.expose_secret(), "[secret]"));
        plain(&text.replace(char::is_control, " "))
    }
}

/// Prints one line for each finding, or all of them as JSON.
///
/// # Errors
/// [`CommandError::Output`].
pub(super) fn print(findings: &[Finding], secrets: &Secrets, is_json: bool) -> Result<(), CommandError> {
    let shown = findings.iter().map(|finding| Finding {
        message: secrets.remove_from(&finding.message),
        action: finding.action.as_deref().map(|action| secrets.remove_from(action)),
        ..finding.clone()
    });
    let mut out = stdout().lock();
    if is_json {
        let list = serde_json::to_string_pretty(&shown.collect::<Vec<_>>()).map_err(io::Error::from)?;
        writeln!(out, "{list}")?;
        return Ok(());
    }
    for Finding { probe, result, message, action } in shown {
        // Do not print a full stop after the action, because an action often ends with a value to copy.
        let action = action.map(|action| format!(" {action}")).unwrap_or_default();
        writeln!(out, "{:<4}  {probe:<22}  {message}.{action}", result.word())?;
    }
    Ok(())
}

/// A line on the terminal that shows which systems are being checked. Prints nothing with `--json`, or if stderr is not
/// a terminal.
pub(super) struct Progress {
    is_shown: bool,
    running: Mutex<Vec<&'static str>>,
}

impl Progress {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self { is_shown: is_wanted && stderr().is_terminal(), running: Mutex::default() }
    }

    /// Shows the name of a system on the progress line while `work` runs.
    pub(super) async fn of<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        self.change(|running| running.push(name));
        let result = work.await;
        self.change(|running| running.retain(|other| *other != name));
        result
    }

    /// Clears the progress line.
    pub(super) fn end(&self) {
        self.show("");
    }

    fn change(&self, change: impl FnOnce(&mut Vec<&'static str>)) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut running);
        if !running.is_empty() {
            self.show(&format!("checking {} …", running.join(", ")));
        }
    }

    fn show(&self, line: &str) {
        if self.is_shown {
            // Ignore errors: the command works without the progress line.
            let _ = write!(stderr(), "\r\x1b[2K{line}");
            let _ = stderr().flush();
        }
    }
}
