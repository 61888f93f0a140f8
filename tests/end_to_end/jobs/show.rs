//! `jobs show` prints what happened to one job and what happens next.

use sandbox::{Fault, Role};
use tests::{Plan, TestSystem};

use super::{look, run, with_webhooks};

#[tokio::test]
async fn a_delivered_mails_history_is_shown_from_the_request_to_the_inbox() {
    let system = with_webhooks(Plan::default()).await;
    let answer = system.ask("ann@example.com").await;
    let job = system.until_delivery(&answer, "delivered").await;
    let mail = system.mailgun.mails_to("ann@example.com").remove(0);

    let id = job.id.to_string();
    let shown = look(&system, &["show", &answer.request_id]).await;
    shown.has(&[
        &format!("Job {id} for a***@example.com\n"),
        &format!("Requested: request id {}, language en, callback at example.com.", answer.request_id),
        "Attempt 1: requested a link from Supabase Auth: succeeded (HTTP 200, ",
        "Attempt 1: handed the mail to Mailgun: succeeded (HTTP 200, ",
        "  Sent: Mailgun accepted the mail.",
        "  Mailgun reported the event delivered; delivery status: delivered.",
        "\nNow:     sent, delivered (1 attempt)\n",
        "\nNext:    Nothing more: the recipient's mail server accepted the mail.",
    ]);
    assert!(!shown.out.contains("Others:") && !shown.out.contains("Advice:"), "{}", shown.out);
    // `jobs show` finds the same job by its id and by the person's address. An address that the operator typed is not
    // masked.
    assert_eq!(look(&system, &["show", &id]).await.text(), shown.text());
    let by_person = look(&system, &["show", " Ann@Example.com "]).await;
    assert_eq!(by_person.text(), shown.text().replace("a***@", "ann@"));

    // The worker's role is allowed to read the callback, which is shown without its query.
    let full = run(&system.url_as(Role::Worker), &["show", &id]).await;
    full.has(&["callback https://example.com/"]);
    let json = look(&system, &["show", "--json", "--addresses", &id]).await;
    let story = json.json().remove(0);
    assert_eq!((&story["job"]["state"], &story["job"]["recipient"]), (&"sent".into(), &"ann@example.com".into()));
    assert_eq!(story["steps"].as_array().unwrap().len(), 2, "{story}");
    assert!(story["events"].as_array().unwrap().iter().any(|event| event["event"] == "delivered"), "{story}");
    assert!(story["advice"].is_null() && story["other_jobs"] == 0, "{story}");
    let link = mail.link().unwrap();
    let token = link.split(['=', '&']).nth(1).unwrap();
    for text in [&shown.out, &full.out, &json.out] {
        assert!(!text.contains(link) && !text.contains(token) && !text.contains("next="), "{text}");
    }
    system.finish().await;
}

#[tokio::test]
async fn a_bounced_mail_and_its_consequences_are_explained() {
    let system = with_webhooks(Plan::default()).await;
    let bounced = system.ask("bounce@example.com").await;
    system.until_delivery(&bounced, "bounced").await;
    let shown = look(&system, &["show", &bounced.request_id]).await;
    shown.has(&[
        "Mailgun reported the event failed (permanent, ",
        "Now:     sent, bounced",
        "Next:    Nothing more: the recipient's mail server permanently refused the mail.",
        "b***@example.com is suppressed until ",
    ]);

    let refused = system.ask_for("bounce@example.com", "again").await;
    system.until_state(&refused, "failed").await;
    let newest = look(&system, &["show", "bounce@example.com"]).await;
    newest.has(&[
        &refused.request_id,
        "Ended as failed: recipient_suppressed: ",
        "Next:    Nothing more: the job has ended without a mail.",
        "Advice:  recipient_suppressed (fails): A mail to the address bounced, or the recipient reported a mail as \
         spam.",
        "See docs/troubleshooting.md#from-the-outbox-and-the-worker.",
        "Others:  1 more job for this person in the last day. To list them: magic-link-worker jobs list --recipient \
         bounce@example.com\n",
    ]);
    system.finish().await;
}

#[tokio::test]
async fn a_failed_job_is_shown_with_the_advice_for_its_code() {
    let system = TestSystem::start().await;
    system.supabase.ban("banned@example.com");
    let answer = system.ask("banned@example.com").await;
    system.until_state(&answer, "failed").await;
    let shown = look(&system, &["show", &answer.request_id]).await;
    shown.has(&[
        "Attempt 1: requested a link from Supabase Auth: refused permanently, user_banned: ",
        "Ended as failed: user_banned: ",
        "Advice:  user_banned (fails): Supabase has banned the user. See docs/troubleshooting.md#from-supabase-auth.",
    ]);
    let story = look(&system, &["show", "--json", &answer.request_id]).await.json().remove(0);
    assert_eq!(story["advice"]["place"], "docs/troubleshooting.md#from-supabase-auth", "{story}");
    system.finish().await;
}

#[tokio::test]
async fn a_waiting_job_is_shown_with_what_it_waits_for_and_when_it_expires() {
    let mut system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let answer = system.ask("ann@example.com").await;
    let shown = look(&system, &["show", &answer.request_id]).await;
    shown.has(&[
        "Now:     queued (0 attempts)",
        "Next:    The next free worker will claim the job.",
        "The job expires at ",
        "unless its mail is sent before then",
    ]);

    // Only the calls for these two people fail, so calls to Supabase are not stopped for everybody.
    system.supabase.faults().add(Fault::status(500).to("bob@example.com").always());
    system.supabase.faults().add(Fault::status(503).to("ann@example.com").always());
    let other = system.ask("bob@example.com").await;
    system.start_worker().await;
    system.until_state(&other, "retrying").await;
    look(&system, &["show", &other.request_id]).await.has(&[
        "Attempt 1: requested a link from Supabase Auth: failed, will retry, supabase_unavailable: ",
        "The last attempt failed: supabase_unavailable: ",
        "The job expires at ",
        "Advice:  supabase_unavailable (waits): ",
    ]);

    // Now all calls to Supabase fail.
    system.supabase.faults().clear();
    system.supabase.faults().add(Fault::status(503).always());
    let shown = sandbox::eventually("the stop", async || {
        let shown = look(&system, &["show", &answer.request_id]).await;
        if shown.out.contains("Check SUPABASE_URL.") { Ok(shown) } else { Err(shown) }
    });
    shown.await.has(&[
        "Calls to Supabase Auth have been stopped for all jobs since ",
        "supabase_unavailable",
        "The job expires at ",
    ]);
    system.supabase.faults().clear();
    system.until_state(&answer, "sent").await;
    system.until_state(&other, "sent").await;
    system.finish().await;
}

#[tokio::test]
async fn a_superseded_job_is_shown_with_the_request_that_replaced_it() {
    let plan = Plan { workers: 0, ..Plan::default() }.api("DUPLICATE_WINDOW", "1m");
    let mut system = TestSystem::with(plan).await;
    let first = system.ask_for("ann@example.com", "one").await;
    let second = system.ask_for("ann@example.com", "two").await;
    let repeated = system.ask_for("ann@example.com", "two").await;
    let second_id = system.job(&second).await.id.to_string();
    let of_second = format!("To see the other job: magic-link-worker jobs show {second_id}\n");
    look(&system, &["show", &first.request_id]).await.has(&[
        "Now:     superseded",
        &format!("a later request by the same person ({}, made at ", second.request_id),
        &of_second,
    ]);
    look(&system, &["show", &repeated.request_id])
        .await
        .has(&[&format!("this job repeats an earlier request ({}, made at ", second.request_id), &of_second]);
    let story = look(&system, &["show", "--json", &first.request_id]).await.json().remove(0);
    assert_eq!(story["replaced_by"]["id"], second_id.as_str(), "{story}");
    system.start_worker().await;
    system.until_state(&second, "sent").await;

    // Callers may give several requests the same id.
    system.execute("update email_jobs set request_id = 'same'").await;
    look(&system, &["show", "same"]).await.has(&["To list them: magic-link-worker jobs list --request-id same\n"]);
    look(&system, &["show", "same", "--since", "7d"])
        .await
        .has(&["To list them: magic-link-worker jobs list --request-id same --since 7d\n"]);
    system.finish().await;
}

/// An upstream's message and a row written by an earlier version may contain any character.
#[tokio::test]
async fn text_from_upstreams_cannot_disturb_a_terminal() {
    let system = TestSystem::start().await;
    system.supabase.ban("ann@example.com");
    let evil = r#"{"message":"gone \u202e\u001b[2J\u0007 evil"}"#;
    system.mailgun.faults().add(Fault::answer(400, evil).to("bob@example.com"));
    let banned = system.ask("ann@example.com").await;
    let refused = system.ask("bob@example.com").await;
    system.until_state(&banned, "failed").await;
    system.until_state(&refused, "sent").await;
    system
        .execute(
            r"update email_jobs set message = E'x\u001b[2J\u202e\u2028\u009by' where recipient = 'ann@example.com';
              update email_attempts set message = E'x\u001b[2J\u202ez'",
        )
        .await;
    for answer in [&banned, &refused] {
        look(&system, &["show", &answer.request_id]).await.has(&["x\u{fffd}[2J\u{fffd}z"]);
    }
    let story = look(&system, &["show", "--json", &banned.request_id]).await.json().remove(0);
    assert_eq!(story["job"]["message"], "x\u{1b}[2J\u{202e}\u{2028}\u{9b}y", "{story}");
    assert_eq!(look(&system, &["list", "--json"]).await.json().len(), 2);
    look(&system, &["list"]).await.has(&["user_banned"]);
    system.finish().await;
}
