//! Tests of the line that shows what is being checked. The command writes this line only to a terminal.

use std::{
    fs::File,
    io::Read as _,
    process::{Command, Output, Stdio},
};

use nix::pty::openpty;

use super::System;

/// Moves the cursor to the start of the line and clears the line.
const CLEAR: &str = "\r\u{1b}[2K";

/// Runs the command with a terminal as its stderr. Returns the text that the command wrote to the terminal, and the
/// command's [`Output`].
async fn on_terminal(system: &System, more: &[&str]) -> (String, Output) {
    let folder = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let program = {
        // Drop `command` at the end of this block, because it keeps the terminal open.
        let mut command = Command::new(env!("CARGO_BIN_EXE_magic-link-worker"));
        command.env_clear().envs(system.test.settings().iter().cloned()).current_dir(folder.path());
        command.arg("check").args(&system.options).args(more);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(terminal.slave)).spawn().unwrap()
    };
    let mut terminal = File::from(terminal.master);
    let reading = tokio::task::spawn_blocking(move || {
        let mut written = vec![];
        // Reading fails once no process has the terminal open.
        terminal.read_to_end(&mut written).ok();
        String::from_utf8(written).unwrap()
    });
    let output = tokio::task::spawn_blocking(move || program.wait_with_output().unwrap()).await.unwrap();
    (reading.await.unwrap(), output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_shows_what_is_being_checked_until_the_findings_are_printed() {
    let system = System::sound().await;
    let (shown, output) = on_terminal(&system, &[]).await;
    let lines: Vec<&str> = shown.split(CLEAR).collect();
    assert_eq!(
        lines[..4],
        [
            "",
            "checking Postgres …",
            "checking Postgres, Supabase Auth …",
            "checking Postgres, Supabase Auth, Mailgun …"
        ]
    );
    assert!(lines.iter().any(|line| line.starts_with("checking ") && line.contains("DNS")), "{lines:#?}");
    assert_eq!(lines.last(), Some(&""), "the line must be cleared at the end: {lines:#?}");
    assert!(
        lines[1..lines.len() - 1].iter().all(|line| line.starts_with("checking ") && line.ends_with(" …")),
        "{lines:#?}"
    );
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && stdout.starts_with("ok    settings.fit ") && !stdout.contains('\u{1b}'),
        "{stdout}"
    );
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_a_redirected_stderr_have_no_progress_line() {
    let system = System::sound().await;
    let (shown, output) = on_terminal(&system, &["--json"]).await;
    assert!(shown.is_empty() && output.stdout.starts_with(b"[") && output.status.success(), "{shown:?}");
    let (_, printed) = system.run(&[]).await;
    assert!(!printed.contains("checking") && !printed.contains('\u{1b}'), "{printed}");
    system.finish().await;
}
