//! The compiled MiniJinja templates for mails in one language. An undefined name is an error, and an instruction limit
//! (fuel) stops a template that never ends.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    error::Error as _,
    sync::{Arc, LazyLock},
};

use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value};
use words::Fault;

use super::{markup::escape, template_uses::only_shows_secrets};

/// The template for the subject.
pub(crate) const SUBJECT: &str = "subject.txt";
/// The template for the plain-text body.
pub(crate) const TEXT: &str = "sign_in.txt";
/// The template for the HTML body.
pub(crate) const HTML: &str = "sign_in.html";

/// The built-in templates.
pub(crate) const BUILT_IN: [(&str, &str); 3] = [
    (SUBJECT, include_str!("../../templates/subject.txt")),
    (TEXT, include_str!("../../templates/sign_in.txt")),
    (HTML, include_str!("../../templates/sign_in.html")),
];

/// Maximum number of instructions that a template may execute. The built-in HTML template needs about 500.
const FUEL: u64 = 100_000;

/// The source of a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TemplateSource {
    /// The name by which other templates include this template, such as `footer.html`.
    pub name: String,
    /// The path of the template's file, for error messages.
    pub file: String,
    /// The text of the template.
    pub text: Arc<str>,
}

/// Compiled templates. Threads can share them.
pub(crate) struct Templates {
    environment: Environment<'static>,
    sources: BTreeMap<String, TemplateSource>,
    only_shows_secrets: bool,
}

/// Why a template cannot be rendered.
#[derive(Debug, thiserror::Error)]
#[error("{file}:{line}: {kind}")]
pub(crate) struct TemplateError {
    /// The file.
    pub file: String,
    /// The line, counted from 1; 0 if unknown.
    pub line: usize,
    /// The kind of error. Contains no values from the mail.
    pub kind: ErrorKind,
    /// More details. They may include values from the mail, so a delivery must not log them.
    pub detail: String,
}

impl TemplateError {
    /// Converts the error to a fault in an operator's file, with all details.
    pub(crate) fn fault(&self) -> Fault {
        let Self { file, line, kind, detail } = self;
        let problem = match kind {
            ErrorKind::OutOfFuel => "The template does not finish, or does far too much work.".to_owned(),
            _ if detail.is_empty() => format!("{kind}."),
            _ => format!("{kind}: {detail}."),
        };
        Fault::new(file, *line, problem)
    }
}

impl Templates {
    /// The built-in templates.
    pub(crate) fn built_in() -> Arc<Self> {
        static TEMPLATES: LazyLock<Arc<Templates>> = LazyLock::new(|| {
            let templates = Templates::compile(built_in_sources());
            Arc::new(templates.unwrap_or_else(|faults| unreachable!("a built-in template is broken: {faults:?}")))
        });
        Arc::clone(&TEMPLATES)
    }

    /// Compiles templates.
    ///
    /// # Errors
    /// All syntax errors, one for each broken template.
    pub(crate) fn compile(sources: Vec<TemplateSource>) -> Result<Self, Vec<Fault>> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(format_value);
        environment.set_fuel(Some(FUEL));
        environment.remove_global("debug");
        let sources: BTreeMap<_, _> = sources.into_iter().map(|source| (source.name.clone(), source)).collect();
        let mut faults = vec![];
        for source in sources.values() {
            let text: Cow<'static, str> = source.text.to_string().into();
            if let Err(error) = environment.add_template_owned(source.name.clone(), text) {
                faults.push(explain(&error, &source.file, &sources).fault());
            }
        }
        let only_shows_secrets = sources.values().all(|source| only_shows_secrets(&source.text));
        if faults.is_empty() { Ok(Self { environment, sources, only_shows_secrets }) } else { Err(faults) }
    }

    /// Whether mails that differ only in their links and codes are known to have the same text around the links and
    /// codes.
    pub(super) fn only_shows_secrets(&self) -> bool {
        self.only_shows_secrets
    }

    /// Renders a template.
    ///
    /// # Errors
    /// The template does not exist or cannot be rendered.
    pub(crate) fn render(&self, name: &str, variables: Value) -> Result<String, TemplateError> {
        let rendered = self.environment.get_template(name).and_then(|template| template.render(variables));
        rendered.map_err(|error| explain(&error, self.file(name), &self.sources))
    }

    /// The path of a template's file, or `name` if there is no such template.
    pub(crate) fn file<'a>(&'a self, name: &'a str) -> &'a str {
        self.sources.get(name).map_or(name, |source| &source.file)
    }

    /// The sources of all templates, sorted by name.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &TemplateSource> {
        self.sources.values()
    }
}

/// The sources of the built-in templates.
pub(crate) fn built_in_sources() -> Vec<TemplateSource> {
    let source = |(name, text): (&str, &'static str)| TemplateSource {
        name: name.to_owned(),
        file: format!("built-in {name}"),
        text: text.into(),
    };
    BUILT_IN.map(source).into()
}

/// Writes a value, escaped if the template is HTML. Rejects `none`: a template must first test whether the mail has the
/// value.
fn format_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Err(Error::new(
            ErrorKind::UndefinedError,
            "this mail does not have this value, so test for it with `if` first",
        ));
    }
    match state.auto_escape() {
        AutoEscape::Html if !value.is_safe() => {
            let text = value.as_str().map_or_else(|| Cow::Owned(value.to_string()), Cow::Borrowed);
            Ok(out.write_str(&escape(&text))?)
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

/// Returns the innermost error. If an included template fails, the template that includes it fails too, but only the
/// innermost error has the right file and line.
fn explain(error: &Error, file: &str, sources: &BTreeMap<String, TemplateSource>) -> TemplateError {
    let mut innermost = error;
    while let Some(cause) = innermost.source().and_then(|cause| cause.downcast_ref::<Error>()) {
        innermost = cause;
    }
    let named = innermost.name().and_then(|name| sources.get(name)).map(|source| source.file.as_str());
    TemplateError {
        file: named.unwrap_or(file).to_owned(),
        line: innermost.line().unwrap_or_default(),
        kind: innermost.kind(),
        detail: innermost.detail().unwrap_or_default().to_owned(),
    }
}
