//! The list of mails that workers ask Mailgun about, and what happens if Mailgun has no record of a mail.

use std::time::Duration;

use outbox::{DeliveryStatus, Report, reconcile};

use crate::test_outbox::TestOutbox;

const TEN_MINUTES: Duration = Duration::from_secs(600);
const A_DAY: Duration = Duration::from_secs(24 * 3_600);

impl TestOutbox {
    /// Moves the end of all ended jobs back in time by `interval`.
    async fn let_history_age(&self, interval: &str) {
        self.execute(&format!(
            "update email_jobs set finished_at = finished_at - interval '{interval}' where finished_at < 'infinity'"
        ))
        .await;
    }

    async fn enlisted(&self) -> u64 {
        let mut mails = 0;
        loop {
            let enlisted = reconcile::enlist(&self.pool, TEN_MINUTES, A_DAY).await.unwrap();
            mails += enlisted.mails;
            if !enlisted.more {
                return mails;
            }
        }
    }
}

#[tokio::test]
async fn mails_without_a_final_status_are_listed_after_ten_minutes() {
    let outbox = TestOutbox::new().await;
    let silent = outbox.mailed("silent@example.com").await;
    for (name, delivery) in [("accepted", DeliveryStatus::Accepted), ("delivered", DeliveryStatus::Delivered)] {
        let mail = outbox.mailed(&format!("{name}@example.com")).await;
        outbox.report(&[Report { event: mail.event(name, delivery), signed: None }]).await;
    }
    outbox.execute("update email_reconciler set enlisted_to = now() - interval '3 days'").await;
    assert_eq!(outbox.enlisted().await, 0, "the jobs ended less than ten minutes ago");
    outbox.let_history_age("11 min").await;
    outbox.execute("update email_reconciler set enlisted_to = now() - interval '3 days'").await;
    assert_eq!(outbox.enlisted().await, 2);
    assert_eq!(outbox.enlisted().await, 0, "a mail was listed twice");

    let mails = reconcile::unreported_mails(&outbox.pool, 10).await.unwrap();
    assert_eq!(mails.len(), 2);
    assert!(mails.iter().all(|mail| mail.age > TEN_MINUTES && mail.age < TEN_MINUTES * 2));
    reconcile::ask_again(&outbox.pool, &mails[0], TEN_MINUTES * 3).await.unwrap();
    let due = reconcile::unreported_mails(&outbox.pool, 10).await.unwrap();
    assert_eq!(due.iter().map(|mail| mail.job).collect::<Vec<_>>(), [mails[1].job]);
    reconcile::settle(&outbox.pool, &mails[1]).await.unwrap();
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_reconciliations").await, 1);

    let silent = mails.iter().find(|mail| mail.job.to_string() == silent.id()).unwrap();
    assert!(reconcile::mark_no_trace(&outbox.pool, silent).await.unwrap());
    assert!(!reconcile::mark_no_trace(&outbox.pool, silent).await.unwrap(), "the job was marked twice");
    assert_eq!(outbox.job(silent.job).await.state_and_code(), ("sent", Some("no_trace")));
}

#[tokio::test]
async fn a_late_report_clears_the_code_no_trace() {
    let outbox = TestOutbox::new().await;
    let mail = outbox.mailed("a@example.com").await;
    outbox.let_history_age("31 min").await;
    outbox.execute("update email_reconciler set enlisted_to = now() - interval '1 hour'").await;
    outbox.enlisted().await;
    let asked = reconcile::unreported_mails(&outbox.pool, 1).await.unwrap().remove(0);
    assert!(reconcile::mark_no_trace(&outbox.pool, &asked).await.unwrap());

    outbox.report(&[Report { event: mail.event("late", DeliveryStatus::Delivered), signed: None }]).await;
    let job = outbox.only_job().await;
    assert_eq!((job.state_and_code(), job.message.as_deref()), (("sent", None), None));
    assert_eq!(job.delivery.as_deref(), Some("delivered"));
}

#[tokio::test]
async fn only_one_worker_at_a_time_queries_mailgun_and_none_during_a_pause() {
    let outbox = TestOutbox::new().await;
    let turn = async |worker| reconcile::take_turn(&outbox.pool, worker, Duration::from_secs(60)).await.unwrap();
    assert!(turn("one").await);
    assert!(turn("one").await, "the worker cannot renew its lease");
    assert!(!turn("two").await);
    reconcile::end_turn(&outbox.pool, "one", Duration::ZERO, None).await.unwrap();
    assert!(turn("two").await);
    reconcile::end_turn(&outbox.pool, "two", Duration::from_secs(60), Some("rate limit")).await.unwrap();
    assert!(!turn("two").await && !turn("one").await);
    outbox.execute("update email_reconciler set held_until = now()").await;
    assert!(turn("one").await, "an expired lease or pause still blocks a worker");
}
