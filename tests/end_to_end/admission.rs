//! The api accepts a request only if its mail can be sent before the job's deadline. When the queue is more than half
//! full, the api lowers the limit for each network.

use std::time::Duration;

use sandbox::{Fault, FaultKind, eventually};
use tests::{Answer, Plan, TestSystem};

fn code(answer: &Answer) -> &str {
    answer.body["code"].as_str().unwrap_or("ok")
}

fn retry_after(answer: &Answer) -> u64 {
    answer.headers["retry-after"].to_str().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_slow_supabase_only_requests_whose_mails_can_be_sent_before_the_deadline_are_accepted() {
    // Two concurrent calls of 200 ms each make ten links a second. Within the deadline of 20 s, 200 mails can be sent.
    let plan = Plan::default()
        .api("JOB_DEADLINE", "20s")
        .worker("SUPABASE_CONCURRENCY", "2")
        .worker("WORKER_CONCURRENCY", "4");
    let system = TestSystem::with(plan).await;
    system.supabase.faults().add(Fault::from(FaultKind::Delay { millis: 200 }).always());
    let mut answers = Vec::new();
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    let refused = loop {
        pace.tick().await;
        let answer = system.ask(&format!("person-{}@example.com", answers.len())).await;
        if answer.status != 200 {
            break answer;
        }
        answers.push(answer);
        assert!(answers.len() < 5_000, "every request was accepted");
    };
    assert_eq!((refused.status, code(&refused)), (503, "unavailable"));
    assert!((1..=20).contains(&retry_after(&refused)), "{}", retry_after(&refused));
    assert!(answers.len() > 100, "only {} requests were accepted, but 200 mails can be sent", answers.len());

    system.supabase.faults().clear();
    system.until_idle().await;
    // While the queue is idle, the api accepts requests, however slow the workers were before.
    eventually("an accepted request", async || {
        let answer = system.ask("later@example.com").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    system.finish().await;
}

#[tokio::test]
async fn while_a_breaker_is_open_requests_are_accepted_until_half_of_the_oldest_jobs_deadline_has_passed() {
    let system = TestSystem::start().await;
    system.supabase.faults().add(Fault::status(401).always());
    assert_eq!(system.ask("first@example.com").await.status, 200);
    eventually("the open breaker", async || {
        let is_open = system.scalar("select exists (select from upstreams where open_since is not null)").await;
        if is_open { Ok(()) } else { Err("closed") }
    })
    .await;
    assert_eq!(system.ask("second@example.com").await.status, 200, "the key may still be fixed before the deadline");

    let age = "update email_jobs_open
               set created_at = created_at - interval '8 min', deadline_at = deadline_at - interval '8 min'";
    system.execute(age).await;
    let refused = eventually("a refused request", async || {
        let answer = system.ask("third@example.com").await;
        if answer.status == 503 { Ok(answer) } else { Err(answer.status) }
    })
    .await;
    assert_eq!((code(&refused), retry_after(&refused)), ("unavailable", 30));

    system.supabase.faults().clear();
    eventually("an accepted request", async || {
        let answer = system.ask("fourth@example.com").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.status) }
    })
    .await;
    system.until_idle().await;
    system.finish().await;
}

#[tokio::test]
async fn a_half_full_queue_lowers_the_limit_per_network_to_a_third() {
    let plan = Plan { workers: 0, ..Plan::default() }.api("QUEUE_LIMIT", "10").api("IP_RATE_LIMIT", "9/1h");
    let system = TestSystem::with(plan).await;
    for n in 0..6 {
        assert_eq!(system.ask(&format!("person-{n}@example.com")).await.status, 200);
    }
    // Six requests have used up two thirds of the usual limit of nine. The lowered limit is three, and one third of it
    // is left, which is one request.
    assert_eq!(system.ask("seventh@example.com").await.status, 200);
    let refused = system.ask("eighth@example.com").await;
    assert_eq!((refused.status, code(&refused)), (429, "ip_rate_limited"));
    assert_eq!(refused.headers["ratelimit-policy"], "\"ip\";q=3;w=3600");
    system.finish_with_open_jobs(7).await;
}
