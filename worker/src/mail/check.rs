//! Checks example mails of a look, so that a mistake in a template is found at startup or during a reload, before any
//! real mail uses the template. Each mail must have the link and the code that its style requires, load nothing from
//! the network, and contain nothing that disguises a link or a code.

use std::collections::BTreeMap;

use words::{Fault, Language};

use super::{
    brand::{Brand, Logo, Support},
    check_html::{self, Allowed},
    format_characters::is_format_character,
    look::Look,
    markup::escape,
    render::RenderedParts,
    sample::{CODE, LINK, MailStyle, sample_parts},
    templates::{HTML, SUBJECT, TEXT, Templates},
};

/// Maximum size of the HTML body, in bytes. Gmail cuts off mails at about 102 KB.
const MAX_HTML: usize = 100_000;

/// The faults of all looks, each with the first example mail in which it was found.
#[derive(Default)]
pub(crate) struct Findings(BTreeMap<Fault, Option<(Language, MailStyle)>>);

/// A problem with a body or with the subject.
pub(super) struct Problem {
    pub text: String,
    /// A string in the template's source that shows where the problem is.
    pub needle: Option<String>,
}

impl Problem {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), needle: None }
    }

    pub(super) fn at(needle: &str, text: impl Into<String>) -> Self {
        Self { text: text.into(), needle: Some(needle.to_owned()) }
    }
}

impl Findings {
    /// Renders and checks a mail in each language and style.
    pub(crate) fn check(&mut self, look: &Look) {
        for language in look.words.offered() {
            for style in MailStyle::ALL {
                match sample_parts(look, language, style) {
                    Ok(parts) => self.check_mail(look, language, style, parts),
                    Err(error) => self.insert(Fault::new("words", 0, format!("{error}.")), language, style),
                }
            }
        }
    }

    /// Adds a fault that was found without rendering a mail.
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.insert(fault, None);
    }

    /// Returns `value` if there are no faults.
    ///
    /// # Errors
    /// All faults that were found.
    pub(crate) fn into_result<T>(self, value: T) -> Result<T, Vec<Fault>> {
        if self.0.is_empty() {
            return Ok(value);
        }
        let explain = |(Fault { file, line, problem }, mail): (Fault, Option<(Language, MailStyle)>)| {
            let mail = mail.map(|(language, style)| format!(" (mail: {language}, {})", style.name()));
            Fault { file, line, problem: problem + &mail.unwrap_or_default() }
        };
        Err(self.0.into_iter().map(explain).collect())
    }

    fn check_mail(&mut self, look: &Look, language: Language, style: MailStyle, parts: RenderedParts) {
        let RenderedParts { subject, text, html } = parts;
        let support = look.brand.support.as_ref();
        let subject = subject.map(|subject| problems_of_subject(&subject));
        let text = text.map(|text| problems_of_text(&text, style, support));
        let html = html.map(|html| problems_of_html(&html, style, &look.brand));
        let templates = look.templates(language);
        for (name, checked) in [(SUBJECT, subject), (TEXT, text), (HTML, html)] {
            match checked {
                Err(error) => self.insert(error.fault(), language, style),
                Ok(problems) => problems.into_iter().for_each(|problem| {
                    let (file, line) = locate(&templates, name, problem.needle.as_deref());
                    self.insert(Fault::new(&file, line, problem.text), language, style);
                }),
            }
        }
    }

    fn insert(&mut self, fault: Fault, language: Language, style: MailStyle) {
        self.0.entry(fault).or_insert(Some((language, style)));
    }
}

/// Finds `needle` in the template `name` or in a template that it could include, and returns the file and the line. If
/// there is no `needle`, or none of these templates contains it, returns the file of the template `name` and line 0.
fn locate(templates: &Templates, name: &str, needle: Option<&str>) -> (String, usize) {
    let line = |text: &str| {
        let needle = needle?.to_lowercase();
        text.lines().position(|line| line.to_lowercase().contains(&needle)).map(|position| position + 1)
    };
    let is_main = |other: &str| [SUBJECT, TEXT, HTML].contains(&other);
    let (itself, others): (Vec<_>, Vec<_>) = templates.sources().partition(|source| source.name == name);
    let mut sources = itself.into_iter().chain(others.into_iter().filter(|source| !is_main(&source.name)));
    let found = sources.find_map(|source| line(&source.text).map(|line| (source.file.clone(), line)));
    found.unwrap_or_else(|| (templates.file(name).to_owned(), 0))
}

fn problems_of_subject(subject: &str) -> Vec<Problem> {
    let mut problems = vec![];
    if subject.is_empty() {
        problems.push(Problem::new("The subject is empty."));
    }
    if subject.contains(char::is_control) {
        problems.push(Problem::new("The subject is not a single line."));
    }
    if subject.contains("://") || subject.contains(CODE) {
        problems.push(Problem::new("The subject contains a link or a code."));
    }
    problems.extend(unresolved(subject));
    problems
}

fn problems_of_text(text: &str, style: MailStyle, support: Option<&Support>) -> Vec<Problem> {
    let mut problems = problems_of_body(text, style);
    let lines = text.lines().filter(|line| *line == LINK).count();
    if style.has_link() && (lines, text.matches(LINK).count()) != (1, 1) {
        problems.push(Problem::at("link }}", "The link must appear exactly once, alone on its line."));
    }
    let without_link = text.replace(LINK, "").replace(support.map_or("\0", Support::text), "");
    if without_link.contains("://") {
        problems.push(Problem::at("://", "The text contains a URL other than the link."));
    }
    problems
}

fn problems_of_html(html: &str, style: MailStyle, brand: &Brand) -> Vec<Problem> {
    let support = brand.support.as_ref().map(Support::href);
    let logo = brand.logo.as_ref().map(Logo::source);
    let allowed = Allowed { link: style.has_link(), support: support.as_deref(), logo: logo.as_deref() };
    let mut problems = check_html::problems(html, &allowed);
    problems.extend(problems_of_body(html, style));
    if html.len() > MAX_HTML {
        problems.push(Problem::new("The HTML is larger than 100 KB: Gmail cuts off such mails."));
    }
    problems
}

/// Checks the rules that apply to both the text body and the HTML body.
fn problems_of_body(body: &str, style: MailStyle) -> Vec<Problem> {
    let mut problems = unresolved(body);
    let codes = body.matches(CODE).count();
    if codes != usize::from(style.has_code()) {
        let problem =
            if style.has_code() { "The code must appear exactly once" } else { "The mail must not show a code" };
        let times = if codes == 1 { "once".to_owned() } else { format!("{codes} times") };
        problems.push(Problem::at("code }}", format!("{problem}, but it appears {times}.")));
    }
    let is_beside = |piece: &str| piece.contains(LINK) || piece.contains(&escape(LINK)) || piece.contains(CODE);
    let pieces = body.split(['\n', '<', '>']).filter(|piece| is_beside(piece));
    if pieces.clone().any(|piece| piece.contains(is_format_character)) {
        problems.push(Problem::new("An invisible character is next to the link or the code."));
    }
    problems
}

/// Finds placeholders that were not replaced.
fn unresolved(text: &str) -> Vec<Problem> {
    let placeholder =
        ["{{", "{%", "{ $", "{$", "%recipient"].into_iter().find(|placeholder| text.contains(placeholder));
    let problem = |placeholder| Problem::at(placeholder, format!("`{placeholder}` was not replaced."));
    placeholder.map(problem).into_iter().collect()
}
