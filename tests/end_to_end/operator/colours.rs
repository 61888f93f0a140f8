//! Both programs write colours only to a terminal, and never if NO_COLOR is set.

use std::{
    fs::File,
    io::Read as _,
    process::{Command, Stdio},
};

use nix::pty::openpty;
use sandbox::Programs;

use super::{API, WORKER, Which, start};

/// The first character of the escape sequences that set a colour.
const ESCAPE: char = '\u{1b}';

/// Returns what a program writes to a terminal until it logs that it is listening.
async fn on_terminal(which: Which, no_color: bool) -> String {
    let programs = Programs::build().await.unwrap();
    let (path, settings) = match which {
        Which::Api => (&programs.api, &API[..]),
        Which::Worker => (&programs.worker, &WORKER[..]),
    };
    let folder = tempfile::tempdir().unwrap();
    let terminal = openpty(None, None).unwrap();
    let mut command = Command::new(path);
    command.env_clear().envs(settings.iter().copied()).env("LOG_FORMAT", "text").current_dir(folder.path());
    if no_color {
        command.env("NO_COLOR", "1");
    }
    let stdout = Stdio::from(terminal.slave);
    let mut program = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    let reading = tokio::task::spawn_blocking(move || {
        let (mut terminal, mut written) = (File::from(terminal.master), String::new());
        let mut piece = [0; 4_096];
        while !written.contains("listening ") {
            let length = terminal.read(&mut piece).unwrap();
            written += &String::from_utf8_lossy(&piece[..length]);
        }
        written
    });
    let written = tokio::time::timeout(super::MAX_WAIT, reading).await;
    program.kill().unwrap();
    program.wait().unwrap();
    written.unwrap().unwrap()
}

#[tokio::test]
async fn colours_are_written_only_to_terminals_and_never_if_no_color_is_set() {
    for which in [Which::Api, Which::Worker] {
        assert!(on_terminal(which, false).await.contains(ESCAPE), "{which:?}");
        let plain = on_terminal(which, true).await;
        assert!(!plain.contains(ESCAPE), "{which:?}: {plain:?}");
        let piped = start(which, &[("LOG_FORMAT", "text")], &[]).await;
        piped.wait_for_line("listening ", super::MAX_WAIT).await.unwrap();
        assert!(!piped.log().concat().contains(ESCAPE), "{which:?}");
    }
}
