//! Checks that an HTML body contains only the allowed links, loads nothing and runs nothing. Parses the HTML loosely:
//! anything that looks like a tag or an attribute is treated as one, even in a comment for Outlook.

use super::{check::Problem, markup::escape, sample::LINK};

/// What a mail may refer to.
pub(super) struct Allowed<'a> {
    /// Whether the mail has a link.
    pub link: bool,
    /// Where the portal's support link leads.
    pub support: Option<&'a str>,
    /// The source of the logo.
    pub logo: Option<&'a str>,
}

/// Elements that mail programs remove, or that load or run something.
const FORBIDDEN_ELEMENTS: [&str; 16] = [
    "script", "iframe", "frame", "form", "input", "textarea", "select", "object", "embed", "applet", "link", "base",
    "svg", "video", "audio", "source",
];

/// Attributes that can make a mail program load or send something. `src` is not in this list, because its value is
/// checked instead.
const FORBIDDEN_ATTRIBUTES: [&str; 8] =
    ["srcset", "background", "poster", "action", "formaction", "data", "ping", "http-equiv"];

/// Strings that are forbidden anywhere in the HTML, because they can make a mail program load or run something.
const FORBIDDEN_TEXTS: [&str; 5] = ["url(", "@import", "javascript:", "vbscript:", "expression("];

pub(super) fn problems(html: &str, allowed: &Allowed<'_>) -> Vec<Problem> {
    let lower = html.to_ascii_lowercase();
    let mut problems = problems_of_links(html, &lower, allowed);
    for element in FORBIDDEN_ELEMENTS {
        let start = format!("<{element}");
        let is_element = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '-');
        if lower.split(&start).skip(1).any(is_element) {
            problems.push(Problem::at(&start, format!("The `{start}>` element does not belong in a mail.")));
        }
    }
    for text in FORBIDDEN_TEXTS.into_iter().filter(|text| lower.contains(text)) {
        problems.push(Problem::at(
            text,
            format!("`{text}` does not belong in a mail: mails must not load or run anything."),
        ));
    }
    for name in FORBIDDEN_ATTRIBUTES {
        let is_harmless = |value: &str| name == "http-equiv" && value.eq_ignore_ascii_case("content-type");
        if attributes(html, &lower, name).any(|value| !is_harmless(value)) {
            problems.push(Problem::at(name, format!("The `{name}` attribute does not belong in a mail.")));
        }
    }
    for value in attributes(html, &lower, "src").filter(|value| Some(*value) != allowed.logo) {
        problems.push(Problem::at("src", format!("`src` is `{value}`: the only image allowed is the portal's logo.")));
    }
    if let Some(name) = event_handler(&lower) {
        problems.push(Problem::at(
            name,
            format!("The `{name}` attribute does not belong in a mail: mails must not run scripts."),
        ));
    }
    problems
}

fn problems_of_links(html: &str, lower: &str, allowed: &Allowed<'_>) -> Vec<Problem> {
    let (link, support) = (escape(LINK), allowed.support.map(escape));
    let mut problems = vec![];
    let targets: Vec<&str> = attributes(html, lower, "href").collect();
    let links = targets.iter().filter(|target| **target == link).count();
    if links != usize::from(allowed.link) {
        let expected =
            if allowed.link { "The link must be in exactly one `href`" } else { "The mail must not contain the link" };
        problems.push(Problem::at("href", format!("{expected}, but it appears in {links}.")));
    }
    for target in targets.iter().filter(|target| **target != link && Some(**target) != support.as_deref()) {
        let problem = "the only links allowed are the sign-in link and the portal's support link";
        problems.push(Problem::at("href", format!("`href` is `{target}`: {problem}.")));
    }
    let rest = html.replace(&link, "").replace(support.as_deref().unwrap_or("\0"), "");
    if without_names(&rest).contains("://") {
        problems.push(Problem::at("://", "The HTML contains a URL other than the link."));
    }
    problems
}

/// The HTML without its doctype and XML namespaces, whose URLs are only names.
fn without_names(html: &str) -> String {
    let lower = html.to_ascii_lowercase();
    let doctype = lower.find("<!doctype").and_then(|start| Some((start, start + lower[start..].find('>')?)));
    let html = doctype.map_or_else(|| html.to_owned(), |(start, end)| format!("{}{}", &html[..start], &html[end..]));
    let pieces: Vec<&str> = html.split(" xmlns").collect();
    let after_value = |piece: &&str| {
        let quote = piece.find(['"', '\'']).map(|at| (at, piece.as_bytes()[at] as char));
        let rest = quote.and_then(|(at, quote)| piece[at + 1..].split_once(quote));
        rest.map_or_else(|| (*piece).to_owned(), |(_, rest)| rest.to_owned())
    };
    let (first, others) = pieces.split_first().unwrap_or((&"", &[]));
    std::iter::once((*first).to_owned()).chain(others.iter().map(after_value)).collect()
}

/// The values of all attributes with this name. `lower` must be `html` in lower case, with the same length.
fn attributes<'a>(html: &'a str, lower: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    lower.match_indices(name).filter_map(move |(at, _)| {
        let before = lower[..at].chars().next_back()?;
        let is_start = before.is_whitespace() || matches!(before, '"' | '\'' | '/' | ':');
        let value = lower[at + name.len()..].trim_start().strip_prefix('=')?.trim_start();
        let value = &html[html.len() - value.len()..];
        let end = |quote| value[1..].split_once(quote).map_or(&value[1..], |(value, _)| value);
        is_start.then(|| match value.chars().next() {
            Some(quote @ ('"' | '\'')) => end(quote),
            _ => value.split(|next: char| next.is_whitespace() || next == '>').next().unwrap_or_default(),
        })
    })
}

/// The first attribute that runs a script, such as `onclick`.
fn event_handler(lower: &str) -> Option<&str> {
    let tags = lower.split('<').skip(1).map(|tag| tag.split('>').next().unwrap_or_default());
    tags.flat_map(|tag| tag.split_whitespace().skip(1)).find_map(|attribute| {
        let (name, _) = attribute.split_once('=')?;
        let is_handler = name.starts_with("on") && name.len() > 2 && name.bytes().all(|byte| byte.is_ascii_lowercase());
        is_handler.then_some(name)
    })
}
