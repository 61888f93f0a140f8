//! `docs/troubleshooting.md` has an entry for each alert and for each code that a job can have.

use std::{collections::BTreeSet, fs, path::Path};

const DOCUMENT: &str = include_str!("../../docs/troubleshooting.md");
const ALERTS: &str = include_str!("../../deploy/alerts.yaml");

/// The files and folders that define codes, and the source text that precedes each code.
const SOURCES: [(&str, &str); 9] = [
    ("worker/src/upstream", "Failure::new(\""),
    ("worker/src/upstream/verdict/supabase.rs", ")), \""),
    ("worker/src/upstream/verdict/supabase.rs", "RejectRecipient, \""),
    ("worker/src/upstream/verdict/supabase.rs", "RETRY, \""),
    ("worker/src/upstream/verdict/mailgun.rs", "), \""),
    ("worker/src/upstream/verdict/mailgun.rs", "RejectRecipient, \""),
    ("worker/src/upstream/verdict/mailgun.rs", "Unknown, \""),
    ("worker/src/deliver", "Failure::new(\""),
    ("outbox/src", "Failure::new(\""),
];

#[test]
fn every_alert_and_every_code_has_an_entry() {
    let alerts: Vec<&str> = ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() > 10, "{alerts:?}");
    for alert in alerts {
        assert!(DOCUMENT.contains(&format!("\n| `{alert}` |")), "{alert}");
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut codes = BTreeSet::new();
    for (path, before) in SOURCES {
        let found = codes_in(&workspace.join(path), before);
        assert!(!found.is_empty(), "no code in {path} after {before}");
        codes.extend(found);
    }
    let missing: Vec<&String> = codes.iter().filter(|code| !DOCUMENT.contains(&format!("`{code}`"))).collect();
    assert!(missing.is_empty() && codes.len() > 30, "{missing:?} of {codes:?}");
}

/// The strings after `before` in a file, or in the files of a folder, that look like codes. Unit tests are skipped.
fn codes_in(path: &Path, before: &str) -> BTreeSet<String> {
    if path.is_dir() {
        return fs::read_dir(path).unwrap().flat_map(|entry| codes_in(&entry.unwrap().path(), before)).collect();
    }
    let source = fs::read_to_string(path).unwrap();
    let source = source.split("#[cfg(test)]").next().unwrap();
    let strings = source.split(before).skip(1).filter_map(|rest| rest.split('"').next());
    strings
        .filter(|text| text.contains('_') && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}
