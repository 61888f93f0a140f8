//! Probes of Postgres: the connection, the version, the tables, the role's rights and the clock.

use chrono::TimeDelta;
use outbox::{
    Error, PgPool, ProgramKind,
    inspect::{ServerFacts, missing_worker_rights, server_facts},
};

use super::{finding::Finding, in_time};
use crate::settings::{CheckSettings, DatabaseSettings};

/// The oldest supported major version of Postgres.
const OLDEST_VERSION: i32 = 15;
/// If the clocks differ by more than this, the probe warns.
const CLOCK_WARNING: TimeDelta = TimeDelta::seconds(2);
/// If the clocks differ by more than this, the probe fails: links could expire early, or webhooks could look too old.
const CLOCK_FAILURE: TimeDelta = TimeDelta::seconds(30);

const CONNECTION: &str = "postgres.connection";
const POOLER: &str = "postgres.pooler";
const VERSION: &str = "postgres.version";
const TABLES: &str = "postgres.tables";
const RIGHTS: &str = "postgres.rights";
const CLOCK: &str = "postgres.clock";

pub(super) async fn check(settings: &CheckSettings) -> Vec<Finding> {
    let database = &settings.worker.database;
    let pool = match outbox::connect(&database.url, 2, "magic-link-worker check") {
        Ok(pool) => pool,
        Err(error) => return without_connection(&error),
    };
    // This check runs first: with a pooler in transaction mode, all later statements could affect the sessions of other
    // programs.
    match in_time(outbox::check_pooler(&pool)).await.unwrap_or(Err(Error::TimedOut)) {
        Ok(()) => {}
        Err(error @ Error::TransactionPooler { .. }) => {
            let mut findings = vec![
                Finding::ok(CONNECTION, "Postgres answers"),
                Finding::fail(POOLER, error.to_string(), "Change DATABASE_URL, or switch the pooler to session mode"),
            ];
            let why = "This probe cannot run through a pooler in transaction mode";
            findings.extend(skipped(&[VERSION, TABLES, RIGHTS, CLOCK], why));
            return findings;
        }
        Err(error) => return without_connection(&error),
    }
    let facts = match in_time(server_facts(&pool)).await.unwrap_or(Err(Error::TimedOut)) {
        Ok(facts) => facts,
        Err(error) => return without_connection(&error),
    };
    let mut findings = vec![
        Finding::ok(CONNECTION, format!("Connected to Postgres as the role {}; the server accepts writes", facts.role)),
        Finding::ok(POOLER, "Each connection has its own Postgres session"),
        judge_version(&facts),
    ];
    findings.extend(check_tables(&pool, database, &facts).await);
    findings.push(judge_clock(facts.clock_ahead, facts.clock_uncertainty));
    findings
}

fn without_connection(error: &Error) -> Vec<Finding> {
    let mut findings = vec![Finding::fail(
        CONNECTION,
        format!("Postgres cannot be used: {error}"),
        "Check DATABASE_URL, the server and the network",
    )];
    findings.extend(skipped(&[POOLER, VERSION, TABLES, RIGHTS, CLOCK], "This probe needs a connection to Postgres"));
    findings
}

fn skipped(probes: &[&'static str], why: &str) -> Vec<Finding> {
    probes.iter().map(|probe| Finding::skip(probe, why)).collect()
}

fn judge_version(facts: &ServerFacts) -> Finding {
    if facts.version_number / 10_000 >= OLDEST_VERSION {
        return Finding::ok(VERSION, format!("Postgres {}", facts.version));
    }
    let message = format!("The server runs Postgres {}, which is too old", facts.version);
    Finding::fail(VERSION, message, format!("Use Postgres {OLDEST_VERSION} or newer"))
}

async fn check_tables(pool: &PgPool, database: &DatabaseSettings, facts: &ServerFacts) -> Vec<Finding> {
    let schema = in_time(outbox::check_schema(pool, ProgramKind::Worker)).await.unwrap_or(Err(Error::TimedOut));
    let tables = match schema {
        Ok(()) => {
            let missing = in_time(missing_worker_rights(pool)).await.unwrap_or(Err(Error::TimedOut));
            return vec![Finding::ok(TABLES, "The tables match this version"), judge_rights(missing, facts)];
        }
        Err(Error::TablesTooOld { .. }) if database.migrate_on_start && facts.may_create_tables => Finding::warn(
            TABLES,
            "The tables are missing or older than this version. The worker migrates them when it starts \
             (MIGRATE_ON_START)",
            "Start the worker, or run `magic-link-worker migrate`",
        ),
        Err(Error::TablesTooOld { .. }) if database.migrate_on_start => Finding::fail(
            TABLES,
            format!(
                "The tables are missing or older than this version, and the role {} is not allowed to create tables",
                facts.role
            ),
            "Run `magic-link-worker migrate` as the owner of the tables, and set MIGRATE_ON_START=false",
        ),
        Err(error @ Error::ProgramTooOld { .. }) => {
            Finding::fail(TABLES, error.to_string(), "Install the version that migrated the tables, or a newer one")
        }
        Err(error) => Finding::fail(
            TABLES,
            error.to_string(),
            "Run this version's `magic-link-worker migrate` as the owner of the tables, and then deploy/roles.sql",
        ),
    };
    vec![tables, Finding::skip(RIGHTS, "This probe needs tables that match this version")]
}

fn judge_rights(missing: Result<Vec<String>, Error>, facts: &ServerFacts) -> Finding {
    const SHOWN: usize = 5;
    match missing {
        Ok(missing) if missing.is_empty() => Finding::ok(RIGHTS, "The role has the rights that the worker needs"),
        Ok(missing) => {
            let more =
                if missing.len() > SHOWN { format!(" and {} more", missing.len() - SHOWN) } else { String::new() };
            let shown = missing.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
            let message = format!("The role {} lacks {shown}{more}", facts.role);
            Finding::fail(
                RIGHTS,
                message,
                "Run deploy/roles.sql again, and use the role magic_link_worker in DATABASE_URL",
            )
        }
        Err(error) => {
            Finding::fail(RIGHTS, format!("Could not read the role's rights: {error}"), "Run deploy/roles.sql again")
        }
    }
}

/// Judges the smallest possible difference between the clocks: the measured difference minus its uncertainty.
fn judge_clock(ahead: TimeDelta, uncertainty: TimeDelta) -> Finding {
    const ACTION: &str = "Synchronise both clocks (NTP)";
    let certain = (ahead.abs() - uncertainty).max(TimeDelta::zero());
    let direction = if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
    let message = format!("Postgres's clock is {:.1} s {direction} this machine's", seconds(ahead.abs()));
    if certain > CLOCK_FAILURE {
        Finding::fail(CLOCK, message, ACTION)
    } else if certain > CLOCK_WARNING {
        Finding::warn(CLOCK, message, ACTION)
    } else {
        Finding::ok(CLOCK, "The clocks of Postgres and this machine agree")
    }
}

fn seconds(time: TimeDelta) -> f64 {
    time.to_std().unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::check::finding::ProbeResult;

    #[test]
    fn a_clock_difference_warns_above_two_seconds_and_fails_above_thirty() {
        for (ahead, uncertainty, result) in [
            (0, 0, ProbeResult::Ok),
            (2_000, 0, ProbeResult::Ok),
            (2_001, 0, ProbeResult::Warn),
            (-2_001, 0, ProbeResult::Warn),
            (2_400, 500, ProbeResult::Ok),
            (30_000, 0, ProbeResult::Warn),
            (30_001, 0, ProbeResult::Fail),
            (-31_000, 500, ProbeResult::Fail),
        ] {
            let finding = judge_clock(TimeDelta::milliseconds(ahead), TimeDelta::milliseconds(uncertainty));
            assert_eq!(finding.result, result, "{ahead} {finding:?}");
        }
        let finding = judge_clock(TimeDelta::milliseconds(-45_500), TimeDelta::zero());
        assert_eq!(finding.message, "Postgres's clock is 45.5 s behind this machine's");
    }

    #[test]
    fn versions_before_15_are_refused() {
        for (version_number, result) in
            [(140_009, ProbeResult::Fail), (150_000, ProbeResult::Ok), (180_001, ProbeResult::Ok)]
        {
            let facts = ServerFacts {
                version_number,
                version: "x".to_owned(),
                role: "r".to_owned(),
                may_create_tables: false,
                clock_ahead: TimeDelta::zero(),
                clock_uncertainty: TimeDelta::zero(),
            };
            assert_eq!(judge_version(&facts).result, result, "{version_number}");
        }
    }
}
