//! Jobs for several portals: what is stored with a job, and the quotas across portals and per portal.

use std::{sync::Arc, time::Duration};

use outbox::{Enqueued, Failure, JobEnd, NewJob, ProgramKind, Requeue, check_schema};

use crate::test_outbox::{TestOutbox, request, request_for};

/// A request through a portal. Each request comes from a different client, so that no per-client quota is exceeded.
fn through(portal: &str, recipient: &str, page: &str) -> NewJob {
    NewJob {
        portal: Some(portal.to_owned()),
        client: format!("{portal}-{page}"),
        ..request_for(recipient, &format!("{portal}-{page}"))
    }
}

fn with_quota(quota: &str, request: NewJob) -> NewJob {
    NewJob { portal_quota: Some(Arc::new(quota.parse().unwrap())), ..request }
}

/// Enqueues one request. Returns how long its client must wait before the next try, or zero if it was accepted.
async fn wait_of(outbox: &TestOutbox, request: NewJob) -> Duration {
    match outbox.enqueue(&[request]).await[..] {
        [Enqueued::Limited { retry_after }] => retry_after,
        [Enqueued::Queued] => Duration::ZERO,
        ref outcomes => panic!("{outcomes:?}"),
    }
}

/// Whether a wait is about this number of minutes. No wait is exact, because Postgres's clock advances during the test.
fn is_about(wait: Duration, minutes: u64) -> bool {
    let exact = Duration::from_secs(60 * minutes);
    exact.saturating_sub(Duration::from_secs(30)) < wait && wait <= exact
}

#[tokio::test]
async fn a_job_keeps_its_portal_from_the_request_to_the_history() {
    let outbox = TestOutbox::new().await;
    let deadline = Some(Duration::from_millis(90_500));
    let newcomer = outbox.queued(NewJob { deadline, ..through("shop", "a@example.com", "1") }).await;
    // The second request for a mailbox does not take the shortcut for newcomers.
    let known = outbox.queued(NewJob { deadline, ..through("club-2", "a@example.com", "2") }).await;
    let plain = outbox.queued(request("b@example.com")).await;
    for (id, portal, deadline) in [(newcomer, Some("shop"), 90.5), (known, Some("club-2"), 90.5), (plain, None, 900.0)]
    {
        let job = outbox.job(id).await;
        assert_eq!((job.portal.as_deref(), job.deadline), (portal, deadline), "{job:?}");
    }
    let mut claimed = outbox.claim(10).await;
    claimed.sort_by_key(|job| job.created_at);
    let portals: Vec<_> = claimed.iter().map(|job| job.portal.as_deref()).collect();
    assert_eq!(portals, [Some("club-2"), None]);

    for job in &claimed {
        outbox.seal(job).await;
        outbox.finish(job, JobEnd::Sent).await;
    }
    let history = "select portal, state from email_jobs where finished_at < 'infinity' order by seq";
    let history: Vec<(Option<String>, String)> = outbox.rows(history).await;
    let row = |portal: Option<&str>, state: &str| (portal.map(str::to_owned), state.to_owned());
    assert_eq!(history, [row(Some("shop"), "superseded"), row(Some("club-2"), "sent"), row(None, "sent")]);
}

#[tokio::test]
async fn expired_and_rescued_jobs_are_reported_with_their_portal() {
    let outbox = TestOutbox::new().await;
    outbox.queued(through("shop", "late@example.com", "1")).await;
    outbox.queued(request("plain@example.com")).await;
    outbox.execute("update email_jobs_open set deadline_at = clock_timestamp()").await;
    let mut expired: Vec<_> = outbox::expire(&outbox.pool).await.unwrap().into_iter().map(|job| job.portal).collect();
    expired.sort();
    assert_eq!(expired, [None, Some("shop".to_owned())]);

    outbox.queued(through("shop", "crash@example.com", "1")).await;
    outbox.claim_one().await;
    outbox.execute("update email_jobs_open set lease_expires_at = clock_timestamp() - interval '1 s'").await;
    let rescued = outbox::rescue(&outbox.pool, 1).await.unwrap();
    assert_eq!(rescued.exhausted[0].portal.as_deref(), Some("shop"));
}

#[tokio::test]
async fn a_persons_quota_applies_across_all_portals() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "3/1h".parse().unwrap();
    for portal in ["shop", "club"] {
        assert!(wait_of(&outbox, through(portal, "hello@example.com", "1")).await.is_zero());
    }
    // The portal's own quota is larger, but it does not raise the person's quota.
    let wide = |page: &str| with_quota("100/1h", through("club", "hello@example.com", page));
    assert!(wait_of(&outbox, wide("2")).await.is_zero());
    for request in [wide("3"), through("third", "hello@example.com", "4"), request_for("hello@example.com", "5")] {
        assert!(is_about(wait_of(&outbox, request).await, 20));
    }
    assert_eq!(outbox.scalar::<i64>("select count(*) from email_jobs").await, 3);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_portals_own_quota_limits_only_requests_through_this_portal() {
    for is_newcomer in [true, false] {
        let mut outbox = TestOutbox::new().await;
        outbox.admission.per_recipient = "100/1h".parse().unwrap();
        outbox.admission.per_recipient_and_client = "100/1h".parse().unwrap();
        if !is_newcomer {
            outbox.queued(request("hello@example.com")).await;
        }
        let shop = |page: &str| with_quota("1/1h,2/10h", through("shop", "hello@example.com", page));
        let club = |page: &str| with_quota("2/1h", through("club", "hello@example.com", page));
        assert!(wait_of(&outbox, shop("1")).await.is_zero());
        let before: String = outbox.scalar("select tats::text || clients from recipient_quotas").await;
        for page in ["2", "3", "4"] {
            assert!(is_about(wait_of(&outbox, shop(page)).await, 60), "{is_newcomer}");
        }
        let after: String = outbox.scalar("select tats::text || clients from recipient_quotas").await;
        assert_eq!(after, before, "a limited request uses up no quota");

        // The other portal's quota is untouched, and its requests do not use up the first portal's quota.
        assert!(wait_of(&outbox, club("1")).await.is_zero() && wait_of(&outbox, club("2")).await.is_zero());
        assert!(is_about(wait_of(&outbox, club("3")).await, 30));
        assert!(wait_of(&outbox, through("third", "hello@example.com", "1")).await.is_zero());
        assert!(wait_of(&outbox, request_for("hello@example.com", "1")).await.is_zero());
        assert!(wait_of(&outbox, with_quota("1/1h", request_for("hello@example.com", "2"))).await.is_zero());
        assert!(is_about(wait_of(&outbox, shop("5")).await, 60));
        // Other people are not affected.
        assert!(wait_of(&outbox, with_quota("1/1h", through("shop", "other@example.com", "1"))).await.is_zero());
        outbox.expect_open_jobs(2);
    }
}

#[tokio::test]
async fn the_longest_wait_among_the_exceeded_quotas_is_returned() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient_and_client = "100/1h".parse().unwrap();
    for (own, of_person, minutes) in [("1/3h", "1/1h", 180), ("1/1h", "1/3h", 180), ("1/1h", "9/3h", 60)] {
        outbox.admission.per_recipient = of_person.parse().unwrap();
        let recipient = format!("{}@example.com", own.replace('/', "-") + &of_person.replace('/', "-"));
        assert!(wait_of(&outbox, with_quota(own, through("shop", &recipient, "1"))).await.is_zero());
        let wait = wait_of(&outbox, with_quota(own, through("shop", &recipient, "2"))).await;
        assert!(is_about(wait, minutes), "{own} {of_person}: {wait:?}");
    }
    outbox.expect_open_jobs(3);
}

#[tokio::test]
async fn a_newcomers_request_uses_as_much_of_the_portals_quota_as_any_other() {
    let outbox = TestOutbox::new().await;
    outbox.queued(with_quota("10/15m,30/1d", through("shop", "newcomer@example.com", "1"))).await;
    let pair = ["1", "2"].map(|page| with_quota("10/15m,30/1d", through("shop", "known@example.com", page)));
    outbox.enqueue(&pair[..1]).await;
    outbox.execute("update recipient_quotas set clients = '{}' where key = 'known@example.com'").await;
    outbox.enqueue(&pair[1..]).await;
    // With a quota of 10 requests in 15 min, a request uses 90 s; with 30 requests in 1 d, it uses 2,880 s.
    let used = "select
        array(select round(extract(epoch from tat::timestamptz - last_at))::bigint
              from jsonb_array_elements_text(clients -> 'portal:shop') as tat)
      from recipient_quotas";
    assert_eq!(outbox.rows::<(Vec<i64>,)>(used).await, [(vec![90, 2_880],), (vec![90, 2_880],)]);
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn unused_portal_quotas_are_removed_like_client_quotas() {
    let mut outbox = TestOutbox::new().await;
    outbox.admission.per_recipient = "1000000/1s".parse().unwrap();
    outbox.admission.per_recipient_and_client = "1000000/1s".parse().unwrap();
    outbox.queued(with_quota("1/1h", through("shop", "hello@example.com", "1"))).await;
    outbox.execute("update recipient_quotas set last_at = last_at - interval '61 min'").await;
    assert_eq!(outbox::forget_idle_quotas(&outbox.pool).await.unwrap(), 0, "the portal's quota is in use");

    let an_hour_ago = "update recipient_quotas
        set clients = jsonb_build_object('portal:shop', jsonb_build_array(clock_timestamp()))";
    outbox.execute(an_hour_ago).await;
    outbox.queued(through("club", "hello@example.com", "2")).await;
    let has_shop = "select clients ? 'portal:shop' from recipient_quotas";
    assert!(!outbox.scalar::<bool>(has_shop).await);
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn a_persons_newest_request_wins_across_portals() {
    let outbox = TestOutbox::new().await;
    let shop = outbox.queued(through("shop", "hello@example.com", "1")).await;
    let club = outbox.queued(through("club", "hello@example.com", "2")).await;
    assert_eq!(outbox.job(shop).await.state_and_code(), ("superseded", Some("newer_request")));
    assert_eq!(outbox.job(club).await.state_and_code(), ("queued", None));

    // A repeated request is recognised by the person and the callback, whatever the portal.
    let repeat = NewJob { portal: None, ..through("club", "hello@example.com", "2") };
    assert_eq!(outbox.enqueue(&[repeat]).await, [Enqueued::Duplicate]);

    // While a job for one portal is running, the person's job for another portal waits. When the running job is
    // requeued, the waiting job supersedes it.
    let running = outbox.claim_one().await;
    let third = outbox.queued(through("third", "hello@example.com", "3")).await;
    assert!(outbox.claim(10).await.is_empty());
    outbox.requeue(&running, Duration::ZERO).await;
    assert_eq!(outbox.job(club).await.state_and_code(), ("superseded", Some("newer_request")));
    assert_eq!(outbox.claim_one().await.lease.job, third);
    outbox.expect_open_jobs(1);
}

/// A worker that does not know a job's portal requeues the job.
#[tokio::test]
async fn an_attempt_for_an_unknown_portal_is_not_counted() {
    let outbox = TestOutbox::new().await;
    let id = outbox.queued(through("shop", "hello@example.com", "1")).await;
    let job = outbox.claim_one().await;
    let requeue = Requeue {
        lease: job.lease,
        delay: Duration::from_secs(5),
        failure: Some(Failure::new("portal_unknown", "The worker does not know the portal.")),
        is_uncounted: true,
        suspected: None,
        step: None,
    };
    outbox::requeue(&outbox.pool, &[requeue]).await.unwrap();
    let job = outbox.job(id).await;
    assert_eq!((job.state_and_code(), job.attempt), (("retrying", Some("portal_unknown")), 0));
    assert_eq!(job.portal.as_deref(), Some("shop"));
    outbox.expect_open_jobs(1);
}

#[tokio::test]
async fn postgres_refuses_an_invalid_portal_id() {
    let outbox = TestOutbox::new().await;
    let long = "a".repeat(33);
    for (recipient, portal) in [("a", ""), ("b", "-shop"), ("c", "Shop"), ("d", "a b"), ("e", "a\n"), ("f", &long)] {
        let job = NewJob { portal: Some(portal.to_owned()), ..request(&format!("{recipient}@example.com")) };
        let refused = outbox::test_support::enqueue(&outbox.api, &outbox.admission, &[job]).await.unwrap_err();
        assert!(!refused.is_outage(), "{portal}: {refused}");
    }
    let longest = NewJob { portal: Some("a".repeat(32)), ..request("z@example.com") };
    outbox.queued(longest).await;
    outbox.expect_open_jobs(1);
}

/// A worker from an earlier version would ignore the portal and send the mail with the wrong settings.
#[tokio::test]
async fn the_first_job_with_a_portal_excludes_workers_that_do_not_know_portals() {
    let outbox = TestOutbox::new().await;
    let as_older_worker = async |statement: &str| {
        let statement = format!("set outbox.migration = '18'; {statement}");
        let mut connection = outbox.pool.acquire().await.unwrap();
        let answer = sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).fetch_all(&mut *connection).await.unwrap();
        // The pool must not reuse this session, because the setting applies to the whole session.
        connection.close().await.unwrap();
        sqlx::Row::get::<bool, _>(&answer[0], 0)
    };
    outbox.queued(request("plain@example.com")).await;
    outbox.queued(request_for("plain@example.com", "again")).await;
    let is_admitted = as_older_worker("select outbox_suits('worker')").await;
    assert!(is_admitted, "the worker was excluded although no job has a portal");

    for (recipient, knows) in [("newcomer@example.com", false), ("plain@example.com", true)] {
        outbox.execute("update outbox_schema set worker_from = 11").await;
        let is_known = format!("select exists (select from recipient_quotas where key = '{recipient}')");
        assert_eq!(outbox.scalar::<bool>(&is_known).await, knows);
        outbox.queued(through("shop", recipient, "1")).await;
        assert!(!as_older_worker("select outbox_suits('worker')").await, "{recipient}");
    }
    check_schema(&outbox.pool, ProgramKind::Worker).await.unwrap();
    assert_eq!(outbox.claim(10).await.len(), 2);
    outbox.expect_open_jobs(2);
}

#[tokio::test]
async fn the_views_show_the_portal_of_each_job() {
    let outbox = TestOutbox::new().await;
    for portal in ["club", "shop"] {
        outbox.queued(through(portal, &format!("{portal}-failed@example.com"), "1")).await;
        let why = Failure::new("unknown_user", "There is no account.");
        outbox.finish(&outbox.claim_one().await, JobEnd::Failed(why)).await;
    }
    for (portal, person) in [("club", "a"), ("shop", "b"), ("shop", "c")] {
        outbox.queued(through(portal, &format!("{person}@example.com"), "1")).await;
    }
    outbox.queued(request("plain@example.com")).await;
    let rows = async |view: &str| sandbox::rows::<(Option<String>, i64)>(&outbox.viewer, view).await;
    let row = |portal: Option<&str>, jobs| (portal.map(str::to_owned), jobs);
    assert_eq!(
        rows("select portal, jobs from email_jobs_now order by portal").await,
        [row(Some("club"), 1), row(Some("shop"), 2), row(None, 1)]
    );
    assert_eq!(
        rows("select portal, count(*) from email_jobs_recent group by portal order by portal").await,
        [row(Some("club"), 2), row(Some("shop"), 3), row(None, 1)]
    );
    assert_eq!(
        rows("select portal, jobs from email_failures_by_code order by portal").await,
        [row(Some("club"), 1), row(Some("shop"), 1)]
    );
    outbox.expect_open_jobs(4);
}
