//! Reads `PORTALS_FILE`: a TOML file with a `[[portal]]` table for each portal.

use std::{collections::HashMap, fs, path::Path};

use outbox::{Quotas, parse_duration};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use words::{Fault, Language, Words, WordsFolder, problem_of_file};

use super::{
    LinkStyleName, Logo, MailCode, NextPrefixes, Portal, PortalId,
    allowed_origins::AllowedOrigin,
    fields::{At, Fields, Source},
    parse_path, parse_sender,
};

/// Maximum number of portals in the file.
pub const MAX_PORTALS: usize = 1_000;
/// Maximum size of the file in bytes.
const MAX_BYTES: u64 = 1024 * 1024;

/// Reads and checks the whole file. `words` contains the mails' texts, and so determines in which languages each
/// portal's mails can be written. Pass `None` if those texts have faults, which are reported separately. Any language
/// is then allowed.
///
/// # Errors
/// All faults, sorted by line. If the file is not valid TOML, only the syntax errors.
pub fn read_file(path: &Path, words: Option<&WordsFolder>) -> Result<Vec<Portal>, Vec<Fault>> {
    let file = path.display().to_string();
    let text = read_text(path).map_err(|fault| vec![fault])?;
    let source = Source { file: &file, text: &text };
    let (document, errors) = DeTable::parse_recoverable(&text);
    let mut faults: Vec<Fault> = errors.iter().map(|error| syntax_fault(source, error)).collect();
    // After a syntax error, the parser may have lost fields, so reporting other faults could be misleading.
    if faults.is_empty() {
        let portals = read_portals(path, source, &document, words, &mut faults);
        if faults.is_empty() {
            return Ok(portals);
        }
    }
    faults.sort();
    Err(faults)
}

fn read_text(path: &Path) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| Fault::of_file(path, problem_of_file(&error));
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err(Fault::of_file(path, "The file is larger than 1 MiB."));
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| Fault::of_file(path, "The file is not valid UTF-8."))
}

fn syntax_fault(source: Source<'_>, error: &toml::de::Error) -> Fault {
    let offset = error.span().map_or(0, |span| span.start);
    source.fault(offset, format!("This is not valid TOML: {}.", error.message().trim_end_matches('.')))
}

fn read_portals(
    path: &Path,
    source: Source<'_>,
    document: &Spanned<DeTable<'_>>,
    words: Option<&WordsFolder>,
    faults: &mut Vec<Fault>,
) -> Vec<Portal> {
    for (key, _) in document.get_ref().iter().filter(|(key, _)| key.get_ref() != "portal") {
        let problem = format!("`{}` is not allowed here. The file may contain only [[portal]] tables.", key.get_ref());
        faults.push(source.fault(key.span().start, problem));
    }
    let tables = match document.get_ref().get("portal").map(|value| (value.get_ref(), value.span().start)) {
        Some((DeValue::Array(tables), _)) => tables,
        Some((_, offset)) => {
            let problem = "Write [[portal]] in double brackets, because the file may have several portals.";
            faults.push(source.fault(offset, problem));
            return vec![];
        }
        None => {
            faults.push(no_portal(source));
            return vec![];
        }
    };
    if tables.len() > MAX_PORTALS {
        faults.push(Fault::new(source.file, 0, format!("The file has more than {MAX_PORTALS} portals.")));
    }
    let mut seen = Seen::default();
    if tables.is_empty() {
        faults.push(no_portal(source));
    }
    let portals: Vec<_> =
        tables.iter().map(|table| read_portal(path, source, table, words, &mut seen, faults)).collect();
    portals.into_iter().flatten().collect()
}

fn no_portal(source: Source<'_>) -> Fault {
    Fault::new(source.file, 0, "The file defines no portal. Define each portal in a [[portal]] table.")
}

/// Values that must be unique in the file, from the portals that have been read.
#[derive(Default)]
struct Seen {
    /// The line number of each id.
    ids: HashMap<String, usize>,
    /// Each entry of `origins`, with its line number.
    origins: Vec<(AllowedOrigin, usize)>,
}

fn read_portal(
    path: &Path,
    source: Source<'_>,
    table: &Spanned<DeValue<'_>>,
    words: Option<&WordsFolder>,
    seen: &mut Seen,
    faults: &mut Vec<Fault>,
) -> Option<Portal> {
    let offset = table.span().start;
    let DeValue::Table(fields) = table.get_ref() else {
        faults.push(source.fault(offset, "Each portal must be a [[portal]] table."));
        return None;
    };
    let mut fields = Fields::new(source, fields, offset);
    let id: Option<PortalId> = fields.required("id", str::parse);
    let name = fields.required("name", str::parse);
    let origins = read_origins(&mut fields, source, seen);
    let callback_path = fields.parse("callback_path", parse_path);
    let next_prefixes = read_prefixes(&mut fields);
    let from = fields.parse("from", parse_sender);
    let reply_to = fields.parse("reply_to", parse_sender);
    let link_style = fields.parse("link_style", str::parse);
    let code = fields.parse("code", str::parse);
    let languages =
        read_languages(&mut fields, words.map(|words| words.of_portal(id.as_ref().map_or("", PortalId::as_str))));
    let time_zone = fields.parse("time_zone", str::parse);
    let colour = fields.parse("colour", str::parse);
    let logo = fields.parse("logo", |file| Logo::read(path, file));
    let support = fields.parse("support", str::parse);
    let job_deadline = fields.parse("job_deadline", parse_duration);
    let recipient_rate_limit = fields.parse("recipient_rate_limit", str::parse::<Quotas>);
    fields.refuse_unknown();
    if (link_style, code) == (Some(LinkStyleName::Code), Some(MailCode::Off)) {
        let offset = fields.text("code").map_or(offset, |text| text.offset);
        fields.add("code", offset, "is off, but with link_style = \"code\", mails contain only a code");
    }
    if let Some(id) = &id {
        note_id(&mut fields, seen, id, source);
    }
    let (lines, found) = (fields.lines, fields.faults);
    faults.extend(found);
    Some(Portal {
        id: id?,
        name: name?,
        origins: origins.into_iter().collect(),
        callback_path,
        next_prefixes,
        from,
        reply_to,
        link_style,
        code,
        languages,
        time_zone,
        colour,
        logo,
        support,
        job_deadline,
        recipient_rate_limit,
        file: source.file.to_owned(),
        line: source.line(offset),
        lines,
    })
}

fn note_id(fields: &mut Fields<'_>, seen: &mut Seen, id: &PortalId, source: Source<'_>) {
    let Some(At { offset, .. }) = fields.text("id") else { return };
    if let Some(line) = seen.ids.insert(id.to_string(), source.line(offset)) {
        let problem = format!("is `{id}`, which is already on line {line}: each portal needs its own id");
        fields.add("id", offset, problem);
    }
}

fn read_origins(fields: &mut Fields<'_>, source: Source<'_>, seen: &mut Seen) -> Vec<AllowedOrigin> {
    fields.require("origins");
    let origins = fields.parse_list("origins", str::parse::<AllowedOrigin>).unwrap_or_default();
    for At { value, offset } in &origins {
        let line = source.line(*offset);
        if let Some((_, first)) = seen.origins.iter().find(|(origin, _)| origin.overlaps(value)) {
            let problem = format!(
                "has an entry that overlaps with an entry on line {first}: each origin may match only one entry in the \
                 file"
            );
            fields.add("origins", *offset, problem);
        }
        seen.origins.push((value.clone(), line));
    }
    origins.into_iter().map(|origin| origin.value).collect()
}

fn read_prefixes(fields: &mut Fields<'_>) -> Option<NextPrefixes> {
    let paths = fields.parse_list("next_prefixes", parse_path)?;
    NextPrefixes::from_paths(paths.iter().map(|path| path.value.as_str())).ok()
}

fn read_languages(fields: &mut Fields<'_>, words: Option<&Words>) -> Option<Vec<Language>> {
    let known = words.map(Words::offered);
    let find = |tag: &str| {
        let Some(known) = &known else {
            return tag.parse::<Language>().map_err(|error| format!("`{}` {error}", tag.escape_debug()));
        };
        let language = known.iter().copied().find(|language| language.tag().eq_ignore_ascii_case(tag.trim()));
        let tags = || known.iter().map(|language| language.tag()).collect::<Vec<_>>().join(", ");
        language.ok_or_else(|| format!("`{}` is not one of {}", tag.escape_debug(), tags()))
    };
    let mut languages = vec![];
    for At { value, offset } in fields.parse_list("languages", find)? {
        if languages.contains(&value) {
            fields.add("languages", offset, format_args!("has `{value}` twice"));
        }
        languages.push(value);
    }
    Some(languages)
}
