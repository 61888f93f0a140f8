//! Measures the best that the machine can do: single-row prepared INSERTs by pgbench, and flushes to disk.

use std::{fs::File, io::Write as _, process::Stdio, time::Duration};

use outbox::PgPool;
use sqlx::AssertSqlSafe;
use tokio::process::Command;

/// Measures how many single-row prepared INSERTs per second this number of clients can run on a plain table with a
/// primary key. Each row is the size of a job's payload. Uses pgbench, or a loop if pgbench is not installed.
pub(crate) async fn inserts(url: &str, clients: usize, load: Duration) -> (&'static str, f64) {
    let pool = outbox::connect(&url.to_owned().into(), u32::try_from(clients).unwrap(), "floor").unwrap();
    let table = "create table if not exists floor (id bigserial primary key, payload jsonb not null, created_at timestamptz not null default now())";
    for statement in [table, "truncate floor", "checkpoint"] {
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&pool).await.unwrap();
    }
    match pgbench(url, clients, load).await {
        Some(rate) => ("pgbench", rate),
        None => ("a loop", insert_in_a_loop(&pool, clients, load).await),
    }
}

/// A job's payload of about 270 bytes.
const PAYLOAD: &str = r#"'{"email":"user' || :i::text || '@example.com","callback_url":"https://portal.example.com/auth/callback?next=%2Fprojects%2F42","requested_at":1792791600000,"pad":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}'"#;

async fn pgbench(url: &str, clients: usize, load: Duration) -> Option<f64> {
    let script = std::env::temp_dir().join(format!("floor-{}.sql", std::process::id()));
    std::fs::write(
        &script,
        format!("\\set i random(1, 1000000000)\ninsert into floor (payload) values (({PAYLOAD})::jsonb);\n"),
    )
    .unwrap();
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-c", &clients.to_string(), "-j", "2", "-T", &load.as_secs().to_string(), "-f"])
        .arg(&script)
        .arg(url)
        .stderr(Stdio::null())
        .output()
        .await;
    std::fs::remove_file(&script).unwrap();
    let output = String::from_utf8(output.ok()?.stdout).unwrap();
    let line = output.lines().find(|line| line.starts_with("tps = "))?;
    line.split_whitespace().nth(2)?.parse().ok()
}

async fn insert_in_a_loop(pool: &PgPool, clients: usize, load: Duration) -> f64 {
    let began = std::time::Instant::now();
    let statement = format!("insert into floor (payload) values (({})::jsonb)", PAYLOAD.replace(":i", "$1"));
    let inserting = (0..clients).map(|client| {
        let (pool, statement) = (pool.clone(), statement.clone());
        tokio::spawn(async move {
            let mut rows = 0_u32;
            while began.elapsed() < load {
                rows += 1;
                let number = format!("{client}-{rows}");
                sqlx::query(AssertSqlSafe(statement.clone())).bind(number).execute(&pool).await.unwrap();
            }
            f64::from(rows)
        })
    });
    let rows: f64 = futures_util::future::join_all(inserting).await.into_iter().map(Result::unwrap).sum();
    rows / began.elapsed().as_secs_f64()
}

/// Median time of 200 writes of 8 KiB with fdatasync, in milliseconds.
pub(crate) fn fdatasync() -> f64 {
    let mut file: File = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut taken: Vec<f64> = (0..200)
        .map(|_| {
            let began = std::time::Instant::now();
            file.write_all(&[0; 8_192]).unwrap();
            file.sync_data().unwrap();
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    taken.sort_by(f64::total_cmp);
    taken[100]
}
