//! Reads what `magic-link-worker check` reports about the server, the role and a person's open jobs. Changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::error::Error;
use crate::model::email::Email;

/// The tables that the worker reads and writes. `deploy/roles.sql` grants these rights.
const TABLES: [&str; 15] = [
    "email_jobs",
    "email_jobs_open",
    "email_attempts",
    "email_events",
    "email_events_unmatched",
    "webhook_tokens",
    "recipient_quotas",
    "upstreams",
    "suppressed_recipients",
    "suppression_lifts",
    "email_reconciliations",
    "email_reconciler",
    "email_delivery_hours",
    "email_workers",
    "redirect_checks",
];

/// The functions that the worker calls.
const FUNCTIONS: [&str; 16] = [
    "email_job_ended",
    "email_delivery_rank",
    "email_job_time",
    "email_mailbox",
    "email_take_reports",
    "email_roll_up",
    "email_make_partitions",
    "email_drop_partition",
    "email_forget",
    "email_lift_suppression",
    "outbox_suits",
    "outbox_versions",
    "email_program_alive",
    "email_program_running",
    "email_report_program",
    "email_program_stopped",
];

/// What a server and the role of the connection are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The version as a number, such as 150004.
    pub version_number: i32,
    /// The version as text, such as `15.4`.
    pub version: String,
    /// The name of the role.
    pub role: String,
    /// Whether the role may create tables in the current schema, as the migrations do.
    pub may_create_tables: bool,
    /// How far the server's clock is ahead of this machine's clock. Negative if it is behind.
    pub clock_ahead: TimeDelta,
    /// How far `clock_ahead` may be wrong, because the answer took time.
    pub clock_uncertainty: TimeDelta,
}

/// Reads the facts about the server. Needs no tables.
///
/// # Errors
/// [`Error::Database`].
pub async fn server_facts(pool: &PgPool) -> Result<ServerFacts, Error> {
    let row = sqlx::query!(
        r#"
        select
          current_setting('server_version_num')::int as "version_number!",
          current_setting('server_version') as "version!",
          current_user::text as "role!",
          coalesce(has_schema_privilege(current_schema(), 'create'), false) as "may_create_tables!"
        "#,
    )
    .fetch_one(pool)
    .await?;
    let (clock_ahead, clock_uncertainty) = compare_clocks(pool).await?;
    let (version_number, role) = (row.version_number, row.role);
    let version = row.version.split(' ').next().unwrap_or_default().to_owned();
    Ok(ServerFacts {
        version_number,
        version,
        role,
        may_create_tables: row.may_create_tables,
        clock_ahead,
        clock_uncertainty,
    })
}

/// Compares the clocks. The server reads its clock between the two readings of this machine's clock.
async fn compare_clocks(pool: &PgPool) -> Result<(TimeDelta, TimeDelta), Error> {
    let mut connection = pool.acquire().await?;
    let before = Utc::now();
    let server: DateTime<Utc> =
        sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&mut *connection).await?;
    let uncertainty = (Utc::now() - before) / 2;
    Ok((server - (before + uncertainty), uncertainty))
}

/// The rights that the worker needs and the role lacks, such as `insert on email_jobs`. Needs the tables of this version.
///
/// # Errors
/// [`Error::Database`].
pub async fn missing_worker_rights(pool: &PgPool) -> Result<Vec<String>, Error> {
    let (tables, functions) = (TABLES.map(str::to_owned), FUNCTIONS.map(str::to_owned));
    Ok(sqlx::query_scalar!(
        r#"
        select format('%s on %s', privilege, relation) as "missing!"
        from unnest($1::text[]) as relation, unnest(array['select', 'insert', 'update', 'delete']) as privilege
        where not has_table_privilege(relation, privilege)
        union all
        -- The policy must let the role see and write all rows.
        select format('a row policy on %s', relation)
        from unnest($1::text[]) as relation
        where row_security_active(relation)
          and not exists (
            select from pg_policy
            where polrelid = relation::regclass
              and polcmd = '*'
              and exists (
                select from unnest(polroles) as role
                where role = 0 or pg_has_role(role, 'usage')
              )
          )
        union all
        select format('usage on %s', 'email_jobs_lease_token_seq')
        where not has_sequence_privilege('email_jobs_lease_token_seq', 'usage')
        union all
        select format('execute on %s', proname)
        from pg_proc
        where pronamespace = current_schema()::regnamespace
          and proname = any($2)
          and not has_function_privilege(oid, 'execute')
        "#,
        &tables[..],
        &functions[..],
    )
    .fetch_all(pool)
    .await?)
}

/// Whether a person has a job that has not ended.
///
/// # Errors
/// [`Error::Database`].
pub async fn has_open_job(pool: &PgPool, recipient: &Email) -> Result<bool, Error> {
    Ok(sqlx::query_scalar!(
        r#"select exists (select from email_jobs_open where recipient = $1) as "exists!""#,
        recipient.as_str(),
    )
    .fetch_one(pool)
    .await?)
}
