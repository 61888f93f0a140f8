//! `cargo dev` starts everything with one command, and leaves nothing behind however it ends.

use std::{path::Path, time::Duration};

use sandbox::{Program, Programs};
use serde_json::Value;
use tests::{Answer, eventually, example, post_at};

/// Starts the program that `cargo dev` runs, with this user's environment.
async fn dev() -> Program {
    let program = Programs::build().await.unwrap().api.with_file_name("sandbox");
    let kept = ["HOME", "PATH", "CARGO", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR", "TMPDIR"];
    let settings: Vec<_> =
        kept.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
    let dev = Program::spawn(&program, "dev", &settings, &["dev"]).unwrap();
    dev.wait_for_line("curl -i ", Duration::from_secs(120)).await.unwrap();
    dev
}

/// The address in a line of the summary.
fn address(dev: &Program, line: &str) -> String {
    let log = dev.log();
    let line = log.iter().find(|candidate| candidate.starts_with(line)).unwrap();
    line.split_whitespace().find(|word| word.starts_with("http://")).unwrap().to_owned()
}

/// Posts the published example like the printed curl command.
async fn post_the_example(dev: &Program) -> Answer {
    let log = dev.log();
    let curl = log.iter().find(|line| line.starts_with("curl -i ")).unwrap();
    let url = curl.split(' ').nth(2).unwrap();
    let body: Value = serde_json::from_str(curl.split('\'').rev().nth(1).unwrap()).unwrap();
    assert_eq!(body, example("hello@example.com"));
    eventually(|| async {
        let answer = post_at(url, &body).await;
        // The api answers 503 until it has found its tables.
        if answer.status == 503 { Err(answer) } else { Ok(answer) }
    })
    .await
    .unwrap()
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
    assert!(processes.len() >= 3, "api, worker, Postgres: {processes:?}");
    let gone = eventually(|| async {
        let left: Vec<_> = processes.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    });
    gone.await.unwrap();
}

#[tokio::test]
async fn cargo_dev_starts_everything_and_a_signal_stops_it() {
    let dev = dev().await;
    let answer = post_the_example(&dev).await;
    assert_eq!((answer.status, answer.body.to_string().as_str()), (200, r#"{"ok":true}"#));
    let mailbox = address(&dev, "mailbox");
    eventually(|| async {
        let page = tests::get_at(&mailbox).await.1;
        if page.contains("hello@example.com") && page.contains("sign-in link") { Ok(()) } else { Err(page) }
    })
    .await
    .unwrap();

    let family = family(dev.pid());
    dev.terminate();
    assert!(dev.wait().await.success());
    assert_gone(&family).await;
}

#[tokio::test]
async fn killing_cargo_dev_leaves_no_process_behind() {
    let dev = dev().await;
    let family = family(dev.pid());
    dev.kill();
    dev.wait().await;
    assert_gone(&family).await;
}
