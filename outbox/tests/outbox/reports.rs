//! Batches of Mailgun's reports: tokens, delivery statuses and suppressions.

use chrono::{DateTime, TimeDelta, Utc};
use outbox::{
    DeliveryEvent, DeliveryStatus, Enqueued, JobEnd, JobId, Report, ReportOutcome, ReportStatus, SignedToken,
    SuppressionOutcome, SuppressionReason,
};
use rand::seq::SliceRandom as _;

use crate::test_outbox::{TestOutbox, request, request_for};

/// A mail that Mailgun accepted.
pub(crate) struct SentMail {
    job: JobId,
    recipient: String,
}

/// A row of `suppressed_recipients`.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct SuppressionRow {
    recipient: String,
    reason: String,
    times: i16,
    hours: f64,
}

fn suppression(recipient: &str, reason: &str, times: i16, hours: f64) -> SuppressionRow {
    SuppressionRow { recipient: recipient.to_owned(), reason: reason.to_owned(), times, hours }
}

impl TestOutbox {
    pub(crate) async fn mailed(&self, recipient: &str) -> SentMail {
        let page = JobId::new().to_string();
        let job = self.queued(request_for(recipient, &page)).await;
        let claimed = self.claim_one().await;
        self.seal(&claimed).await;
        self.finish(&claimed, JobEnd::Sent).await;
        SentMail { job, recipient: recipient.to_owned() }
    }

    pub(crate) async fn report(&self, reports: &[Report]) -> Vec<ReportOutcome> {
        outbox::take_reports(&self.api, reports).await.unwrap()
    }

    async fn suppressions(&self) -> Vec<SuppressionRow> {
        self.rows(
            "select recipient, reason, times, extract(epoch from until - since)::float8 / 3600 as hours
             from suppressed_recipients
             order by recipient",
        )
        .await
    }

    /// Moves all suppressions back in time by `interval`, and deletes the quotas.
    async fn let_time_pass(&self, interval: &str) {
        self.execute(&format!(
            "update suppressed_recipients set since = since - interval '{interval}', until = until - interval '{interval}';
             delete from recipient_quotas"
        ))
        .await;
    }
}

impl SentMail {
    pub(crate) fn id(&self) -> String {
        self.job.to_string()
    }

    pub(crate) fn event(&self, id: &str, delivery: DeliveryStatus) -> DeliveryEvent {
        DeliveryEvent {
            id: id.to_owned(),
            event: match delivery {
                DeliveryStatus::Accepted => "accepted",
                DeliveryStatus::Delivered => "delivered",
                DeliveryStatus::Complained => "complained",
                _ => "failed",
            },
            job: Some(self.job),
            message_id: Some(format!("<{}@test>", self.job)),
            recipient: self.recipient.clone(),
            severity: None,
            reason: None,
            smtp_code: None,
            enhanced_code: None,
            message: None,
            delivery: Some(delivery),
            suppression: None,
            occurred_at: Utc::now(),
        }
    }

    fn suppressing(&self, reason: SuppressionReason) -> DeliveryEvent {
        let delivery =
            if reason == SuppressionReason::Complaint { DeliveryStatus::Complained } else { DeliveryStatus::Bounced };
        DeliveryEvent { suppression: Some(reason), ..self.event("suppressing", delivery) }
    }
}

fn unsigned(event: DeliveryEvent) -> Report {
    Report { event, signed: None }
}

fn signed(event: DeliveryEvent, token: &str, digest: u8) -> Report {
    Report { event, signed: Some(SignedToken { token: token.to_owned(), digest: [digest; 32] }) }
}

fn statuses(outcomes: &[ReportOutcome]) -> Vec<ReportStatus> {
    outcomes.iter().map(|outcome| outcome.status).collect()
}

#[tokio::test]
async fn each_report_in_a_batch_has_its_own_outcome() {
    let outbox = TestOutbox::new().await;
    let (mail, other) = (outbox.mailed("a@example.com").await, outbox.mailed("b@example.com").await);
    let stranger = SentMail { job: JobId::new(), recipient: "c@example.com".to_owned() };
    let forged =
        DeliveryEvent { recipient: "victim@example.com".to_owned(), ..mail.event("forged", DeliveryStatus::Bounced) };
    let without_job = DeliveryEvent { job: None, ..mail.event("without_job", DeliveryStatus::Delivered) };

    let batch = [
        signed(mail.event("1", DeliveryStatus::Delivered), "one", 1),
        // The same webhook again, the same event with a new token, and another event with a used token.
        signed(mail.event("1", DeliveryStatus::Delivered), "one", 1),
        signed(mail.event("1", DeliveryStatus::Delivered), "two", 1),
        signed(other.event("2", DeliveryStatus::Bounced), "one", 2),
        signed(mail.event("0", DeliveryStatus::Accepted), "three", 3),
        signed(stranger.event("4", DeliveryStatus::Delivered), "four", 4),
        signed(forged, "five", 5),
        signed(without_job, "six", 6),
    ];
    let outcomes = outbox.report(&batch).await;
    use ReportStatus::{Known, Recorded, TokenReused, Unmatched};
    assert_eq!(
        statuses(&outcomes),
        [Recorded, Known, Known, TokenReused, Recorded, Unmatched, Unmatched, Unmatched],
        "the outcomes are not in the order of the batch"
    );
    let moved: Vec<_> = outcomes.iter().map(|outcome| outcome.moved_to).collect();
    assert_eq!(
        (moved[0], moved[4]),
        (Some(DeliveryStatus::Delivered), None),
        "only the most advanced event changes the job"
    );
    assert!(moved.iter().skip(1).all(Option::is_none));

    let again = outbox.report(&batch).await;
    assert_eq!(statuses(&again)[..3], [Known, Known, Known]);
    assert_eq!(again[3].status, TokenReused, "the used token must be stored");
    let jobs = outbox.jobs().await;
    let mut deliveries: Vec<_> = jobs.iter().map(|job| (job.recipient.as_str(), job.delivery.as_deref())).collect();
    deliveries.sort();
    assert_eq!(deliveries, [("a@example.com", Some("delivered")), ("b@example.com", None)]);
    let events: Vec<(String, String, bool, Option<String>)> =
        outbox.rows("select event_id, recipient_domain, moves, moved_from from email_events order by event_id").await;
    let event = |id: &str, moves| (id.to_owned(), "example.com".to_owned(), moves, None);
    assert_eq!(events, [event("0", false), event("1", true)]);
    assert_eq!(outbox.scalar::<i64>("select count(*) from suppressed_recipients").await, 0);
}

#[tokio::test]
async fn concurrent_batches_have_the_same_result_as_consecutive_ones() {
    let outbox = TestOutbox::new().await;
    let mut mails = Vec::new();
    for n in 0..20 {
        mails.push(outbox.mailed(&format!("person-{n}@example.com")).await);
    }
    let happened = Utc::now();
    let at = |seconds| happened + TimeDelta::seconds(seconds);
    let events_of = |mail: &SentMail| {
        [
            (DeliveryStatus::Accepted, 0),
            (DeliveryStatus::Deferred, 1),
            (DeliveryStatus::Delivered, 2),
            (DeliveryStatus::Complained, 9),
        ]
        .map(|(delivery, second)| {
            let id = format!("{}-{second}", mail.job);
            unsigned(DeliveryEvent { occurred_at: at(second), ..mail.event(&id, delivery) })
        })
    };
    let mut reports: Vec<Report> = mails.iter().flat_map(events_of).collect();
    reports.extend(reports.clone());
    reports.shuffle(&mut rand::rng());
    let batches: Vec<_> = reports.chunks(16).map(|batch| outbox.report(batch)).collect();
    let outcomes = futures_util::future::join_all(batches).await.concat();

    assert_eq!(outcomes.iter().filter(|outcome| outcome.status == ReportStatus::Recorded).count(), 80);
    assert_eq!(outcomes.iter().filter(|outcome| outcome.status == ReportStatus::Known).count(), 80);
    let jobs = format!("select count(*) from email_jobs where delivery = 'complained' and delivery_at = '{}'", at(9));
    assert_eq!(outbox.scalar::<i64>(&jobs).await, 20);
    // The changes add up: each mail is counted once, whatever the order of the events.
    let sums = "select count(*) filter (where moves and delivery = 'complained')
                  - count(*) filter (where moves and moved_from = 'complained')
                from email_events";
    assert_eq!(outbox.scalar::<i64>(sums).await, 20);
}

#[tokio::test]
async fn a_missing_mailbox_is_suppressed_for_longer_each_time() {
    let outbox = TestOutbox::new().await;
    for (times, hours, passes) in [(1, 1.0, "61 min"), (2, 24.0, "25 h"), (3, 168.0, "8 d"), (4, 168.0, "0")] {
        let (mail, earlier_mail) = (outbox.mailed("a@example.com").await, outbox.mailed("a@example.com").await);
        let outcomes = outbox.report(&[unsigned(mail.suppressing(SuppressionReason::Bounce))]).await;
        assert_eq!(outcomes[0].suppression, Some(SuppressionOutcome::Suppressed));
        let wanted = [suppression("a@example.com", "bounce", times, hours)];
        assert_eq!(outbox.suppressions().await, wanted);
        let outcomes = outbox.report(&[unsigned(earlier_mail.suppressing(SuppressionReason::Bounce))]).await;
        assert_eq!(
            (outcomes[0].status, outcomes[0].suppression),
            (ReportStatus::Recorded, None),
            "a mail sent before the suppression extended it"
        );
        assert_eq!(outbox.suppressions().await, wanted);
        outbox.let_time_pass(passes).await;
    }
}

#[tokio::test]
async fn a_suppressed_recipients_request_fails_immediately_and_uses_quota() {
    let outbox = TestOutbox::new().await;
    let mail = outbox.mailed("a@example.com").await;
    outbox.report(&[unsigned(mail.suppressing(SuppressionReason::Bounce))]).await;

    let next = request("a@example.com");
    let id = next.id;
    assert_eq!(outbox.enqueue(std::slice::from_ref(&next)).await, [Enqueued::Suppressed]);
    assert_eq!(outbox.job(id).await.state_and_code(), ("failed", Some("recipient_suppressed")));
    let message = outbox.job(id).await.message.unwrap();
    assert!(message.starts_with("The recipient is suppressed (bounce, until 2"), "{message}");
    assert!(outbox.claim(10).await.is_empty());
    // As for any other recipient, a repeated request is a duplicate, and quotas apply.
    assert_eq!(outbox.enqueue(&[request("a@example.com")]).await, [Enqueued::Duplicate]);
    let mut accepted = 0;
    while outbox.enqueue(&[request_for("a@example.com", &accepted.to_string())]).await == [Enqueued::Suppressed] {
        accepted += 1;
    }
    assert_eq!(accepted, 3, "the quota allows five requests in total");

    // Another address at the same domain is not suppressed.
    assert_eq!(outbox.enqueue(&[request("b@example.com")]).await, [Enqueued::Queued]);
    assert!(outbox.scalar::<bool>("select email_lift_suppression(' A@Example.com')").await);
    outbox.execute("delete from recipient_quotas").await;
    assert_eq!(outbox.enqueue(&[request_for("a@example.com", "lifted")]).await, [Enqueued::Queued]);
    assert_eq!(outbox.scalar::<String>("select recipient from suppression_lifts").await, "a@example.com");
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn a_delivered_mail_lifts_a_bounce_but_not_a_complaint() {
    let outbox = TestOutbox::new().await;
    let (bounced, complained) = (outbox.mailed("a@example.com").await, outbox.mailed("b@example.com").await);
    let later: Vec<SentMail> = vec![outbox.mailed("a@example.com").await, outbox.mailed("b@example.com").await];
    outbox
        .report(&[
            unsigned(bounced.suppressing(SuppressionReason::Bounce)),
            unsigned(complained.suppressing(SuppressionReason::Complaint)),
        ])
        .await;
    let complaint = suppression("b@example.com", "complaint", 1, 24.0);
    assert_eq!(outbox.suppressions().await, [suppression("a@example.com", "bounce", 1, 1.0), complaint.clone()]);
    let arrived: Vec<Report> =
        later.iter().map(|mail| unsigned(mail.event("arrived", DeliveryStatus::Delivered))).collect();
    outbox.report(&arrived).await;
    assert_eq!(outbox.suppressions().await, [complaint]);
}

#[tokio::test]
async fn a_late_report_suppresses_from_the_time_of_its_event() {
    let outbox = TestOutbox::new().await;
    let mail = outbox.mailed("a@example.com").await;
    let bounce = mail.suppressing(SuppressionReason::Bounce);
    outbox.report(&[unsigned(DeliveryEvent { occurred_at: Utc::now() - TimeDelta::hours(2), ..bounce })]).await;
    assert_eq!(outbox.suppressions().await, [suppression("a@example.com", "bounce", 1, 1.0)]);
    assert_eq!(outbox.enqueue(&[request("a@example.com")]).await, [Enqueued::Queued]);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_domain_that_bounces_every_mail_loses_its_suppressions() {
    let outbox = TestOutbox::new().await;
    let mut mails = Vec::new();
    for n in 0..23 {
        mails.push(outbox.mailed(&format!("person-{n:02}@broken.example")).await);
    }
    let elsewhere = outbox.mailed("a@example.com").await;
    let bounced = |mail: &SentMail, at: DateTime<Utc>| {
        unsigned(DeliveryEvent { occurred_at: at, ..mail.suppressing(SuppressionReason::Bounce) })
    };
    let now = Utc::now();
    let suppressed_now = "select count(*) from suppressed_recipients where until > since";
    let first: Vec<Report> = mails[..20].iter().map(|mail| bounced(mail, now)).collect();
    let outcomes = outbox.report(&first).await;
    assert!(outcomes.iter().all(|outcome| outcome.suppression == Some(SuppressionOutcome::Suppressed)));
    assert_eq!(outbox.scalar::<i64>(suppressed_now).await, 20);

    let outcomes = outbox.report(&[bounced(&mails[20], now), bounced(&elsewhere, now)]).await;
    assert_eq!(outcomes[0].suppression, Some(SuppressionOutcome::HeldBack));
    assert_eq!(outcomes[1].suppression, Some(SuppressionOutcome::Suppressed), "another domain was affected");
    assert_eq!(outbox.scalar::<i64>(suppressed_now).await, 1, "the domain's earlier suppressions have ended");
    let outcomes = outbox.report(&[bounced(&mails[21], now)]).await;
    assert_eq!(outcomes[0].suppression, Some(SuppressionOutcome::HeldBack));
    assert_eq!(outbox.enqueue(&[request("person-00@broken.example")]).await, [Enqueued::Queued]);

    outbox.let_time_pass("11 min").await;
    let outcomes = outbox.report(&[bounced(&mails[22], Utc::now())]).await;
    assert_eq!(outcomes[0].suppression, Some(SuppressionOutcome::Suppressed), "a bounce must suppress again");
    let times = "select times from suppressed_recipients where recipient like '%-22@%'";
    assert_eq!(outbox.scalar::<i16>(times).await, 1);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn many_bounces_at_one_domain_in_one_batch_suppress_nobody() {
    let outbox = TestOutbox::new().await;
    let mut batch = Vec::new();
    for n in 0..30 {
        let mail = outbox.mailed(&format!("person-{n}@broken.example")).await;
        batch.push(unsigned(mail.suppressing(SuppressionReason::Bounce)));
    }
    outbox.report(&batch).await;
    assert_eq!(outbox.scalar::<i64>("select count(*) from suppressed_recipients where until > since").await, 0);
}
