//! What templates can use: the variables of one mail, and the `message` and `line` functions.

use std::{fmt, sync::Arc};

use minijinja::{
    AutoEscape, Error, ErrorKind, State, Value,
    value::{Kwargs, Object, ObjectRepr},
};

use super::{
    brand::{Brand, BrandValues},
    mail_words::MailWords,
    markup::Marks,
};

/// The values that only the body templates can use.
pub(super) struct Body {
    /// The link; `None` if the mail has only a code.
    pub link: Option<String>,
    /// The code, if the mail shows it.
    pub code: Option<String>,
    /// The rendered subject.
    pub subject: String,
}

/// The variables of one mail. Has no derived `Debug`, because it contains the link.
pub(super) struct Variables {
    pub words: Arc<MailWords>,
    pub brand: Arc<Brand>,
    pub brand_values: Arc<BrandValues>,
    /// `link`, `link-and-code` or `code`.
    pub style: &'static str,
    /// `None` for the subject template, which must never show the link or the code.
    pub body: Option<Body>,
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the variables of a mail")
    }
}

impl Object for Variables {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, name: &str) -> Option<Value> {
        let words = || Arc::clone(&self.words);
        let body = self.body.as_ref();
        Some(match name {
            "message" => Value::from_object(Message(words())),
            "line" => Value::from_object(Line(words())),
            "style" => self.style.into(),
            "host" => self.words.host().into(),
            "language" => self.words.language().tag().into(),
            "direction" => self.words.language().direction().into(),
            "rtl" => self.words.is_right_to_left().into(),
            "portal" => self.words.portal().into(),
            "button" => self.brand_values.button.clone(),
            "logo" => self.logo(),
            "support" => self.brand_values.support.clone(),
            "link" => body?.link.as_deref().into(),
            "code" => body?.code.as_deref().into(),
            "spelled_code" => body?.code.as_deref().map(spell).into(),
            "subject" => body?.subject.as_str().into(),
            _ => return None,
        })
    }
}

impl Variables {
    /// `src`, `width`, `height` and `alt` of the logo.
    fn logo(&self) -> Value {
        let Some(logo) = &self.brand.logo else { return ().into() };
        let (width, height) = logo.size();
        let alt = self.words.portal().unwrap_or(self.words.host());
        Value::from_pairs([
            ("src", Value::from(logo.source())),
            ("width", width.into()),
            ("height", height.into()),
            ("alt", alt.into()),
        ])
    }
}

/// Separates the digits of a code with spaces, so that screen readers read them one by one. Without the spaces, a
/// screen reader would read `4081726359` as a number in the billions.
pub(super) fn spell(code: &str) -> String {
    let mut spelled = String::with_capacity(2 * code.len());
    for character in code.chars() {
        if !spelled.is_empty() {
            spelled.push(' ');
        }
        spelled.push(character);
    }
    spelled
}

/// `message("id", …)`: a paragraph. In HTML, values are marked up. With `plain=true`, no value is bold. In plain text,
/// long lines are wrapped.
struct Message(Arc<MailWords>);

/// `line("id")`: one line without any markup.
struct Line(Arc<MailWords>);

impl Object for Message {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        let (ids, options) = match args.split_last() {
            Some((last, ids)) if last.is_kwargs() => (ids, Some(Kwargs::try_from(last.clone())?)),
            _ => (args, None),
        };
        let is_plain = match &options {
            Some(options) => {
                let is_plain = options.get::<Option<bool>>("plain")?.unwrap_or_default();
                options.assert_all_used()?;
                is_plain
            }
            None => false,
        };
        let ids = ids.iter().map(id).collect::<Result<Vec<_>, _>>()?;
        if ids.is_empty() {
            return Err(Error::new(ErrorKind::MissingArgument, "`message` needs the name of at least one message"));
        }
        if matches!(state.auto_escape(), AutoEscape::Html) {
            let marks = if is_plain { Marks::Plain } else { Marks::Bold };
            self.0.html(&ids, marks).map(Value::from_safe_string).map_err(broken)
        } else {
            self.0.paragraph(&ids).map(Value::from).map_err(broken)
        }
    }
}

impl Object for Line {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn call(self: &Arc<Self>, _state: &mut State<'_, '_>, args: &[Value]) -> Result<Value, Error> {
        match args {
            [message] => self.0.line(id(message)?).map(Value::from).map_err(broken),
            _ => Err(Error::new(ErrorKind::InvalidOperation, "`line` needs the name of exactly one message")),
        }
    }
}

fn id(value: &Value) -> Result<&str, Error> {
    value.as_str().ok_or_else(|| Error::new(ErrorKind::InvalidOperation, "the name of a message must be a string"))
}

fn broken(error: words::WordsError) -> Error {
    Error::new(ErrorKind::InvalidOperation, error.to_string())
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("message")
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("line")
    }
}
