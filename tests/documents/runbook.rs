//! Each alert in `deploy/alerts.yaml` has an entry in the runbook, `docs/troubleshooting.md`, and a `runbook_url` that
//! leads to this entry.

use crate::{headings::anchors, prose};

const RUNBOOK: &str = include_str!("../../docs/troubleshooting.md");
const ALERTS: &str = include_str!("../../deploy/alerts.yaml");

/// The parts of each entry, in this order.
const PARTS: [&str; 4] = ["- **People:** ", "- **Look at:** ", "- **Do:**", "- **Ends:** "];

#[test]
fn every_alert_has_an_entry_in_the_runbook_and_every_entry_has_an_alert() {
    assert!(alerts(ALERTS).len() > 20 && entries(RUNBOOK).len() > 20);
    let faults = faults(ALERTS, RUNBOOK);
    assert!(faults.is_empty(), "{faults:#?}");
}

/// An alert rule, with its annotation `runbook_url`.
struct Alert<'a> {
    name: &'a str,
    runbook_url: Option<&'a str>,
}

fn alerts(rules: &str) -> Vec<Alert<'_>> {
    let mut alerts: Vec<Alert<'_>> = vec![];
    for line in rules.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push(Alert { name, runbook_url: None });
        } else if let (Some(url), Some(alert)) = (line.strip_prefix("runbook_url: "), alerts.last_mut()) {
            alert.runbook_url = Some(url);
        }
    }
    alerts
}

/// The headings under `## Alerts`, each with the lines of its entry.
fn entries(runbook: &str) -> Vec<(&str, Vec<&str>)> {
    let mut entries: Vec<(&str, Vec<&str>)> = vec![];
    let lines = prose(runbook).skip_while(|line| *line != "## Alerts").skip(1);
    for line in lines.take_while(|line| !line.starts_with("## ")) {
        if let Some(heading) = line.strip_prefix("### ") {
            entries.push((heading, vec![]));
        } else if let Some((_, lines)) = entries.last_mut() {
            lines.push(line);
        }
    }
    entries
}

/// Returns what is wrong with the alerts and the runbook, and how to fix it.
fn faults(rules: &str, runbook: &str) -> Vec<String> {
    let (alerts, entries, anchors) = (alerts(rules), entries(runbook), anchors(runbook));
    let mut faults = vec![];
    for Alert { name, runbook_url } in &alerts {
        if entries.iter().filter(|(heading, _)| heading == name).count() != 1 {
            faults.push(format!("{name}: docs/troubleshooting.md needs one heading `### {name}` under `## Alerts`"));
        }
        let anchor = name.to_lowercase();
        let wanted = format!("docs/troubleshooting.md#{anchor}");
        if *runbook_url != Some(&*wanted) || !anchors.contains(&anchor) {
            faults.push(format!("{name}: deploy/alerts.yaml needs the annotation `runbook_url: {wanted}`"));
        }
    }
    for (heading, lines) in &entries {
        if !alerts.iter().any(|alert| alert.name == *heading) {
            faults.push(format!("{heading}: deploy/alerts.yaml has no such alert; remove the entry from the runbook"));
        }
        let parts = lines.iter().filter_map(|line| PARTS.iter().find(|part| line.starts_with(**part)));
        if !parts.eq(&PARTS) {
            faults.push(format!("{heading}: the entry needs these parts in this order: {PARTS:?}"));
        }
    }
    faults
}

#[test]
fn a_missing_entry_a_stale_entry_and_a_wrong_url_are_reported() {
    let rules = |name: &str, url: &str| format!("# alerts\n      - alert: {name}\n          runbook_url: {url}\n");
    let entry = |name: &str| format!("### {name}\n{}\n", PARTS.join("…\n"));
    let runbook = |entries: &str| format!("# T\n### Elsewhere\n## Alerts\n{entries}## Codes\n### From here\n");
    let good = rules("Late", "docs/troubleshooting.md#late");
    let runbook_of = |names: &[&str]| runbook(&names.iter().map(|name| entry(name)).collect::<String>());
    for (rules, runbook, expected) in [
        (good.clone(), runbook_of(&["Late"]), vec![]),
        (good.clone() + &rules("New", "docs/troubleshooting.md#new"), runbook_of(&["Late"]), vec!["New: ", "New: "]),
        (good.clone(), runbook_of(&["Late", "Gone"]), vec!["Gone: "]),
        (good.clone(), runbook_of(&["Late", "Late"]), vec!["Late: "]),
        (rules("Late", "docs/troubleshooting.md#lat"), runbook_of(&["Late"]), vec!["Late: "]),
        ("- alert: Late\n".to_owned(), runbook_of(&["Late"]), vec!["Late: "]),
        (good, runbook("### Late\n- **People:** they wait.\n- **Ends:** soon.\n"), vec!["Late: "]),
    ] {
        let found = faults(&rules, &runbook);
        let is_expected =
            found.len() == expected.len() && found.iter().zip(&expected).all(|(fault, start)| fault.starts_with(start));
        assert!(is_expected, "{rules}\n{runbook}\n{found:#?}");
    }
}
