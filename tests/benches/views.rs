//! `cargo bench --bench views` measures how long queries on the operators' views take with ten million ended jobs (or
//! `JOBS`), in a Postgres with default settings. `tests/fill_history.sql` inserts the jobs, which takes a few minutes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints its results and panics at the first error"
)]

use std::time::{Duration, Instant};

use sandbox::{Durability, Postgres};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

const VIEWS: [&str; 5] = [
    "select * from email_jobs_now",
    "select * from email_jobs_recent limit 50",
    "select * from email_failures_by_code",
    "select * from email_delivery_by_domain",
    "select * from email_delivery_by_domain limit 50",
];
const ROUNDS: usize = 20;

#[tokio::main]
async fn main() {
    let jobs: u64 = std::env::var("JOBS").map_or(10_000_000, |jobs| jobs.parse().unwrap());
    let server = Postgres::start_with(Durability::Stock).await.unwrap();
    server.create_database("views").await.unwrap();
    let pool = outbox::connect(&server.url("views").into(), 2, "views").unwrap();
    outbox::migrate(&pool).await.unwrap();

    println!("inserting {jobs} jobs …");
    let mut connection = PgConnection::connect(&server.url("views")).await.unwrap();
    let filling = tokio::spawn(async move {
        let script = include_str!("../fill_history.sql");
        let started = Instant::now();
        let all = format!("set fill.jobs = {jobs}; {script}; analyze");
        raw_sql(AssertSqlSafe(all)).execute(&mut connection).await.unwrap();
        println!("inserted in {:.0} s", started.elapsed().as_secs_f64());
        connection
    });
    tokio::pin!(filling);
    let mut connection = loop {
        tokio::select! {
            filled = &mut filling => break filled.unwrap(),
            () = tokio::time::sleep(Duration::from_secs(20)) => {
                let size: String = sqlx::query_scalar("select pg_size_pretty(pg_database_size('views'))")
                    .fetch_one(&pool).await.unwrap();
                println!("  {size} …");
            }
        }
    };

    println!("\n  {:<50} {:>9} {:>9} {:>7}", "view", "median", "slowest", "rows");
    for view in VIEWS {
        let mut taken = Vec::new();
        let mut rows = 0;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            rows = sqlx::query(view).fetch_all(&mut connection).await.unwrap().len();
            taken.push(started.elapsed());
        }
        taken.sort_unstable();
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        println!("  {view:<50} {:>6.1} ms {:>6.1} ms {rows:>7}", ms(taken[ROUNDS / 2]), ms(taken[ROUNDS - 1]));
    }
}
