//! Tests of messages in parts, and of values that look like markup or Fluent syntax.

use proptest::prelude::*;
use words::{Language, Part, Value, Words};

fn text(text: &str) -> Part<'static> {
    Part::Text(text.to_owned())
}

#[test]
fn a_template_gets_words_and_values_as_separate_parts() {
    let words = Words::built_in();
    let address = ("address", Value::Text("ann@example.com"));
    let value = Part::Value { name: "address", text: "ann@example.com" };
    assert_eq!(
        words.parts(Language::GERMAN, "confirm-as", &[address]),
        Ok(vec![text("Sie melden sich gleich als "), value.clone(), text(" an.")])
    );
    assert_eq!(words.parts(Language::ENGLISH, "confirm-button-as", &[address]), Ok(vec![text("Sign in as "), value]));
    assert_eq!(words.parts(Language::ENGLISH, "confirm-button", &[address]), Ok(vec![text("Sign in")]));
}

#[test]
fn a_value_is_never_parsed_as_part_of_the_message() {
    let words = Words::built_in();
    for hostile in ["{ $date }", "<b>", "\u{fdd0}", "\u{2068}", "", "\n", "&amp;"] {
        let args = [("host", Value::Text(hostile))];
        let parts = words.parts(Language::ENGLISH, "mail-heading", &args).unwrap();
        assert_eq!(parts, [text("Sign in to "), Part::Value { name: "host", text: hostile }]);
        assert_eq!(words.text(Language::ENGLISH, "mail-heading", &args).unwrap(), format!("Sign in to {hostile}"));
    }
}

#[test]
fn values_are_isolated_only_in_right_to_left_languages() {
    let words = Words::built_in();
    let args = [("host", Value::Text("portal.example.com"))];
    let heading = |language| words.text(language, "mail-heading", &args).unwrap();
    for language in [Language::ENGLISH, Language::GERMAN, Language::FRENCH, Language::SPANISH] {
        assert!(!heading(language).contains(['\u{2068}', '\u{2069}']), "{language}");
    }
    assert!(heading(Language::ARABIC).ends_with("\u{2068}portal.example.com\u{2069}"));
}

proptest! {
    #[test]
    fn any_value_is_returned_unchanged(host in ".*", time in ".*") {
        let words = Words::built_in();
        let args = [("host", Value::Text(&host)), ("time", Value::Text(&time))];
        for language in Language::ALL {
            let parts = words.parts(language, "mail-subject-link", &args).unwrap();
            let values = parts.iter().filter_map(|part| match part {
                Part::Value { name, text } => Some((*name, Value::Text(text))),
                Part::Text(_) => None,
            });
            prop_assert_eq!(values.collect::<Vec<_>>(), args.to_vec());
        }
    }
}
