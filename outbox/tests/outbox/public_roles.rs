//! In a Supabase project, holders of the public key can neither read our tables nor call our functions. Every table has
//! comments.

use crate::test_outbox::{request, server};
use outbox::partitions;
use sqlx::{Connection as _, PgConnection, Row as _};

#[tokio::test]
async fn the_public_roles_of_a_supabase_project_can_read_and_call_nothing() {
    let database = "supabase_project";
    server().await.create_database(database).await.unwrap();
    let url = server().await.url(database);
    let mut admin = PgConnection::connect(&url).await.unwrap();
    // As Supabase's init scripts set up a new project.
    sqlx::raw_sql(
        "create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
         grant usage on schema public to anon, authenticated, service_role;
         alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
         alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
         alter default privileges in schema public grant all on sequences to anon, authenticated, service_role",
    )
    .execute(&mut admin)
    .await
    .unwrap();
    let pool = outbox::connect(&url.clone().into(), 2, "test").unwrap();
    outbox::migrate(&pool).await.unwrap();
    partitions::make(&pool).await.unwrap();
    let admission = outbox::EnqueuePolicy {
        per_recipient: "10/15m".parse().unwrap(),
        per_recipient_and_client: "10/15m".parse().unwrap(),
        duplicate_window: std::time::Duration::from_secs(10),
        deadline: std::time::Duration::from_secs(900),
    };
    outbox::test_support::enqueue(&pool, &admission, &[request("hello@example.com")]).await.unwrap();

    let open = sqlx::query(
        "with ours as (
           select oid, relname as name, relkind, relrowsecurity from pg_class
           where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S')
         )
         select role, name from ours, unnest(array['anon', 'authenticated']) as role
         where case relkind
           when 'S' then has_sequence_privilege(role, oid, 'usage, select, update')
           else has_table_privilege(role, oid, 'select, insert, update, delete, truncate, references, trigger')
             or has_any_column_privilege(role, oid, 'select, insert, update, references')
         end
         union all
         select role, proname from pg_proc, unnest(array['anon', 'authenticated']) as role
         where pronamespace = 'public'::regnamespace and has_function_privilege(role, oid, 'execute')
         union all
         select 'no row level security', name from ours where relkind in ('r', 'p') and not relrowsecurity",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let open: Vec<(String, String)> = open.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(open, []);
    let tables: i64 = sqlx::query_scalar(
        "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')",
    )
    .fetch_one(&mut admin)
    .await
    .unwrap();
    assert!(tables > 20, "the day partitions were not checked");
}

#[tokio::test]
async fn every_table_and_column_has_a_comment() {
    let outbox = crate::test_outbox::TestOutbox::new().await;
    let uncommented = outbox
        .text(
            "select coalesce(string_agg(c.relname || coalesce('.' || a.attname, ''), ' '), '')
             from pg_class c
             left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relnamespace = 'public'::regnamespace
               and c.relkind in ('r', 'p', 'v')
               and not c.relispartition
               and c.relname <> '_sqlx_migrations'
               and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)",
        )
        .await;
    assert_eq!(uncommented, "");
}
