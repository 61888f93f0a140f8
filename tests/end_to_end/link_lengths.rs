//! With the longest callback that the api accepts, a link of any style is still short enough for mail programs.

use serde_json::json;
use tests::{Plan, TestSystem};

/// The maximum length of the local part of an email address.
const LONGEST_LOCAL_PART: usize = 64;

/// Finds, by bisection, the longest destination made of repetitions of `unit` that the api accepts. The more characters
/// `unit` takes up in a link, the fewer repetitions are accepted.
async fn longest_next(system: &TestSystem, unit: &str) -> String {
    let next = |count: usize| format!("/{}", unit.repeat(count));
    let (mut accepted, mut refused) = (0, 2_000);
    while refused - accepted > 1 {
        let count = usize::midpoint(accepted, refused);
        // The empty address makes the api refuse the request, so no job is enqueued. The response also reports whether
        // the destination is too long.
        let body = json!({ "email": "", "callback_origin": "https://example.com", "callback_next": next(count) });
        let answer = system.post(&body).await;
        assert_eq!(answer.status, 400);
        let is_refused = !answer.body["fieldErrors"]["callback_next"].is_null();
        if is_refused { refused = count } else { accepted = count }
    }
    next(accepted)
}

#[tokio::test]
async fn with_the_longest_accepted_callback_a_link_of_any_style_stays_under_2000_characters() {
    let plan = Plan { workers: 0, ..Plan::default() }.with_public_url("https://login.example.com");
    let mut system = TestSystem::with(plan).await;
    let mut destinations = vec![];
    // In Supabase's own link, after repeated escaping, a slash takes up five characters and an umlaut fourteen.
    for unit in ["a", "a/", "\u{fc}"] {
        destinations.push(longest_next(&system, unit).await);
    }
    for style in ["confirm", "verify", "token_hash"] {
        system.set_worker("LINK_STYLE", style);
        system.start_worker().await;
        for (number, next) in destinations.iter().enumerate() {
            let email = format!("{:x<LONGEST_LOCAL_PART$}@example.com", format!("{style}{number}"));
            let answer = system.ask_for(&email, next).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            system.until_state(&answer, "sent").await;
            let mail = system.mailgun.mails_to(&email).pop().unwrap();
            let link = mail.link().unwrap();
            assert!(link.len() < 2_000, "{style}: {} characters", link.len());
        }
        let worker = system.workers.pop().unwrap();
        worker.terminate();
        assert!(worker.wait().await.success());
    }
    system.finish().await;
}
