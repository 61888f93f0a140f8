//! An operator's words in a folder.

use std::{fs, path::Path};

use words::{Language, Value, Words};

fn write(folder: &Path, file: &str, text: impl AsRef<[u8]>) {
    let path = folder.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn faults(folder: &Path) -> Vec<String> {
    let faults = Words::from_folder(folder).err().unwrap_or_default();
    let root = format!("{}/", folder.display());
    faults.iter().map(|fault| fault.to_string().replace(&root, "")).collect()
}

#[test]
fn each_language_has_a_folder_and_other_files_do_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "de/words.ftl", "mail-button = Los geht’s\n");
    write(folder.path(), "it/words.ftl", "mail-button = Accedi\n");
    write(folder.path(), ".git/words.ftl", "nothing");
    write(folder.path(), "README.md", "Our words");
    let words = Words::from_setting(Some(&format!(" {} ", folder.path().display()))).unwrap();
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
        assert_eq!(Words::from_setting(setting).unwrap().offered(), Language::ALL);
    }
}

#[test]
fn all_faults_are_reported_at_once_with_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "german/words.ftl", "mail-button = Los\n");
    write(folder.path(), "fr/other.ftl", "");
    write(folder.path(), "es/words.ftl", b"mail-button = \xff\n");
    write(folder.path(), "ar/words.ftl", "a".repeat(1_048_577));
    write(folder.path(), "de/words.ftl", "mail-button = Los\n\nmail-buton = Los\n");
    let found = faults(folder.path());
    for (file, problem) in [
        ("ar/words.ftl: ", "larger than 1 MiB"),
        ("de/words.ftl:3: ", "mail-buton"),
        ("es/words.ftl: ", "not valid UTF-8"),
        ("fr/words.ftl: ", "does not exist"),
        ("german: ", "language tag"),
    ] {
        let is_reported = found.iter().any(|fault| fault.starts_with(file) && fault.contains(problem));
        assert!(is_reported, "{file} {problem}: {found:#?}");
    }
    assert_eq!(found.len(), 5, "{found:#?}");
}

#[test]
fn a_folder_without_a_language_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let found = Words::from_folder(folder.path()).unwrap_err();
    assert!(found[0].to_string().ends_with("put mail texts into a file such as de/words.ftl."), "{found:?}");
    for missing in ["no/such/folder", "words.txt"] {
        write(folder.path(), "words.txt", "");
        assert_eq!(Words::from_folder(&folder.path().join(missing)).unwrap_err().len(), 1, "{missing}");
    }
}
