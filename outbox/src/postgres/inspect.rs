//! Reads what `magic-link-worker check` reports about the server, the role and a person's open jobs. Changes nothing.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;

use super::error::Error;
use crate::model::email::Email;

/// The tables that the worker reads and writes. `deploy/roles.sql` grants the rights to do so.
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

/// The tables that the worker only reads.
const READ_ONLY_TABLES: [&str; 3] = ["operator_pauses", "operator_actions", "email_retries"];

/// The functions that the worker calls.
const FUNCTIONS: [&str; 17] = [
    "email_job_ended",
    "email_delivery_rank",
    "email_job_time",
    "email_mailbox",
    "email_take_reports",
    "email_roll_up",
    "email_make_partitions",
    "email_drop_partition",
    "email_forget",
    "email_forget_actions",
    "email_lift_suppression",
    "outbox_suits",
    "outbox_versions",
    "email_program_alive",
    "email_program_running",
    "email_report_program",
    "email_program_stopped",
];

/// A Postgres server, and the role that is connected to it.
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
    /// Maximum error of `clock_ahead`, which depends on how long the answer took.
    pub clock_uncertainty: TimeDelta,
}

/// Describes the server and the role. Works even if the tables do not exist.
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

/// Returns how far the server's clock is ahead of this machine's clock, and the uncertainty of that value. This
/// machine's clock is read before and after the server's clock.
async fn compare_clocks(pool: &PgPool) -> Result<(TimeDelta, TimeDelta), Error> {
    let mut connection = pool.acquire().await?;
    let before = Utc::now();
    let server: DateTime<Utc> =
        sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(&mut *connection).await?;
    let uncertainty = (Utc::now() - before) / 2;
    Ok((server - (before + uncertainty), uncertainty))
}

/// The rights that the worker needs but the role lacks, such as `insert on email_jobs`. Fails unless the tables of this
/// version exist.
///
/// # Errors
/// [`Error::Database`].
pub async fn missing_worker_rights(pool: &PgPool) -> Result<Vec<String>, Error> {
    let (tables, read_only) = (TABLES.map(str::to_owned), READ_ONLY_TABLES.map(str::to_owned));
    let functions = FUNCTIONS.map(str::to_owned);
    Ok(sqlx::query_scalar!(
        r#"
        select format('%s on %s', privilege, relation) as "missing!"
        from unnest($1::text[]) as relation, unnest(array['select', 'insert', 'update', 'delete']) as privilege
        where not has_table_privilege(relation, privilege)
        union all
        select format('select on %s', relation)
        from unnest($3::text[]) as relation
        where not has_table_privilege(relation, 'select')
        union all
        -- A row policy must let the role read all rows, and also write them unless it only reads the table.
        select format('a row policy on %s', relation)
        from unnest($1::text[] || $3) as relation
        where row_security_active(relation)
          and not exists (
            select from pg_policy
            where polrelid = relation::regclass
              and (polcmd = '*' or polcmd = 'r' and relation = any($3))
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
        &read_only[..],
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

#[cfg(test)]
mod tests {
    use super::*;

    const ROLES: &str = include_str!("../../../deploy/roles.sql");

    /// The names in a list, without quotes.
    fn names(list: &'static str) -> impl Iterator<Item = &'static str> {
        list.split(',').map(|name| name.trim().trim_matches('\''))
    }

    /// The tables in the last array before `grant`.
    fn tables_granted(grant: &str) -> Vec<&'static str> {
        let before = ROLES.split_once(grant).expect("the grant exists").0;
        let array = before.rsplit_once("array[").expect("the grant is in a loop over an array").1;
        sorted(names(array.split_once(']').expect("the array ends").0))
    }

    /// The functions that the worker is granted.
    fn functions_granted() -> Vec<&'static str> {
        let grants = ROLES.split("grant execute on function").skip(1).filter_map(|grant| {
            let (functions, rest) = grant.split_once(" to ")?;
            let roles = rest.split_once(';')?.0;
            roles.contains("magic_link_worker").then_some(functions)
        });
        sorted(grants.flat_map(names))
    }

    fn sorted(names: impl IntoIterator<Item = &'static str>) -> Vec<&'static str> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn the_check_knows_every_right_that_the_worker_is_granted() {
        let all_rights = "grant select, insert, update, delete on %I to magic_link_worker";
        assert_eq!(tables_granted(all_rights), sorted(TABLES));
        assert_eq!(tables_granted("grant select on %I to magic_link_worker"), sorted(READ_ONLY_TABLES));
        assert_eq!(functions_granted(), sorted(FUNCTIONS));
    }
}
