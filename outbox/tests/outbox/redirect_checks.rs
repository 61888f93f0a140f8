//! The stored results of checks against Supabase's redirect allow list.

use std::time::Duration;

use outbox::redirect_checks::{ALLOWED_FOR, REFUSED_FOR, find, forget, store};

use crate::test_outbox::TestOutbox;

const CALLBACK: &str = "https://portal.example.com/auth/callback";

/// Whether Supabase allows the callback, according to the stored check. `None` if there is no valid check.
async fn is_allowed(outbox: &TestOutbox, callback: &str) -> Option<bool> {
    find(&outbox.pool, callback).await.unwrap().map(|check| check.is_allowed)
}

async fn age_rows(outbox: &TestOutbox, seconds: u64) {
    outbox.execute(&format!("update redirect_checks set checked_at = checked_at - interval '{seconds} seconds'")).await;
}

#[tokio::test]
async fn an_allowed_callback_is_remembered_for_an_hour_and_a_refused_one_for_a_minute() {
    let outbox = TestOutbox::new().await;
    assert_eq!(find(&outbox.pool, CALLBACK).await.unwrap(), None);
    for (allowed, valid_for) in [(true, ALLOWED_FOR), (false, REFUSED_FOR)] {
        assert!(store(&outbox.pool, CALLBACK, allowed).await.unwrap());
        let check = find(&outbox.pool, CALLBACK).await.unwrap().unwrap();
        assert_eq!(check.is_allowed, allowed);
        assert!(check.valid_for <= valid_for && check.valid_for > valid_for - Duration::from_secs(30));
        age_rows(&outbox, valid_for.as_secs() - 30).await;
        assert_eq!(is_allowed(&outbox, CALLBACK).await, Some(allowed));
        age_rows(&outbox, 30).await;
        assert_eq!(is_allowed(&outbox, CALLBACK).await, None);
    }
    assert_eq!(outbox.scalar::<i64>("select count(*) from redirect_checks").await, 1, "a later check replaces the row");
}

#[tokio::test]
async fn only_rows_that_are_no_longer_valid_are_deleted() {
    let outbox = TestOutbox::new().await;
    store(&outbox.pool, "https://allowed-old.example.com/", true).await.unwrap();
    age_rows(&outbox, ALLOWED_FOR.as_secs()).await;
    store(&outbox.pool, "https://allowed.example.com/", true).await.unwrap();
    store(&outbox.pool, "https://refused-old.example.com/", false).await.unwrap();
    age_rows(&outbox, REFUSED_FOR.as_secs()).await;
    store(&outbox.pool, "https://refused.example.com/", false).await.unwrap();

    assert_eq!(forget(&outbox.pool).await.unwrap(), 2);
    let kept: Vec<(String,)> = outbox.rows("select origin_and_path from redirect_checks order by 1").await;
    assert_eq!(kept, ["https://allowed.example.com/", "https://refused.example.com/"].map(|url| (url.to_owned(),)));
}

#[tokio::test]
async fn made_up_origins_cannot_push_out_a_valid_row() {
    let outbox = TestOutbox::new().await;
    store(&outbox.pool, CALLBACK, true).await.unwrap();
    age_rows(&outbox, 60).await;
    outbox
        .execute(
            "insert into redirect_checks (origin_and_path, is_allowed)
             select 'https://' || n || '.preview.example.com/', false from generate_series(1, 9999) as n",
        )
        .await;

    assert!(!store(&outbox.pool, "https://one-too-many.preview.example.com/", true).await.unwrap());
    assert_eq!(is_allowed(&outbox, CALLBACK).await, Some(true), "the valid row was deleted to make room");
    assert!(store(&outbox.pool, CALLBACK, true).await.unwrap(), "an existing row cannot be renewed");
    assert_eq!(outbox.scalar::<i64>("select count(*) from redirect_checks").await, 10000);

    outbox
        .execute("update redirect_checks set checked_at = checked_at - interval '1 minute' where not is_allowed")
        .await;
    assert_eq!(forget(&outbox.pool).await.unwrap(), 9_999);
    assert!(store(&outbox.pool, "https://one-too-many.preview.example.com/", true).await.unwrap());
}

#[tokio::test]
async fn a_callback_that_is_too_long_for_the_index_is_not_stored() {
    let outbox = TestOutbox::new().await;
    let long = format!("{CALLBACK}/{}", "a".repeat(2_048));
    assert!(!store(&outbox.pool, &long, true).await.unwrap());
    assert_eq!(find(&outbox.pool, &long).await.unwrap(), None);
}
