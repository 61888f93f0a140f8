//! Derives the anchors by which links refer to the headings of a Markdown document.

use std::collections::HashMap;

use crate::prose;

/// The anchors of a document's headings, as GitHub and other forges derive them.
pub(crate) fn anchors(document: &str) -> Vec<String> {
    let mut seen: HashMap<String, u32> = HashMap::new();
    let headings = prose(document).filter_map(|line| {
        let text = line.trim_start_matches('#');
        (text.len() < line.len()).then(|| text.strip_prefix(' ')).flatten()
    });
    headings
        .map(|heading| {
            let anchor = anchor(heading);
            let times = seen.entry(anchor.clone()).and_modify(|times| *times += 1).or_insert(0);
            if *times == 0 { anchor } else { format!("{anchor}-{times}") }
        })
        .collect()
}

/// Keeps letters (in lower case), digits, `-` and `_`, replaces spaces with `-`, and removes everything else.
fn anchor(heading: &str) -> String {
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|character| match character {
            ' ' => Some('-'),
            '-' | '_' => Some(character),
            _ => character.is_alphanumeric().then_some(character),
        })
        .collect()
}

#[test]
fn anchors_match_the_ones_that_forges_generate() {
    let document =
        "# What is promised, and what is not\n## A job's `code`\n```sh\n# no heading\n```\n## Twice\n## Twice\n#tag";
    assert_eq!(anchors(document), ["what-is-promised-and-what-is-not", "a-jobs-code", "twice", "twice-1"]);
}
