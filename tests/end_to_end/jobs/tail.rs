//! `jobs tail` prints each change to a job as it happens.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandbox::Role;
use serde_json::Value;
use tests::{Plan, TestSystem};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use super::{MAX_WAIT, command, with_webhooks};

/// A running `jobs tail`.
struct Tail {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Tail {
    async fn start(system: &TestSystem, arguments: &[&str]) -> Self {
        let arguments = [&["tail"], arguments].concat();
        let mut child = command(&system.url_as(Role::Viewer), &arguments).await.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Reads lines up to and including the first that contains `text`.
    async fn until(&mut self, text: &str) -> Vec<String> {
        let mut seen = vec![];
        let reading = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                let is_last = line.contains(text);
                seen.push(line);
                if is_last {
                    return true;
                }
            }
            false
        };
        let found = timeout(MAX_WAIT, reading).await.unwrap_or(false);
        assert!(found, "{text} is missing from {seen:#?}");
        seen
    }

    /// Waits until the command exits, and returns its exit code.
    async fn end(mut self) -> Option<i32> {
        timeout(MAX_WAIT, self.child.wait()).await.expect("the command did not exit within 30 s").unwrap().code()
    }
}

#[tokio::test]
async fn each_change_to_a_job_is_printed_on_one_line() {
    let system = with_webhooks(Plan::default()).await;
    let earlier = system.ask("earlier@example.com").await;
    system.until_delivery(&earlier, "delivered").await;
    let mut tail = Tail::start(&system, &[]).await;
    let first = tail.until("sent, delivered").await;
    assert!(first.len() == 1 && first[0].contains("e***@example.com"), "{first:?}");

    let answer = system.ask("ann@example.com").await;
    let job = system.until_delivery(&answer, "delivered").await;
    let lines = tail.until("Mailgun reported the event delivered").await;
    for part in [
        &format!("requested, request id {}", answer.request_id),
        "requested a link from Supabase Auth: succeeded",
        "handed the mail to Mailgun: succeeded",
        "Sent: Mailgun accepted the mail.",
        "Mailgun reported the event delivered; delivery status: delivered.",
    ] {
        let found: Vec<&String> = lines.iter().filter(|line| line.contains(part)).collect();
        assert!(found.len() == 1 && found[0].contains(&job.id.to_string()), "{part}: {lines:#?}");
        assert!(found[0].contains("  a***@example.com  "), "{found:?}");
    }
    assert!(lines.iter().all(|line| !line.contains("e***@")), "{lines:#?}");

    let pid = Pid::from_raw(tail.child.id().unwrap().try_into().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(tail.end().await, Some(0));
    system.finish().await;
}

#[tokio::test]
async fn a_failure_is_printed_as_json_and_a_closed_pipe_ends_the_command() {
    let system = TestSystem::start().await;
    system.supabase.ban("banned@example.com");
    // Once `jobs tail` has printed this job, it is certain to print the changes that follow.
    let earlier = system.ask("earlier@example.com").await;
    system.until_state(&earlier, "sent").await;
    let mut tail = Tail::start(&system, &["--json", "--addresses"]).await;
    tail.until("earlier@example.com").await;
    system.until_state(&system.ask("banned@example.com").await, "failed").await;
    let lines = tail.until(r#""kind":"failed""#).await;
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["new", "attempt", "failed"], "{lines:?}");
    for line in &lines {
        assert_eq!(line["recipient"], "banned@example.com", "{line}");
    }
    assert_eq!(lines[2]["details"]["code"], "user_banned");
    // No job changes from here on, so the command must notice the closed pipe without writing to it.
    let Tail { child, lines } = tail;
    drop(lines);
    let ended = timeout(MAX_WAIT, child.wait_with_output()).await;
    let ended = ended.expect("the command did not exit within 30 s").unwrap();
    assert_eq!((ended.status.code(), ended.stderr), (Some(0), vec![]));
    system.finish().await;
}
