//! The runbook has an entry for each error code, and no entry for a code that is no longer used.

use std::collections::BTreeSet;

use crate::source_codes::{health_codes, job_codes, webhook_reasons};

const RUNBOOK: &str = include_str!("../../docs/troubleshooting.md");

#[test]
fn the_runbook_explains_exactly_the_codes_that_jobs_can_have() {
    let codes = job_codes();
    assert!(codes.len() > 50, "{codes:?}");
    assert_same(&codes, &in_tables(RUNBOOK, "## Codes of jobs"), "a row in a table under `## Codes of jobs`");
}

#[test]
fn the_runbook_explains_exactly_the_codes_that_health_checks_can_have() {
    let entries = in_tables(RUNBOOK, "## Codes of health checks");
    assert_same(&health_codes(), &entries, "a row in the table under `## Codes of health checks`");
}

#[test]
fn the_runbook_explains_exactly_the_reasons_for_refusing_a_webhook() {
    let reasons = webhook_reasons();
    assert!(reasons.len() > 5, "{reasons:?}");
    assert_same(&reasons, &in_items(RUNBOOK, "### WebhooksRefused"), "an item in the entry `### WebhooksRefused`");
}

/// Asserts that the runbook explains exactly the codes that the source defines.
fn assert_same(defined: &BTreeSet<String>, explained: &BTreeSet<String>, what: &str) {
    let missing: Vec<&String> = defined.difference(explained).collect();
    let stale: Vec<&String> = explained.difference(defined).collect();
    assert!(
        missing.is_empty() && stale.is_empty(),
        "docs/troubleshooting.md needs {what} for each of {missing:?}. It has {what} for each of {stale:?}, but none \
         of these was found in the source: remove the entry, or make tests/documents/source_codes.rs find the code."
    );
}

/// The lines of the document from a heading to the next heading of the same or a higher level.
fn section<'a>(document: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    let level = heading.split(' ').next().unwrap().len();
    let lines = document.lines().skip_while(move |line| *line != heading).skip(1);
    lines.take_while(move |line| {
        let text = line.trim_start_matches('#');
        !(1..=level).contains(&(line.len() - text.len()))
    })
}

/// The codes in the first column of a section's tables.
fn in_tables(document: &str, heading: &str) -> BTreeSet<String> {
    let rows = section(document, heading).filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| in_backticks(row.split(" | ").next().unwrap())).collect()
}

/// The codes before the colon in each item of a section's nested lists.
fn in_items(document: &str, heading: &str) -> BTreeSet<String> {
    let items = section(document, heading).filter_map(|line| line.strip_prefix("  - `")?.split_once(':'));
    items.flat_map(|(codes, _)| in_backticks(&format!("`{codes}"))).collect()
}

fn in_backticks(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn codes_are_read_from_the_tables_and_items_of_their_own_section() {
    let document = "## Codes of jobs\n| code | text |\n|---|---|\n| `a`, `b_c` | uses `d` |\n### Part\n| `e` | x |\n\
                    ## Other\n| `f` | x |\n### Item\n- **Do:** `g`: x\n  - `h`, `i`: see `j`.\n### Next\n  - `k`: x\n";
    let set = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(in_tables(document, "## Codes of jobs"), set(&["a", "b_c", "e"]));
    assert_eq!(in_tables(document, "## Other"), set(&["f"]));
    assert_eq!(in_items(document, "### Item"), set(&["h", "i"]));
}
