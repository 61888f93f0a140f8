//! Runs initdb and starts the server process.

use super::{Durability, PostgresError, folder::ServerFolder, programs::ServerPrograms, run_as::RunAs};
use crate::process::Process;
use nix::sys::signal::Signal;
use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Maximum time for initdb, and for the server to become ready.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Everything needed to start the server repeatedly on the same data.
#[derive(Debug)]
pub(super) struct Launcher {
    pub(super) programs: ServerPrograms,
    pub(super) run_as: RunAs,
    pub(super) folder: ServerFolder,
    pub(super) durability: Durability,
}

impl Launcher {
    /// Creates the data folder. `password` becomes the superuser's password.
    pub(super) async fn initdb(&self, password: &str) -> Result<(), PostgresError> {
        let file = self.folder.path().join("password");
        self.write_password(&file, password).map_err(|e| PostgresError::io("write", &file, e))?;
        let mut command = self.command("initdb")?;
        command
            .args(["--username=postgres", "--auth=scram-sha-256"])
            .args(["--encoding=UTF8", "--locale=C", "--no-sync"])
            .arg("--pwfile")
            .arg(&file)
            .arg("--pgdata")
            .arg(self.folder.data());
        let initdb = self.spawn(command)?;
        let ended = tokio::time::timeout(TIMEOUT, initdb.wait()).await;
        fs::remove_file(&file).ok();
        match ended {
            Ok(status) if status.success() => Ok(()),
            _ => {
                initdb.signal(Signal::SIGKILL);
                Err(self.failed("initdb"))
            }
        }
    }

    /// Starts the server and waits until it accepts connections.
    pub(super) async fn start(&self, port: u16) -> Result<Process, PostgresError> {
        let mut command = self.command("postgres")?;
        command.arg("-D").arg(self.folder.data());
        for setting in settings(port, self.durability) {
            command.arg("-c").arg(setting);
        }
        let server = self.spawn(command)?;
        let deadline = Instant::now() + TIMEOUT;
        while !is_ready(&self.folder.data(), server.pid()) {
            if server.exit_status().is_some() || Instant::now() > deadline {
                server.signal(Signal::SIGQUIT);
                return Err(self.failed("postgres"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(server)
    }

    /// Writes the password to a file that only the server's user can read. initdb runs as that user.
    fn write_password(&self, file: &Path, password: &str) -> io::Result<()> {
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(password.as_bytes())?;
        self.run_as.own(file)
    }

    /// A command that runs a server program. Its environment has only PATH, and none of the caller's PG… variables.
    fn command(&self, program: &str) -> Result<Command, PostgresError> {
        let log = self.folder.log();
        let open = || File::options().create(true).append(true).open(&log);
        let (out, err) = open().and_then(|out| Ok((out, open()?))).map_err(|e| PostgresError::io("write", &log, e))?;
        let mut command = Command::new(self.programs.program(program));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // Ctrl-C at the terminal must reach only the sandbox, which then stops its server.
            .process_group(0);
        self.run_as.apply(&mut command);
        Ok(command)
    }

    fn spawn(&self, command: Command) -> Result<Process, PostgresError> {
        let program = command.get_program().to_owned();
        // SIGQUIT makes Postgres shut down immediately. Nobody needs the data after the sandbox has died.
        Process::spawn(command, Signal::SIGQUIT).map_err(|e| PostgresError::io("start", Path::new(&program), e))
    }

    fn failed(&self, program: &'static str) -> PostgresError {
        let log = fs::read_to_string(self.folder.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        PostgresError::Failed { program, log: last }
    }
}

/// The server's settings: loopback only, no socket file, UTC, and enough connections for many concurrent tests.
fn settings(port: u16, durability: Durability) -> Vec<String> {
    let mut settings = vec![
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        "unix_socket_directories=".into(),
        "max_connections=300".into(),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ];
    if durability == Durability::Off {
        let off = ["fsync", "full_page_writes", "synchronous_commit"];
        settings.extend(off.map(|name| format!("{name}=off")));
    }
    settings
}

/// Whether the server has written `ready` into line 8 of postmaster.pid (src/include/utils/pidfile.h). The pid in line
/// 1 distinguishes this server's file from a file that a killed server left behind.
fn is_ready(data: &Path, pid: u32) -> bool {
    let pid_file = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
    let lines: Vec<&str> = pid_file.lines().map(str::trim).collect();
    lines.first().is_some_and(|line| *line == pid.to_string()) && lines.get(7).is_some_and(|line| *line == "ready")
}
