//! Tests of each kind of fault: what the client gets, and what the journal records.

use crate::mailgun::{mail, mailgun, send};
use sandbox::{Fault, FaultKind, client};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test]
async fn a_status_fault_applies_to_the_given_number_of_calls() {
    let mailgun = mailgun().await;
    mailgun.faults().add(Fault::status(500).times(2));
    mailgun.faults().add(Fault::answer(429, "slow down").header("Retry-After", "7"));
    for expected in [500, 500, 429, 200] {
        assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, expected);
    }
    assert_eq!(mailgun.mails().len(), 1);
    let calls = mailgun.journal();
    assert_eq!((calls[0].carried_out, calls[0].answered), (None, Some(500)));
    assert!(mailgun.faults().list().is_empty());
}

#[tokio::test]
async fn a_status_after_fault_accepts_the_mail_and_returns_an_error() {
    let mailgun = mailgun().await;
    mailgun.faults().add(Fault::status_after(502));
    assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, 502);
    let call = mailgun.journal().remove(0);
    assert_eq!((call.carried_out, call.answered), (Some(200), Some(502)));
    assert_eq!(mailgun.mails().len(), 1);
}

#[tokio::test]
async fn a_cut_connection_is_an_error_without_a_status() {
    let mailgun = mailgun().await;
    for (kind, mails) in [(FaultKind::Cut, 0), (FaultKind::CutAfter, 1)] {
        mailgun.faults().add(kind);
        let error = send(&mailgun, &mail(&[])).await.unwrap_err();
        assert!(error.is_request() && error.status().is_none(), "{error:?}");
        assert_eq!(mailgun.mails().len(), mails);
        assert!(mailgun.journal().iter().all(|call| call.answered.is_none()));
    }
    assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, 200);
}

#[tokio::test]
async fn a_hanging_call_is_not_answered() {
    let mailgun = mailgun().await;
    for (kind, mails) in [(FaultKind::Hang, 0), (FaultKind::HangAfter, 1)] {
        mailgun.faults().add(kind);
        let calls = mailgun.journal().len() + 1;
        let fields = mail(&[]);
        tokio::select! {
            answer = send(&mailgun, &fields) => panic!("answered: {answer:?}"),
            called = mailgun.wait_for_calls(calls) => assert_eq!(called.unwrap().len(), calls),
        }
        if mails > 0 {
            mailgun.wait_for_mails(mails).await.unwrap();
        }
        assert_eq!(mailgun.mails().len(), mails);
    }
}

#[tokio::test]
async fn a_delayed_call_succeeds() {
    let mailgun = mailgun().await;
    mailgun.faults().add(FaultKind::Delay { millis: 50 });
    let started = Instant::now();
    assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, 200);
    assert!(started.elapsed() >= Duration::from_millis(50));
}

#[tokio::test]
async fn a_fault_for_one_address_does_not_apply_to_others() {
    let mailgun = mailgun().await;
    mailgun.faults().add(Fault::status(500).to("Bob@example.com").always());
    for (to, status) in [("ada@example.com", 200), ("Bob <bob@example.com>", 500)] {
        assert_eq!(send(&mailgun, &mail(&[("to", to)])).await.unwrap().0, status);
    }
    mailgun.faults().clear();
    assert_eq!(send(&mailgun, &mail(&[("to", "bob@example.com")])).await.unwrap().0, 200);
}

#[tokio::test]
async fn faults_can_be_set_over_http() {
    let mailgun = mailgun().await;
    let client = client().unwrap();
    let url = format!("{}/_sandbox/faults", mailgun.url());
    for fault in [
        json!({"kind": "status", "status": 429, "headers": {"Retry-After": "1"}, "lasts": {"seconds": 60}}),
        json!({"kind": "cut_after", "lasts": {"times": 1}, "to": "ada@example.com"}),
        json!({"kind": "delay", "millis": 5, "lasts": "always"}),
    ] {
        let answer = client.post(&url).json(&fault).send().await.unwrap();
        assert_eq!(answer.status(), 201);
        let list: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(list.as_array().unwrap().last(), Some(&fault));
    }
    let once: Fault = serde_json::from_value(json!({"kind": "hang"})).unwrap();
    assert_eq!(once, FaultKind::Hang.into());
    assert_eq!(send(&mailgun, &mail(&[])).await.unwrap().0, 429);
    client.delete(&url).send().await.unwrap();
    assert!(mailgun.faults().list().is_empty());
    let unreadable = client.post(&url).json(&json!({"kind": "gremlin"})).send().await.unwrap();
    assert_eq!(unreadable.status(), 400);
}
