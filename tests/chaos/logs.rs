//! The programs' logs hold nothing that signs anybody in, nobody's address, and no panic.

use std::collections::HashSet;

use sandbox::{Mail, MailgunSettings, SupabaseSettings};

use crate::{evidence::Evidence, promises::Broken};

/// A line that should not have been written.
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
        Some(Broken::of_all(format!("{program} logged what it must not: {bad}")))
    };
    evidence.logs.iter().filter_map(lines).collect()
}

fn token(mail: &Mail) -> Option<&str> {
    mail.link()?.split("token=").nth(1)?.split('&').next()
}
