//! Finds the templates that a template includes, extends or imports.

/// A reference from one template to another by name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The referenced name, such as `footer.html`.
    pub name: String,
    /// The line of the reference, counted from 1.
    pub line: usize,
    /// Whether the reference is ignored if the template is missing (`ignore missing`).
    pub is_optional: bool,
}

/// The quoted names in `include`, `extends`, `import` and `from` tags, in order.
pub(crate) fn references(text: &str) -> Vec<Reference> {
    let mut found = vec![];
    let mut position = 0;
    while let Some(start) = text[position..].find("{%").map(|at| position + at) {
        let end = text[start..].find("%}").map_or(text.len(), |at| start + at);
        let tag = text[start + 2..end].trim_start_matches(['-', '+']).trim_start();
        if ["include", "extends", "import", "from"].contains(&tag.split_whitespace().next().unwrap_or_default()) {
            let line = text[..start].matches('\n').count() + 1;
            let is_optional = tag.contains("ignore missing");
            found.extend(quoted(tag).map(|name| Reference { name: name.to_owned(), line, is_optional }));
        }
        position = end;
    }
    found
}

/// The quoted strings in a tag, without their quotes.
fn quoted(tag: &str) -> impl Iterator<Item = &str> {
    let mut rest = tag;
    std::iter::from_fn(move || {
        let start = rest.find(['"', '\''])?;
        let quote = rest[start..].chars().next()?;
        let (text, after) = rest[start + 1..].split_once(quote)?;
        rest = after;
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_to_a_template_is_found() {
        let text = "{% extends \"base.html\" %}\n{{ \"not.html\" }}\n{%- include 'a.html' -%}{% if x == \"y\" %}\n\
                    {% include [\"b.html\", 'c.html'] ignore missing %}{% from \"d.html\" import e %}{% import \"f.html\" as f %}\n\
                    {% include \"unclosed";
        let found: Vec<_> =
            references(text).into_iter().map(|found| (found.name, found.line, found.is_optional)).collect();
        let expected = [
            ("base.html", 1, false),
            ("a.html", 3, false),
            ("b.html", 4, true),
            ("c.html", 4, true),
            ("d.html", 4, false),
            ("f.html", 4, false),
        ];
        assert_eq!(found, expected.map(|(name, line, is_optional)| (name.to_owned(), line, is_optional)));
    }
}
