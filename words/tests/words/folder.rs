//! Tests that read an operator's words from a folder.

use std::{fs, path::Path};

use words::{Language, Value, WordsFolder};

fn write(folder: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn faults(folder: &Path) -> Vec<String> {
    let faults = WordsFolder::read(folder).err().unwrap_or_default();
    let root = format!("{}/", folder.display());
    faults.iter().map(|fault| fault.to_string().replace(&root, "")).collect()
}

#[test]
fn each_language_has_a_folder_and_other_files_are_ignored() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "de/words.ftl", "mail-button = Los geht’s\n");
    write(folder.path(), "it/words.ftl", "mail-button = Accedi\n");
    write(folder.path(), ".git/words.ftl", "nothing");
    write(folder.path(), "README.md", "Our words");
    let words = WordsFolder::from_setting(Some(&format!(" {} ", folder.path().display()))).unwrap().common;
    let italian: Language = "it".parse().unwrap();
    assert!(words.has(italian) && words.has(Language::FRENCH) && !words.has("pt".parse().unwrap()));
    assert_eq!(words.text(Language::GERMAN, "mail-button", &[]).unwrap(), "Los geht’s");
    assert_eq!(words.text(italian, "mail-button", &[]).unwrap(), "Accedi");
    let host = [("host", Value::Text("example.com"))];
    assert_eq!(words.text(Language::GERMAN, "mail-heading", &host).unwrap(), "Bei example.com anmelden");
}

#[test]
fn without_a_folder_only_the_built_in_languages_have_words() {
    for setting in [None, Some(""), Some(" ")] {
        assert_eq!(WordsFolder::from_setting(setting).unwrap().common.offered(), Language::ALL);
    }
}

#[test]
fn all_faults_are_reported_together_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "german/words.ftl", "mail-button = Los\n");
    write(folder.path(), "es/words.ftl", b"mail-button = \xff\n");
    write(folder.path(), "ar/words.ftl", "a".repeat(1_048_577));
    write(folder.path(), "de/words.ftl", "mail-button = Los\n\nmail-buton = Los\n");
    let found = faults(folder.path());
    for (file, problem) in [
        ("ar/words.ftl: ", "larger than 1 MiB"),
        ("de/words.ftl:3: ", "mail-buton"),
        ("es/words.ftl: ", "not valid UTF-8"),
        ("german: ", "language tag"),
    ] {
        let is_reported = found.iter().any(|fault| fault.starts_with(file) && fault.contains(problem));
        assert!(is_reported, "{file} {problem}: {found:#?}");
    }
    assert_eq!(found.len(), 4, "{found:#?}");
}

#[test]
fn a_folder_that_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "words.txt", "");
    let problems = [("no/such/folder", "No such file or folder."), ("words.txt", "This path is not a folder.")];
    for (missing, problem) in problems {
        let found = WordsFolder::read(&folder.path().join(missing)).unwrap_err();
        assert!(found.len() == 1 && found[0].problem == problem, "{found:?}");
    }
}

#[test]
fn a_folder_without_words_or_templates_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "README.md", "");
    write(folder.path(), ".git/config", "");
    let found = WordsFolder::read(folder.path()).unwrap_err();
    assert!(found[0].to_string().ends_with("put messages into a file such as de/words.ftl."), "{found:?}");
    write(folder.path(), "sign_in.html", "");
    assert!(WordsFolder::read(folder.path()).is_ok());
}

#[test]
fn a_portals_words_override_the_common_ones() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "de/words.ftl", "mail-button = Los\nconfirm-button = Weiter\n");
    write(folder.path(), "de/sign_in.html", "for the worker");
    write(folder.path(), "portals/shop/de/words.ftl", "mail-button = Zum Laden\n");
    write(folder.path(), "portals/shop/it/words.ftl", "mail-button = Accedi\n");
    write(folder.path(), "portals/plain/sign_in.txt", "for the worker");
    write(folder.path(), "fr/sign_in.html", "for the worker");
    let words = WordsFolder::read(folder.path()).unwrap();
    let text = |portal, id| words.of_portal(portal).text(Language::GERMAN, id, &[]).unwrap();
    assert_eq!((text("shop", "mail-button"), text("shop", "confirm-button")), ("Zum Laden".into(), "Weiter".into()));
    for portal in ["plain", "unknown"] {
        assert_eq!(text(portal, "mail-button"), "Los", "{portal}");
    }
    let italian: Language = "it".parse().unwrap();
    assert!(words.of_portal("shop").has(italian) && !words.common.has(italian));
    assert!(words.of_portal("shop").defines(italian, "mail-button"));
    assert!(!words.of_portal("shop").defines(italian, "mail-heading"));
}

#[test]
fn faults_in_common_words_are_reported_only_once() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "de/words.ftl", "mail-buton = Los\n");
    write(folder.path(), "portals/one/de/words.ftl", "mail-button = { $host }\n");
    write(folder.path(), "portals/two/de/words.ftl", "mail-button = Los\n");
    write(folder.path(), "portals/two/deutsch!/words.ftl", "");
    let found = faults(folder.path());
    assert_eq!(found.len(), 3, "{found:#?}");
    for (fault, start) in
        found.iter().zip(["de/words.ftl:1: ", "portals/one/de/words.ftl:1: ", "portals/two/deutsch!: "])
    {
        assert!(fault.starts_with(start), "{fault}");
    }
}
