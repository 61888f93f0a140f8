//! Forgetting a person removes all of the person's data, but keeps the rows of the jobs, so that counts stay correct.

use outbox::{DeliveryEvent, DeliveryStatus, Email, Failure, JobEnd, Recorded, Report, SuppressionReason};

use crate::test_outbox::{TestOutbox, request_for};

#[tokio::test]
async fn nothing_about_a_forgotten_person_is_left_in_any_table() {
    let outbox = TestOutbox::new().await;
    let (ann, bob) = ("ann.smith@gmail.com", "bob@example.com");
    for person in [ann, bob] {
        let mail = outbox.mailed(person).await;
        let bounce = DeliveryEvent {
            message: Some(format!("{person} has moved")),
            suppression: Some(SuppressionReason::Complaint),
            ..mail.event("complained", DeliveryStatus::Complained)
        };
        let unmatched =
            DeliveryEvent { message_id: Some("<other@test>".to_owned()), ..mail.event("x", DeliveryStatus::Bounced) };
        let reports = [bounce, unmatched].map(|event| Report { event, signed: None });
        outbox.report(&reports).await;
        outbox.execute(&format!("insert into suppression_lifts (recipient) values ('{person}')")).await;
    }
    outbox.execute("delete from suppressed_recipients where recipient = 'ann.smith@gmail.com'").await;
    outbox.queued(request_for(ann, "waiting-for-annsmith")).await;
    let running = outbox.claim_one().await;
    let jobs = outbox.jobs().await.len();

    let forgotten = outbox::forget(&outbox.pool, &Email::parse(ann).unwrap()).await.unwrap();
    let changed: Vec<_> = forgotten.iter().filter(|f| f.rows > 0).map(|f| (f.relation.as_str(), f.rows)).collect();
    assert_eq!(
        changed,
        [
            ("email_jobs", 2),
            ("email_events", 1),
            ("email_events_unmatched", 1),
            ("recipient_quotas", 1),
            ("suppression_lifts", 1)
        ]
    );
    let tables = "select c.relname::text from pg_class c
                  where relnamespace = 'public'::regnamespace and relkind = 'r' and not exists (
                    select from pg_class v where v.oid = c.oid and c.relname = '_sqlx_migrations')";
    for (table,) in outbox.rows::<(String,)>(tables).await {
        let left: i64 = outbox.scalar(&format!("select count(*) from {table} t where t::text ~* 'ann.?smith'")).await;
        assert_eq!(left, 0, "{table}");
    }
    let mut forgotten_jobs = outbox.jobs().await;
    assert_eq!(forgotten_jobs.len(), jobs, "a job's row was deleted");
    forgotten_jobs.retain(|job| job.recipient == "forgotten@invalid");
    assert!(forgotten_jobs.iter().all(|job| job.language.is_none() && job.time_zone.is_none()), "{forgotten_jobs:?}");
    let states: Vec<_> = forgotten_jobs.iter().map(|job| (job.state_and_code(), job.delivery.as_deref())).collect();
    assert_eq!(states, [(("sent", None), Some("complained")), (("failed", Some("forgotten")), None)]);
    // The worker that was running the job has lost its lease.
    let late = JobEnd::Failed(Failure::new("late", "Too late."));
    assert_eq!(outbox.finish(&running, late).await, Recorded::LeaseLost);
    assert_eq!(outbox.scalar::<i64>(&format!("select count(*) from email_jobs where recipient = '{bob}'")).await, 1);
    assert_eq!(outbox.scalar::<i64>("select count(*) from suppressed_recipients").await, 1);
}

#[tokio::test]
async fn sql_and_rust_agree_on_the_mailbox_of_an_address() {
    let outbox = TestOutbox::new().await;
    for address in [
        "ann@example.com",
        "ann+tag@example.com",
        "a.n.n+tag+more@gmail.com",
        "a.n.n@googlemail.com",
        "+tag@example.com",
        "+@gmail.com",
        "ann.@example.com",
        "...@gmail.com",
    ] {
        let Ok(email) = Email::parse(address) else { continue };
        assert_eq!(
            outbox.scalar::<String>(&format!("select email_mailbox('{email}')")).await,
            email.mailbox().as_str(),
            "{address}"
        );
    }
}
