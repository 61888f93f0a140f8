//! `cargo dev`: runs Postgres, the migrations, both stand-ins, two example portals, the api and the worker on one
//! machine. Prints the addresses and a curl command, and then the logs of the api and the worker until it is stopped.
#![expect(clippy::print_stdout, reason = "prints for the person at the terminal")]

mod link_style;
mod lone_api;
mod portals;
mod progress;
mod settings;
mod watch_jobs;

use crate::{
    Database, DatabaseError, Mailgun, MailgunSettings, Portal, PortalSettings, PreviewCommand, Program, ProgramError,
    Programs, Role, SupabaseAuth, SupabaseSettings, http, ports::preferred_port, programs::Echo,
};
pub use link_style::DevLinkStyle;
pub use lone_api::with_api;
pub use portals::PortalFiles;
use settings::DevAddresses;
use std::{
    io::{self, IsTerminal, Write},
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Maximum time for the programs to exit after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum time for the programs to become ready.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// How `cargo dev` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-C was pressed, SIGTERM was received, or the terminal was closed.
    Requested,
    /// A program exited unexpectedly. The last lines of its output have been printed.
    ProgramEnded,
}

/// Runs everything until `cargo dev` is told to stop, or a program exits. Leaves no process behind, and no data except
/// in a database from SANDBOX_DATABASE_URL. `link_style` determines where the links in mails point.
///
/// # Errors
/// A part of the sandbox does not start.
pub async fn dev(link_style: DevLinkStyle) -> anyhow::Result<Stop> {
    let mut signals = Signals::listen()?;
    progress::show()?;
    let stack = tokio::select! {
        () = signals.any() => return Ok(Stop::Requested),
        stack = DevStack::start(link_style) => stack?,
    };
    stack.summary();
    let stop = tokio::select! {
        () = signals.any() => Stop::Requested,
        ended = stack.first_end() => {
            report(&ended);
            Stop::ProgramEnded
        }
    };
    say("stopping");
    stack.stop().await;
    Ok(stop)
}

/// The parts of a running `cargo dev`.
struct DevStack {
    database: Database,
    supabase: SupabaseAuth,
    mailgun: Mailgun,
    portal: Portal,
    library: Portal,
    files: PortalFiles,
    addresses: DevAddresses,
    link_style: DevLinkStyle,
    api: Program,
    worker: Program,
}

impl DevStack {
    async fn start(link_style: DevLinkStyle) -> anyhow::Result<DevStack> {
        say("building the api and the worker, which takes a few minutes the first time");
        let (programs, database) =
            tokio::try_join!(async { Ok::<_, anyhow::Error>(Programs::build_visibly().await?) }, async {
                Ok(open_database().await?)
            },)?;
        let api_port = port("the api", 8080)?;
        let supabase = supabase().await?;
        let (portal, library) = portals(api_port, &supabase.url()).await?;
        let files = PortalFiles::write(&library.url())?;
        let preview = files.preview(&programs.worker);
        let mailgun = mailgun(api_port, database.url(), &supabase, preview).await?;
        let addresses = DevAddresses {
            api_database: database.url_as(Role::Api),
            worker_database: database.url_as(Role::Worker),
            supabase: supabase.url(),
            mailgun: mailgun.url(),
            api: api_port,
            api_private: port("the api's metrics", 8082)?,
            worker: port("the worker", 8081)?,
            portals_file: files.portals(),
            templates: files.templates(),
        };
        let confirm_key = settings::new_key();
        database.set_roles().await?;
        migrate(&programs.worker, &database.url_as(Role::Owner)).await?;
        database.set_roles().await?;
        say("starting the api and the worker");
        let worker = run("worker", &programs.worker, settings::for_worker(&addresses, &confirm_key, link_style))?;
        let api = run("api", &programs.api, settings::for_api(&addresses, &confirm_key))?;
        tokio::try_join!(until_it_is_ready(&worker, addresses.worker), until_it_is_ready(&api, addresses.api),)?;
        Ok(DevStack { database, supabase, mailgun, portal, library, files, addresses, link_style, api, worker })
    }

    /// Prints the addresses without the `dev |` prefix, so that whole lines can be copied.
    fn summary(&self) {
        let at = &self.addresses;
        let (api, worker, private) = (at.api, at.worker, at.api_private);
        println!("\nEverything is running. Press Ctrl-C to stop it. Every start begins with an empty database.\n");
        for (name, address) in [
            ("portal", format!("{}/", self.portal.url())),
            ("library", format!("{}/ (a second portal with its own name, sender and logo)", self.library.url())),
            ("mailbox", format!("{}/", self.mailgun.url())),
            ("all mails", format!("{}/mails", self.mailgun.url())),
            ("api docs", format!("http://127.0.0.1:{api}/api/docs")),
            ("OpenAPI", format!("http://127.0.0.1:{api}/api/openapi.json")),
            ("api health", format!("http://127.0.0.1:{api}/health/ready")),
            ("api metrics", format!("http://127.0.0.1:{private}/metrics")),
            ("worker health", format!("http://127.0.0.1:{worker}/health/ready")),
            ("Supabase Auth", format!("{} (a stand-in)", self.supabase.url())),
            ("psql", format!("psql '{}'", self.database.url())),
            ("portals file", self.files.portals().display().to_string()),
            ("words", self.files.templates().join("en/words.ftl").display().to_string()),
            ("reload", format!("kill -HUP {} {} (after changing these files)", self.api.pid(), self.worker.pid())),
            ("mails", format!("with {} (see cargo dev --help)", self.link_style.describe())),
        ] {
            println!("{name:<14} {address}");
        }
        println!(
            "\nRequest a sign-in mail on the portal's page or with this command. The mail appears in the \
        mailbox.\n"
        );
        println!("{}\n", curl(api));
    }

    /// Waits until one of the programs exits.
    async fn first_end(&self) -> ProgramError {
        tokio::select! {
            status = self.api.wait() => self.api.ended(status),
            status = self.worker.wait() => self.worker.ended(status),
        }
    }

    /// Sends SIGTERM to the programs, and kills a program that has not exited within [`STOP_TIMEOUT`]. Then stops the
    /// database.
    async fn stop(self) {
        self.api.terminate();
        self.worker.terminate();
        let both = async { tokio::join!(self.api.wait(), self.worker.wait()) };
        if tokio::time::timeout(STOP_TIMEOUT, both).await.is_err() {
            say(&format!("a program did not stop within {} s; killing it", STOP_TIMEOUT.as_secs()));
        }
        drop((self.api, self.worker));
        self.database.stop().await;
    }
}

/// The request from the README, as a curl command.
fn curl(api: u16) -> String {
    format!(
        "curl -i http://127.0.0.1:{api}/api/auth/send-magic-link \
         -H 'content-type: application/json' \
         -d '{{\"email\":\"hello@example.com\",\"callback_origin\":\"https://example.com\",\
         \"callback_next\":\"example\"}}'"
    )
}

async fn open_database() -> Result<Database, DatabaseError> {
    let started = Instant::now();
    let database = Database::open_announced(&say).await?;
    let seconds = started.elapsed().as_secs_f32();
    say(&format!("{} was ready in {seconds:.1} s", database.description()));
    Ok(database)
}

async fn supabase() -> io::Result<SupabaseAuth> {
    SupabaseAuth::start(SupabaseSettings {
        listen: loopback(port("Supabase Auth", 8054)?),
        service_role_key: settings::SERVICE_ROLE_KEY.into(),
        // The worker mails only codes with at least this many digits.
        otp_length: 10,
        ..SupabaseSettings::default()
    })
    .await
}

async fn mailgun(
    api_port: u16,
    database: &str,
    supabase: &SupabaseAuth,
    preview: PreviewCommand,
) -> anyhow::Result<Mailgun> {
    let mailgun = Mailgun::start(MailgunSettings {
        listen: loopback(port("the mailbox", 8025)?),
        domain: settings::MAILGUN_DOMAIN.into(),
        api_key: settings::MAILGUN_KEY.into(),
        events_key: settings::MAILGUN_EVENTS_KEY.into(),
        hint: Some(curl(api_port)),
        supabase_faults: Some(supabase.faults().clone()),
        jobs: Some(watch_jobs::start(database)?),
        preview: Some(preview),
    })
    .await?;
    mailgun.set_link_tokens(supabase.link_tokens());
    let webhook = format!("http://{}/api/webhooks/mailgun", loopback(api_port));
    mailgun.set_webhook(&webhook, settings::WEBHOOK_SIGNING_KEY);
    Ok(mailgun)
}

async fn portals(api_port: u16, supabase_url: &str) -> io::Result<(Portal, Portal)> {
    let settings = PortalSettings {
        listen: loopback(port("the portal", 8090)?),
        api: format!("http://{}/api", loopback(api_port)),
        supabase_url: supabase_url.into(),
        mails_show_code: true,
        ..PortalSettings::default()
    };
    let portal = Portal::start(settings.clone()).await?;
    let listen = loopback(port("the second portal", 8091)?);
    let library = portals::start_library(PortalSettings { listen, ..settings }).await?;
    Ok((portal, library))
}

async fn migrate(worker: &Path, database: &str) -> Result<(), ProgramError> {
    let settings = settings::for_migrate(database);
    let migrate = Program::spawn(worker, "magic-link-worker migrate", &settings, &["migrate"])?;
    let status: ExitStatus = migrate.wait().await;
    if !status.success() {
        return Err(migrate.ended(status));
    }
    say("the migrations have been applied");
    Ok(())
}

/// Starts a program, and prints each line of its output to the terminal with the program's name in front.
fn run(name: &str, path: &Path, mut settings: Vec<(String, String)>) -> Result<Program, ProgramError> {
    if !io::stdout().is_terminal() {
        settings.push(("NO_COLOR".to_owned(), "1".to_owned()));
    }
    let label = format!("{name:<6}");
    // Ignore errors, which occur if the terminal is closed; `println!` would panic.
    let echo: Echo = Box::new(move |line| {
        writeln!(io::stdout(), "{label} | {line}").ok();
    });
    Program::spawn_with_echo(path, name, &settings, &[], echo)
}

/// Waits until the program is ready, so that the first request succeeds.
async fn until_it_is_ready(program: &Program, port: u16) -> anyhow::Result<()> {
    let client = http::client()?;
    let url = format!("http://127.0.0.1:{port}/health/ready");
    let answers = async {
        while !client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        status = program.wait() => Err(program.ended(status).into()),
        answered = tokio::time::timeout(START_TIMEOUT, answers) => {
            answered.map_err(|_| anyhow::anyhow!("{url} did not become ready"))
        }
    }
}

/// Returns the preferred port. If it is in use, prints and returns a free port.
fn port(what: &str, preferred: u16) -> io::Result<u16> {
    let port = preferred_port(preferred)?;
    if port != preferred {
        say(&format!("port {preferred} is in use; using port {port} for {what}"));
    }
    Ok(port)
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn say(line: &str) {
    println!("dev    | {line}");
}

/// Prints how a program ended, and the last 20 lines of its output. Its complete output is further up on the terminal.
fn report(ended: &ProgramError) {
    let told = ended.to_string();
    let lines: Vec<&str> = told.lines().collect();
    let Some((what, output)) = lines.split_first() else {
        return;
    };
    say(what);
    for line in &output[output.len().saturating_sub(20)..] {
        say(line);
    }
}

/// The signals with which a person or a supervisor stops a program.
struct Signals([Signal; 3]);

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    async fn any(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hangup.recv() => (),
        }
    }
}
