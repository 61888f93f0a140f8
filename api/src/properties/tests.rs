//! Runs the properties on the fuzzers' seeds and on mixtures of words from their dictionaries.

use std::{fmt, fs, path::PathBuf};

use proptest::{char::range, collection::vec, prelude::*, sample::select};

use url::Url;

use super::{callback_next, callback_origin, client_ip, dotenv, email, json_body};
use portals::NextPrefixes;

use crate::callback::next::CallbackNext;

type Property = fn(&[u8]) -> bool;

/// Bytes that a failing test prints as an escaped string.
#[derive(Clone)]
struct Input(Vec<u8>);

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

fn fuzz_folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "fuzz"].iter().collect()
}

/// The names and contents of a parser's seed files.
fn seeds(parser: &str) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(fuzz_folder().join("seeds").join(parser)).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

/// The words of a parser's dictionary in libFuzzer's format: one quoted word per line, with the escapes `\\`, `\"` and
/// `\xNN`.
fn words(parser: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(fuzz_folder().join("dictionaries").join(format!("{parser}.dict"))).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| unescaped(line.strip_prefix('"').and_then(|line| line.strip_suffix('"')).unwrap())).collect()
}

fn unescaped(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word;
    while let Some(first) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&hex[..2], 16).unwrap());
            rest = &hex[2..];
        } else {
            let text = rest.strip_prefix('\\').unwrap_or(rest);
            let length = if text.len() < rest.len() { 1 } else { first.len_utf8() };
            bytes.extend_from_slice(&text.as_bytes()[..length]);
            rest = &text[length..];
        }
    }
    bytes
}

/// Sequences of dictionary words, random characters and random bytes, and seeds into which these are inserted.
fn mixtures(parser: &str) -> impl Strategy<Value = Input> + use<> {
    let word = prop_oneof![
        8 => select(words(parser)),
        1 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
        1 => (select(words(parser)), 2..40_usize).prop_map(|(word, times)| word.repeat(times)),
    ];
    let seeds: Vec<Vec<u8>> = seeds(parser).into_iter().map(|(_, seed)| seed).collect();
    let seed_with_words =
        (select(seeds), vec((any::<prop::sample::Index>(), word.clone()), 0..4)).prop_map(|(seed, words)| {
            words.into_iter().fold(seed, |mut text, (position, word)| {
                let position = position.index(text.len() + 1);
                text.splice(position..position, word);
                text
            })
        });
    prop_oneof![vec(word, 0..12).prop_map(|words| words.concat()), seed_with_words].prop_map(Input)
}

/// A segment of a path, before a browser encodes it. It begins with a letter, because a segment of dots or spaces has a
/// special meaning.
fn segment() -> impl Strategy<Value = String> {
    let signs: Vec<char> = "-._~!$&'()*+,;=:@%?#\"<>{}|^`[] \u{a0}\u{202f}❤\u{fe0f}€½".chars().collect();
    let letters = prop_oneof![range('a', 'z'), range('0', '9'), range('à', 'ö'), range('а', 'я'), range('あ', 'ん')];
    let first = prop_oneof![range('a', 'z'), range('一', '龥')];
    (first, vec(prop_oneof![letters, select(signs)], 0..12))
        .prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect::<String>())
        // A percent sign must not begin an escape: `%2500`, for example, is refused, because it could be decoded to a
        // NUL.
        .prop_map(|segment| segment.replace('%', "%-"))
}

#[test]
fn every_seed_satisfies_its_property_and_is_accepted_or_rejected_as_its_file_name_indicates() {
    let parsers: [(&str, Property); 6] = [
        ("email", email),
        ("callback_origin", callback_origin),
        ("callback_next", callback_next),
        ("client_ip", client_ip),
        ("json_body", json_body),
        ("dotenv", dotenv),
    ];
    for (parser, property) in parsers {
        for (name, seed) in seeds(parser) {
            let verdict = name.split('-').next().unwrap();
            assert!(matches!(verdict, "taken" | "refused"), "{parser}/{name}");
            assert_eq!(property(&seed), verdict == "taken", "{parser}/{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn an_accepted_address_is_one_recipient(input in mixtures("email")) {
        email(&input.0);
    }

    #[test]
    fn a_resolved_origin_is_allowed(input in mixtures("callback_origin")) {
        callback_origin(&input.0);
    }

    #[test]
    fn an_accepted_destination_stays_inside_the_portal(input in mixtures("callback_next")) {
        callback_next(&input.0);
    }

    #[test]
    fn a_client_cannot_choose_its_own_address(input in mixtures("client_ip")) {
        client_ip(&input.0);
    }

    #[test]
    fn a_json_body_has_only_one_reading(input in mixtures("json_body")) {
        json_body(&input.0);
    }

    #[test]
    fn a_setting_is_read_as_it_was_written(input in mixtures("dotenv")) {
        dotenv(&input.0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_path_and_query_of_any_page_are_accepted(
        segments in vec(segment(), 0..4),
        query in "\\?[a-z0-9&=%+-]{0,20}|",
    ) {
        let mut page = Url::parse("https://portal.example.com").unwrap();
        page.path_segments_mut().unwrap().clear().extend(segments);
        let place = page.path().to_owned() + &query.replace('%', "%20");
        let next = CallbackNext::parse(&place, None, &NextPrefixes::default()).map(|next| next.to_string());
        prop_assert_eq!(next.as_ref(), Ok(&place));
        callback_next(place.as_bytes());
    }
}
