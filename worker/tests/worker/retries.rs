//! A bad day: what is tried again, when, and with what.

use std::time::{Duration, SystemTime};

use sandbox::{Fault, FaultKind};

use crate::bench::{Bench, PATIENCE, eventually, lines};

#[tokio::test(flavor = "multi_thread")]
async fn each_answer_leads_where_its_row_says() {
    let bench = Bench::new().await;
    let _worker = bench.start_worker();
    let supabase = bench.supabase.faults();
    let mailgun = bench.mailgun.faults();
    let html = "<html><body>502 Bad Gateway</body></html>";
    let hook = r#"{"code":"unknown","message":"Accounts are by invitation only"}"#;
    let bad_to = r#"{"message":"to parameter is not a valid address. please check documentation"}"#;
    // Who, the faults, where the job goes at once, with which code, after which steps.
    let table = [
        ("hook", supabase, Fault::answer(403, hook), "failed", "hook_rejected", "generate_link reject"),
        (
            "invalid",
            supabase,
            Fault::answer(400, r#"{"code":"validation_failed","message":"Unable to validate email address"}"#),
            "failed",
            "validation_failed",
            "generate_link reject",
        ),
        ("500", supabase, Fault::status(500), "retrying", "supabase_unavailable", "generate_link retry"),
        ("504", supabase, Fault::status(504), "retrying", "supabase_timeout", "generate_link retry"),
        ("html", supabase, Fault::answer(200, html), "retrying", "supabase_unreadable", "generate_link retry"),
        ("cut", supabase, FaultKind::Cut.into(), "retrying", "supabase_unreachable", "generate_link retry"),
        ("hang", supabase, FaultKind::Hang.into(), "retrying", "supabase_unreachable", "generate_link retry"),
        ("to", mailgun, Fault::answer(400, bad_to), "failed", "recipient_refused", "generate_link ok, send reject"),
        ("413", mailgun, Fault::status(413), "failed", "mail_too_large", "generate_link ok, send reject"),
        ("m500", mailgun, Fault::status(500), "retrying", "mailgun_unavailable", "generate_link ok, send unknown"),
        (
            "m502",
            mailgun,
            Fault::answer(502, html),
            "retrying",
            "mailgun_unavailable",
            "generate_link ok, send unknown",
        ),
        ("m200", mailgun, Fault::answer(200, html), "retrying", "mailgun_unreadable", "generate_link ok, send unknown"),
        ("mcut", mailgun, FaultKind::Cut.into(), "retrying", "mailgun_no_answer", "generate_link ok, send unknown"),
        ("mhang", mailgun, FaultKind::Hang.into(), "retrying", "mailgun_no_answer", "generate_link ok, send unknown"),
    ];
    let mut jobs = Vec::new();
    for (who, faults, fault, ..) in &table {
        let address = format!("{who}@example.com");
        faults.add(fault.clone().always().to(&address));
        jobs.push(bench.enqueue(&address).await);
    }
    for ((who, _, _, state, code, story), job) in table.iter().zip(jobs) {
        let row = bench.wait_for(job, who, |job| job.code.is_some()).await;
        let retried = ["retrying", "queued", "running"].contains(&row.state.as_str());
        assert!(if *state == "failed" { row.state == "failed" } else { retried }, "{who}: {row:?}");
        assert_eq!(row.code.as_deref(), Some(*code), "{who}");
        assert!(bench.story(job).await.starts_with(story), "{who}: {}", bench.story(job).await);
        let words = row.message.unwrap();
        assert!(!words.contains('@') && !words.contains("://"), "{who}: {words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_errors_of_supabase_the_mail_still_comes() {
    let bench = Bench::new().await;
    bench.supabase.faults().add(Fault::status(500).times(2));
    let _worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;

    let done = bench.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 3);
    assert_eq!(done.code, None);
    assert_eq!(bench.story(job).await, "generate_link retry, generate_link retry, generate_link ok, send ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_rate_limit_nothing_is_sent_before_its_time() {
    let bench = Bench::new().await;
    let text = r#"{"message":"recipient limit exceeded, try again after 2 seconds"}"#;
    bench.mailgun.faults().add(Fault::answer(420, text));
    let _worker = bench.start_worker();
    let limited = bench.enqueue("ada@example.com").await;
    bench.wait_for_state(limited, "retrying").await;
    let other = bench.enqueue("eve@example.com").await;

    let done = bench.wait_for_state(limited, "sent").await;
    bench.wait_for_state(other, "sent").await;
    let calls = bench.mailgun.journal();
    assert_eq!(calls.len(), 3);
    for call in &calls[1..] {
        let waited = call.at.duration_since(calls[0].at).unwrap();
        assert!(waited >= Duration::from_millis(1_990), "sent after {waited:?}");
    }
    assert_eq!(done.attempt, 1, "the wait was counted as an attempt");
    assert_eq!(bench.attempts(limited).await[1].code.as_deref(), Some("mailgun_rate_limited"));
    assert_eq!(bench.supabase.journal().iter().filter(|call| call.email == "ada@example.com").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_time_out_the_very_same_mail_goes_again() {
    let bench = Bench::new().await;
    bench.mailgun.faults().add(FaultKind::HangAfter);
    let _worker = bench.start_worker();
    let began = SystemTime::now();
    let job = bench.enqueue("ada@example.com").await;

    let waiting = bench.wait_for_state(job, "retrying").await;
    assert!(waiting.has_link);
    assert_eq!(waiting.code.as_deref(), Some("mailgun_no_answer"));
    assert!(waiting.due_in > 3.0, "the slow schedule begins with 5 s, not {}", waiting.due_in);
    bench.make_due(job).await;
    bench.wait_for_state(job, "sent").await;

    let mails = bench.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 2, "the stand-in took the first one too");
    assert_eq!(mails[0].link(), mails[1].link());
    assert_eq!(mails[0].header("Message-Id"), mails[1].header("Message-Id"));
    assert_eq!(bench.supabase.journal().len(), 1, "a second link would have killed the first");
    assert!(bench.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
    assert_eq!(bench.story(job).await, "generate_link ok, send unknown, send ok");
    assert!(began.elapsed().unwrap() >= Duration::from_secs(1), "it did not wait for the answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_in_trouble_is_tried_by_one_job_at_a_time() {
    let bench = Bench::new().await;
    bench.supabase.faults().add(Fault::status(503).always());
    let worker = bench.start_worker();
    let mut jobs = Vec::new();
    for number in 0..20 {
        jobs.push(bench.enqueue(&format!("person-{number}@example.com")).await);
    }
    worker.wait_for_line("one job at a time", PATIENCE).await.unwrap();
    // Whatever was claimed before that is called too; then the intervals of 1 and 2 s begin.
    let gaps = || {
        let calls: Vec<_> = bench.supabase.journal().iter().map(|call| call.at).collect();
        calls
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]).unwrap_or_default().as_millis().div_ceil(100) / 10)
            .collect::<Vec<_>>()
    };
    let paced =
        async || if gaps().windows(2).any(|pair| pair == [1, 2]) { Ok(()) } else { Err(format!("{:?}", gaps())) };
    eventually("calls that are 1 and then 2 s apart", paced).await;
    assert!(gaps().len() < 30, "all jobs were tried at once, again and again");

    bench.supabase.faults().clear();
    for job in jobs {
        assert!(bench.wait_for_state(job, "sent").await.attempt <= 3, "attempts were burnt");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_a_new_key_makes_a_new_link() {
    let mut bench = Bench::new().await;
    bench.mailgun.faults().add(Fault::status(500));
    let old = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    bench.wait_for_state(job, "retrying").await;
    old.terminate();
    old.wait().await;

    bench.set("LINK_SEALING_KEY", "/////////////////////////////////////////w8=");
    let new = bench.start_worker();
    bench.make_due(job).await;
    bench.wait_for_state(job, "sent").await;
    assert_eq!(lines(&new, "sealed_link_unreadable"), 1);
    let replaced =
        bench.attempts(job).await.into_iter().find(|step| step.code.as_deref() == Some("sealed_link_unreadable"));
    assert_eq!(replaced.map(|step| step.step + " " + &step.outcome).as_deref(), Some("generate_link ok"));
    assert_eq!(bench.supabase.journal().len(), 2);
    let mail = bench.mailgun.wait_for_mail("ada@example.com", PATIENCE).await.unwrap();
    assert!(bench.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_about_to_die_is_not_mailed_again() {
    let bench = Bench::new().await;
    bench.mailgun.faults().add(FaultKind::CutAfter);
    let _worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    bench.wait_for_state(job, "retrying").await;
    sqlx::query("update email_jobs_open set link_created_at = link_created_at - interval '56 minutes' where id = $1")
        .bind(job.0)
        .execute(&bench.pool)
        .await
        .unwrap();
    bench.make_due(job).await;
    bench.wait_for_state(job, "sent").await;

    let mails = bench.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 2);
    assert_ne!(mails[0].header("Message-Id"), mails[1].header("Message-Id"), "the second may be dropped as a copy");
    assert!(bench.supabase.verify(mails[1].link().unwrap()).await.unwrap().signed_in());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_fails_after_its_last_attempt() {
    let mut bench = Bench::new().await;
    bench.set("MAX_ATTEMPTS", "2");
    bench.supabase.faults().add(Fault::status(500).always());
    let _worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;

    let failed = bench.wait_for_state(job, "failed").await;
    assert_eq!((failed.code.as_deref(), failed.attempt), (Some("attempts_exhausted"), 2));
    assert_eq!(bench.story(job).await, "generate_link retry, generate_link retry");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_can_never_be_saved_is_given_up() {
    let bench = Bench::new().await;
    let words = r#"{"code":"unexpected_failure","message":"Database error saving new user"}"#;
    // Other failures before do not count towards its three tries.
    bench.supabase.faults().add(Fault::status(502).times(2));
    bench.supabase.faults().add(Fault::answer(500, words).always());
    let worker = bench.start_worker();
    let job = bench.enqueue("ada@example.com").await;
    eventually("failed", async || {
        bench.make_due(job).await;
        let job = bench.job(job).await;
        if job.state == "failed" { Ok(()) } else { Err(format!("{job:?}")) }
    })
    .await;
    let failed = bench.job(job).await;
    assert_eq!((failed.code.as_deref(), failed.attempt), (Some("user_not_saved"), 5));
    assert_eq!(lines(&worker, "one job at a time"), 0, "one person's trouble slows nobody down");
}
