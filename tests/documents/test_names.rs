//! Checks that the tests mentioned in documents exist. If a promise refers to a test that was renamed or deleted,
//! nothing proves the promise.

use std::{collections::HashSet, fs};

use crate::{files, prose, workspace};

/// A name in running text is treated as a test's name if it has at least this many words. Names of settings, codes and
/// columns have fewer words.
const MIN_WORDS: usize = 5;

#[test]
fn every_test_that_a_document_mentions_exists() {
    let guarantees = fs::read_to_string(workspace().join("docs/guarantees.md")).unwrap();
    let mut named = named_tests(&guarantees);
    assert!(named.len() > 100, "{named:?}");
    for decision in files(&workspace().join("docs/decisions"), "md") {
        named.extend(named_tests(&fs::read_to_string(decision).unwrap()));
    }
    let tests = all_tests();
    let missing: Vec<&String> = named.iter().filter(|name| !tests.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_promise_has_a_test() {
    let guarantees = fs::read_to_string(workspace().join("docs/guarantees.md")).unwrap();
    let rows: Vec<&str> = prose(&guarantees).filter(|line| line.starts_with("| ") && line.ends_with('|')).collect();
    assert!(rows.len() > 50, "{rows:?}");
    // The first row is the table's header.
    let unproved: Vec<&&str> = rows.iter().skip(1).filter(|row| named_tests(row).is_empty()).collect();
    assert!(unproved.is_empty(), "{unproved:#?}");
}

/// The tests that a document mentions. In the last column of a table, any name with at least two words counts as a
/// test's name; elsewhere, only a name with at least [`MIN_WORDS`] words does.
fn named_tests(document: &str) -> Vec<String> {
    let names = prose(document).flat_map(|line| {
        let proofs = line.strip_suffix('|').and_then(|row| row.rsplit_once('|')).map_or("", |(_, proofs)| proofs);
        let elsewhere = &line[..line.len() - proofs.len()];
        names_in_code(proofs, 2).chain(names_in_code(elsewhere, MIN_WORDS))
    });
    names.map(str::to_owned).collect()
}

/// The names in inline code that have at least `min_words` words.
fn names_in_code(text: &str, min_words: usize) -> impl Iterator<Item = &str> {
    let code = text.split('`').skip(1).step_by(2);
    code.filter(move |name| {
        let is_name = name.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase() || byte.is_ascii_digit());
        is_name && name.split('_').count() >= min_words
    })
}

/// The names of all tests in the source, except for ignored ones.
fn all_tests() -> HashSet<String> {
    let sources = files(workspace(), "rs").into_iter().map(|file| fs::read_to_string(file).unwrap());
    sources.flat_map(|source| tests_in(&source)).collect()
}

fn tests_in(source: &str) -> Vec<String> {
    let (mut found, mut is_test) = (Vec::new(), false);
    for line in source.lines().map(str::trim) {
        if line == "#[test]" || line.starts_with("#[tokio::test") {
            is_test = true;
        } else if line.starts_with("#[ignore") {
            is_test = false;
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            found.extend(rest.split_once('(').map(|(name, _)| name.to_owned()));
            is_test = false;
        }
    }
    found
}

#[test]
fn only_functions_that_run_as_tests_are_found() {
    let source = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test(flavor = \"multi_thread\")]\nasync fn two() {}\n\
                  #[test]\n#[ignore = \"slow\"]\nfn three() {}\n";
    assert_eq!(tests_in(source), ["one", "two"]);
}

#[test]
fn names_in_the_last_column_and_long_names_elsewhere_count_as_tests() {
    let document = "| `callback_next` stays. | `a_test`, model: `b_test`, `just ha-test` |\n\
                    See `job_listener` and `the_name_of_a_test`.";
    assert_eq!(named_tests(document), ["a_test", "b_test", "the_name_of_a_test"]);
}
