//! If a setting is wrong or the database cannot be used, each message is one line in this project's own words.

use std::net::TcpListener;

use sandbox::{Program, Programs, Role, ServerAddress};

use super::{MAX_WAIT, Setting, Which, end_of, fields, server, start};

/// Words that must not occur in a message: parts of libraries' error messages, which do not help operators, and
/// `sesame`, the password in the tests' `DATABASE_URL`s.
const FOREIGN: [&str; 9] = [
    "invalid digit",
    "os error",
    "Caused by",
    "at line",
    "returned from database",
    "communicating with database",
    "panicked",
    "Error {",
    "sesame",
];

fn assert_ours(lines: &[String]) {
    for words in FOREIGN {
        assert!(!lines.concat().contains(words), "{words}: {lines:?}");
    }
}

/// Asserts that a program prints a single line, which contains `words`, and exits with `code`.
async fn assert_refused(which: Which, changes: &[Setting<'_>], arguments: &[&str], code: i32, words: &str) {
    let (ended, lines) = end_of(start(which, changes, arguments).await).await;
    assert_eq!((ended, lines.len()), (Some(code), 1), "{which:?} {changes:?} {arguments:?}: {lines:?}");
    assert!(lines[0].contains(words), "{words}: {lines:?}");
    assert_ours(&lines);
}

#[tokio::test]
async fn an_invalid_value_is_reported_in_our_own_words() {
    for (which, variable, value, words) in [
        (Which::Api, "API_MAX_CONNECTIONS", "many", "API_MAX_CONNECTIONS: `many` is not a number from 10 to 100000"),
        (Which::Api, "DATABASE_MAX_CONNECTIONS", "", "`` is not a number from 1 to 1000"),
        (Which::Api, "QUEUE_LIMIT", "99999999999999999999", "is not a number from 1 to 100000000"),
        (Which::Api, "MIGRATE_ON_START", "yes", "`yes` is neither true nor false"),
        (Which::Api, "API_LISTEN", "8080", "`8080` is not an IP address with a port"),
        (Which::Api, "API_LISTEN", "192.0.2.1:1", "this machine has no such address"),
        (Which::Worker, "MAX_ATTEMPTS", "x", "MAX_ATTEMPTS: `x` is not a number from 1 to 1000"),
        (Which::Worker, "WORKER_LISTEN", "localhost", "`localhost` is not an IP address with a port"),
        (Which::Worker, "MAILGUN_REQUIRE_TLS", "1", "`1` is neither true nor false"),
        (Which::Worker, "SUPABASE_URL", "abc", "`abc` is not a URL"),
        (Which::Worker, "SUPABASE_CA_FILE", "/nowhere/ca.pem", "cannot be read: there is no such file"),
        (Which::Worker, "SUPABASE_CA_FILE", "/", "cannot be read: it is a directory"),
        (Which::Worker, "SUPABASE_CA_FILE", "/dev/null", "contains no PEM certificate"),
        (Which::Worker, "LINK_SEALING_KEY", "!", "is not base64"),
    ] {
        assert_refused(which, &[(variable, value)], &[], 2, words).await;
    }
}

/// Two portals that share an origin. The first portal's `from` is not at MAILGUN_DOMAIN. The second portal has no name,
/// an invalid colour and an invalid time zone.
const FAULTY_PORTALS: &str = r#"[[portal]]
id = "shop"
name = "Shop"
origins = ["https://portal.example.com"]
from = "Shop <shop@evil.example>"

[[portal]]
id = "docs"
origins = ["https://docs.example.com", "https://portal.example.com"]
colour = "blue"
time_zone = "Mars/Olympus"
"#;

#[tokio::test]
async fn both_programs_report_every_fault_in_the_portals_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portals.toml");
    let file = file.to_str().unwrap();
    let missing = [("PORTALS_FILE", "/nowhere/portals.toml"), ("CALLBACK_ORIGINS", "")];
    for which in [Which::Api, Which::Worker] {
        assert_refused(which, &missing, &[], 2, "PORTALS_FILE: /nowhere/portals.toml: No such file or folder.").await;
    }
    std::fs::write(file, FAULTY_PORTALS).unwrap();
    for which in [Which::Api, Which::Worker] {
        let (code, lines) = end_of(start(which, &[("PORTALS_FILE", file), ("CALLBACK_ORIGINS", "")], &[]).await).await;
        assert_eq!(code, Some(2), "{lines:?}");
        let expected = [
            "7: `name` is missing",
            "9: `origins` has an entry that overlaps with an entry on line 4",
            "10: `colour`: `blue` is not a hex colour",
            "11: `time_zone`: is not a name in the IANA time zone database",
        ];
        assert_eq!(lines.len(), expected.len(), "{which:?}: {lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(&format!("PORTALS_FILE: {file}:{expected}")), "{expected}: {line}");
        }
        assert_ours(&lines);
    }
    // The worker checks that `from` is an address at MAILGUN_DOMAIN only if the file has no other fault.
    std::fs::write(file, FAULTY_PORTALS.split("\n\n").next().unwrap()).unwrap();
    let words =
        "portals.toml:5: `from` of the portal `shop` is not an address at MAILGUN_DOMAIN, which is mg.example.com";
    assert_refused(Which::Worker, &[("PORTALS_FILE", file)], &[], 2, words).await;
    let both = [("PORTALS_FILE", file)];
    assert_refused(Which::Api, &both, &[], 2, "CALLBACK_ORIGINS: cannot be combined with PORTALS_FILE").await;
}

#[tokio::test]
async fn a_port_in_use_is_reported_as_a_wrong_setting() {
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap().to_string();
    for (which, variable) in
        [(Which::Api, "API_LISTEN"), (Which::Api, "API_PRIVATE_LISTEN"), (Which::Worker, "WORKER_LISTEN")]
    {
        let words = format!("{variable}: cannot listen on {address}: another program is already listening there");
        assert_refused(which, &[(variable, &address)], &[], 2, &words).await;
    }
}

#[tokio::test]
async fn an_unreadable_dotenv_file_is_reported_in_our_own_words() {
    let programs = Programs::build().await.unwrap();
    for path in [&programs.api, &programs.worker] {
        let arguments = ["-c", r#"mkdir .env; exec "$0""#, path.to_str().unwrap()];
        let program = Program::spawn("/bin/sh".as_ref(), "dotenv", &[], &arguments).unwrap();
        let (code, lines) = end_of(program).await;
        assert_eq!((code, lines), (Some(2), vec![".env: cannot be read: it is a directory".to_owned()]));
    }
}

/// Returns `DATABASE_URL`s that do not work, each with a part of the expected error message.
async fn bad_databases() -> [(String, &'static str); 4] {
    let server = server().await;
    let name = "postgres";
    let wrong = ServerAddress::new(server.port(), "sesame").url(name);
    [
        (
            "postgres://ann:sesame@127.0.0.1:1/nothing".to_owned(),
            "no server is listening on the host and port in DATABASE_URL",
        ),
        (wrong, "password authentication failed"),
        (server.url("no_such_database"), "database \"no_such_database\" does not exist"),
        ("postgres://ann:sesame@host.invalid/nothing".to_owned(), "the host name in DATABASE_URL cannot be resolved"),
    ]
}

#[tokio::test]
async fn a_command_that_cannot_use_its_database_reports_why_in_one_line() {
    for (url, words) in bad_databases().await {
        for arguments in [&["migrate"][..], &["upstreams"], &["forget", "ann@example.com"]] {
            assert_refused(Which::Worker, &[("DATABASE_URL", &url)], arguments, 1, words).await;
        }
    }
    server().await.create_database("without_tables").await.unwrap();
    let empty = server().await.url("without_tables");
    for arguments in [&["upstreams"][..], &["forget", "ann@example.com"]] {
        let words = "run this version's `magic-link-worker migrate`";
        assert_refused(Which::Worker, &[("DATABASE_URL", &empty)], arguments, 1, words).await;
    }
    assert_refused(Which::Worker, &[], &["forget", "nobody"], 2, "nobody: ").await;
}

#[tokio::test]
async fn a_program_that_cannot_use_its_database_keeps_trying_and_logs_why() {
    for (url, words) in bad_databases().await {
        for which in [Which::Api, Which::Worker] {
            let program = start(which, &[("DATABASE_URL", &url)], &[]).await;
            let line = program.wait_for_line("the database is unavailable", MAX_WAIT).await.unwrap();
            let error = fields(&line)["error"].as_str().unwrap().to_owned();
            assert!(error.contains(words), "{which:?} {words}: {line}");
            assert_ours(&program.log());
        }
    }
}

#[tokio::test]
async fn migrating_with_a_read_only_role_fails_with_a_clear_message() {
    let server = server().await;
    server.create_database("no_migration").await.unwrap();
    server.set_roles("no_migration").await.unwrap();
    let url = server.url_as("no_migration", Role::Viewer);
    assert_refused(Which::Worker, &[("DATABASE_URL", &url)], &["migrate"], 1, "the tables cannot be migrated: ").await;
}
