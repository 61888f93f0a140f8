//! Settings and subcommands: the settings with which the worker refuses to start, and the subcommands `migrate` and
//! `forget`.

use sandbox::{Program, Role};

use crate::test_worker::{TIMEOUT, TestWorker, count_log_lines, spawn};

#[tokio::test(flavor = "multi_thread")]
async fn all_invalid_settings_are_reported_together() {
    let worker = spawn(&[], &[]);
    let status = worker.wait().await;
    assert_eq!(status.code(), Some(2));
    let log = worker.log();
    for variable in [
        "DATABASE_URL",
        "SUPABASE_URL",
        "SUPABASE_SERVICE_ROLE_KEY",
        "MAILGUN_DOMAIN",
        "MAILGUN_API_KEY",
        "MAIL_FROM",
        "LINK_SEALING_KEY",
    ] {
        let reported: Vec<_> = log.iter().filter(|line| line.starts_with(&format!("{variable}: "))).collect();
        assert!(reported.len() == 1 && reported[0].contains("(example: "), "{variable}: {log:#?}");
    }
    assert_eq!(log.len(), 7, "{log:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn help_shows_every_setting_and_no_secret() {
    let test = TestWorker::new().await;
    let worker = spawn(test.settings(), &["--help"]);
    assert!(worker.wait().await.success());
    let help = worker.log().join("\n");
    let others = ["SUPABASE_CA_FILE", "MAILGUN_REQUIRE_TLS", "MAILGUN_SKIP_VERIFICATION", "HTTPS_PROXY", "NO_PROXY"];
    for variable in test.settings().iter().map(|(variable, _)| variable.as_str()).chain(others) {
        assert!(help.contains(&format!("[env: {variable}")), "{variable}:\n{help}");
    }
    for secret in ["sandbox-service-role-key", "key-sandbox", "AAECAwQF", "postgres://postgres:"] {
        assert!(!help.contains(secret), "{secret} is shown");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_with_another_domain_causes_one_warning() {
    let mut test = TestWorker::new().await;
    for (from, warnings) in [("a@example.org", 1), ("Portal <a@example.com>", 0)] {
        test.set("MAIL_FROM", from);
        let worker = test.start_worker();
        worker.address().await.unwrap();
        assert_eq!(count_log_lines(&worker, "the domain of MAIL_FROM does not match"), warnings, "{from}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrate_needs_only_the_database_url() {
    let test = TestWorker::new().await;
    let url = vec![("DATABASE_URL".to_owned(), test.url_as(Role::Owner))];
    let migrate = spawn(&url, &["migrate"]);
    migrate.wait_for_line("the tables are up to date", TIMEOUT).await.unwrap();
    assert!(migrate.wait().await.success());
    assert_eq!(spawn(&[], &["migrate"]).wait().await.code(), Some(2));
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forget_removes_an_address_and_prints_how_many_rows_contained_it() {
    let test = TestWorker::new().await;
    test.enqueue("ann@example.com").await;
    let url = test.settings().iter().filter(|(name, _)| name == "DATABASE_URL").cloned().collect::<Vec<_>>();
    let forget = spawn(&url, &["forget", " Ann@Example.com"]);
    assert!(forget.wait().await.success(), "{:?}", forget.log());
    let output: Vec<String> = forget.log();
    assert!(output.iter().any(|line| line.split_whitespace().eq(["email_jobs", "1"])), "{output:?}");
    assert_eq!(test.scalar::<i64>("select count(*) from email_jobs where recipient like 'ann%'").await, 0);

    // Earlier versions accepted a domain without a dot.
    test.execute("insert into suppression_lifts (recipient) values ('ann@intranet')").await;
    let forget = spawn(&url, &["forget", "Ann@intranet "]);
    assert!(forget.wait().await.success(), "{:?}", forget.log());
    let output = forget.log();
    assert!(output.iter().any(|line| line.split_whitespace().eq(["suppression_lifts", "1"])), "{output:?}");

    let nobody = spawn(&url, &["forget", "not an address"]);
    assert_eq!(nobody.wait().await.code(), Some(2));
    assert!(nobody.log()[0].starts_with("not an address: "), "{:?}", nobody.log());
    test.finish().await;
}

/// Starts the worker with a `.env` file in its working directory and with these environment variables.
fn spawn_with_dotenv(dotenv: &str, environment: &[(&str, &str)]) -> Program {
    let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let script = r#"printf %s "$1" > .env; exec "$0""#;
    let arguments = ["-c", script, env!("CARGO_BIN_EXE_magic-link-worker"), dotenv];
    Program::spawn("/bin/sh".as_ref(), "magic-link-worker", &environment, &arguments).unwrap()
}

#[tokio::test]
async fn an_invalid_line_in_a_dotenv_file_is_reported_by_number_and_not_shown() {
    let worker = spawn_with_dotenv("MAILGUN_DOMAIN=mg.example.com\nMAIL_FROM=nobody\n", &[]);
    assert_eq!(worker.wait().await.code(), Some(2));
    let log = worker.log().join("\n");
    assert!(!log.contains("MAILGUN_DOMAIN: ") && log.contains("MAIL_FROM: `nobody`"), "{log}");

    let dotenv = "# mail\nMAIL_FROM=Example Portal <sesame@mg.example.com>\nMAILGUN_API_KEY='sesame\n";
    let worker = spawn_with_dotenv(dotenv, &[]);
    assert_eq!(worker.wait().await.code(), Some(2));
    let log = worker.log();
    assert_eq!(log.len(), 2, "{log:?}");
    assert!(log[0].starts_with(".env: line 2: quote the value") && log[1].starts_with(".env: line 3: "), "{log:?}");
    assert!(!log.concat().contains("sesame"), "{log:?}");
}

#[tokio::test]
async fn a_dollar_sign_in_a_dotenv_file_is_literal() {
    let worker = spawn_with_dotenv("MAIL_FROM=$HOME\nLINK_ORIGINS=\"$$a ${b}\"\n", &[("HOME", "/root")]);
    assert_eq!(worker.wait().await.code(), Some(2));
    let log = worker.log().join("\n");
    assert!(log.contains("MAIL_FROM: `$HOME` ") && log.contains("LINK_ORIGINS: `$$a ${b}` "), "{log}");
}

#[tokio::test]
async fn the_worker_starts_with_the_unchanged_example_from_the_readme() {
    let readme = include_str!("../../../README.md");
    let example = readme.split_once("```dotenv\n").and_then(|(_, rest)| rest.split_once("```")).unwrap().0;
    // Without a database, the worker calls no upstream.
    let environment = [
        ("DATABASE_URL", "postgres://nobody@127.0.0.1:1/nothing"),
        ("WORKER_LISTEN", "127.0.0.1:0"),
        ("LOG_FORMAT", "json"),
    ];
    let worker = spawn_with_dotenv(example, &environment);
    worker.address().await.unwrap();
    let warnings: Vec<String> = worker.log().into_iter().filter(|line| line.contains("LINK_SEALING_KEY")).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("README") && !warnings[0].contains("AAAA"), "{warnings:?}");
}

#[tokio::test]
async fn a_key_that_may_not_create_links_is_refused_and_not_shown() {
    // {"role":"anon"}
    let anon = "eyJhbGciOiJIUzI1NiJ9.eyJyb2xlIjoiYW5vbiJ9.c2lnbmF0dXJl";
    for (key, words) in [(anon, "the anon role"), ("sb_publishable_sesame", "a publishable key")] {
        let worker = spawn(&[("SUPABASE_SERVICE_ROLE_KEY".into(), key.into())], &[]);
        assert_eq!(worker.wait().await.code(), Some(2));
        let log = worker.log();
        let named: Vec<&String> = log.iter().filter(|line| line.starts_with("SUPABASE_SERVICE_ROLE_KEY: ")).collect();
        assert!(named.len() == 1 && named[0].contains(words) && named[0].contains("service_role"), "{log:?}");
        assert!(!log.concat().contains(key) && !log.concat().contains("sesame"), "{log:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_shorter_than_supabases_causes_a_warning() {
    let mut test = TestWorker::new().await;
    for (timeout, is_warned_of) in [("9s", true), ("10s", false)] {
        test.set("UPSTREAM_TIMEOUT", timeout);
        let worker = test.start_worker();
        worker.address().await.unwrap();
        let warnings = worker.log().iter().filter(|line| line.contains("UPSTREAM_TIMEOUT is under 10s")).count();
        assert_eq!(warnings, usize::from(is_warned_of), "{timeout}");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_invalid_setting_is_reported_and_prevents_startup() {
    let test = TestWorker::new().await;
    for (variable, invalid) in [
        ("DATABASE_URL", "postgres://db.internal/x?sslmode=bogus"),
        ("DATABASE_MAX_CONNECTIONS", "1"),
        ("MIGRATE_ON_START", "maybe"),
        ("LINK_LIFETIME", "5m"),
        ("LOG_FORMAT", "xml"),
        ("RUST_LOG", "worker=loud"),
        ("RUST_LOG", "infoo"),
        ("WORKER_LISTEN", "here"),
        ("SUPABASE_URL", "http://supabase.example.com"),
        ("SUPABASE_SERVICE_ROLE_KEY", " "),
        ("SUPABASE_SERVICE_ROLE_KEY", "sb_publishable_abc"),
        ("LINK_ORIGINS", "example.com"),
        ("SUPABASE_CONCURRENCY", "0"),
        ("SUPABASE_CA_FILE", "/nowhere/ca.pem"),
        ("SUPABASE_CA_FILE", "/dev/null"),
        ("SIGNUPS", "maybe"),
        ("MAILGUN_BASE_URL", "ftp://api.mailgun.net"),
        ("MAILGUN_DOMAIN", "mg.example.com/v3"),
        ("MAILGUN_API_KEY", "a\u{7f}b"),
        ("MAIL_FROM", "Portal"),
        ("MAIL_FROM", ""),
        ("MAILGUN_REQUIRE_TLS", "yes"),
        ("MAILGUN_SKIP_VERIFICATION", "no"),
        ("HTTPS_PROXY", "socks5://ann:sesame@proxy.internal"),
        ("https_proxy", "http://ann:sesame@proxy.internal/path"),
        ("MAIL_TEMPLATES", "/nowhere/templates"),
        ("LINK_SEALING_KEY", "short"),
        ("WORKER_CONCURRENCY", "0"),
        ("LEASE_SECONDS", "4"),
        ("MAX_ATTEMPTS", "0"),
        ("MAILGUN_RATE", "20"),
        ("UPSTREAM_TIMEOUT", "12"),
        ("SHUTDOWN_SECONDS", "soon"),
        ("RETENTION_DAYS", "0"),
    ] {
        let mut settings = test.settings().to_vec();
        settings.retain(|(name, _)| name != variable);
        settings.push((variable.to_owned(), invalid.to_owned()));
        let worker = spawn(&settings, &[]);
        assert_eq!(worker.wait().await.code(), Some(2), "{variable}={invalid}: {:?}", worker.log());
        let log = worker.log();
        assert_eq!(log.len(), 1, "{variable}: {log:?}");
        assert!(log[0].starts_with(&format!("{variable}: ")) && log[0].contains("example: "), "{log:?}");
        assert!(!log[0].contains("sesame"), "{log:?}");
    }
    test.finish().await;
}
