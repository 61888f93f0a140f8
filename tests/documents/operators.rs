//! Checks that the commands, metrics and settings in the documents for operators exist. A test in `outbox/tests` runs
//! the SQL in these documents.

use std::{collections::BTreeSet, fs};

use clap::{Parser as _, error::ErrorKind};
use worker::settings::WorkerArguments;

use crate::{files, workspace};

/// Settings of Supabase Auth that operators may have to change. `MAILER_URLPATHS_` is a prefix of several names.
const SETTINGS_OF_SUPABASE: [&str; 4] = ["API_EXTERNAL_URL", "MAILER_OTP_LENGTH", "MAILER_URLPATHS_", "URI_ALLOW_LIST"];

#[test]
fn every_command_in_a_document_exists() {
    let mut documents = files(&workspace().join("docs"), "md");
    documents.push(workspace().join("README.md"));
    let texts: Vec<String> = documents.iter().map(|document| fs::read_to_string(document).unwrap()).collect();
    let commands: BTreeSet<&str> = texts.iter().flat_map(|text| commands(text)).collect();
    assert!(commands.len() > 15, "{commands:?}");
    let wrong: Vec<_> = commands.into_iter().filter_map(|command| Some((command, fault(command)?))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_metric_in_the_documents_for_operators_exists() {
    let metrics = ["worker/src/metrics.rs", "api/src/metrics.rs"].map(read).concat();
    let roles = read("deploy/roles.sql");
    for document in ["docs/troubleshooting.md", "docs/operating.md"] {
        let text = read(document);
        let words = text.split(|c: char| c != '_' && !c.is_ascii_alphanumeric());
        // Names with this prefix are names of metrics or of database roles.
        let named = words.filter(|word| word.starts_with("magic_link_") && !roles.contains(word));
        let missing: Vec<&str> = named.filter(|name| !metrics.contains(&format!("\"{name}\""))).collect();
        assert!(missing.is_empty(), "{document}: {missing:?}");
    }
}

#[test]
fn every_setting_in_the_runbook_exists() {
    let (runbook, settings) = (read("docs/troubleshooting.md"), read("docs/settings.md"));
    let named: BTreeSet<&str> = in_code(&runbook).filter_map(setting).collect();
    assert!(named.len() > 20, "{named:?}");
    let exists = |name: &str| settings.contains(&format!("| `{name}` |")) || SETTINGS_OF_SUPABASE.contains(&name);
    let missing: Vec<&&str> = named.iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn read(path: &str) -> String {
    fs::read_to_string(workspace().join(path)).unwrap()
}

/// The inline code in a document.
fn in_code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The worker's commands in inline code and at the start of lines, without a prompt and without a comment.
fn commands(text: &str) -> Vec<&str> {
    let of_lines = text.lines().map(|line| line.strip_prefix("$ ").unwrap_or(line));
    let all = in_code(text).chain(of_lines).map(|command| command.split(" #").next().unwrap().trim());
    all.filter(|command| command.starts_with("magic-link-worker ")).collect()
}

/// Why the worker does not accept a command, or `None` if it accepts the command. Arguments may be left out, as in
/// `magic-link-worker jobs show`.
fn fault(command: &str) -> Option<ErrorKind> {
    let kind = WorkerArguments::try_parse_from(shlex::split(command)?).err()?.kind();
    let is_incomplete = matches!(
        kind,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    );
    (!is_incomplete).then_some(kind)
}

/// The name of a setting at the start of inline code, such as `MAIL_CODE` in `MAIL_CODE=on`.
fn setting(code: &str) -> Option<&str> {
    let name = code.split(|c: char| c != '_' && !c.is_ascii_uppercase()).next()?;
    (name.trim_start_matches('_').contains('_') || name == "SIGNUPS").then_some(name)
}

#[test]
fn a_command_with_a_wrong_word_is_reported() {
    let text = "`magic-link-worker jobs show`, `magic-link-worker jobs look`\n$ magic-link-worker jobs list --state lost\n\
                magic-link-worker forget ann@example.com     # removes her\nsudo magic-link-worker upstreams\n";
    let faults: Vec<_> = commands(text).into_iter().map(|command| (command, fault(command))).collect();
    let expected = [
        ("magic-link-worker jobs show", None),
        ("magic-link-worker jobs look", Some(ErrorKind::InvalidSubcommand)),
        ("magic-link-worker jobs list --state lost", Some(ErrorKind::InvalidValue)),
        ("magic-link-worker forget ann@example.com", None),
    ];
    assert_eq!(faults, expected);
    assert_eq!(
        ["MAIL_CODE=on", "MAILER_URLPATHS_*", "_refused"].map(setting),
        [Some("MAIL_CODE"), Some("MAILER_URLPATHS_"), None]
    );
}
