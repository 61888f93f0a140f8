//! `magic-link-worker jobs`, run as operators run it: the only setting is `DATABASE_URL`, in most tests with the
//! read-only role.

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
    /// Returns the JSON value in each line of the output. Fails if the command failed, or if the output contains raw
    /// control characters.
    fn json(&self) -> Vec<Value> {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.out.chars().all(|c| c == '\n' || !is_unsafe(c)), "{self:?}");
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the output. Fails if the command failed, or if the output could disturb a terminal.
    fn text(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        assert!(self.out.chars().all(|c| c == '\n' || !is_unsafe(c)), "{self:?}");
        &self.out
    }

    #[track_caller]
    fn has(&self, parts: &[&str]) {
        for part in parts {
            assert!(self.text().contains(part), "{part:?} is missing from:\n{}", self.out);
        }
    }
}

/// Whether a character could disturb a terminal.
fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A `magic-link-worker jobs` command that has not been started.
async fn command(database_url: &str, arguments: &[&str]) -> Command {
    worker_command(database_url, &[&["jobs"], arguments].concat()).await
}

/// A `magic-link-worker` command that has not been started.
async fn worker_command(database_url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(&Programs::build().await.unwrap().worker);
    command.env_clear().env("DATABASE_URL", database_url).args(arguments);
    // Run in another folder, so that the workspace's `.env` is not read.
    command.current_dir(std::env::temp_dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(database_url: &str, arguments: &[&str]) -> Printed {
    run_worker(database_url, &[&["jobs"], arguments].concat()).await
}

/// Runs a worker command that needs only the database.
async fn run_worker(database_url: &str, arguments: &[&str]) -> Printed {
    let output = worker_command(database_url, arguments).await.output();
    let output = tokio::time::timeout(MAX_WAIT, output).await.expect("the command did not exit within 30 s").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Printed { code: output.status.code(), out: text(output.stdout), errors: text(output.stderr) }
}

/// Runs a `jobs` command with the read-only role.
async fn look(system: &TestSystem, arguments: &[&str]) -> Printed {
    run(&system.url_as(Role::Viewer), arguments).await
}

/// Starts a system whose Mailgun stand-in reports each event immediately.
async fn with_webhooks(plan: tests::Plan) -> TestSystem {
    let system = TestSystem::with(plan.api("MAILGUN_WEBHOOK_SIGNING_KEY", "a-key")).await;
    system.mailgun.set_webhook_delay(Duration::ZERO);
    system.mailgun.set_webhook(&system.url("/api/webhooks/mailgun").await, "a-key");
    system
}
