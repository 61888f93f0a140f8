//! `magic-link-worker jobs`, run as operators run it: with nothing but a `DATABASE_URL` for the read-only role.

mod exit_codes;
mod list;
mod show;
mod tail;
mod verbs;

use std::{process::Stdio, time::Duration};

use sandbox::{Programs, Role};
use serde_json::Value;
use tests::TestSystem;
use tokio::process::Command;

/// Maximum time that a command may take.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// What a command printed, and its exit code.
#[derive(Debug)]
struct Printed {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl Printed {
    /// The lines of a command that succeeded, each a JSON value. They have no raw control characters.
    fn json(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.out.chars().all(|c| c == '\n' || !is_unsafe(c)), "{self:?}");
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The text of a command that succeeded. It cannot disturb a terminal.
    fn text(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.out.chars().all(|c| c == '\n' || !is_unsafe(c)), "{self:?}");
        &self.out
    }

    #[track_caller]
    fn has(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text().contains(part), "{part:?} is missing in:\n{}", self.out);
        }
    }
}

/// Whether a character could disturb a terminal.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A command about jobs, before it is started.
async fn command(database_url: &str, arguments: &[&str]) -> Command {
    worker_command(database_url, &[&["jobs"], arguments].concat()).await
}

/// A command of the worker, before it is started.
async fn worker_command(database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(&Programs::build().await.unwrap().worker);
    command.env_clear().env("DATABASE_URL", database_url).args(arguments);
    // Run elsewhere, so that an `.env` of the workspace is not read.
    command.current_dir(std::env::temp_dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(database_url: &str, arguments: &[&str]) -> Printed {
    run_worker(database_url, &[&["jobs"], arguments].concat()).await
}

/// Runs a command of the worker that needs nothing but the database.
async fn run_worker(database_url: &str, arguments: &[&str]) -> Printed {
    let output = worker_command(database_url, arguments).await.output();
    let output = tokio::time::timeout(MAX_WAIT, output).await.expect("the command does not end").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

/// Runs a command as the read-only role.
async fn look(system: &TestSystem, arguments: &[&str]) -> Printed {
    run(&system.url_as(Role::Viewer), arguments).await
}

/// A system whose stand-in for Mailgun reports at once.
async fn with_webhooks(plan: tests::Plan) -> TestSystem {
    let system = TestSystem::with(plan.api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key")).await;
    system.mailgun.set_webhook_delay(Duration::ZERO);
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, "a-key");
    system
}
