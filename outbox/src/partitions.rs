//! The days of the history: made a week ahead, dropped when their time is up.
//!
//! Both programs make them, since both write history: one that is missing would be an outage of the api.

use chrono::{Days, NaiveDate};
use sqlx::{AssertSqlSafe, PgPool, raw_sql};

use crate::Error;

/// Days ahead of today for which partitions stand ready.
const DAYS_AHEAD: usize = 7;

/// The partitioned tables and the time that each is partitioned by.
const TABLES: [(&str, &str); 3] =
    [("email_jobs", "finished_at"), ("email_attempts", "started_at"), ("email_events", "received_at")];

/// Makes the partitions that are missing from yesterday to a week ahead.
///
/// # Errors
/// [`Error::Database`].
pub async fn make(pool: &PgPool) -> Result<(), Error> {
    // Yesterday's too: midnight may lie between an attempt's start and its row.
    let first = today(pool).await? - Days::new(1);
    let days: Vec<NaiveDate> = first.iter_days().take(2 + DAYS_AHEAD).collect();
    let wanted: Vec<String> =
        TABLES.iter().flat_map(|(table, _)| days.iter().map(move |day| partition(table, *day))).collect();
    let missing = sqlx::query_scalar!(
        r#"select name as "name!" from unnest($1::text[]) as name where to_regclass(name) is null"#,
        &wanted,
    )
    .fetch_all(pool)
    .await?;
    for (table, column) in TABLES {
        for day in &days {
            let name = partition(table, *day);
            if missing.contains(&name) {
                raw_sql(AssertSqlSafe(create_statement(table, column, &name, *day))).execute(pool).await?;
            }
        }
    }
    Ok(())
}

/// Postgres's day, not this machine's: a clock that is a month ahead would drop the whole history.
async fn today(pool: &PgPool) -> Result<NaiveDate, Error> {
    let today = sqlx::query_scalar!(r#"select (clock_timestamp() at time zone 'utc')::date as "today!""#);
    Ok(today.fetch_one(pool).await?)
}

/// Makes and attaches one partition, unless another program was faster. Attached with a matching CHECK, so that
/// nothing is scanned and no reader waits; the CHECK is dropped again, since the bounds say the same.
fn create_statement(table: &str, column: &str, name: &str, day: NaiveDate) -> String {
    let next = day + Days::new(1);
    format!(
        "
        do $$ begin
          -- The lock that ATTACH takes anyhow, earlier: only after a lock of a relation is it seen what others made.
          lock table {table} in share update exclusive mode;
          if to_regclass('{name}') is null then
            create table {name} (like {table} including all);
            comment on table {name} is 'The part of {table} whose {column} lies on {day} (UTC).';
            perform outbox_out_of_reach('{name}'::regclass);
            alter table {name} add constraint day_bounds
              check ({column} >= '{day} 00:00:00+00' and {column} < '{next} 00:00:00+00');
            alter table {table} attach partition {name}
              for values from ('{day} 00:00:00+00') to ('{next} 00:00:00+00');
            alter table {name} drop constraint day_bounds;
          end if;
        end $$
        "
    )
}

/// Drops the partitions of days that ended more than `retention_days` ago, and tells their names.
///
/// # Errors
/// [`Error::Database`]. What was begun goes on at the next call.
pub async fn drop_old(pool: &PgPool, retention_days: u64) -> Result<Vec<String>, Error> {
    let oldest_kept = today(pool).await? - Days::new(retention_days);
    let mut dropped = Vec::new();
    for (table, _) in TABLES {
        for found in list(pool, table).await? {
            let old = day_of(table, &found.name).is_some_and(|day| day < oldest_kept);
            if !old {
                continue;
            }
            // Concurrently: a plain DETACH would wait behind every reader, and everybody behind it. What a
            // crash or a time-out left half done is finished first.
            let name = &found.name;
            match found.attachment {
                Attachment::Attached => {
                    detach(pool, &format!("alter table {table} detach partition {name} concurrently")).await?
                }
                Attachment::Detaching => {
                    detach(pool, &format!("alter table {table} detach partition {name} finalize")).await?
                }
                Attachment::Detached => {}
            }
            raw_sql(AssertSqlSafe(format!("drop table if exists {name}"))).execute(pool).await?;
            dropped.push(found.name);
        }
    }
    Ok(dropped)
}

async fn detach(pool: &PgPool, statement: &str) -> Result<(), Error> {
    raw_sql(AssertSqlSafe(statement.to_owned())).execute(pool).await?;
    Ok(())
}

enum Attachment {
    Attached,
    Detaching,
    Detached,
}

struct Found {
    name: String,
    attachment: Attachment,
}

/// All tables that are or were a day's partition of `table`.
async fn list(pool: &PgPool, table: &str) -> Result<Vec<Found>, Error> {
    let rows = sqlx::query!(
        r#"
        select relname as "name!", inhdetachpending as "detaching?"
        from pg_class
        left join pg_inherits on inhrelid = pg_class.oid
        where relnamespace = (select relnamespace from pg_class where oid = $1::text::regclass)
          and relkind = 'r'
          and relname ~ ('^' || $1 || '_[0-9]{8}$')
          -- Somebody's own copy of a day may have such a name; ours has our comment.
          and (inhrelid is not null or obj_description(pg_class.oid) like 'The part of ' || $1 || ' whose%')
        order by relname
        "#,
        table,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Found {
            name: row.name,
            attachment: match row.detaching {
                Some(false) => Attachment::Attached,
                Some(true) => Attachment::Detaching,
                None => Attachment::Detached,
            },
        })
        .collect())
}

fn partition(table: &str, day: NaiveDate) -> String {
    format!("{table}_{}", day.format("%Y%m%d"))
}

fn day_of(table: &str, name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.strip_prefix(table)?.strip_prefix('_')?, "%Y%m%d").ok()
}
