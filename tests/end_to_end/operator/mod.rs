//! What operators see when they set up and run the programs: settings files, log lines, metrics and error messages.

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

/// The maximum time to wait for a program to write a line or to exit.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The program to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Api,
    Worker,
}

/// A setting and its value.
type Setting<'a> = (&'a str, &'a str);

/// Valid settings of the api, with a `DATABASE_URL` at which no server is listening.
const API: [Setting; 6] = [
    ("DATABASE_URL", "postgres://nobody:sesame@127.0.0.1:1/nothing"),
    ("LOG_FORMAT", "json"),
    ("API_LISTEN", "127.0.0.1:0"),
    ("API_PRIVATE_LISTEN", "127.0.0.1:0"),
    ("DRAIN_SECONDS", "0"),
    ("CALLBACK_ORIGINS", "https://portal.example.com"),
];
/// Valid settings of the worker, with a `DATABASE_URL` at which no server is listening.
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

/// Starts a program with valid settings. `changes` adds settings or replaces some of them.
async fn start(which: Which, changes: &[Setting<'_>], arguments: &[&str]) -> Program {
    let programs = Programs::build().await.unwrap();
    let (path, usual) = match which {
        Which::Api => (&programs.api, &API[..]),
        Which::Worker => (&programs.worker, &WORKER[..]),
    };
    // If a setting occurs twice, the later value applies.
    let settings = usual.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Program::spawn(path, "program", &settings.collect::<Vec<_>>(), arguments).unwrap()
}

/// Waits until a program exits. Returns its exit code and the lines of its output that are not log lines.
async fn end_of(program: Program) -> (Option<i32>, Vec<String>) {
    let status = tokio::time::timeout(MAX_WAIT, program.wait()).await.expect("the program did not exit within 30 s");
    let lines = program.log().into_iter().filter(|line| !line.starts_with('{'));
    (status.code(), lines.collect())
}

/// Returns the fields of a JSON log line.
fn fields(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    line["fields"].clone()
}

/// Returns the Postgres server on which these tests create databases, for example one without tables.
async fn server() -> &'static Postgres {
    TestDatabase::shared_server().await
}
