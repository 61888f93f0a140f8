//! The statements behind `magic-link-worker jobs` use indexes, read a bounded number of rows, and miss no job.

use chrono::{TimeDelta, Utc};
use outbox::{
    DeliveryStatus, JobState,
    history::{
        changes,
        list::{JobFilter, list},
    },
};

use crate::test_outbox::{Statement, TestOutbox, request};

#[tokio::test]
async fn each_list_uses_its_index() {
    let outbox = TestOutbox::new().await;
    let nulls = |count: usize| vec!["null"; count].join(", ");
    for (name, part, parameters, index) in [
        (
            "failures",
            "with failed as materialized",
            format!("{}, now() - interval '1 day', null", nulls(8)),
            "_finished_at_idx on email_jobs_2",
        ),
        ("a person's jobs", "from theirs where (id >= $10", nulls(10), "_recipient on email_jobs_2"),
        (
            "newest jobs",
            "from email_jobs where finished_at < 'infinity' and id >= $9",
            nulls(9),
            "Index Scan Backward using email_jobs_2",
        ),
        ("the end of a search", "offset $3\n        limit 1", nulls(3), "Backward using email_jobs_2"),
        (
            "steps",
            "where job_id = any($1)\n          and started_at >= $2",
            "null, now() - interval '1 day'".to_owned(),
            "_pkey on email_attempts_2",
        ),
    ] {
        let plan = Statement::with(part).plan(&outbox.pool, &parameters).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{name}\n{plan}");
    }
}

/// If no index fits the filter, a page searches at most 50,000 jobs. This history has 90,000 jobs.
#[tokio::test]
async fn a_list_stops_after_a_bounded_number_of_jobs_and_the_next_page_continues_there() {
    let outbox = TestOutbox::new().await;
    let fill = include_str!("../../../tests/fill_history.sql");
    outbox.execute(&format!("set fill.jobs = 90000; {fill}; analyze")).await;
    outbox
        .execute(
            "update email_jobs set delivery = 'bounced'
             where id in ((select id from email_jobs where state = 'sent' order by id limit 1),
               (select id from email_jobs where state = 'sent' order by id desc limit 1))",
        )
        .await;
    let since = Utc::now() - TimeDelta::days(31);
    let mut filter = JobFilter { delivery: Some(DeliveryStatus::Bounced), ..JobFilter::since(since) };
    let first = list(&outbox.viewer, &filter, 50).await.unwrap();
    assert!(first.jobs.len() == 1 && first.next.is_some(), "{first:?}");
    let reached = first.searched_to.unwrap();
    assert!(reached > since + TimeDelta::days(5) && reached < first.jobs[0].created_at, "{reached}");
    filter.before = first.next;
    let second = list(&outbox.viewer, &filter, 50).await.unwrap();
    assert!(second.jobs.len() == 1 && second.next.is_none() && second.searched_to.is_none(), "{second:?}");
    assert!(second.jobs[0].created_at < reached);

    // Failures have an index, so one page searches the whole span of time.
    let failed: i64 = outbox.scalar("select count(*) from email_jobs where state = 'failed'").await;
    let filter = JobFilter { state: Some(JobState::Failed), ..JobFilter::since(since) };
    let found = list(&outbox.viewer, &filter, 5_000).await.unwrap();
    assert_eq!((found.jobs.len(), found.next), (usize::try_from(failed).unwrap(), None));
    assert!(found.jobs.is_sorted_by(|one, next| one.id > next.id));
}

#[tokio::test]
async fn only_changes_within_the_span_of_time_are_listed() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("ann@example.com")).await;
    let job = outbox.claim_one().await;
    outbox.seal(&job).await;
    let (viewer, id) = (&outbox.viewer, job.lease.job);
    let (earlier, later) = (Utc::now() - TimeDelta::minutes(1), Utc::now() + TimeDelta::minutes(1));
    assert_eq!(changes::attempted(viewer, earlier).await.unwrap(), [id]);
    assert_eq!(changes::attempted(viewer, later).await.unwrap(), []);
    assert_eq!(changes::ended(viewer, earlier, later).await.unwrap(), []);
    outbox.finish(&job, outbox::JobEnd::Sent).await;
    assert_eq!(changes::attempted(viewer, earlier).await.unwrap(), []);
    let ids = |jobs: Vec<outbox::history::list::ListedJob>| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(ids(changes::ended(viewer, earlier, later).await.unwrap()), [id]);
    assert_eq!(ids(changes::ended(viewer, later, later).await.unwrap()), []);
    assert_eq!(ids(changes::requested(viewer, earlier).await.unwrap()), [id]);
    assert_eq!(changes::reported(viewer, earlier, later).await.unwrap(), []);
}
