//! Checks the links from documents to other documents, to their headings and to files in the repository. Also checks
//! the headings that the programs' messages and the alerts mention.

use std::{fs, path::Path};

use crate::{files, headings::anchors, prose, workspace};

#[test]
fn every_link_leads_to_an_existing_file_and_heading() {
    let documents = files(workspace(), "md");
    assert!(documents.len() > 15, "{documents:?}");
    let broken: Vec<String> = documents.iter().flat_map(|document| broken_links(document)).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_heading_that_a_program_or_an_alert_mentions_exists() {
    let sources =
        ["api/src", "outbox/src", "program/src", "worker/src"].map(|folder| files(&workspace().join(folder), "rs"));
    let texts = sources.concat().into_iter().chain(files(&workspace().join("deploy"), "yaml"));
    let texts: Vec<String> = texts.map(|file| fs::read_to_string(file).unwrap()).collect();
    let named: Vec<&str> = texts.iter().flat_map(|text| named_headings(text)).collect();
    assert!(named.len() > 20, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|target| !leads(&workspace().join("README.md"), target)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

/// The headings of documents that `text` mentions, such as `docs/operating.md#metrics-and-alerts`.
fn named_headings(text: &str) -> Vec<&str> {
    let targets = text.match_indices("docs/").map(|(at, _)| &text[at..]);
    let targets =
        targets.filter_map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && !"/._-#".contains(c)).next());
    let targets = targets.map(|target| target.trim_end_matches('.'));
    // Skip a target that ends with `#`, because a program adds the heading at run time.
    targets.filter(|target| target.contains(".md#") && !target.ends_with('#')).collect()
}

/// The broken links in a document, each with the document's path. Links to other servers and to mail addresses are not
/// checked.
fn broken_links(document: &Path) -> Vec<String> {
    let text = fs::read_to_string(document).unwrap();
    let is_broken =
        |target: &&str| !target.contains("://") && !target.starts_with("mailto:") && !leads(document, target);
    // Remove inline code from whole paragraphs, because it may continue on the next line.
    let paragraphs = prose(&text).collect::<Vec<_>>().join("\n");
    let paragraphs: Vec<String> = paragraphs.split("\n\n").map(without_code).collect();
    let targets = paragraphs.iter().flat_map(|paragraph| targets(paragraph));
    targets.filter(is_broken).map(|target| format!("{}: {target}", document.display())).collect()
}

/// Whether a relative link points to an existing file and, if the link has an anchor, to an existing heading in that
/// file.
fn leads(document: &Path, target: &str) -> bool {
    let (path, heading) = target.split_once('#').map_or((target, None), |(path, heading)| (path, Some(heading)));
    let file = if path.is_empty() { document.to_owned() } else { document.parent().unwrap().join(path) };
    match heading {
        None => file.exists(),
        Some(heading) => {
            fs::read_to_string(file).is_ok_and(|text| anchors(&text).iter().any(|anchor| anchor == heading))
        }
    }
}

/// The targets of the links and images in `text`: `[text](target)` and `[text](target "title")`.
fn targets(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.filter_map(|(target, _)| target.split_whitespace().next())
}

/// Removes inline code from `text`.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("")
}

#[test]
fn a_link_to_a_missing_file_or_heading_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let (document, other) = (folder.path().join("document.md"), folder.path().join("other.md"));
    fs::write(&other, "# One thing\n").unwrap();
    let text = "# Here\n[a](other.md) ![b](other.md#one-thing \"title\"), [`c`](#here) [d](https://example.com/x)\n\
                [e](missing.md) and [f](other.md#another-thing), [g](#there)\n\
                `[h](code.md)` and `code\n[j](code.md)`\n```\n[i](block.md)\n```\n";
    fs::write(&document, text).unwrap();
    let found = broken_links(&document);
    let expected = ["missing.md", "other.md#another-thing", "#there"];
    assert_eq!(found, expected.map(|target| format!("{}: {target}", document.display())));
}

#[test]
fn headings_are_found_in_messages() {
    let text = "See docs/one.md#a-b. Or {\"docs/two.md#c\"}, docs/three.md, docs/four.md#{anchor} and docs/five.js#d";
    assert_eq!(named_headings(text), ["docs/one.md#a-b", "docs/two.md#c"]);
}
