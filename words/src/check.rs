//! Checks an operator's catalogue as a whole, so that a mistake stops the program at startup instead of making a mail
//! fail later.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fluent_bundle::FluentResource;

use super::{
    built_in::Arguments,
    catalogue::{Catalogue, Source, lines},
    entries::{CatalogueEntry, entries},
    fault::{Fault, WordsError},
    part::{Part, Value, is_place},
    words::OperatorCatalogue,
};

/// Numbers that together select every plural form of every language.
const COUNTS: [u64; 7] = [0, 1, 2, 3, 11, 100, 1_000_000];

/// Parses a catalogue and checks each message separately.
///
/// # Errors
/// All faults in the file.
pub(crate) fn parse(
    catalogue: &OperatorCatalogue,
    built_in: Option<&Source>,
    messages: &BTreeMap<String, Arguments>,
) -> Result<Source, Vec<Fault>> {
    let OperatorCatalogue { file, text, .. } = catalogue;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text).to_owned();
    // The parser skips entries that it cannot parse, so the remaining entries are also checked.
    let (resource, errors) = FluentResource::try_new(text).map_or_else(|failed| failed, |resource| (resource, vec![]));
    let line = |at: usize| resource.source().as_bytes()[..at].split(|byte| *byte == b'\n').count();
    let unreadable = errors.iter().map(|error| Fault::new(file, line(error.pos.start), format!("{}.", error.kind)));
    let mut faults: Vec<Fault> = unreadable.collect();
    faults.extend(odd_characters(file, resource.source()));
    faults.extend(faults_of_entries(file, &resource, built_in, messages));
    if faults.is_empty() { Ok(Source { file: file.clone(), resource }) } else { Err(faults) }
}

/// Reports lines with characters that a message must not contain.
fn odd_characters(file: &str, text: &str) -> Vec<Fault> {
    let is_odd = |character: char| is_place(character) || (character.is_control() && !"\r\t".contains(character));
    let lines = text.split('\n').zip(1..).filter(|(line, _)| line.contains(is_odd));
    lines.map(|(_, line)| Fault::new(file, line, "The line contains a control character.")).collect()
}

fn faults_of_entries(
    file: &str,
    resource: &FluentResource,
    built_in: Option<&Source>,
    messages: &BTreeMap<String, Arguments>,
) -> Vec<Fault> {
    let lines: HashMap<&str, usize> = lines(resource.source()).collect();
    let built_in = built_in.map(|source| entries(source.resource.entries())).unwrap_or_default();
    let own = entries(resource.entries());
    let terms = built_in.iter().chain(&own).filter(|entry| entry.is_term).map(|term| term.id).collect();
    let (mut faults, mut seen) = (vec![], BTreeSet::new());
    for entry in &own {
        let name = entry.name();
        let mut problems = problems(entry, messages, &terms);
        if !seen.insert(name.clone()) {
            problems.push("appears twice".to_owned());
        }
        let line = lines.get(name.as_str()).copied().unwrap_or(1);
        faults.extend(problems.iter().map(|problem| Fault::new(file, line, format!("`{name}` {problem}."))));
    }
    faults
}

fn problems(entry: &CatalogueEntry<'_>, messages: &BTreeMap<String, Arguments>, terms: &BTreeSet<&str>) -> Vec<String> {
    let uses = &entry.uses;
    let mut problems = vec![];
    for id in uses.messages.iter().filter(|id| !messages.contains_key(**id)) {
        problems.push(format!("refers to the message `{id}`, which does not exist"));
    }
    for id in uses.terms.iter().filter(|id| !terms.contains(**id)) {
        problems.push(format!("refers to the term `-{id}`, which does not exist"));
    }
    for id in &uses.functions {
        problems.push(format!("calls the function `{id}`, which does not exist"));
    }
    // A term gets its arguments from the messages that use it.
    if !entry.is_term {
        problems.extend(problems_of_message(entry, messages));
    }
    problems
}

fn problems_of_message(entry: &CatalogueEntry<'_>, messages: &BTreeMap<String, Arguments>) -> Vec<String> {
    let Some(Arguments { names, counts }) = messages.get(entry.id) else {
        return vec!["is not a message of the mail or the confirm page".to_owned()];
    };
    let mut problems = vec![];
    if !entry.has_value {
        problems.push("has no text".to_owned());
    }
    if entry.has_attributes {
        problems.push("has an attribute, which is never shown".to_owned());
    }
    for name in &entry.uses.arguments {
        if !names.contains(*name) {
            let known: Vec<String> = names.iter().map(|name| format!("${name}")).collect();
            let known = if known.is_empty() { "no arguments".to_owned() } else { format!("only {}", known.join(", ")) };
            problems.push(format!("uses `${name}`, but this message has {known}"));
        } else if entry.uses.selectors.contains(name) && !counts.contains(*name) {
            problems.push(format!("selects a form by `${name}`, which is not a count"));
        }
    }
    problems
}

/// Formats every message with each count in [`COUNTS`], and checks the results.
pub(crate) fn rehearse(catalogue: &Catalogue, messages: &BTreeMap<String, Arguments>) -> Vec<Fault> {
    let known = messages.iter().filter(|(id, _)| catalogue.has(id));
    known
        .filter_map(|(id, arguments)| COUNTS.iter().find_map(|count| fault(catalogue, id, arguments, *count)))
        .collect()
}

fn fault(catalogue: &Catalogue, id: &str, Arguments { names, counts }: &Arguments, count: u64) -> Option<Fault> {
    let value = |name| if counts.contains(name) { Value::Count(count) } else { Value::Text("value") };
    let args: Vec<(&str, Value<'_>)> = names.iter().map(|name| (name.as_str(), value(name))).collect();
    let problem = match catalogue.parts(id, &args) {
        Err(WordsError::BrokenMessage { reason, .. }) => format!("is broken: {reason}"),
        Err(error) => error.to_string(),
        Ok(parts) => problem_of_parts(&parts)?.to_owned(),
    };
    let (file, line) = catalogue.place(id);
    Some(Fault::new(file, line, format!("`{id}` {problem}.")))
}

fn problem_of_parts(parts: &[Part<'_>]) -> Option<&'static str> {
    let text: String = parts.iter().map(Part::text).collect();
    if text.trim().is_empty() {
        Some("is empty")
    } else if text.contains(|character: char| character.is_control() || is_place(character)) {
        Some("contains a control character")
    } else if text.contains("://") {
        Some("contains a URL. The only link in a mail must be the sign-in link")
    } else {
        None
    }
}
