//! Checks that a template does nothing with the link and the code except show them unchanged or test whether the mail
//! has them. The rest of the mail then does not depend on their values, which `prerendered` relies on.
//!
//! Parses tags in the same way as MiniJinja, and accepts only what is known to be harmless. A template that is rejected
//! unnecessarily is rendered anew for each mail, which is slower but still correct.

use super::prerendered::is_reserved;

/// The variables that differ between otherwise identical mails.
const SECRETS: [&str; 3] = ["link", "code", "spelled_code"];

/// Names that give access to the output of a block or of a loop's body, which may contain a secret.
const CAPTURES: [&str; 4] = ["self", "super", "caller", "recursive"];

/// Statements that output their body unchanged or have no body. Other statements, such as `filter`, `macro` and
/// `import`, can change text that contains a secret.
const STATEMENTS: [&str; 13] = [
    "if", "elif", "else", "endif", "for", "endfor", "with", "endwith", "include", "extends", "block", "endblock", "set",
];

/// Whether a template uses secrets only to show them, as in `{{ link }}`, or to test for them, as in `{% if link %}`.
/// Returns false when in doubt.
pub(super) fn only_shows_secrets(template: &str) -> bool {
    if template.contains(is_reserved) {
        return false;
    }
    let mut rest = template;
    while let Some(start) = rest.find('{') {
        let (kind, inside) = rest[start + 1..].split_at_checked(1).unwrap_or_default();
        let end = match kind {
            "#" => inside.find("#}").map(|end| end + 2),
            "{" => harmless_length(inside, "}}", is_harmless_variable),
            "%" => harmless_length(inside, "%}", is_harmless_statement),
            _ => {
                rest = &rest[start + 1..];
                continue;
            }
        };
        let Some(end) = end else { return false };
        rest = &inside[end..];
    }
    true
}

/// The length of a tag including its end, if the tag is harmless. In the tokens passed to `is_harmless`, a `"` stands
/// for a whole string.
fn harmless_length(inside: &str, end: &str, is_harmless: fn(&[&str]) -> bool) -> Option<usize> {
    let mut tokens = vec![];
    let mut rest = inside.strip_prefix(['-', '+']).unwrap_or(inside);
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix(end) {
            if let Some(&("-" | "+")) = tokens.last() {
                tokens.pop();
            }
            return is_harmless(&tokens).then(|| inside.len() - after.len());
        }
        let first = rest.chars().next()?;
        let length = match first {
            '"' | '\'' => {
                let text = &rest[1..];
                let length = text.find(first).filter(|length| !text[..*length].contains('\\'))?;
                tokens.push("\"");
                rest = &text[length + 1..];
                continue;
            }
            // Reject all braces: those of a literal such as `{"a": {}}` do not end the tag.
            '{' | '}' => return None,
            _ if is_word(first) => rest.find(|character| !is_word(character)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        tokens.push(&rest[..length]);
        rest = &rest[length..];
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn is_harmless_variable(tokens: &[&str]) -> bool {
    matches!(tokens, [name] if SECRETS.contains(name)) || has_no_secret(tokens)
}

fn is_harmless_statement(tokens: &[&str]) -> bool {
    match tokens {
        // `and`, `or` and `not` only test whether a value is present.
        ["if" | "elif", condition @ ..] if !has_no_secret(condition) => condition.iter().all(|token| {
            SECRETS.contains(token) || ["and", "or", "not", "logo", "support", "portal", "rtl"].contains(token)
        }),
        // Without `=`, `set` captures its body, which may contain a secret.
        ["set", rest @ ..] if !matches!(rest, [_, "=", ..]) => false,
        [statement, rest @ ..] => STATEMENTS.contains(statement) && has_no_secret(rest),
        [] => false,
    }
}

fn has_no_secret(tokens: &[&str]) -> bool {
    !tokens.iter().any(|token| SECRETS.contains(token) || CAPTURES.contains(token))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::templates::BUILT_IN;

    #[test]
    fn the_built_in_templates_only_show_the_link_and_the_code() {
        for (name, text) in BUILT_IN {
            assert!(only_shows_secrets(text), "{name}");
        }
    }

    #[test]
    fn showing_and_testing_the_link_is_harmless() {
        for template in [
            "",
            "{ link } {",
            "{{link}}",
            "{{- link -}} {{+ code +}}",
            "{# {{ link|upper }} #}{#}{{ code[0] }}#}",
            "{% if link %}{{ link }}{% elif code and not link or logo %}{{ spelled_code }}{% else %}x{% endif %}",
            "{%- if not code -%}{%- endif -%}",
            "{{ message(\"mail-request-link\") }}{{ line('code') }}{{ \"}} link\" }}",
            "{{ 'a' if style == \"code\" else host|upper }}",
            "{% set x = 1 %}{% for y in [1, 2] %}{{ loop.index }}{{ link }}{% endfor %}",
            "{% extends \"page.html\" %}{% block body %}{{ link }}{% endblock %}{% include 'link.html' %}",
            "{% with x = links %}{{ x }}{% endwith %}",
        ] {
            assert!(only_shows_secrets(template), "{template}");
        }
    }

    #[test]
    fn a_template_that_could_change_the_link_is_refused() {
        for template in [
            "{{ link|upper }}",
            "{{ link[:9] }}",
            "{{ link ~ code }}",
            "{{ (link) }}",
            "{{ -link }}",
            "{{ \"a\" if link else \"b\" }}",
            "{{ message(link) }}",
            "{{ '}}' ~ link }}",
            "{{ \"\\\"\" ~ link }}",
            "{{ {\"a\": {\"b\": link}} }}",
            "{{ link",
            "{{ 'link }}",
            "{% if link == \"x\" %}{% endif %}",
            "{% if \"x\" in link %}{% endif %}",
            "{% if link is defined %}{% endif %}",
            "{% if f(link) %}{% endif %}",
            "{% if link and code.length %}{% endif %}",
            "{% if link if link else code %}{% endif %}",
            "{% set x = link %}",
            "{% set link = 1 %}",
            "{% set x %}{{ link }}{% endset %}",
            "{% set x|replace(a=1) %}{{ link }}{% endset %}",
            "{% for digit in code %}{% endfor %}",
            "{% for x in y recursive %}{{ link }}{% endfor %}",
            "{% filter upper %}{{ link }}{% endfilter %}",
            "{% autoescape false %}{{ link }}{% endautoescape %}",
            "{% macro button() %}{{ link }}{% endmacro %}",
            "{% call button() %}{{ link }}{% endcall %}",
            "{% block body %}{{ link }}{% endblock %}{{ self.body()|upper }}",
            "{{ super()|upper }}",
            "{% import \"link.html\" as x %}",
            "{% from \"link.html\" import x %}",
            "{% include link %}",
            "{% do f(link) %}",
            "{% raw %}{# {% endraw %}{{ link|upper }}{# #}",
            "{% link %}",
            "{% %}",
            "{# {{ link }}",
            "{#-}{{ link|upper }}",
            "\u{fdd0}&\u{fdd1}",
        ] {
            assert!(!only_shows_secrets(template), "{template}");
        }
    }
}
