//! Tests that faults in an operator's template folder are reported with the file and line.

use std::{fs, path::Path};

use super::{brand::Brand, look_set::LookSet};

const TEXT: &str = "{% if link %}{{ link }}\n{% endif %}{% if code %}{{ code }}{% endif %}\n";
const HTML: &str =
    "<!doctype html><body>\n{% if link %}<a href=\"{{ link }}\">x</a>{% endif %}\n{% if code %}{{ code }}{% endif %}";

fn shop() -> Brand {
    Brand { portal: Some("shop".to_owned()), support: Some("help@example.com".parse().unwrap()), ..Brand::default() }
}

fn read(root: &Path, files: &[(&str, &str)]) -> Result<LookSet, Vec<String>> {
    for (file, text) in files {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let root_text = format!("{}/", root.display());
    let faults =
        |faults: Vec<words::Fault>| faults.iter().map(|fault| fault.to_string().replace(&root_text, "")).collect();
    LookSet::read(root.to_str(), &[shop()]).map_err(faults)
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    read(tempfile::tempdir().unwrap().path(), files).err().unwrap_or_default()
}

/// Asserts that a folder with only this file has exactly one fault, which begins with `start` and contains `problem`.
#[track_caller]
fn assert_fault(file: &str, text: &str, start: &str, problem: &str) {
    let found = faults(&[(file, text)]);
    assert!(
        found.len() == 1 && found[0].starts_with(start) && found[0].contains(problem),
        "{start}{problem}: {found:#?}"
    );
}

#[test]
fn templates_that_follow_the_rules_are_accepted() {
    let table = "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\">\n\
                 <html xmlns=\"http://www.w3.org/1999/xhtml\"><head><meta http-equiv=\"Content-Type\" content=\"text/html\"></head>\n";
    let found = faults(&[
        ("README.md", "our mails"),
        (".git/config", "x"),
        ("subject.txt", "{{ portal or host }}\n"),
        ("sign_in.txt", TEXT),
        ("sign_in.html", &format!("{table}{HTML}{{% include 'foot.html' %}}")),
        ("foot.html", ""),
        ("portals/shop/foot.html", "<a href=\"{{ support.href }}\">{{ support.text }}</a>"),
        ("portals/shop/de/foot.html", "Fragen?"),
        ("de/sign_in.txt", &format!("Hallo\n{TEXT}")),
        ("portals/shop/it/words.ftl", "mail-button = Accedi\n"),
    ]);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_most_specific_template_for_a_portal_and_language_is_used() {
    let folder = tempfile::tempdir().unwrap();
    let mut expected = vec!["Sign in to", "root", "tag", "portal", "portal and tag"];
    let files = ["", "sign_in.txt", "de/sign_in.txt", "portals/shop/sign_in.txt", "portals/shop/de/sign_in.txt"];
    let mut written: Vec<(&str, String)> = vec![];
    for (file, name) in files.iter().zip(expected.clone()).skip(1) {
        written.push((file, format!("{name}\n{TEXT}")));
    }
    let all: Vec<(&str, &str)> = written.iter().map(|(file, text)| (*file, text.as_str())).collect();
    // Each round leaves out the most specific file of the previous round, so the next most specific file must be used.
    while let Some(name) = expected.pop() {
        let kept = all.len().min(expected.len());
        let fresh = folder.path().join(kept.to_string());
        fs::create_dir(&fresh).unwrap();
        fs::write(fresh.join("subject.txt"), "x").unwrap();
        let set = read(&fresh, &all[..kept]).unwrap_or_else(|found| panic!("{found:#?}"));
        let text = |portal: Option<&str>, language: words::Language| {
            let mail = super::sample::sample(set.of_portal(portal), language, super::sample::MailStyle::Link);
            mail.unwrap_or_else(|error| panic!("{error}")).text
        };
        let german = text(Some("shop"), words::Language::GERMAN);
        let is_built_in = name == "Sign in to";
        assert!(
            german.starts_with(if is_built_in { "Bei portal.example.com anmelden" } else { name }),
            "{name}: {german}"
        );
        let french = text(None, words::Language::FRENCH);
        assert_eq!(french.starts_with("root\n"), kept >= 1, "{french}");
    }
}

#[test]
fn mistakes_in_templates_are_reported_with_their_line() {
    for (text, line, problem) in [
        ("\n{{ lnik }}", 2, "undefined value"),
        ("{{ link }", 1, "syntax error"),
        ("\n\n{% if %}", 3, "syntax error"),
        ("{% include \"nothing.html\" %}", 1, "The template `nothing.html` does not exist."),
        ("\n{% include \"sign_in.html\" %}", 2, "recursion"),
        ("{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}", 1, "does not finish"),
        ("{{ message(\"mail-headline\") }}", 1, "the language en has no message `mail-headline`"),
        ("{{ message(\"mail-heading\", bold=true) }}", 1, "bold"),
        ("{{ message() }}", 1, "the name of at least one message"),
        ("{{ line(1) }}", 1, "the name of a message must be a string"),
        ("{{ logo.src }}", 1, "undefined value"),
        ("{{ portal }}", 1, "test for it with `if` first"),
        ("{{ x | nofilter }}", 1, "unknown filter"),
    ] {
        let found = faults(&[("sign_in.html", text)]);
        let start = format!("sign_in.html:{line}: ");
        let is_found = |fault: &String| fault.starts_with(&start) && fault.contains(problem);
        assert!(found.iter().any(is_found), "{text}: {found:#?}");
    }
}

#[test]
fn a_subject_must_be_one_line_without_a_link_or_a_code() {
    for (text, problem) in [
        ("  \n", "The subject is empty."),
        ("a\nb", "The subject is not a single line."),
        ("{{ link }}", "undefined value"),
        ("{{ code }}", "undefined value"),
        ("https://example.com", "The subject contains a link or a code."),
        ("{ $host }", "`{ $` was not replaced."),
    ] {
        let found = faults(&[("subject.txt", text)]);
        let is_found = |fault: &String| fault.starts_with("subject.txt:") && fault.contains(problem);
        assert!(found.iter().any(is_found), "{text}: {found:#?}");
    }
}

#[test]
fn the_plain_text_must_contain_the_link_alone_on_its_line_and_the_code_once() {
    for (text, start, problem) in [
        (TEXT.replace("{{ link }}", ""), "sign_in.txt:", "The link must appear exactly once, alone on its line."),
        (TEXT.replace("{{ link }}", "Click {{ link }}"), "sign_in.txt:1:", "The link must appear exactly once"),
        (TEXT.replace("{{ link }}", "{{ link }}\n{{ link }}"), "sign_in.txt:1:", "The link must appear exactly once"),
        (TEXT.replace("{{ code }}", ""), "sign_in.txt:", "The code must appear exactly once, but it appears 0 times."),
        (TEXT.replace("{{ code }}", "{{ code }} {{ code }}"), "sign_in.txt:2:", "but it appears 2 times."),
        (TEXT.replace("{{ code }}", "\u{202e}{{ code }}"), "sign_in.txt:", "An invisible character"),
        (format!("{TEXT}\nhttps://example.com"), "sign_in.txt:4:", "The text contains a URL other than the link."),
    ] {
        assert_fault("sign_in.txt", &text, start, problem);
    }
}

#[test]
fn html_must_contain_one_link_and_load_nothing() {
    for (more, problem) in [
        (
            "<a href=\"https://example.com\">x</a>",
            "the only links allowed are the sign-in link and the portal's support link",
        ),
        (
            "{% if link %}<a href='{{ link }}'>x</a>{% endif %}",
            "The link must be in exactly one `href`, but it appears in 2.",
        ),
        ("<script>1</script>", "The `<script>` element"),
        ("<IFRAME></IFRAME>", "The `<iframe>` element"),
        ("<form>", "The `<form>` element"),
        ("<p style=\"background:URL(x)\">", "`url(` does not belong"),
        ("<style>@import 'x';</style>", "`@import` does not belong"),
        ("<img src=\"x.png\">", "`src` is `x.png`"),
        ("<img src = cid:other.png>", "`src` is `cid:other.png`"),
        ("<td background=\"x.png\">", "The `background` attribute"),
        ("<p onclick=\"x\">", "The `onclick` attribute"),
        ("<meta http-equiv=\"refresh\">", "The `http-equiv` attribute"),
        ("https://example.com", "The HTML contains a URL other than the link."),
        ("{% if code %}<p>\u{200b}{{ code }}</p>{% endif %}", "but it appears 2 times."),
        ("{{ '{{' }}", "`{{` was not replaced."),
    ] {
        let found = faults(&[("sign_in.html", &format!("{HTML}\n{more}"))]);
        let is_found = |fault: &String| fault.starts_with("sign_in.html:") && fault.contains(problem);
        assert!(found.iter().any(is_found), "{more}: {found:#?}");
    }
    assert_fault("sign_in.html", &format!("{HTML}{}", "x".repeat(100_001)), "sign_in.html: ", "Gmail");
    assert_fault("sign_in.html", &HTML.replace("{{ code }}", "\u{200b}{{ code }}"), "sign_in.html: ", "An invisible");
}

#[test]
fn unused_files_are_reported_as_faults() {
    for (file, problem) in [
        ("singin.html", "No template includes this file"),
        ("de/subjekt.txt", "No template includes this file"),
        ("words.ftl", "Words belong in a language's folder"),
        ("portals/shop/words.ftl", "Words belong in a language's folder"),
        ("de/word.ftl", "neither words.ftl nor a template"),
        ("logo.png", "neither words.ftl nor a template"),
        ("portals/shup/sign_in.txt", "There is no portal `shup`."),
        ("portals/sign_in.txt", "only folders, one for each portal"),
        ("de/old/sign_in.txt", "A language's folder must not contain folders"),
        ("german/sign_in.txt", "language tag"),
    ] {
        let found = faults(&[("de/words.ftl", ""), (file, TEXT)]);
        assert!(found.len() == 1 && found[0].contains(problem), "{file}: {found:#?}");
    }
}

#[test]
fn all_faults_are_reported_together() {
    let found = faults(&[
        ("subject.txt", ""),
        ("sign_in.txt", "{{ nothing }}"),
        ("fr/sign_in.html", "{% if %}"),
        ("singin.html", ""),
        ("portals/shop/sign_in.html", "<script>"),
    ]);
    for start in
        ["fr/sign_in.html:1: ", "sign_in.txt:1: ", "singin.html: ", "portals/shop/sign_in.html:1: ", "subject.txt: "]
    {
        assert!(found.iter().any(|fault| fault.starts_with(start)), "{start}: {found:#?}");
    }
}
