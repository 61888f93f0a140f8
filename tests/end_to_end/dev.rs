//! `cargo dev` starts everything with one command, and leaves no process behind, however it ends.

use std::{path::Path, time::Duration};

use sandbox::{Program, Programs, eventually};
use serde_json::Value;
use tests::{Answer, example, post_at};
use tokio::sync::Mutex;

/// A lock that a test holds while it starts `cargo dev`, because two instances that start at the same time may choose
/// the same free ports.
static START: Mutex<()> = Mutex::const_new(());

/// Starts the program that `cargo dev` runs, with these options and only part of the current environment.
async fn dev(options: &[&str]) -> Program {
    let _starts_alone = START.lock().await;
    let program = Programs::build().await.unwrap().api.with_file_name("sandbox");
    let kept = ["HOME", "PATH", "CARGO", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR", "TMPDIR"];
    let settings: Vec<_> =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    let dev = Program::spawn(&program, "dev", &settings, &[&["dev"], options].concat()).unwrap();
    dev.wait_for_line("curl -i ", Duration::from_secs(120)).await.unwrap();
    dev
}

/// The URL in the summary line that starts with `line`.
fn address(dev: &Program, line: &str) -> String {
    let log = dev.log();
    let line = log.iter().find(|candidate| candidate.starts_with(line)).unwrap();
    line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned()
}

/// Posts the published example as the printed curl command does.
async fn post_the_example(dev: &Program) -> Answer {
    let log = dev.log();
    let curl = log.iter().find(|line| line.starts_with("curl -i ")).unwrap();
    let url = curl.split(' ').nth(2).unwrap();
    let body: Value = serde_json::from_str(curl.split('\'').rev().nth(1).unwrap()).unwrap();
    assert_eq!(body, example("hello@example.com"));
    eventually("a response from the api", async || {
        let answer = post_at(url, &body).await;
        // The api answers 503 until it has found its tables.
        if answer.status == 503 { Err(answer) } else { Ok(answer) }
    })
    .await
}

/// Waits until the mailbox page contains all `parts`.
async fn until_mailbox_contains(dev: &Program, parts: &[&str]) {
    let mailbox = address(dev, "mailbox");
    eventually("the mail on the mailbox page", async || {
        let page = tests::get_at(&mailbox).await.1;
        if parts.iter().all(|part| page.contains(part)) { Ok(()) } else { Err(page) }
    })
    .await;
}

/// The warnings and errors that both programs logged.
fn complaints(dev: &Program) -> Vec<String> {
    dev.log().into_iter().filter(|line| [" WARN ", " ERROR "].iter().any(|level| line.contains(level))).collect()
}

/// The descendants of a process.
fn family(pid: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|child: u32| {
            let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
            // Format: pid (name, which may contain anything) state ppid …
            Some((child, stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?))
        })
        .collect();
    let mut family = vec![pid];
    let mut index = 0;
    while let Some(parent) = family.get(index).copied() {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        index += 1;
    }
    family.split_off(1)
}

async fn assert_gone(processes: &[u32]) {
    assert!(processes.len() >= 3, "the api, the worker and Postgres must be running: {processes:?}");
    eventually("all processes to end", async || {
        let left: Vec<_> = processes.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
}

#[tokio::test]
async fn cargo_dev_starts_everything_and_a_signal_stops_it() {
    let dev = dev(&[]).await;
    let answer = post_the_example(&dev).await;
    assert_eq!((answer.status, answer.body.to_string().as_str()), (200, r#"{"ok":true}"#));
    let confirm_page = format!("{}/auth/confirm/", address(&dev, "api docs").trim_end_matches("/api/docs"));
    let parts = ["hello@example.com", "sign-in link", &confirm_page, "Type this code there", "Scan this mail"];
    until_mailbox_contains(&dev, &parts).await;
    let mails = tests::get_at(&address(&dev, "all mails")).await.1;
    assert!(["Example Portal (example)", "Stadtbücherei (library)"].iter().all(|name| mails.contains(name)), "{mails}");
    let complaints = complaints(&dev);
    assert!(
        complaints.iter().all(|line| line.contains("is allowed; it is meant for development only")),
        "{complaints:#?}"
    );

    let family = family(dev.pid());
    dev.terminate();
    assert!(dev.wait().await.success());
    assert_gone(&family).await;
}

#[tokio::test]
async fn killing_cargo_dev_leaves_no_process_behind() {
    let dev = dev(&["--link-style", "verify"]).await;
    post_the_example(&dev).await;
    until_mailbox_contains(&dev, &["hello@example.com", "/auth/v1/verify?token="]).await;
    let family = family(dev.pid());
    dev.kill();
    dev.wait().await;
    assert_gone(&family).await;
}
