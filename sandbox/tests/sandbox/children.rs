//! Tests that the `sandbox` program stops everything that it starts, and tests of [`Program`].

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sandbox::{Program, ProgramError, eventually};
use std::{path::Path, time::Duration};

const SANDBOX: &str = env!("CARGO_BIN_EXE_sandbox");
const TIMEOUT: Duration = Duration::from_secs(60);

fn shell(script: &str) -> Program {
    Program::spawn(Path::new("/bin/sh"), "sh", &[], &["-c", script]).unwrap()
}

/// Runs `sandbox database` with a shell script that first prints the database URL and the shell's pid.
async fn with_database(script: &str) -> Program {
    let command = format!("echo url=$DATABASE_URL; echo pid=$$; {script}");
    let args = ["database", "--", "sh", "-c", &command];
    Program::spawn(Path::new(SANDBOX), "sandbox", &[], &args).unwrap()
}

async fn printed(program: &Program, name: &str) -> String {
    let line = program.wait_for_line(&format!("{name}="), TIMEOUT).await.unwrap();
    line.split_once('=').unwrap().1.to_owned()
}

/// The child processes of `sandbox`: the postmaster and the command.
fn children(of: u32) -> Vec<i32> {
    let threads = std::fs::read_dir(format!("/proc/{of}/task")).unwrap();
    let lists =
        threads.map(|thread| std::fs::read_to_string(thread.unwrap().path().join("children")).unwrap_or_default());
    let lists: Vec<String> = lists.collect();
    let numbers = lists.iter().flat_map(|list| list.split_whitespace());
    numbers.map(|number| number.parse().unwrap()).collect()
}

async fn until_gone(pid: i32) {
    // A zombie process still has a pid, but no longer an executable file.
    eventually("the end of the process", async || match std::fs::read_link(format!("/proc/{pid}/exe")) {
        Ok(program) => Err(program),
        Err(_) => Ok(()),
    })
    .await;
}

#[tokio::test]
async fn database_runs_a_command_on_a_migrated_database_and_exits_with_its_code() {
    let sandbox = with_database("exit 7").await;
    let url = printed(&sandbox, "url").await;
    assert!(url.starts_with("postgres://postgres:"), "{url}");
    assert_eq!(sandbox.wait().await.code(), Some(7), "{:?}", sandbox.log());
}

#[tokio::test]
async fn a_killed_sandbox_leaves_no_process_behind() {
    let sandbox = with_database("exec sleep 60").await;
    printed(&sandbox, "pid").await;
    let started = children(sandbox.pid());
    assert_eq!(started.len(), 2, "the server and the command: {started:?}");
    sandbox.kill();
    for pid in started {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_terminated_sandbox_leaves_no_process_behind() {
    let sandbox = with_database("exec sleep 60").await;
    printed(&sandbox, "pid").await;
    let started = children(sandbox.pid());
    sandbox.terminate();
    assert_eq!(sandbox.wait().await.code(), Some(143));
    for pid in started {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn a_program_gets_only_its_own_settings_and_an_empty_folder() {
    let settings = [("ONLY".to_owned(), "this".to_owned())];
    let script = "env | sort; pwd; ls -A | wc -l";
    let program = Program::spawn(Path::new("/bin/sh"), "sh", &settings, &["-c", script]).unwrap();
    assert!(program.wait().await.success());
    let log = program.log();
    assert!(log.contains(&"ONLY=this".to_owned()), "{log:?}");
    assert_eq!(log.last().map(|line| line.trim()), Some("0"));
    assert!(!log.iter().any(|line| line.starts_with("HOME=") || line.starts_with("CARGO")));
}

#[tokio::test]
async fn waiting_for_an_address_fails_with_the_output_if_the_program_exits() {
    let line = r#"{"fields":{"message":"listening for requests","address":"127.0.0.1:4123"}}"#;
    let up = shell(&format!("echo '{line}'; exec sleep 60"));
    assert_eq!(up.address().await.unwrap(), "127.0.0.1:4123".parse().unwrap());

    let down = shell("echo DATABASE_URL is missing >&2; exit 2");
    let error = down.address().await.unwrap_err();
    assert!(matches!(error, ProgramError::Ended { .. }));
    assert!(error.to_string().contains("DATABASE_URL is missing"), "{error}");
}

#[tokio::test]
async fn a_program_can_be_frozen_thawed_and_asked_to_stop() {
    let program = shell("trap 'echo polite; exit 3' TERM; echo up; while :; do sleep 0.01; done");
    program.wait_for_line("up", TIMEOUT).await.unwrap();
    program.freeze();
    program.terminate();
    let while_frozen = program.wait_for_line("polite", Duration::from_millis(50)).await;
    assert!(matches!(while_frozen, Err(ProgramError::TimedOut(_))));
    program.thaw();
    program.wait_for_line("polite", TIMEOUT).await.unwrap();
    assert_eq!(program.wait().await.code(), Some(3));
}

#[tokio::test]
async fn a_dropped_program_is_killed() {
    let program = shell("echo up; exec sleep 60");
    program.wait_for_line("up", TIMEOUT).await.unwrap();
    let pid = i32::try_from(program.pid()).unwrap();
    kill(Pid::from_raw(pid), None::<Signal>).unwrap();
    drop(program);
    until_gone(pid).await;
}
