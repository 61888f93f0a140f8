//! Hundreds of simultaneous jobs while an upstream fails or rejects recipients. The tests check that no job is lost and
//! that the workers make no unnecessary calls. The tests run on two threads, so that the stand-ins, which answer
//! thousands of calls, do not block the test code.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use sandbox::{Fault, FaultKind, eventually, eventually_within};
use serde_json::json;
use tests::{Answer, Plan, TestSystem};

/// Sends all requests, up to 32 at a time, and asserts that the api accepts them.
async fn ask_all(system: &TestSystem, bodies: Vec<serde_json::Value>) -> Vec<Answer> {
    let answers = stream::iter(bodies).map(async |body| system.post(&body).await).buffered(32);
    let answers: Vec<Answer> = answers.collect().await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    answers
}

fn people(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("person-{n}@example.com")).collect()
}

fn examples(people: &[String]) -> Vec<serde_json::Value> {
    people.iter().map(|email| tests::example(email)).collect()
}

/// Waits up to a minute until exactly `count` jobs are in `state`.
async fn until_count(system: &TestSystem, state: &str, count: usize) {
    let states = "select state, code, count(*) from email_jobs group by 1, 2 order by 1, 2";
    eventually_within(Duration::from_secs(60), &format!("{count} jobs to be {state}"), async || {
        let states: Vec<(String, Option<String>, i64)> = system.rows(states).await;
        let reached: i64 = states.iter().filter(|(seen, ..)| seen == state).map(|(.., jobs)| jobs).sum();
        if usize::try_from(reached) == Ok(count) { Ok(()) } else { Err(states) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_causes_few_calls_and_uses_up_no_attempt() {
    const JOBS: usize = 1_000;
    let plan = Plan { workers: 0, ..Plan::default() };
    let mut system = TestSystem::with(plan).await;
    system.supabase.faults().add(Fault::status(401).always());
    ask_all(&system, examples(&people(JOBS))).await;
    for _ in 0..3 {
        system.start_worker().await;
    }
    eventually("the open breaker", async || {
        let is_open = system.scalar("select open_since is not null from upstreams where name = 'supabase'").await;
        if is_open { Ok(()) } else { Err("closed") }
    })
    .await;
    for worker in 0..system.workers.len() {
        eventually("each worker to report the wrong setting", async || {
            let (status, body) = system.worker_ready(worker).await;
            let is_named = body["checks"]["supabase"]["setting"] == "SUPABASE_SERVICE_ROLE_KEY";
            if status == 503 && is_named { Ok(()) } else { Err(body) }
        })
        .await;
    }

    // After the calls that were in flight when the breaker opened, only probes follow, at growing intervals.
    eventually("probes at growing intervals", async || {
        let calls = system.supabase.journal();
        let last = calls.last_chunk::<3>().map(|[first, _, last]| last.at.duration_since(first.at).unwrap_or_default());
        if last > Some(Duration::from_secs(5)) {
            Ok(())
        } else {
            Err(format!("{} calls, the last three within {last:?}", calls.len()))
        }
    })
    .await;
    // Each call belongs to a probe or to one of the jobs that the workers had claimed when the breaker opened.
    let calls = system.supabase.journal().len();
    assert!(calls <= 3 * 64 + 5, "{calls} calls");

    system.supabase.faults().clear();
    until_count(&system, "sent", JOBS).await;
    let repeated: Vec<_> = system.jobs().await.into_iter().filter(|job| job.attempt != 1).collect();
    assert!(repeated.is_empty(), "attempts were used up: {repeated:#?}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_copies_of_a_mail_contain_the_same_working_link() {
    const JOBS: usize = 200;
    let plan =
        Plan { workers: 2, ..Plan::default() }.worker("UPSTREAM_TIMEOUT", "2s").worker("WORKER_CONCURRENCY", "256");
    let system = TestSystem::with(plan).await;
    let people = people(JOBS);
    for person in &people {
        system.supabase.add_confirmed_user(person);
        system.mailgun.faults().add(Fault::from(FaultKind::HangAfter).to(person));
    }
    ask_all(&system, examples(&people)).await;
    until_count(&system, "sent", JOBS).await;

    let mut mails: HashMap<String, Vec<_>> = HashMap::new();
    for mail in system.mailgun.mails() {
        mails.entry(mail.to.concat()).or_default().push(mail);
    }
    assert_eq!(mails.len(), JOBS);
    for (person, mails) in mails {
        // There may be more than two copies: on a busy machine, the response to the second call may also take longer
        // than the timeout.
        assert!(mails.len() >= 2, "{person}");
        let links: HashSet<_> = mails.iter().map(|mail| (mail.link().unwrap(), &mail.message_id)).collect();
        assert_eq!(links.len(), 1, "{person}");
        assert!(system.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in(), "{person}");
    }
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_429_no_worker_calls_mailgun_before_the_pause_ends() {
    const JOBS: usize = 100;
    let mut system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let words = json!({ "message": "Domain mg.example.com is not allowed to send: request limit exceeded, try again after 3 seconds" });
    system.mailgun.faults().add(Fault::answer(429, words.to_string()).always());
    ask_all(&system, examples(&people(JOBS))).await;
    // Start the workers only now, so that few other calls are in flight when Mailgun refuses the first call.
    for _ in 0..2 {
        system.start_worker().await;
    }
    let paused = "select extract(epoch from paused_until)::float8 from upstreams where name = 'mailgun'";
    let until = eventually("the pause", async || system.scalar::<Option<f64>>(paused).await.ok_or("no pause")).await;
    // Wait until Mailgun has also refused the calls that were already in flight.
    until_count(&system, "running", 0).await;
    system.mailgun.faults().clear();
    until_count(&system, "sent", JOBS).await;

    let mut sends = system.steps().await;
    sends.retain(|step| step.step == "send");
    let first = sends.iter().find(|step| step.outcome == "ok").unwrap().started_at;
    assert!(first >= until - 0.001, "sent {} s before the pause ended", until - first);
    // In the first half second of the pause, a worker that has not yet noticed the pause may still make a call.
    let noticed = until - 3.0 + 0.5..until - 0.001;
    sends.retain(|step| noticed.contains(&step.started_at));
    assert!(sends.is_empty(), "calls during the pause: {sends:#?}");
    assert_eq!(system.scalar::<i16>("select max(attempt) from email_jobs").await, 1, "attempts were used up");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rejected_recipients_do_not_delay_others() {
    const JOBS: usize = 300;
    let system = TestSystem::with(Plan::default().worker("RUST_LOG", "info")).await;
    system.supabase.set_allow_list(&["https://example.com/auth/callback", r"https://example.com/auth/callback\?**"]);
    let hook = json!({ "code": "unknown", "message": "Not on the guest list." }).to_string();
    let insert = json!({ "code": "unexpected_failure", "message": "Database error saving new user" }).to_string();
    let bad: Vec<_> = (0..JOBS)
        .map(|n| {
            let person = format!("bad-{n}@example.com");
            match n % 3 {
                0 => system.supabase.faults().add(Fault::answer(403, hook.clone()).to(&person).always()),
                1 => system.supabase.faults().add(Fault::answer(500, insert.clone()).to(&person).always()),
                // The allow list does not contain this callback, so Supabase replaces it with its own site URL.
                _ => return json!({ "email": person, "callback_origin": "http://localhost:3000" }),
            }
            tests::example(&person)
        })
        .collect();
    tokio::join!(ask_steadily(&system, examples(&people(JOBS))), ask_steadily(&system, bad));
    until_count(&system, "failed", JOBS).await;
    until_count(&system, "sent", JOBS).await;

    let codes = "select code, count(*) from email_jobs where state = 'failed' group by code order by code";
    let codes: Vec<(String, i64)> = system.rows(codes).await;
    let expected = ["hook_rejected", "redirect_not_allowed", "user_not_saved"].map(|code| (code.to_owned(), 100));
    assert_eq!(codes, expected);
    assert_eq!(system.scalar::<i64>("select count(*) from upstreams where open_since is not null").await, 0);
    assert_eq!(system.scalar::<i64>("select count(*) from email_jobs where state = 'sent' and attempt <> 1").await, 0);
    assert_eq!(system.worker_ready(0).await.0, 200);
    let paused = system.workers[0].log().iter().filter(|line| line.contains("Sending is paused")).count();
    assert_eq!(paused, 0, "a rejected recipient does not pause sending");
    system.finish().await;
}

/// Sends 25 requests per second, regardless of how long the responses take. Even a debug build can handle twice that
/// rate. At a rate that saturates the machine, the test would only measure how long requests wait for a CPU core.
async fn ask_steadily(system: &TestSystem, bodies: Vec<serde_json::Value>) {
    let pace = tokio::time::interval(Duration::from_millis(40));
    let paced = stream::unfold((pace, bodies.into_iter()), async |(mut pace, mut bodies)| {
        pace.tick().await;
        bodies.next().map(|body| (body, (pace, bodies)))
    });
    let answers = paced.map(async |body| system.post(&body).await.status).buffer_unordered(1_000);
    answers.for_each(async |status| assert_eq!(status, 200)).await;
}
