//! The role `magic_link_viewer` can run every documented query that only reads, and can read every relation that an
//! alert uses. The role `magic_link_operator` can run the documented actions.

use std::{collections::BTreeSet, fs, path::Path};

use sqlx::AssertSqlSafe;

use crate::test_outbox::TestOutbox;

/// SQL keywords and functions that occur only in statements for the worker's role or the owner.
const WRITES: [&str; 4] = ["update ", "alter ", "email_lift_suppression(", "email_forget("];

/// Functions that the role `magic_link_operator` calls.
const ACTS: [&str; 4] = ["email_cancel_job(", "email_retry_job(", "email_pause(", "email_resume("];

#[tokio::test]
async fn the_viewer_and_the_operator_can_run_the_statements_documented_for_them() {
    let outbox = TestOutbox::new().await;
    let mut tried = 0;
    for (file, text) in documents() {
        for statement in
            statements(&text).iter().filter(|statement| !WRITES.iter().any(|word| statement.contains(word)))
        {
            let acts = ACTS.iter().any(|function| statement.contains(function));
            let pool = if acts { &outbox.operator } else { &outbox.viewer };
            let answer = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(pool).await;
            assert!(answer.is_ok(), "{file}: {statement}\n{answer:?}");
            tried += 1;
        }
    }
    assert!(tried >= 12, "only {tried} queries were found");
}

#[tokio::test]
async fn the_viewer_can_read_every_relation_that_an_alert_uses() {
    let outbox = TestOutbox::new().await;
    let alerts = fs::read_to_string(workspace().join("deploy/alerts.yaml")).unwrap();
    let words = alerts.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let relations =
        words.filter(|word| word.starts_with("email_") || ["upstreams", "suppressed_recipients"].contains(word));
    let relations: BTreeSet<&str> = relations.collect();
    assert!(relations.len() >= 4, "{relations:?}");
    for relation in relations {
        let query = format!("select has_any_column_privilege('magic_link_viewer', '{relation}', 'select')");
        assert!(outbox.scalar::<bool>(&query).await, "{relation}");
    }
}

/// The path and the text of each document for operators.
fn documents() -> Vec<(String, String)> {
    let folder = |name: &str| fs::read_dir(workspace().join(name)).unwrap().map(|entry| entry.unwrap().path());
    let files = folder("docs").chain(folder("deploy")).chain([workspace().join("README.md")]);
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "md" || extension == "yaml"));
    files.map(|path| (path.display().to_string(), fs::read_to_string(&path).unwrap())).collect()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The statements in ```sql blocks, after a `> ` prompt, and in backticks.
fn statements(text: &str) -> Vec<String> {
    let mut found = vec![];
    for block in text.split("```sql\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let lines = block.lines().filter(|line| !line.trim_start().starts_with("--"));
        let code = lines.collect::<Vec<_>>().join("\n");
        found.extend(code.split(';').map(str::trim).filter(|statement| !statement.is_empty()).map(str::to_owned));
    }
    let prompts = text.lines().filter_map(|line| line.strip_prefix("> ")?.split_once(';'));
    found
        .extend(prompts.map(|(statement, _)| statement.to_owned()).filter(|statement| statement.starts_with("select")));
    let inline = text.split('`').skip(1).step_by(2).filter(|code| code.starts_with("select "));
    found.extend(inline.map(|statement| statement.trim_end_matches(';').to_owned()));
    found
}
