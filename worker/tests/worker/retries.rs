//! Failed calls: which jobs are retried, when, and with which link.

use std::time::{Duration, SystemTime};

use sandbox::{Fault, FaultKind, eventually};

use crate::test_worker::{TIMEOUT, TestWorker, count_log_lines};

#[tokio::test(flavor = "multi_thread")]
async fn each_response_has_the_effect_of_its_verdict() {
    let test = TestWorker::new().await;
    let _worker = test.start_worker();
    let supabase = test.supabase.faults();
    let mailgun = test.mailgun.faults();
    let html = "<html><body>502 Bad Gateway</body></html>";
    let hook = r#"{"code":"unknown","message":"Accounts are by invitation only"}"#;
    let bad_to = r#"{"message":"to parameter is not a valid address. please check documentation"}"#;
    // Recipient, stand-in, fault, the job's next state, its code, and the outcomes of its steps.
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
    for (name, faults, fault, state, code, outcomes) in &table {
        let address = format!("{name}@example.com");
        faults.add(fault.clone().always().to(&address));
        let job = test.enqueue(&address).await;
        let row = test.wait_for(job, name, |job| job.code.is_some()).await;
        let is_retried = ["retrying", "queued", "running"].contains(&row.state.as_str());
        assert!(if *state == "failed" { row.state == "failed" } else { is_retried }, "{name}: {row:?}");
        assert_eq!(row.code.as_deref(), Some(*code), "{name}");
        assert!(test.outcomes(job).await.starts_with(outcomes), "{name}: {}", test.outcomes(job).await);
        let message = row.message.unwrap();
        assert!(!message.contains('@') && !message.contains("://"), "{name}: {message}");
        // Let a job succeed after each failure, because three consecutive failures would stop the calls to the
        // upstream.
        let other = test.enqueue(&format!("other-{name}@example.com")).await;
        test.wait_for_state(other, "sent").await;
    }
    // Ten jobs stay open, because they hit the same fault on every attempt.
    test.finish_with_open_jobs(10).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_sent_after_supabase_errors() {
    let test = TestWorker::new().await;
    test.supabase.faults().add(Fault::status(500).times(2).to("ada@example.com"));
    let _worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;

    let done = test.wait_for_state(job, "sent").await;
    assert_eq!(done.attempt, 3);
    assert_eq!(done.code, None);
    assert_eq!(test.outcomes(job).await, "generate_link retry, generate_link retry, generate_link ok, send ok");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_pauses_all_jobs_for_the_requested_time() {
    let test = TestWorker::new().await;
    let text = r#"{"message":"recipient limit exceeded, try again after 2 seconds"}"#;
    test.mailgun.faults().add(Fault::answer(420, text));
    let _worker = test.start_worker();
    let limited = test.enqueue("ada@example.com").await;
    test.wait_for_state(limited, "retrying").await;
    let other = test.enqueue("eve@example.com").await;

    let done = test.wait_for_state(limited, "sent").await;
    test.wait_for_state(other, "sent").await;
    let calls = test.mailgun.journal();
    assert_eq!(calls.len(), 3);
    for call in &calls[1..] {
        let waited = call.at.duration_since(calls[0].at).unwrap();
        assert!(waited >= Duration::from_millis(1_990), "sent after {waited:?}");
    }
    assert_eq!(done.attempt, 1, "the wait was counted as an attempt");
    assert_eq!(test.attempts(limited).await[1].code.as_deref(), Some("mailgun_rate_limited"));
    assert_eq!(test.supabase.journal().iter().filter(|call| call.email == "ada@example.com").count(), 1);
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_timeout_the_same_mail_is_sent_again() {
    let test = TestWorker::new().await;
    test.mailgun.faults().add(FaultKind::HangAfter);
    let _worker = test.start_worker();
    let started_at = SystemTime::now();
    let job = test.enqueue("ada@example.com").await;

    let waiting = test.wait_for_state(job, "retrying").await;
    assert!(waiting.has_link);
    assert_eq!(waiting.code.as_deref(), Some("mailgun_no_answer"));
    assert!(waiting.due_in > 3.0, "the first wait must be 5 s, not {}", waiting.due_in);
    test.make_due(job).await;
    test.wait_for_state(job, "sent").await;

    let mails = test.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 2, "the stand-in must have accepted both mails");
    assert_eq!(mails[0].link(), mails[1].link());
    for header in ["Message-Id", "References", "X-Entity-Ref-ID"] {
        assert!(mails[0].header(header).is_some(), "{header}");
        assert_eq!(mails[0].header(header), mails[1].header(header), "{header}");
    }
    assert_eq!(mails[0].subject, mails[1].subject);
    assert_eq!(test.supabase.journal().len(), 1, "the worker created a second link, which invalidates the first");
    assert!(test.supabase.verify(mails[0].link().unwrap()).await.unwrap().signed_in());
    assert_eq!(test.outcomes(job).await, "generate_link ok, send unknown, send ok");
    // This test checks a duration: the worker must wait for the whole UPSTREAM_TIMEOUT.
    assert!(started_at.elapsed().unwrap() >= Duration::from_secs(1), "the worker did not wait for the response");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_upstream_is_called_for_one_job_at_a_time() {
    let test = TestWorker::new().await;
    let worker = test.start_worker();
    // Without this job, the first check call would stop the calls to Supabase before the worker makes a call for any
    // job.
    let first = test.enqueue("first@example.com").await;
    test.wait_for_state(first, "sent").await;
    test.supabase.faults().add(Fault::status(503).always());
    let mut jobs = Vec::new();
    for number in 0..20 {
        jobs.push(test.enqueue(&format!("person-{number}@example.com")).await);
    }
    worker.wait_for_line("Sending is paused until the upstream works again", TIMEOUT).await.unwrap();
    // Jobs that were claimed before the stop still make their calls. The stop may come up to a second after these
    // calls, because all workers together make at most one check call a second. The probes follow after 1, 2 and 5 s.
    let gaps = || {
        let calls: Vec<_> = test.supabase.journal().iter().map(|call| call.at).collect();
        calls
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]).unwrap_or_default().as_millis().div_ceil(100) / 10)
            .collect::<Vec<_>>()
    };
    let paced = async || {
        if gaps().windows(3).any(|gaps| matches!(gaps, [1 | 2, 2, 5])) { Ok(()) } else { Err(format!("{:?}", gaps())) }
    };
    eventually("calls that are 1, 2 and then 5 s apart", paced).await;
    assert!(gaps().len() < 30, "calls were not slowed down");

    test.supabase.faults().clear();
    for job in jobs {
        assert!(test.wait_for_state(job, "sent").await.attempt <= 3, "upstream failures were counted as attempts");
    }
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_with_another_key_requests_a_new_link() {
    let mut test = TestWorker::new().await;
    test.mailgun.faults().add(Fault::status(500));
    let old = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    test.wait_for_state(job, "retrying").await;
    old.terminate();
    old.wait().await;

    test.set("LINK_SEALING_KEY", "/////////////////////////////////////////w8=");
    let new = test.start_worker();
    test.make_due(job).await;
    test.wait_for_state(job, "sent").await;
    assert_eq!(count_log_lines(&new, "sealed_link_unreadable"), 1);
    let replaced =
        test.attempts(job).await.into_iter().find(|step| step.code.as_deref() == Some("sealed_link_unreadable"));
    assert_eq!(replaced.map(|step| step.step + " " + &step.outcome).as_deref(), Some("generate_link ok"));
    assert_eq!(test.supabase.journal().len(), 2);
    let mail = test.mailgun.wait_for_mail("ada@example.com", TIMEOUT).await.unwrap();
    assert!(test.supabase.verify(mail.link().unwrap()).await.unwrap().signed_in());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_expires_soon_is_replaced() {
    let test = TestWorker::new().await;
    test.mailgun.faults().add(FaultKind::CutAfter);
    let _worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    test.wait_for_state(job, "retrying").await;
    test.execute("update email_jobs_open set link_created_at = link_created_at - interval '56 minutes'").await;
    test.make_due(job).await;
    test.wait_for_state(job, "sent").await;

    let mails = test.mailgun.mails_to("ada@example.com");
    assert_eq!(mails.len(), 2);
    assert_ne!(
        mails[0].header("Message-Id"),
        mails[1].header("Message-Id"),
        "with the same Message-Id, a mailbox may drop the second mail as a duplicate"
    );
    assert!(test.supabase.verify(mails[1].link().unwrap()).await.unwrap().signed_in());
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_fails_after_its_last_attempt() {
    let mut test = TestWorker::new().await;
    test.set("MAX_ATTEMPTS", "2");
    test.supabase.faults().add(Fault::status(500).always().to("ada@example.com"));
    let _worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;

    let failed = test.wait_for_state(job, "failed").await;
    assert_eq!((failed.code.as_deref(), failed.attempt), (Some("attempts_exhausted"), 2));
    assert_eq!(test.outcomes(job).await, "generate_link retry, generate_link retry");
    test.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_user_supabase_cannot_save_fails_after_three_attempts() {
    let test = TestWorker::new().await;
    let body = r#"{"code":"unexpected_failure","message":"Database error saving new user"}"#;
    // Earlier failures with another code do not count towards the three attempts.
    test.supabase.faults().add(Fault::status(502).times(2).to("ada@example.com"));
    test.supabase.faults().add(Fault::answer(500, body).always().to("ada@example.com"));
    let worker = test.start_worker();
    let job = test.enqueue("ada@example.com").await;
    eventually("failed", async || {
        test.make_due(job).await;
        let job = test.job(job).await;
        if job.state == "failed" { Ok(()) } else { Err(format!("{job:?}")) }
    })
    .await;
    let failed = test.job(job).await;
    assert_eq!((failed.code.as_deref(), failed.attempt), (Some("user_not_saved"), 5));
    assert_eq!(count_log_lines(&worker, "Sending is paused"), 0, "failures for one recipient slowed down claims");
    test.finish().await;
}
