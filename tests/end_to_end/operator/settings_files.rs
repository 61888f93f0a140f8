//! Tests of docs/settings.md, the example `.env` and the settings in `--help`.

use std::{collections::BTreeSet, fs};

use sandbox::{Mailgun, MailgunSettings, Program, Programs, SupabaseAuth, SupabaseSettings, eventually};
use serde_json::json;
use tests::{get_at, post_at, settings::Settings};

use super::{MAX_WAIT, Which, end_of, server, start};

#[test]
fn the_generated_files_are_up_to_date() {
    for (path, content) in Settings::read().files() {
        let is_fresh = fs::read_to_string(&path).unwrap() == content;
        assert!(is_fresh, "{} is out of date: run `just settings`", path.display());
    }
}

/// Returns the example `.env` that the worker prints. The worker must print it even if the existing `.env` is broken.
async fn print_example() -> String {
    let worker = Programs::build().await.unwrap().worker.clone();
    let arguments = ["-c", r#"echo '=' > .env; exec "$0" example-env"#, worker.to_str().unwrap()];
    let program = Program::spawn("/bin/sh".as_ref(), "example-env", &[], &arguments).unwrap();
    assert!(program.wait().await.success(), "{:?}", program.log());
    program.log().join("\n") + "\n"
}

#[tokio::test]
async fn the_example_contains_every_setting_and_a_freshly_generated_key() {
    let (example, other) = (print_example().await, print_example().await);
    let settings = Settings::read();
    let all = || settings.both.iter().chain(&settings.api).chain(&settings.worker);
    assert!(all().count() > 50);
    let required: BTreeSet<&str> =
        all().filter(|setting| setting.is_required).map(|setting| setting.variable.as_str()).collect();
    for setting in all() {
        let name = &setting.variable;
        let lines = example.lines().filter(|line| line.trim_start_matches('#').starts_with(&format!("{name}=")));
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        let optional = format!("#{name}={}", setting.default.clone().unwrap_or_default());
        assert!(required.contains(name.as_str()) != (lines[0] == optional), "{name}: {lines:?}");
    }
    let differ = example.lines().zip(other.lines()).filter(|(one, other)| one != other).collect::<Vec<_>>();
    assert!(differ.len() == 1 && differ[0].0.starts_with("LINK_SEALING_KEY="), "{differ:?}");
}

/// Starts a program with the example as its `.env`. `addresses` contains environment variables, which take precedence.
fn start_with_example(path: &std::path::Path, example: &str, addresses: &[(&str, String)]) -> Program {
    let script = r#"printf %s "$1" > .env; exec "$0""#;
    let settings: Vec<_> = addresses.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Program::spawn("/bin/sh".as_ref(), "example", &settings, &["-c", script, path.to_str().unwrap(), example]).unwrap()
}

#[tokio::test]
async fn both_programs_start_with_the_unchanged_example() {
    let example = print_example().await;
    server().await.create_database("example").await.unwrap();
    let callback = "https://portal.example.com/auth/callback";
    let supabase = SupabaseAuth::start(SupabaseSettings {
        service_role_key: "sb_secret_example".to_owned(),
        uri_allow_list: vec![callback.to_owned(), format!(r"{callback}\?**")],
        ..SupabaseSettings::default()
    });
    let supabase = supabase.await.unwrap();
    let mailgun = MailgunSettings { api_key: "key-example".to_owned(), ..MailgunSettings::default() };
    let mailgun = Mailgun::start(mailgun).await.unwrap();
    let addresses = [
        ("DATABASE_URL", server().await.url("example")),
        ("SUPABASE_URL", supabase.url()),
        ("MAILGUN_BASE_URL", mailgun.url()),
        ("API_LISTEN", "127.0.0.1:0".to_owned()),
        ("API_PRIVATE_LISTEN", "127.0.0.1:0".to_owned()),
        ("WORKER_LISTEN", "127.0.0.1:0".to_owned()),
        ("LOG_FORMAT", "json".to_owned()),
    ];
    let programs = Programs::build().await.unwrap();
    let api = start_with_example(&programs.api, &example, &addresses);
    let worker = start_with_example(&programs.worker, &example, &addresses);
    worker.wait_for_line("the tables are ready", MAX_WAIT).await.unwrap();
    let address = api.address().await.unwrap();
    eventually("the api to be ready", async || match get_at(&format!("http://{address}/health/ready")).await {
        (200, _) => Ok(()),
        (_, body) => Err(body),
    })
    .await;
    let body = json!({ "email": "hello@example.com", "callback_origin": "https://portal.example.com" });
    let answer = post_at(&format!("http://{address}/api/auth/send-magic-link"), &body).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    mailgun.wait_for_mail("hello@example.com", MAX_WAIT).await.unwrap();
}

#[tokio::test]
async fn help_groups_the_settings_and_marks_the_required_ones() {
    let settings = Settings::read();
    for (which, settings) in [(Which::Api, &settings.api), (Which::Worker, &settings.worker)] {
        let (code, lines) = end_of(start(which, &[], &["--help"]).await).await;
        assert_eq!(code, Some(0));
        let help = lines.join("\n");
        assert!(help.contains("magic-link-worker example-env"), "{help}");
        for setting in settings {
            assert!(help.contains(&format!("\n{}:\n", setting.heading)), "{}: {help}", setting.heading);
            let option = format!("--{} ", setting.variable.to_lowercase().replace('_', "-"));
            let text = help.split(&option).nth(1).unwrap_or_else(|| panic!("{option}: {help}"));
            let text = text.split("[env:").next().unwrap();
            assert_eq!(text.contains("Required."), setting.is_required, "{option}: {text}");
        }
    }
}
