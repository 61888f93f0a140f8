//! What an operator sees in the first hour: the settings, the first lines, and what each mistake says.

mod colours;
mod first_line;
mod log_lines;
mod settings_files;
mod start_errors;
mod stated_versions;
mod upstream_reports;
mod wrong_tables;

use std::time::Duration;

use sandbox::{Durability, Postgres, Program, Programs};
use serde_json::Value;
use tokio::sync::OnceCell;

/// Maximum time that a program may take to write a line or to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which program, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Api,
    Worker,
}

/// A setting and its value.
type Setting<'a> = (&'a str, &'a str);

/// Settings with which each program starts, but finds no database.
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

/// Starts a program with settings that work, but for these changes.
async fn start(which: Which, changes: &[Setting<'_>], arguments: &[&str]) -> Program {
    let programs = Programs::build().await.unwrap();
    let (path, usual) = match which {
        Which::Api => (&programs.api, &API[..]),
        Which::Worker => (&programs.worker, &WORKER[..]),
    };
    // Later ones win.
    let settings = usual.iter().chain(changes).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Program::spawn(path, "program", &settings.collect::<Vec<_>>(), arguments).unwrap()
}

/// The exit code of a program that ends by itself, and the lines that are not of its log.
async fn end_of(program: Program) -> (Option<i32>, Vec<String>) {
    let status = tokio::time::timeout(PATIENCE, program.wait()).await.expect("the program does not end");
    let lines = program.log().into_iter().filter(|line| !line.starts_with('{'));
    (status.code(), lines.collect())
}

/// The fields of a line of the log.
fn fields(line: &str) -> Value {
    let line: Value = serde_json::from_str(line).unwrap();
    line["fields"].clone()
}

/// A server for the tests of this module, whose databases are empty.
async fn server() -> &'static Postgres {
    static SERVER: OnceCell<Postgres> = OnceCell::const_new();
    SERVER.get_or_init(|| async { Postgres::start_with(Durability::Off).await.unwrap() }).await
}
