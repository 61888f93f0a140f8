//! `jobs cancel`, `jobs retry`, `pause` and `resume`, run with the role that operators use.

use sandbox::{FaultKind, Role, eventually};
use tests::{Plan, TestSystem};

use super::{Printed, run, run_worker};

/// Runs a `jobs` command with the operator role.
async fn act(system: &TestSystem, arguments: &[&str]) -> Printed {
    run(&system.url_as(Role::Operator), arguments).await
}

/// Runs `pause` or `resume` with the operator role.
async fn mail(system: &TestSystem, arguments: &[&str]) -> Printed {
    run_worker(&system.url_as(Role::Operator), arguments).await
}

#[tokio::test]
async fn cancelling_by_filter_shows_the_jobs_and_needs_yes() {
    let system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let ann = system.ask("ann@example.com").await;
    let bob = system.ask("bob@other.example").await;
    let cleo = system.ask("cleo@example.com").await;

    let shown = act(&system, &["cancel", "--domain", "example.com", "--reason", "wrong test"]).await;
    shown.has(&[
        "a***@example.com",
        "c***@example.com",
        "To cancel these 2 jobs: magic-link-worker jobs cancel --domain example.com --reason 'wrong test' --yes\n",
    ]);
    assert!(!shown.out.contains("b***"), "{}", shown.out);
    assert_eq!(system.job(&ann).await.state, "queued", "a preview changes nothing");

    let done = act(&system, &["cancel", "--domain", "example.com", "--reason", "wrong test", "--yes"]).await;
    done.has(&["cancelled: The job is cancelled. Nothing was mailed.\n", "2 of 2 jobs were cancelled.\n"]);
    for answer in [&ann, &cleo] {
        assert_eq!(system.job(answer).await.state_and_code(), ("cancelled", Some("cancelled")));
    }
    let listed = act(&system, &["list", "--code", "cancelled", "--json"]).await.json();
    let requests = listed.iter().map(|line| line["request_id"].as_str().unwrap());
    assert_eq!(requests.collect::<Vec<_>>(), [&cleo, &ann].map(|answer| answer.request_id.as_str()));
    let id = system.job(&bob).await.id.to_string();
    let one = act(&system, &["cancel", &id]).await;
    assert_eq!(one.text().lines().count(), 1, "{one:?}");
    let again = act(&system, &["cancel", &id, "--json"]).await;
    assert_eq!(again.code, Some(4));
    assert!(again.out.contains(r#""outcome":"already_ended""#), "{again:?}");

    let story = act(&system, &["show", &system.job(&ann).await.id.to_string()]).await;
    story.has(&[
        "magic_link_operator cancelled the job: wrong test.",
        "Ended as cancelled: cancelled: An operator cancelled it while it was waiting.",
        "Advice:  cancelled (",
    ]);
    let nothing = act(&system, &["cancel", "--domain", "example.com"]).await;
    assert!(nothing.code == Some(3) && nothing.errors.contains("no open job matches"), "{nothing:?}");
    system.finish().await;
}

/// Covers a Mailgun outage during which jobs expired. A retry by filter leaves out a job whose request is too old and a
/// job whose recipient has since requested another link.
#[tokio::test]
async fn expired_jobs_worth_retrying_are_retried_after_an_outage() {
    let mut system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let ann = system.ask("ann@example.com").await;
    let bob = system.ask("bob@example.com").await;
    let cleo = system.ask("cleo@example.com").await;
    system.execute("update email_jobs_open set deadline_at = clock_timestamp()").await;
    system.start_worker().await;
    system.until_idle().await;
    for answer in [&ann, &bob, &cleo] {
        assert_eq!(system.job(answer).await.state, "expired");
    }
    // Bob requests another link, and Cleo's request becomes too old to be retried.
    let again = system.ask_for("bob@example.com", "again").await;
    system.until_state(&again, "sent").await;
    let age = "update email_jobs set created_at = created_at - interval '2 h' where recipient = 'cleo@example.com'";
    system.execute(age).await;

    let plan = act(&system, &["retry", "--state", "expired"]).await;
    plan.has(&[
        "left alone: asked_again",
        "left alone: too_old",
        "To retry this job: magic-link-worker jobs retry --state expired --yes\n",
    ]);
    let done = act(&system, &["retry", "--state", "expired", "--reason", "Mailgun was down", "--yes"]).await;
    done.has(&["retried: The new job is "]);
    eventually("the mail from the retry", async || {
        let mails = system.mailgun.mails_to("ann@example.com");
        if mails.len() == 1 { Ok(()) } else { Err(mails.len()) }
    })
    .await;
    let mail = system.mailgun.mails_to("ann@example.com").remove(0);
    assert!(system.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in());
    assert_eq!(system.mailgun.mails_to("bob@example.com").len(), 1);
    assert!(system.mailgun.mails_to("cleo@example.com").is_empty());
    system.until_idle().await;

    let old = system.rows::<(uuid::Uuid,)>("select job_id from email_retries").await[0].0.to_string();
    let story = act(&system, &["show", &old]).await;
    story.has(&[
        "magic_link_operator filed a retry of the job: Mailgun was down.",
        "Retried as job ",
        "The job was retried. To see the new job: ",
    ]);
    let new = act(&system, &["show", "ann@example.com"]).await;
    new.has(&["Retried by an operator: ", &format!(" This job repeats job {old}.")]);
    let twice = act(&system, &["retry", &old]).await;
    assert!(twice.code == Some(4) && twice.out.contains("already_retried: The job has been retried"), "{twice:?}");
    system.finish().await;
}

#[tokio::test]
async fn the_mail_from_a_retry_shows_the_time_of_the_first_request() {
    let mut system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    system.ask("ann@example.com").await;
    system.execute("update email_jobs_open set deadline_at = clock_timestamp()").await;
    system.start_worker().await;
    system.until_idle().await;
    let first: String = system
        .scalar(
            "update email_jobs set created_at = date_trunc('minute', created_at) - interval '31 min'
             returning to_char(created_at at time zone 'utc', 'HH24:MI')",
        )
        .await;
    let id = system.only_job().await.id.to_string();
    act(&system, &["retry", &id]).await.has(&["retried: "]);
    let mail = eventually("the mail", async || system.mailgun.mails_to("ann@example.com").pop().ok_or("no mail")).await;
    let text = format!("{} {}", mail.subject, mail.text);
    let twelve: String = system.scalar(&format!("select to_char('2000-01-01 {first}'::timestamp, 'FMHH12:MI')")).await;
    assert!(text.contains(&first) || text.contains(&twelve), "{first} {text}");
    system.finish().await;
}

#[tokio::test]
async fn a_retry_waits_while_no_api_can_run_it() {
    let system = TestSystem::with(Plan { workers: 0, apis: 1, ..Plan::default() }).await;
    let ann = system.ask("ann@example.com").await;
    let id = system.job(&ann).await.id.to_string();
    act(&system, &["cancel", &id]).await.has(&["cancelled: "]);
    // The api postpones retries while it refuses requests. Here it refuses requests because mail is paused and the
    // queued job is close to its deadline.
    system.ask("other@example.com").await;
    mail(&system, &["pause", "mail", "--for", "1h", "--reason", "test"]).await.has(&["Mail is paused until "]);
    system.execute("update email_jobs_open set deadline_at = clock_timestamp() + interval '10 s'").await;
    eventually("a refusal", async || {
        let answer = system.ask("refused@example.com").await;
        if answer.status == 503 { Ok(()) } else { Err(answer) }
    })
    .await;
    let waiting = act(&system, &["retry", &id]).await;
    assert!(waiting.code == Some(4) && waiting.out.contains("filed: No api has run the retry yet."), "{waiting:?}");
    act(&system, &["show", &id]).await.has(&["An operator filed a retry at "]);
    system.finish_with_any_jobs();
}

#[tokio::test]
async fn mail_waits_during_a_pause_and_is_sent_afterwards() {
    let system = TestSystem::start().await;
    mail(&system, &["pause"]).await.has(&["Nothing is paused.\n"]);
    let paused = mail(&system, &["pause", "mail", "--for", "1h", "--reason", "new templates"]).await;
    paused.has(&["Mail is paused until ", " by magic_link_operator: new templates\n"]);
    let ann = system.ask("ann@example.com").await;
    assert_eq!(ann.status, 200);

    // The worker stays ready, and its readiness response lists the pauses.
    let (status, health) = system.worker_ready(0).await;
    assert_eq!(status, 200, "{health}");
    assert_eq!(health["pauses"][0]["target"], "mail", "{health}");
    assert_eq!(health["pauses"][0]["reason"], "new templates", "{health}");
    let metrics = async |wanted: &str| {
        eventually(wanted, async || {
            let metrics = system.worker_metrics(0).await;
            if metrics.lines().any(|line| line == wanted) { Ok(()) } else { Err(metrics) }
        })
        .await;
    };
    metrics(r#"magic_link_paused{target="mail"} 1"#).await;
    metrics(r#"magic_link_paused{target="mailgun"} 0"#).await;
    let story = act(&system, &["show", "ann@example.com"]).await;
    story.has(&["Now:     queued", "Next:    Mail is paused until ", "To resume: magic-link-worker resume mail"]);
    assert!(system.mailgun.mails().is_empty());

    mail(&system, &["resume", "mail"]).await.has(&["Mail is no longer paused.\n"]);
    system.until_state(&ann, "sent").await;
    metrics(r#"magic_link_paused{target="mail"} 0"#).await;
    let twice = mail(&system, &["resume", "mail"]).await;
    assert!(twice.code == Some(3) && twice.errors.contains("mail is not paused"), "{twice:?}");
    system.finish().await;
}

/// A job that is running when a pause begins is queued again with its link. The interrupted attempt is not counted.
#[tokio::test]
async fn if_a_pause_begins_while_a_job_is_running_its_mail_is_sent_after_the_pause() {
    let system = TestSystem::with(Plan::default().worker("MAX_ATTEMPTS", "1")).await;
    system.supabase.faults().add(FaultKind::Delay { millis: 2_000 });
    let ann = system.ask("ann@example.com").await;
    system.until_state(&ann, "running").await;
    mail(&system, &["pause", "mailgun", "--for", "1h", "--reason", "test"]).await.text();
    let held = system.until_state(&ann, "queued").await;
    assert_eq!((held.code.as_deref(), held.attempt, held.has_link), (Some("paused"), 0, true), "{held:?}");
    mail(&system, &["resume", "mailgun"]).await.text();
    system.until_state(&ann, "sent").await;
    assert_eq!(system.supabase.journal().len(), 1, "no second link was requested");
    system.finish().await;
}

#[tokio::test]
async fn invalid_arguments_are_refused_before_anything_changes() {
    let system = TestSystem::with(Plan { workers: 0, ..Plan::default() }).await;
    let id = "01994b7e-3c1f-7a52-9d6e-0a1b2c3d4e5f";
    for (arguments, words) in [
        (&["cancel"][..], "specify the jobs to cancel by their ids"),
        (&["retry"], "specify the jobs to retry by their ids"),
        (&["cancel", "ann@example.com"], "a job id must be a UUID"),
        (&["cancel", id, "--state", "queued"], "either ids or a filter"),
        (&["cancel", "--state", "sent"], "only open jobs can be cancelled"),
        (&["retry", "--state", "running"], "only ended jobs can be retried"),
        (&["retry", id, "--reason", ""], "a reason must be 1 to 500 bytes long"),
        (&["retry", id, "--reason", "a\u{1b}[2J"], "a reason must be 1 to 500 bytes long"),
    ] {
        let shown = act(&system, arguments).await;
        assert!(
            shown.code == Some(2) && shown.errors.contains(words) && shown.out.is_empty(),
            "{arguments:?}: {shown:?}"
        );
    }
    for (arguments, words) in [
        (&["pause", "mail"][..], "--for"),
        (&["pause", "mail", "--for", "1h"], "--reason"),
        (&["pause", "--for", "1h"], "mail|supabase"),
        (&["pause", "mial", "--for", "1h", "--reason", "x"], "must be mail, supabase, mailgun or portal:ID"),
        (&["pause", "mail", "--for", "8d", "--reason", "x"], "at most 7d"),
        (&["resume"], "mail|supabase"),
    ] {
        let shown = mail(&system, arguments).await;
        assert!(
            shown.code == Some(2) && shown.errors.contains(words) && shown.out.is_empty(),
            "{arguments:?}: {shown:?}"
        );
    }
    for verb in ["cancel", "retry"] {
        let unknown = act(&system, &[verb, id]).await;
        assert!(unknown.code == Some(3) && unknown.errors.contains("no job with this id"), "{unknown:?}");
    }
    // The read-only role is not allowed to cancel jobs.
    let refused = run(&system.url_as(Role::Viewer), &["cancel", id]).await;
    assert!(refused.code == Some(1) && refused.errors.contains("permission denied"), "{refused:?}");
    assert_eq!(system.scalar::<i64>("select count(*) from operator_actions").await, 0);
    system.finish().await;
}
