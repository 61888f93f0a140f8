//! Detects a connection pooler in transaction or statement mode (PgBouncer, Supavisor).
//!
//! Such a pooler gives each transaction any of its server sessions. What this project does to a session would then hold for
//! the statements of other clients, not for its own: settings, prepared statements and LISTEN.

use sqlx::{Connection as _, PgConnection, PgPool, Row as _, postgres::PgConnectOptions};

use super::error::{Error, in_time};

/// A pooler may return the same session twice by chance.
const ROUNDS: u32 = 3;

/// A server session. The start time tells apart two sessions whose process ids are the same. It is text that does not depend
/// on the session's time zone.
const SERVER_SESSION: &str = "
    select concat_ws(' ', pid, extract(epoch from backend_start)) from pg_stat_activity where pid = pg_backend_pid()";

/// Checks that `DATABASE_URL` does not lead to a pooler in transaction or statement mode. Call it before anything else that
/// uses the pool. It opens two connections of its own and sends nothing that outlives a transaction.
///
/// # Errors
/// [`Error::TransactionPooler`] if it does. [`Error::Database`] or [`Error::TimedOut`] if that cannot be told now.
pub async fn check_pooler(pool: &PgPool) -> Result<(), Error> {
    let options = pool.connect_options();
    if in_time(async { Ok(keeps_sessions(&options).await?) }).await? {
        return Ok(());
    }
    Err(Error::TransactionPooler { is_supabase: is_supabase(options.get_host()) })
}

/// Whether each connection keeps its server session from one transaction to the next.
async fn keeps_sessions(options: &PgConnectOptions) -> Result<bool, sqlx::Error> {
    // Not from the pool, whose connections begin with SET.
    let mut first = PgConnection::connect_with(options).await?;
    let mut second = PgConnection::connect_with(options).await?;
    let kept = compare_sessions(&mut first, &mut second).await?;
    // The answer is known, and the server notices a connection that was not closed properly.
    let _ = tokio::join!(first.close(), second.close());
    Ok(kept)
}

/// Sends simple queries only: a pooler may not pass on prepared statements.
async fn compare_sessions(first: &mut PgConnection, second: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // RDS Proxy changes sessions between transactions, too, but no longer once a connection has declared a cursor or SET
    // something, as all of ours do. To others, this cursor is gone when its transaction ends.
    if !begin(first).await? {
        return Ok(false);
    }
    sqlx::raw_sql("declare pooler_check cursor for select 1").execute(&mut *first).await?;
    rollback(first).await?;
    for _ in 0..ROUNDS {
        let before = server_session(first).await?;
        if !begin(second).await? {
            return Ok(false);
        }
        // A transaction holds its session, so the first connection may have lost its own now.
        let is_taken = server_session(second).await? == before;
        // If it was taken, the pooler may have no other, and there would be no answer.
        let is_kept = !is_taken && server_session(first).await? == before;
        rollback(second).await?;
        if !is_kept {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Begins a transaction. False if a pooler in statement mode refuses it.
async fn begin(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match sqlx::raw_sql("begin").execute(connection).await {
        Ok(_) => Ok(true),
        // PgBouncer's code (08P01) is also that of other refusals.
        Err(sqlx::Error::Database(error)) if error.message().contains("statement pooling") => Ok(false),
        Err(error) => Err(error),
    }
}

async fn rollback(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("rollback").execute(connection).await.map(drop)
}

async fn server_session(connection: &mut PgConnection) -> Result<String, sqlx::Error> {
    sqlx::raw_sql(SERVER_SESSION).fetch_one(connection).await?.try_get(0)
}

/// Whether a host is one of Supabase's shared poolers: port 6543 is transaction mode, 5432 session mode.
fn is_supabase(host: &str) -> bool {
    host.trim_end_matches('.').to_ascii_lowercase().ends_with(".pooler.supabase.com")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supabases_poolers_are_told_by_their_host() {
        for (host, expected) in [
            ("aws-0-eu-central-1.pooler.supabase.com", true),
            ("AWS-0-eu-central-1.Pooler.Supabase.com.", true),
            ("db.abcdefgh.supabase.co", false),
            ("pooler.supabase.com.example.com", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(is_supabase(host), expected, "{host}");
            let advice = Error::TransactionPooler { is_supabase: expected }.to_string();
            assert_eq!(advice.contains("port 5432"), expected, "{advice}");
            assert!(advice.contains("session mode"), "{advice}");
        }
    }
}
