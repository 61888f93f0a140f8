//! Several portals in one deployment. Each mail is sent with the settings of the portal through which it was requested.
//! A recipient's quotas apply across portals.

use std::{fs, path::PathBuf, time::Duration};

use sandbox::{Program, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{Answer, Plan, TestSystem};

/// The maximum time to wait for a log line.
const MAX_WAIT: Duration = Duration::from_secs(30);

const SHOP: &str = "
[[portal]]
id = \"shop\"
name = \"Example Shop\"
origins = [\"https://shop.example.com\"]
";

const LIBRARY: &str = "
[[portal]]
id = \"library\"
name = \"Stadtbücherei\"
origins = [\"https://library.example.com\", \"https://*.library.example.com\"]
callback_path = \"/angemeldet\"
next_prefixes = [\"/konto\"]
from = \"Stadtbücherei <buecherei@mg.example.com>\"
reply_to = \"auskunft@library.example.com\"
link_style = \"token_hash\"
code = \"on\"
languages = [\"de\", \"fr\"]
time_zone = \"Europe/Berlin\"
job_deadline = \"7m\"
recipient_rate_limit = \"2/15m\"
";

/// A `PORTALS_FILE` that the test can change.
struct PortalsFile(TempDir);

impl PortalsFile {
    fn new(text: &str) -> Self {
        let file = Self(tempfile::tempdir().unwrap());
        file.write(text);
        file
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("portals.toml")
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).unwrap();
    }
}

/// Returns a plan with the portals in `file`. Supabase allows the portals' callbacks, and its one-time codes have ten
/// digits.
fn plan(file: &PortalsFile) -> Plan {
    let mut plan = Plan::default().with_portals(&file.path());
    plan.supabase.otp_length = 10;
    let allowed = ["https://*.example.com/**", "https://*.library.example.com/**"];
    plan.supabase.uri_allow_list = allowed.map(str::to_owned).to_vec();
    plan
}

fn body(portal: &str, email: &str) -> Value {
    json!({ "email": email, "callback_origin": format!("https://{portal}.example.com") })
}

async fn ask_through(system: &TestSystem, portal: &str, email: &str) -> Answer {
    system.post(&body(portal, email)).await
}

#[tokio::test]
async fn each_mail_is_sent_with_the_settings_of_its_portal() {
    let file = PortalsFile::new(&format!("{SHOP}{LIBRARY}"));
    let system = TestSystem::with(plan(&file)).await;

    let answer = ask_through(&system, "shop", "ann@example.com").await;
    let job = system.until_state(&answer, "sent").await;
    assert_eq!((job.portal.as_deref(), job.language.as_deref(), job.time_zone), (Some("shop"), Some("en"), None));
    assert_eq!((job.callback_url.as_str(), job.deadline), ("https://shop.example.com/auth/callback", 900.0));
    let mail = system.mailgun.mails_to("ann@example.com").pop().unwrap();
    assert_eq!((mail.from.as_str(), mail.header("reply-to")), ("Example Portal <sign-in@mg.example.com>", None));
    assert!(mail.subject.contains("Example Shop"), "{}", mail.subject);
    assert!(mail.text.contains("shop.example.com") && !mail.text.contains("Stadtbücherei"), "{}", mail.text);

    let mut body = body("library", "ben@example.com");
    body["callback_origin"] = "https://branch.library.example.com".into();
    body["callback_next"] = "/konto/42".into();
    let answer = system.post(&body).await;
    let job = system.until_state(&answer, "sent").await;
    assert_eq!((job.portal.as_deref(), job.language.as_deref()), (Some("library"), Some("de")));
    assert_eq!((job.time_zone.as_deref(), job.deadline), (Some("Europe/Berlin"), 420.0));
    let mail = system.mailgun.mails_to("ben@example.com").pop().unwrap();
    assert_eq!(mail.from, "Stadtbücherei <buecherei@mg.example.com>");
    assert_eq!(mail.header("reply-to"), Some("auskunft@library.example.com"));
    assert!(mail.subject.contains("Stadtbücherei") && mail.subject.contains("ME"), "{}", mail.subject);
    let link = mail.link().unwrap();
    assert!(link.starts_with("https://branch.library.example.com/angemeldet?"), "{link}");
    assert!(link.contains("token_hash=") && link.contains("next=%2Fkonto%2F42"), "{link}");
    assert!(mail.text.lines().any(|line| line.len() == 10 && line.bytes().all(|byte| byte.is_ascii_digit())));

    body["callback_next"] = "/elsewhere".into();
    assert_eq!(system.post(&body).await.status, 400, "the destination is outside the portal's prefixes");
    assert_eq!(ask_through(&system, "evil", "ann@example.com").await.status, 400);

    let (_, api) = tests::get_at(&system.private_url(0, "/metrics").await).await;
    let worker = system.workers[0].address().await.unwrap();
    let (_, worker) = tests::get_at(&format!("http://{worker}/metrics")).await;
    for portal in ["shop", "library"] {
        let accepted = format!("magic_link_api_requests_total{{status=\"200\",code=\"ok\",portal=\"{portal}\"}} 1\n");
        assert!(api.contains(&accepted), "{accepted}: {api}");
        let sent = format!("magic_link_jobs_total{{state=\"sent\",portal=\"{portal}\"}} 1\n");
        assert!(worker.contains(&sent), "{sent}: {worker}");
    }
    system.finish().await;
}

#[tokio::test]
async fn recipient_quotas_apply_across_portals_and_a_portal_can_only_tighten_them() {
    let file = PortalsFile::new(&format!("{SHOP}{LIBRARY}"));
    let plan = plan(&file).api("RECIPIENT_RATE_LIMIT", "4/1h").api("DUPLICATE_WINDOW", "1s");
    let system = TestSystem::with(Plan { workers: 0, ..plan }).await;
    let ask = async |portal: &str, email: &str, page: u32| {
        let mut body = body(portal, email);
        body["callback_next"] = format!("/konto/{page}").into();
        system.post(&body).await
    };
    // The library has its own quota of two mails. The shop has none.
    for (page, status) in [(1, 200), (2, 200), (3, 429)] {
        assert_eq!(ask("library", "ann@example.com", page).await.status, status, "library, request {page}");
    }
    // The refused request does not count against the global quota of four mails, so two more mails can be requested
    // through any portal.
    for (page, status) in [(4, 200), (5, 200), (6, 429)] {
        assert_eq!(ask("shop", "ann@example.com", page).await.status, status, "shop, request {page}");
    }
    let refused = ask("shop", "ann@example.com", 7).await;
    assert_eq!(refused.body["code"], "recipient_rate_limited");
    // Each person has separate quotas.
    assert_eq!(ask("library", "ben@example.com", 8).await.status, 200);
    // A request supersedes an older waiting job for the same person, even if that job came through another portal.
    let jobs = system.jobs().await;
    let open = jobs.iter().filter(|job| job.state == "queued");
    let open: Vec<_> = open.map(|job| (job.recipient.as_str(), job.portal.as_deref())).collect();
    assert_eq!(open, [("ann@example.com", Some("shop")), ("ben@example.com", Some("library"))]);
    system.finish_with_open_jobs(2).await;
}

#[tokio::test]
async fn a_worker_that_has_not_loaded_the_portal_requeues_the_job() {
    let file = PortalsFile::new(&format!("{SHOP}{LIBRARY}"));
    let old = PortalsFile::new(SHOP);
    let plan = plan(&file).worker("PORTALS_FILE", old.path().to_str().unwrap());
    let mut system = TestSystem::with(Plan { workers: 0, ..plan }).await;
    // No worker is running yet, so the api cannot know whether a worker has loaded the portal.
    let answer = ask_through(&system, "library", "ann@example.com").await;
    assert_eq!(answer.status, 200);
    system.start_worker().await;
    let job = eventually("the job to be requeued", async || match system.job(&answer).await {
        job if job.code.as_deref() == Some("portal_unknown") => Ok(job),
        job => Err(job),
    })
    .await;
    assert_eq!((job.state.as_str(), job.attempt), ("retrying", 0));
    assert!((0.0..=5.0).contains(&job.due_in), "{job:?}");
    let message = job.message.unwrap();
    assert!(
        message.contains("`library`") && message.contains("PORTALS_FILE") && message.contains("SIGHUP"),
        "{message}"
    );
    // Mails for other portals are still sent, because no breaker has opened.
    let other = ask_through(&system, "shop", "ben@example.com").await;
    system.until_state(&other, "sent").await;

    old.write(&format!("{SHOP}{LIBRARY}"));
    system.workers[0].hang_up();
    let job = system.until_state(&answer, "sent").await;
    assert_eq!(job.attempt, 1);
    assert_eq!(system.mailgun.mails_to("ann@example.com").len(), 1);
    system.finish().await;
}

#[tokio::test]
async fn the_api_accepts_requests_for_a_new_portal_once_a_worker_has_loaded_it() {
    let (api_file, worker_file) = (PortalsFile::new(SHOP), PortalsFile::new(SHOP));
    let plan = plan(&api_file).worker("PORTALS_FILE", worker_file.path().to_str().unwrap());
    let system = TestSystem::with(plan).await;
    assert_eq!(ask_through(&system, "shop", "ann@example.com").await.status, 200);
    assert_eq!(ask_through(&system, "library", "ann@example.com").await.status, 400, "the file has no such portal yet");

    api_file.write(&format!("{SHOP}{LIBRARY}"));
    system.apis[0].hang_up();
    let early = eventually("the api to load the portal", async || {
        match ask_through(&system, "library", "ann@example.com").await {
            answer if answer.status == 503 => Ok(answer),
            answer => Err(answer),
        }
    })
    .await;
    assert_eq!(early.body["retryAfter"], 5, "{early:?}");
    assert!(system.find_job(&early).await.is_none());
    system.apis[0].wait_for_line("no worker has loaded this portal yet", MAX_WAIT).await.unwrap();
    assert_eq!(ask_through(&system, "shop", "ben@example.com").await.status, 200, "the old portal stays in use");

    worker_file.write(&format!("{SHOP}{LIBRARY}"));
    system.workers[0].hang_up();
    let answer = eventually("the api to accept requests for the portal", async || {
        match ask_through(&system, "library", "ann@example.com").await {
            answer if answer.status == 200 => Ok(answer),
            answer => Err(answer),
        }
    })
    .await;
    system.until_state(&answer, "sent").await;
    system.apis[0].wait_for_line("a worker has loaded this portal", MAX_WAIT).await.unwrap();
    system.finish().await;
}

/// Reads the metrics at a URL, and returns the value of `magic_link_reloads_total` for `result`.
async fn reloads(metrics: &str, result: &str) -> Option<String> {
    let (_, metrics) = tests::get_at(metrics).await;
    let name = format!("magic_link_reloads_total{{result=\"{result}\"}} ");
    metrics.lines().find_map(|line| Some(line.strip_prefix(&name)?.to_owned()))
}

/// Waits for the log line about a failed reload, and returns the faults in this line.
async fn refused_reload(program: &Program) -> String {
    let line = program.wait_for_line("reload failed", MAX_WAIT).await.unwrap();
    let line: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["level"], "ERROR");
    line["fields"]["faults"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_reload_of_a_faulty_file_changes_nothing_and_reports_every_fault() {
    let file = PortalsFile::new(SHOP);
    let system = TestSystem::with(plan(&file)).await;
    let api_metrics = system.private_url(0, "/metrics").await;
    let worker_metrics = format!("http://{}/metrics", system.workers[0].address().await.unwrap());

    let faulty = LIBRARY.replace("Europe/Berlin", "Mars/Olympus").replace("\"7m\"", "\"soon\"");
    file.write(&format!("{SHOP}{faulty}"));
    for (program, metrics) in [(&system.apis[0], &api_metrics), (&system.workers[0], &worker_metrics)] {
        assert_eq!(reloads(metrics, "failed").await.as_deref(), Some("0"));
        program.hang_up();
        let faults = refused_reload(program).await;
        for fault in ["portals.toml:18: `time_zone`: is not a name", "portals.toml:19: `job_deadline`: `soon` is not"] {
            assert!(faults.contains(fault), "{fault}: {faults}");
        }
        assert_eq!(reloads(metrics, "failed").await.as_deref(), Some("1"));
        assert_eq!(reloads(metrics, "ok").await.as_deref(), Some("0"));
    }
    assert_eq!(ask_through(&system, "library", "ann@example.com").await.status, 400);
    let answer = ask_through(&system, "shop", "ann@example.com").await;
    system.until_state(&answer, "sent").await;

    file.write(&format!("{SHOP}{LIBRARY}"));
    for (program, metrics) in [(&system.workers[0], &worker_metrics), (&system.apis[0], &api_metrics)] {
        program.hang_up();
        program.wait_for_line("\"message\":\"reloaded PORTALS_FILE", MAX_WAIT).await.unwrap();
        assert_eq!(reloads(metrics, "ok").await.as_deref(), Some("1"));
    }
    system.finish().await;
}
