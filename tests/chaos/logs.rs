//! The logs contain no secret, no address and no panic. They also show when an upstream was stopped and resumed.

use std::collections::HashSet;

use sandbox::{Mail, MailgunSettings, SupabaseSettings};
use serde_json::Value;
use tests::record::Broken;

use crate::{evidence::Evidence, refusals::HOOK_FAILED};

/// Lines that must not be logged.
pub(crate) fn bad_lines(evidence: &Evidence) -> Vec<Broken> {
    let tokens: HashSet<&str> = evidence.mails.values().flatten().filter_map(token).collect();
    let keys = [SupabaseSettings::default().service_role_key, MailgunSettings::default().api_key];
    let words = ["token=", "@example.com", "panicked at", &keys[0], &keys[1]];
    let is_bad = |line: &&String| {
        words.iter().any(|word| line.contains(word))
            || line.split(|c: char| !c.is_ascii_hexdigit()).any(|word| tokens.contains(word))
    };
    let lines = |(program, log): &(String, Vec<String>)| {
        let bad = log.iter().find(is_bad)?;
        Some(Broken::of_all(format!("{program} logged a forbidden line: {bad}")))
    };
    evidence.logs.iter().filter_map(lines).collect()
}

/// The lines that report that an upstream was stopped.
pub(crate) fn stops(evidence: &Evidence) -> impl Iterator<Item = &String> {
    lines_with(evidence, "Sending is paused")
}

/// The lines that report that an upstream was resumed.
pub(crate) fn resumes(evidence: &Evidence) -> impl Iterator<Item = &String> {
    lines_with(evidence, "recovered: sending again")
}

fn lines_with<'a>(evidence: &'a Evidence, text: &'a str) -> impl Iterator<Item = &'a String> {
    evidence.logs.iter().flat_map(|(_, log)| log).filter(move |line| line.contains(text))
}

/// A field of a log line. Empty if the line has no such field.
pub(crate) fn field(line: &str, name: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap_or_default();
    line["fields"][name].as_str().unwrap_or_default().to_owned()
}

/// A failing hook affects only one person, so it must not stop the upstream for everybody.
pub(crate) fn hooks_that_stop_everybody(evidence: &Evidence) -> Vec<Broken> {
    let by_hooks = stops(evidence).filter(|line| line.contains(HOOK_FAILED));
    by_hooks.map(|line| Broken::of_all(format!("a hook stopped an upstream: {line}"))).collect()
}

fn token(mail: &Mail) -> Option<&str> {
    mail.link()?.split("token=").nth(1)?.split('&').next()
}
