//! Writes a message as HTML: escapes its text, and marks up its values.

use std::fmt::Write as _;

use words::Part;

/// Escapes text for HTML elements and attributes. Writes `&` as `&amp;`, which even a very simple HTML parser decodes.
/// Does not escape slashes, so that links stay readable.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    push_escaped(&mut escaped, text);
    escaped
}

fn push_escaped(html: &mut String, text: &str) {
    let mut rest = text;
    while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
        html.push_str(&rest[..at]);
        html.push_str(match rest.as_bytes()[at] {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => "&#39;",
        });
        rest = &rest[at + 1..];
    }
    html.push_str(rest);
}

/// How the values of a message are marked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Marks {
    /// The host and the expiry are bold, and the expiry and the lifetime are never broken across lines.
    Bold,
    /// Nothing is bold, and values can be broken across lines.
    Plain,
}

/// How messages are written as HTML.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Markup<'a> {
    pub marks: Marks,
    pub is_right_to_left: bool,
    /// The link target for the `support` value.
    pub support: Option<&'a str>,
}

/// Appends a message. In a right-to-left language, each value is isolated from the direction of the text around it.
pub(crate) fn push_message(html: &mut String, parts: &[Part<'_>], markup: Markup<'_>) {
    for part in parts {
        match part {
            Part::Text(text) => push_escaped(html, text),
            Part::Value { name, text } => push_value(html, name, text, markup),
        }
    }
}

fn push_value(html: &mut String, name: &str, text: &str, markup: Markup<'_>) {
    let Markup { marks, is_right_to_left, support } = markup;
    let (element, attributes) = match (name, marks) {
        ("until" | "until-date", Marks::Bold) => {
            ("strong", " class=\"strong\"{dir} style=\"color:#14181f;white-space:nowrap;\"")
        }
        ("lifetime", Marks::Bold) => ("span", "{dir} style=\"white-space:nowrap;\""),
        ("host", Marks::Bold) => ("strong", " class=\"strong\"{dir} style=\"color:#14181f;overflow-wrap:anywhere;\""),
        ("support", _) => ("a", "{dir} class=\"faint\" style=\"color:#5d6875;overflow-wrap:anywhere;\""),
        _ if is_right_to_left => ("span", "{dir}"),
        _ => return push_escaped(html, text),
    };
    let direction = match (is_right_to_left, name) {
        (false, _) => "",
        (true, "host" | "support") => " dir=\"ltr\"",
        (true, _) => " dir=\"auto\"",
    };
    let target = match (name, support) {
        ("support", Some(target)) => format!(" href=\"{}\"", escape(target)),
        _ => String::new(),
    };
    // Writing to a string cannot fail.
    let _ = write!(html, "<{element}{target}{}>", attributes.replace("{dir}", direction));
    push_escaped(html, text);
    let _ = write!(html, "</{element}>");
}
