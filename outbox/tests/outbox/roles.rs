//! Each role has only the rights that its program needs. All other tests run under these roles and show that the rights
//! are sufficient. These tests show what the roles cannot do.

use sandbox::TestDatabase;

use crate::test_outbox::{TestOutbox, request};

#[tokio::test]
async fn no_role_can_do_more_than_it_needs_to() {
    let outbox = TestOutbox::new().await;
    outbox.queued(request("a@example.com")).await;
    let sent = outbox.claim_one().await;
    outbox.seal(&sent).await;
    outbox.finish(&sent, outbox::JobEnd::Sent).await;
    outbox.queued(request("b@example.com")).await;

    let run =
        async |pool: &outbox::PgPool, statement: &str| match sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()))
            .fetch_all(pool)
            .await
        {
            Ok(rows) => format!("{} rows", rows.len()),
            Err(error) => error.as_database_error().unwrap().code().unwrap().into_owned(),
        };
    const REFUSED: &str = "42501";
    for (role, pool, statement, wanted) in [
        ("api", &outbox.api, "select sealed_link from email_jobs_open", REFUSED),
        ("api", &outbox.api, "select recipient from email_jobs", REFUSED),
        ("api", &outbox.api, "select recipient from email_jobs_open", REFUSED),
        ("api", &outbox.api, "select * from email_attempts", REFUSED),
        ("api", &outbox.api, "select * from email_events", REFUSED),
        ("api", &outbox.api, "select * from webhook_tokens", REFUSED),
        ("api", &outbox.api, "select * from suppressed_recipients", REFUSED),
        ("api", &outbox.api, "update email_jobs set state = 'queued'", REFUSED),
        ("api", &outbox.api, "delete from email_jobs", REFUSED),
        ("api", &outbox.api, "select email_forget('a@example.com')", REFUSED),
        ("api", &outbox.api, "select email_drop_partition(1)", REFUSED),
        ("api", &outbox.api, "select email_suppress('[]')", REFUSED),
        ("api", &outbox.api, "create table mine ()", REFUSED),
        ("api", &outbox.api, "select key from recipient_quotas", REFUSED),
        ("api", &outbox.api, "select * from redirect_checks", REFUSED),
        ("api", &outbox.api, "select state from email_jobs_open", "0 rows"),
        // The api is allowed to read the number of waiting jobs.
        ("api", &outbox.api, "select waiting from email_admission(10)", "1 rows"),
        ("api", &outbox.api, "select waiting from email_load(10)", "1 rows"),
        ("api", &outbox.api, "select * from email_pause('mail', 'x', '1 h')", REFUSED),
        ("api", &outbox.api, "select * from email_retries", REFUSED),
        ("worker", &outbox.pool, "select * from email_pause('mail', 'x', '1 h')", REFUSED),
        ("worker", &outbox.pool, "delete from operator_pauses", REFUSED),
        ("worker", &outbox.pool, "select * from operator_actions", "0 rows"),
        ("worker", &outbox.pool, "delete from email_retries", REFUSED),
        ("worker", &outbox.pool, "update operator_actions set reason = null", REFUSED),
        ("api", &outbox.api, "select * from email_programs", REFUSED),
        ("worker", &outbox.pool, "select * from email_programs", REFUSED),
        ("worker", &outbox.pool, "drop table email_jobs", REFUSED),
        ("worker", &outbox.pool, "create table mine ()", REFUSED),
        ("worker", &outbox.pool, "truncate email_jobs", REFUSED),
        ("worker", &outbox.pool, "alter table email_jobs disable row level security", REFUSED),
        ("viewer", &outbox.viewer, "select * from email_jobs_recent", "2 rows"),
        ("viewer", &outbox.viewer, "select * from email_jobs_now", "1 rows"),
        ("viewer", &outbox.viewer, "select * from email_failures_by_code", "0 rows"),
        ("viewer", &outbox.viewer, "select * from email_delivery_by_domain", "0 rows"),
        ("viewer", &outbox.viewer, "select * from email_programs_summary", "1 rows"),
        ("viewer", &outbox.viewer, "select sealed_link from email_jobs", REFUSED),
        ("viewer", &outbox.viewer, "select callback_url from email_jobs", REFUSED),
        ("viewer", &outbox.viewer, "select * from email_jobs_open", REFUSED),
        ("viewer", &outbox.viewer, "select * from email_jobs", REFUSED),
        ("viewer", &outbox.viewer, "select message_id from email_jobs", REFUSED),
        ("viewer", &outbox.viewer, "select mailbox from email_jobs", REFUSED),
        ("viewer", &outbox.viewer, "select worker, deadline_at, language, shown_host from email_jobs", "2 rows"),
        ("viewer", &outbox.viewer, "select worker from email_attempts", "1 rows"),
        ("viewer", &outbox.viewer, "select event_id from email_events", REFUSED),
        ("viewer", &outbox.viewer, "select migration from outbox_versions()", "1 rows"),
        ("viewer", &outbox.viewer, "select * from outbox_schema", REFUSED),
        ("viewer", &outbox.viewer, "select suspects from upstreams", REFUSED),
        ("viewer", &outbox.viewer, "select * from redirect_checks", REFUSED),
        ("viewer", &outbox.viewer, "update email_jobs set code = null", REFUSED),
        ("viewer", &outbox.viewer, "select email_take_reports('[]')", REFUSED),
        ("viewer", &outbox.viewer, "select * from operator_actions", "0 rows"),
        ("viewer", &outbox.viewer, "select * from email_cancel_job(gen_random_uuid())", REFUSED),
        ("viewer", &outbox.viewer, "select * from email_retry_job(gen_random_uuid())", REFUSED),
        ("viewer", &outbox.viewer, "select email_resume('mail')", REFUSED),
        ("operator", &outbox.operator, "select * from email_jobs_recent", "2 rows"),
        ("operator", &outbox.operator, "select * from operator_pauses", "0 rows"),
        ("operator", &outbox.operator, "select sealed_link from email_jobs", REFUSED),
        ("operator", &outbox.operator, "select callback_url from email_jobs", REFUSED),
        ("operator", &outbox.operator, "delete from email_jobs", REFUSED),
        (
            "operator",
            &outbox.operator,
            "insert into operator_actions (action, target, actor) values ('pause', 'mail', 'me')",
            REFUSED,
        ),
        (
            "operator",
            &outbox.operator,
            "insert into operator_pauses (target, reason, ends_at) values ('mail', 'x', now())",
            REFUSED,
        ),
        ("operator", &outbox.operator, "update operator_actions set reason = null", REFUSED),
        ("operator", &outbox.operator, "update email_retries set state = 'filed'", REFUSED),
        ("operator", &outbox.operator, "select * from email_take_retries(1)", REFUSED),
        ("operator", &outbox.operator, "select email_forget('a@example.com')", REFUSED),
        ("operator", &outbox.operator, "select * from email_cancel_job(gen_random_uuid())", "1 rows"),
    ] {
        assert_eq!(run(pool, statement).await, wanted, "{role}: {statement}");
    }
    outbox.expect_open_jobs(1);
}

/// A function that runs as the owner must not use objects from another schema in the caller's search path.
#[tokio::test]
async fn functions_that_run_as_the_owner_have_a_fixed_search_path() {
    let outbox = TestOutbox::new().await;
    let unpinned = "select proname::text from pg_proc
                    where pronamespace = 'public'::regnamespace and prosecdef
                      and not coalesce(proconfig::text like '%search_path=public, pg_temp%', false)";
    assert_eq!(outbox.rows::<(String,)>(unpinned).await, []);
    assert!(outbox.scalar::<bool>("select count(*) > 4 from pg_proc where prosecdef").await);
}

/// An operator may run the migrations first and create the roles later.
#[tokio::test]
async fn the_owner_role_takes_over_the_objects_that_another_role_created() {
    let server = TestDatabase::shared_server().await;
    server.create_database("migrated_by_another").await.unwrap();
    let database = TestDatabase::at(server, "migrated_by_another");
    outbox::migrate(&outbox::connect(&database.url().into(), 1, "test").unwrap()).await.unwrap();
    server.set_roles("migrated_by_another").await.unwrap();
    let foreign = "select name::text from (
            select relname as name, relowner as owner from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'S')
            union all
            select proname, proowner from pg_proc where pronamespace = 'public'::regnamespace
        ) as ours
        where owner <> 'magic_link_owner'::regrole";
    assert_eq!(database.rows::<(String,)>(foreign).await, []);
}
