//! In a Supabase project, holders of the public key can neither read our tables nor call our functions. Every table and
//! every column has a comment.

use crate::test_outbox::request;
use outbox::partitions;
use sandbox::TestDatabase;

#[tokio::test]
async fn the_public_roles_of_a_supabase_project_can_read_and_call_nothing() {
    let server = TestDatabase::shared_server().await;
    server.create_database("supabase_project").await.unwrap();
    let database = TestDatabase::at(server, "supabase_project");
    // Supabase's init scripts set up a new project in this way.
    let set_up =
        "create role anon nologin; create role authenticated nologin; create role service_role nologin bypassrls;
         grant usage on schema public to anon, authenticated, service_role;
         alter default privileges in schema public grant all on tables to anon, authenticated, service_role;
         alter default privileges in schema public grant all on functions to anon, authenticated, service_role;
         alter default privileges in schema public grant all on sequences to anon, authenticated, service_role";
    database.execute(set_up).await;
    let pool = outbox::connect(&database.url().into(), 2, "test").unwrap();
    outbox::migrate(&pool).await.unwrap();
    partitions::make(&pool).await.unwrap();
    let admission = outbox::EnqueuePolicy {
        per_recipient: "10/15m".parse().unwrap(),
        per_recipient_and_client: "10/15m".parse().unwrap(),
        duplicate_window: std::time::Duration::from_secs(10),
        deadline: std::time::Duration::from_secs(900),
    };
    outbox::test_support::enqueue(&pool, &admission, &[request("hello@example.com")]).await.unwrap();

    let open = "
        with ours as (
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
         select 'no row level security', name from ours where relkind in ('r', 'p') and not relrowsecurity";
    assert_eq!(database.rows::<(String, String)>(open).await, []);
    let tables = "select count(*) from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')";
    assert!(database.scalar::<i64>(tables).await > 20, "the day partitions were not checked");
    database.expect_open_jobs(1);
}

#[tokio::test]
async fn every_table_and_column_has_a_comment() {
    let outbox = crate::test_outbox::TestOutbox::new().await;
    let uncommented = outbox
        .rows::<(String, Option<String>)>(
            "select c.relname::text, a.attname::text
             from pg_class c
             left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relnamespace = 'public'::regnamespace
               and c.relkind in ('r', 'p', 'v')
               and not c.relispartition
               and c.relname <> '_sqlx_migrations'
               and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)",
        )
        .await;
    assert_eq!(uncommented, []);
}
