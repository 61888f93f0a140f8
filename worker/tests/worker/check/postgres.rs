//! Postgres faults: missing rights, missing tables and a wrong clock. tests/pgbouncer covers the pooler.

use sandbox::{Role, TestDatabase};

use super::System;

/// Makes the server's clock appear to be ahead in statements that the worker's role runs. The test cannot change the
/// real clock, because all tests share the server.
pub(super) async fn set_clock_ahead(system: &System, ahead: &str) {
    let database = system.test.scalar::<String>("select quote_ident(current_database())").await;
    system
        .test
        .execute(&format!(
            "create or replace function public.clock_timestamp() returns timestamptz language sql
             return pg_catalog.clock_timestamp() + interval '{ahead}'"
        ))
        .await;
    let path = format!("alter role magic_link_worker in database {database} set search_path = public, pg_catalog");
    system.test.execute(&path).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_fault_is_found() {
    let mut system = System::sound().await;
    let roles = "Run deploy/roles.sql again";
    for (revoked, granted, words) in [
        (
            "revoke update on upstreams from magic_link_worker",
            "grant update on upstreams to magic_link_worker",
            "update on upstreams",
        ),
        (
            "revoke execute on function email_roll_up from magic_link_worker, public",
            "grant execute on function email_roll_up to magic_link_worker",
            "execute on email_roll_up",
        ),
        (
            "drop policy worker_has_all on email_jobs",
            "create policy worker_has_all on email_jobs to magic_link_worker using (true) with check (true)",
            "a row policy on email_jobs",
        ),
        (
            "revoke select on operator_pauses from magic_link_worker",
            "grant select on operator_pauses to magic_link_worker",
            "select on operator_pauses",
        ),
        (
            "revoke execute on function email_forget_actions from magic_link_worker, public",
            "grant execute on function email_forget_actions to magic_link_worker",
            "execute on email_forget_actions",
        ),
        (
            "drop policy worker_reads on email_retries",
            "create policy worker_reads on email_retries for select to magic_link_worker using (true)",
            "a row policy on email_retries",
        ),
    ] {
        system.test.execute(revoked).await;
        system.check(&[]).await.expect_only("fail", "postgres.rights", &[words, roles]);
        system.test.execute(granted).await;
    }
    system.test.set("DATABASE_URL", "postgres://ann:sesame@127.0.0.1:1/nothing");
    let report = system.check(&[]).await;
    report.expect_only("fail", "postgres.connection", &["no server is listening", "Check DATABASE_URL"]);
    assert!(!report.printed.contains("sesame"), "{report:#?}");
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_tables_are_reported() {
    let server = TestDatabase::shared_server().await;
    server.create_database("checked_without_tables").await.unwrap();
    server.set_roles("checked_without_tables").await.unwrap();
    let mut system = System::sound().await;
    let url = |role| server.url_as("checked_without_tables", role);
    system.test.set("DATABASE_URL", &url(Role::Worker));
    system.check(&[]).await.expect_only("fail", "postgres.tables", &["magic-link-worker migrate"]);
    system.test.set("MIGRATE_ON_START", "true");
    system.check(&[]).await.expect_only(
        "fail",
        "postgres.tables",
        &["is not allowed to create tables", "MIGRATE_ON_START=false"],
    );
    system.test.set("DATABASE_URL", &url(Role::Owner));
    system.check(&[]).await.expect_only("warn", "postgres.tables", &["The worker migrates them when it starts"]);
    system.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_difference_is_found() {
    let system = System::sound().await;
    for (ahead, result, words) in
        [("10 seconds", "warn", "s ahead of this machine's"), ("-1 minute", "fail", "s behind this machine's")]
    {
        set_clock_ahead(&system, ahead).await;
        system.check(&[]).await.expect_only(result, "postgres.clock", &[words, "Synchronise both clocks (NTP)"]);
    }
    system.finish().await;
}
