//! Lists the messages and terms of a catalogue, and what each of them refers to.

use std::collections::BTreeSet;

use fluent_syntax::ast::{CallArguments, Entry, Expression, InlineExpression, Pattern, PatternElement};

/// A message or a term.
#[derive(Debug)]
pub(crate) struct CatalogueEntry<'s> {
    /// The id of the message or the term, without a term's leading dash.
    pub id: &'s str,
    /// Whether the entry is a term, which only other entries can use.
    pub is_term: bool,
    /// Whether the entry has text.
    pub has_value: bool,
    /// Whether the entry has attributes (`.title = …`).
    pub has_attributes: bool,
    /// What the entry's text and its attributes refer to.
    pub uses: Uses<'s>,
}

impl CatalogueEntry<'_> {
    /// The id as written in the catalogue, with a term's leading dash.
    pub(crate) fn name(&self) -> String {
        format!("{}{}", if self.is_term { "-" } else { "" }, self.id)
    }
}

/// The names that a message or a term refers to.
#[derive(Debug, Default)]
pub(crate) struct Uses<'s> {
    /// The arguments that are shown or that select a plural form.
    pub arguments: BTreeSet<&'s str>,
    /// The arguments that select a plural form.
    pub selectors: BTreeSet<&'s str>,
    /// Other messages.
    pub messages: BTreeSet<&'s str>,
    /// Terms.
    pub terms: BTreeSet<&'s str>,
    /// Functions.
    pub functions: BTreeSet<&'s str>,
}

/// The messages and terms of a parsed catalogue.
pub(crate) fn entries<'s>(parsed: impl Iterator<Item = &'s Entry<&'s str>>) -> Vec<CatalogueEntry<'s>> {
    parsed.filter_map(entry).collect()
}

fn entry<'s>(entry: &'s Entry<&'s str>) -> Option<CatalogueEntry<'s>> {
    let (id, is_term, value, attributes) = match entry {
        Entry::Message(message) => (&message.id, false, message.value.as_ref(), &message.attributes),
        Entry::Term(term) => (&term.id, true, Some(&term.value), &term.attributes),
        Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) | Entry::Junk { .. } => return None,
    };
    let mut uses = Uses::default();
    for pattern in value.into_iter().chain(attributes.iter().map(|attribute| &attribute.value)) {
        uses.read_pattern(pattern);
    }
    let (has_value, has_attributes) = (value.is_some(), !attributes.is_empty());
    Some(CatalogueEntry { id: id.name, is_term, has_value, has_attributes, uses })
}

impl<'s> Uses<'s> {
    fn read_pattern(&mut self, pattern: &'s Pattern<&'s str>) {
        for element in &pattern.elements {
            if let PatternElement::Placeable { expression } = element {
                self.read_expression(expression);
            }
        }
    }

    fn read_expression(&mut self, expression: &'s Expression<&'s str>) {
        match expression {
            Expression::Inline(inline) => self.read_inline(inline),
            Expression::Select { selector, variants } => {
                if let InlineExpression::VariableReference { id } = selector {
                    self.selectors.insert(id.name);
                }
                self.read_inline(selector);
                for variant in variants {
                    self.read_pattern(&variant.value);
                }
            }
        }
    }

    fn read_inline(&mut self, inline: &'s InlineExpression<&'s str>) {
        match inline {
            InlineExpression::StringLiteral { .. } | InlineExpression::NumberLiteral { .. } => {}
            InlineExpression::VariableReference { id } => {
                self.arguments.insert(id.name);
            }
            InlineExpression::MessageReference { id, .. } => {
                self.messages.insert(id.name);
            }
            InlineExpression::TermReference { id, arguments, .. } => {
                self.terms.insert(id.name);
                arguments.iter().for_each(|arguments| self.read_call(arguments));
            }
            InlineExpression::FunctionReference { id, arguments } => {
                self.functions.insert(id.name);
                self.read_call(arguments);
            }
            InlineExpression::Placeable { expression } => self.read_expression(expression),
        }
    }

    fn read_call(&mut self, arguments: &'s CallArguments<&'s str>) {
        arguments.positional.iter().for_each(|argument| self.read_inline(argument));
        arguments.named.iter().for_each(|argument| self.read_inline(&argument.value));
    }
}
