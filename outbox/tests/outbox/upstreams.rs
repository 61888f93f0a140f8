//! Breakers and pauses, shared by all workers.

use std::time::Duration;

use outbox::{
    Failure, Upstream,
    upstreams::{close_breaker, open_breaker, open_breakers, pause, stopped_for, take_probe},
};

use crate::test_outbox::{TestOutbox, request};

#[tokio::test]
async fn one_caller_opens_a_breaker_and_one_closes_it() {
    let outbox = TestOutbox::new().await;
    let why = Failure::new("bad_jwt", "The key is wrong.");
    let open = || open_breaker(&outbox.pool, Upstream::Supabase, &why, "SUPABASE_SERVICE_ROLE_KEY");
    let (one, two) = tokio::join!(open(), open());

    assert_ne!(one.unwrap(), two.unwrap());
    let breakers = open_breakers(&outbox.pool).await.unwrap();
    assert_eq!(breakers.len(), 1);
    assert_eq!(
        (breakers[0].upstream, &breakers[0].failure, breakers[0].setting.as_str()),
        (Upstream::Supabase, &why, "SUPABASE_SERVICE_ROLE_KEY")
    );
    let other = Failure::new("wrong_url", "Nobody is there.");
    assert!(
        open_breaker(&outbox.pool, Upstream::Supabase, &other, "SUPABASE_URL").await.unwrap(),
        "a new reason is told"
    );
    assert!(!open_breaker(&outbox.pool, Upstream::Supabase, &other, "SUPABASE_URL").await.unwrap());
    let now = open_breakers(&outbox.pool).await.unwrap();
    assert_eq!((now[0].since, &now[0].failure, now[0].setting.as_str()), (breakers[0].since, &other, "SUPABASE_URL"));
    assert!(!close_breaker(&outbox.pool, Upstream::Mailgun).await.unwrap());
    assert!(close_breaker(&outbox.pool, Upstream::Supabase).await.unwrap());
    assert!(!close_breaker(&outbox.pool, Upstream::Supabase).await.unwrap());
    assert!(open_breakers(&outbox.pool).await.unwrap().is_empty());
}

#[tokio::test]
async fn probes_grow_rarer_up_to_half_a_minute() {
    let outbox = TestOutbox::new().await;
    assert!(!take_probe(&outbox.pool).await.unwrap());
    open_breaker(&outbox.pool, Upstream::Mailgun, &Failure::new("x", "y"), "Z").await.unwrap();
    assert!(!take_probe(&outbox.pool).await.unwrap(), "not at once");
    outbox.execute("update upstreams set probe_at = clock_timestamp() where open_since is not null").await;
    assert!(!take_probe(&outbox.pool).await.unwrap(), "not without a job");
    outbox.queued(request("hello@example.com")).await;

    let mut waits = Vec::new();
    for _ in 0..7 {
        outbox.execute("update upstreams set probe_at = clock_timestamp() where open_since is not null").await;
        assert!(take_probe(&outbox.pool).await.unwrap());
        assert!(!take_probe(&outbox.pool).await.unwrap(), "one at a time");
        waits.push(stopped_for(&outbox.pool).await.unwrap().unwrap().as_secs_f64().ceil());
    }
    assert_eq!(waits, [2.0, 5.0, 10.0, 20.0, 30.0, 30.0, 30.0]);
}

#[tokio::test]
async fn a_pause_is_never_shortened() {
    let outbox = TestOutbox::new().await;
    assert_eq!(stopped_for(&outbox.pool).await.unwrap(), None);
    pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(60)).await.unwrap();
    pause(&outbox.pool, Upstream::Mailgun, Duration::from_secs(1)).await.unwrap();

    assert!(stopped_for(&outbox.pool).await.unwrap().unwrap() > Duration::from_secs(58));
}
