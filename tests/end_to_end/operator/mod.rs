//! What an operator sees in the first hour: the settings, the first log lines, and the message for each mistake.

mod colours;
mod first_line;
mod log_lines;
mod settings_files;
mod start_errors;
mod stated_versions;
mod upstream_reports;
mod wrong_tables;

use std::time::Duration;

use sandbox::{Postgres, Program, Programs, TestDatabase};
use serde_json::Value;

/// Maximum time that a program may take to write a line or to end.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// Which program to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Api,
    Worker,
}

/// A setting and its value.
type Setting<'a> = (&'a str, &'a str);

/// Settings with which a program starts but cannot reach a database.
const API: [Setting; 6] = [
    ("DATABASE_URL", "postgres://nobody:sesame@127.0.0.1:1/nothing"),
    ("LOG_FORMAT", "json"),
    ("API_LISTEN", "127.0.0.1:0"),
    ("API_PRIVATE_LISTEN", "127.0.0.1:0"),
    ("DRAIN_SECONDS", "0"),
    ("CALLBACK_ORIGINS", "https://portal.example.com"),
];
const WORKER: [Setting; 9] = [
    ("DATABASE_URL", "postgres://nobody:sesame@127.0.0.1:1/nothing"),
    ("LOG_FORMAT", "json"),
    ("WORKER_LISTEN", "127.0.0.1:0"),
    ("SUPABASE_URL", "http://127.0.0.1:1"),
    ("SUPABASE_SERVICE_ROLE_KEY", "sb_secret_sesame"),
    ("MAILGUN_DOMAIN", "mg.example.com"),
    ("MAILGUN_API_KEY", "key-sesame"),
    ("MAIL_FROM", "Portal <sesame@mg.example.com>"),
    ("LINK_SEALING_KEY", "dGVzdHMgb25seTogdGhpcnR5LXR3byBieXRlcyBrZXk="),
];

/// Starts a program with valid settings and these changes.
async fn start(which: Which, changes: &[Setting<'_>], arguments: &[&str]) -> Program {
    let programs = Programs::build().await.unwrap();
    let (path, usual) = match which {
        Which::Api => (&programs.api, &API[..]),
        Which::Worker => (&programs.worker, &WORKER[..]),
    };
    // A later value replaces an earlier one.
    let settings = usual.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Program::spawn(path, "program", &settings.collect::<Vec<_>>(), arguments).unwrap()
}

/// Waits until a program ends by itself. Returns its exit code and the lines that are not log lines.
async fn end_of(program: Program) -> (Option<i32>, Vec<String>) {
    let status = tokio::time::timeout(MAX_WAIT, program.wait()).await.expect("the program does not end");
    let lines = program.log().into_iter().filter(|line| !line.starts_with('{'));
    (status.code(), lines.collect())
}

/// The fields of a log line.
fn fields(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    line["fields"].clone()
}

/// The server on which the tests in this module create unusual databases.
async fn server() -> &'static Postgres {
    TestDatabase::shared_server().await
}
