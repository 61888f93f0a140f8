//! The program does not start if a setting is missing or invalid. For each such setting, it prints one line that
//! explains how to fix it.

use std::path::Path;

use sandbox::Program;

use crate::harness::{good_settings, spawn};

const NO_DATABASE: &str = "postgres://nobody:hidden-password@127.0.0.1:1/nothing";

/// Runs the program with valid settings and these changes, and returns its exit code and its output lines.
async fn run_with(changes: &[(&str, &str)]) -> (Option<i32>, Vec<String>) {
    let mut settings = good_settings(NO_DATABASE);
    settings.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let program = spawn(&settings);
    (program.wait().await.code(), program.log())
}

#[tokio::test]
async fn each_bad_setting_is_reported_in_one_line_without_secrets() {
    for (variable, value) in [
        ("DATABASE_URL", ""),
        ("DATABASE_URL", "mysql://a:hidden-password@b/c"),
        ("DATABASE_URL", "hidden-password"),
        ("DATABASE_MAX_CONNECTIONS", "0"),
        ("DATABASE_MAX_CONNECTIONS", "many"),
        ("MIGRATE_ON_START", "yes"),
        ("LINK_LIFETIME", "19m"),
        ("LINK_LIFETIME", "an hour"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "api=shout"),
        ("RUST_LOG", "infoo"),
        ("API_LISTEN", "8080"),
        ("API_PRIVATE_LISTEN", "localhost"),
        ("API_LISTEN", "192.0.2.1:1"),
        ("API_KEEP_ALIVE", "620"),
        ("API_KEEP_ALIVE", "0s"),
        ("API_KEEP_ALIVE", "2h"),
        ("API_MAX_CONNECTIONS", "9"),
        ("API_MAX_CONNECTIONS", "100001"),
        ("DRAIN_SECONDS", "-1"),
        ("DRAIN_SECONDS", "5s"),
        ("CALLBACK_ORIGINS", ""),
        ("CALLBACK_ORIGINS", "https://*.vercel.app"),
        ("CALLBACK_ORIGINS", "http://portal.example.com"),
        ("CALLBACK_ORIGINS", "https://portal.example.com/path"),
        ("CALLBACK_PATH", "auth/callback"),
        ("CALLBACK_PATH", "/auth/callback?x"),
        ("CALLBACK_PATH", "/auth/../callback"),
        ("CALLBACK_PATH", "/auth%2fcallback"),
        ("CALLBACK_NEXT_PREFIXES", "app"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "::/0"),
        ("TRUSTED_PROXIES", "proxy"),
        ("CLIENT_IP_HEADER", "X-Forwarded-For"),
        ("CLIENT_IP_HEADER", "forwarded"),
        ("CLIENT_IP_HEADER", "Fly Client IP"),
        ("CLIENT_IP_HEADER", "Fly-Client-IP,CF-Connecting-IP"),
        ("TRUSTED_PROXY_HOPS", "0"),
        ("TRUSTED_PROXY_HOPS", "17"),
        ("TRUSTED_PROXY_HOPS", "two"),
        ("IP_RATE_LIMIT", "30"),
        ("IP_RATE_LIMIT", "0/1m"),
        ("IP_RATE_LIMIT_OVERRIDES", "10.1.0.0/16"),
        ("RECIPIENT_RATE_LIMIT", "10/15"),
        ("RECIPIENT_CLIENT_RATE_LIMIT", ""),
        ("DUPLICATE_WINDOW", "0s"),
        ("DUPLICATE_WINDOW", "61m"),
        ("JOB_DEADLINE", "15"),
        ("QUEUE_LIMIT", "-1"),
        ("LANGUAGES", ""),
        ("LANGUAGES", "en,it"),
        ("MAIL_TEMPLATES", "/nowhere/templates"),
    ] {
        let (code, lines) = run_with(&[(variable, value)]).await;
        assert_eq!(code, Some(2), "{variable}={value}: {lines:?}");
        let errors: Vec<&String> = lines.iter().filter(|line| !line.starts_with('{')).collect();
        assert_eq!(errors.len(), 1, "{variable}={value}: {lines:?}");
        assert!(errors[0].starts_with(variable), "{variable}={value}: {lines:?}");
        assert!(!lines.concat().contains("hidden-password"), "{lines:?}");
    }
}

#[tokio::test]
async fn conflicting_settings_cause_one_error() {
    let header = ("CLIENT_IP_HEADER", "Fly-Client-IP");
    let hops = ("TRUSTED_PROXY_HOPS", "2");
    let nobody = ("TRUSTED_PROXIES", "");
    for (changes, error) in [
        (
            &[header, hops][..],
            "CLIENT_IP_HEADER: cannot be combined with TRUSTED_PROXY_HOPS: set only one of them (example: Fly-Client-IP)",
        ),
        (
            &[header, hops, nobody],
            "CLIENT_IP_HEADER: cannot be combined with TRUSTED_PROXY_HOPS: set only one of them (example: Fly-Client-IP)",
        ),
        (
            &[header, nobody],
            "CLIENT_IP_HEADER: needs TRUSTED_PROXIES: only a proxy that is listed there is trusted (example: Fly-Client-IP)",
        ),
        (
            &[hops, nobody],
            "TRUSTED_PROXY_HOPS: needs TRUSTED_PROXIES: only a proxy that is listed there is trusted (example: 2)",
        ),
    ] {
        assert_eq!(run_with(changes).await, (Some(2), vec![error.to_owned()]), "{changes:?}");
    }
}

#[tokio::test]
async fn an_error_explains_how_to_fix_the_setting() {
    for (variable, value, line) in [
        (
            "CALLBACK_ORIGINS",
            "",
            "CALLBACK_ORIGINS: is empty: set it, or PORTALS_FILE for several portals (example: https://example.com)",
        ),
        ("DATABASE_URL", " ", "DATABASE_URL: is empty (example: postgres://api:secret@db.internal/outbox)"),
        (
            "RUST_LOG",
            "infoo",
            "RUST_LOG: `infoo` is neither a level (off, error, warn, info, debug, trace) nor a level for a part of the \
             program, such as outbox=debug (example: info)",
        ),
    ] {
        assert_eq!(run_with(&[(variable, value)]).await, (Some(2), vec![line.to_owned()]));
    }
}

#[tokio::test]
async fn a_header_that_contains_a_list_is_refused_with_advice() {
    for (value, advice) in [
        (
            "X-Forwarded-For",
            "to read it, unset CLIENT_IP_HEADER and set TRUSTED_PROXIES, with or without TRUSTED_PROXY_HOPS",
        ),
        ("Forwarded", "have the proxy set X-Forwarded-For, or a header that contains only the address"),
    ] {
        let (code, lines) = run_with(&[("CLIENT_IP_HEADER", value)]).await;
        assert_eq!((code, lines.len()), (Some(2), 1), "{lines:?}");
        assert!(lines[0].contains(advice), "{lines:?}");
    }
}

#[tokio::test]
async fn the_program_starts_with_the_unchanged_example_from_the_readme() {
    let readme = include_str!("../../../README.md");
    let example = readme.split_once("```dotenv\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    let environment = [
        ("DATABASE_URL", NO_DATABASE),
        ("API_LISTEN", "127.0.0.1:0"),
        ("API_PRIVATE_LISTEN", "127.0.0.1:0"),
        ("LOG_FORMAT", "json"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let script = r#"printf %s "$1" > .env; exec "$0""#;
    let arguments = ["-c", script, env!("CARGO_BIN_EXE_magic-link-api"), example];
    let program = Program::spawn(Path::new("/bin/sh"), "magic-link-api", &environment, &arguments).unwrap();
    program.address().await.unwrap();
}

#[tokio::test]
async fn all_bad_settings_are_reported_together_one_per_line() {
    let changes = [
        ("DATABASE_URL", ""),
        ("CALLBACK_ORIGINS", ""),
        ("API_LISTEN", "x"),
        ("JOB_DEADLINE", "x"),
        ("QUEUE_LIMIT", "x"),
    ];
    let (code, lines) = run_with(&changes).await;
    assert_eq!(code, Some(2));
    let named: Vec<&str> = lines.iter().filter_map(|line| line.split(':').next()).collect();
    assert_eq!(named, ["DATABASE_URL", "API_LISTEN", "CALLBACK_ORIGINS", "JOB_DEADLINE", "QUEUE_LIMIT"]);
    assert!(lines.iter().all(|line| line.contains("(example: ")), "{lines:?}");
}

#[tokio::test]
async fn a_development_origin_is_logged_as_a_warning_at_every_start() {
    let mut settings = good_settings(NO_DATABASE);
    settings.push(("CALLBACK_ORIGINS".to_owned(), "http://localhost:*".to_owned()));
    let program = spawn(&settings);
    program.address().await.unwrap();
    assert!(program.log().iter().any(|line| line.contains("WARN") && line.contains("http://localhost:*")));
    let listening = program.log().iter().filter(|line| line.contains(r#""message":"listening for requests""#)).count();
    assert_eq!(listening, 1);
}

#[tokio::test]
async fn help_lists_every_setting_and_shows_no_secret() {
    let settings = [("DATABASE_URL".to_owned(), NO_DATABASE.to_owned())];
    let program =
        Program::spawn(Path::new(env!("CARGO_BIN_EXE_magic-link-api")), "help", &settings, &["--help"]).unwrap();
    assert_eq!(program.wait().await.code(), Some(0));
    let help = program.log().join("\n");
    for (variable, _) in good_settings("") {
        assert!(help.contains(&format!("[env: {variable}")), "{variable}: {help}");
    }
    // AWS's load balancers keep an idle connection open for 60 s, and Google's load balancers for 600 s. Both answer
    // 502 if the api closes the connection first.
    for default in ["[env: API_KEEP_ALIVE=] [default: 620s]", "[env: DRAIN_SECONDS=] [default: 5]"] {
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains(default), "{default}: {help}");
    }
    assert!(!help.contains("hidden-password"));
}
