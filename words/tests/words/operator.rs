//! Tests of an operator's own words, and of the errors in them.

use words::{Language, OperatorCatalogue, Value, Words};

const HOST: [(&str, Value<'_>); 1] = [("host", Value::Text("portal.example.com"))];

fn catalogue(language: &str, text: &str) -> OperatorCatalogue {
    let file = format!("words/{language}/words.ftl");
    OperatorCatalogue { file, language: language.parse().unwrap(), text: text.to_owned() }
}

fn faults(catalogues: &[OperatorCatalogue]) -> Vec<String> {
    let faults = Words::with_overrides(catalogues).err().unwrap_or_default();
    faults.iter().map(ToString::to_string).collect()
}

#[test]
fn an_override_replaces_only_its_own_message() {
    let own = "-brand = Ex & Co\nmail-heading = Willkommen bei <b>{ -brand }</b>,\n  { $host }\n";
    let words = Words::with_overrides(&[catalogue("de", own)]).unwrap();
    let text = |language, id| words.text(language, id, &HOST).unwrap();
    assert_eq!(text(Language::GERMAN, "mail-heading"), "Willkommen bei <b>Ex & Co</b>, portal.example.com");
    assert_eq!(text(Language::GERMAN, "mail-button"), "Anmelden");
    assert_eq!(text(Language::ENGLISH, "mail-heading"), "Sign in to portal.example.com");
    assert_eq!(words.offered(), Language::ALL);
}

#[test]
fn an_added_language_falls_back_to_english() {
    let own = "\u{feff}language-name = Italiano\r\nmail-button = Accedi\r\n";
    let words = Words::with_overrides(&[catalogue("it", own), catalogue("pt-BR", "mail-button = Entrar")]).unwrap();
    let [.., italian, portuguese] = words.offered()[..] else { panic!("{words:?}") };
    assert_eq!((italian.tag(), portuguese.tag()), ("it".to_owned(), "pt-BR".to_owned()));
    assert_eq!(words.text(italian, "mail-button", &[]).unwrap(), "Accedi");
    assert_eq!(words.text(portuguese, "mail-button", &[]).unwrap(), "Entrar");
    assert_eq!(words.text(italian, "mail-heading", &HOST).unwrap(), "Sign in to portal.example.com");
    assert!(words.text(italian, "no-such-message", &[]).is_err());
    assert_eq!(words.text(italian, "language-name", &[]).unwrap(), "Italiano");
}

#[test]
fn every_fault_is_reported_with_its_file_and_line() {
    let german = "# comment\n\
                  mail-heading = { $host\n\
                  mail-buttons = Los\n\
                  = nothing\n";
    let french = "mail-headline = Bonjour\n\
                  mail-button = { $host }\n\
                  mail-heading = { -brand } { mail-title } { NUMBER(1) }\n\
                  mail-subject-link = { $host ->\n    *[other] x\n }\n\
                  mail-button = Encore\n\
                  mail-newest-link =\n    .title = x\n\
                  mail-subject-code = a\u{1b}b { $host } { $hour }\n";
    let spanish = "-a = { -b }\n\
                   -b = { -a }\n\
                   mail-button = { -a }\n\
                   mail-heading = Visite https://example.com\n\
                   mail-preview = { \"\" }\n\
                   mail-newest-code = { \"\\u000D\" }x\n\
                   mail-newest-link = { mail-heading } { mail-subject-link }\n";
    let catalogues = [catalogue("de", german), catalogue("fr", french), catalogue("es", spanish), catalogue("es", "")];
    assert_eq!(
        faults(&catalogues),
        [
            "words/de/words.ftl:3: Expected a token starting with \"}\".",
            "words/de/words.ftl:3: `mail-buttons` is not a message of the mail or the confirm page.",
            "words/de/words.ftl:4: Expected one of \"a-zA-Z\".",
            "words/es/words.ftl:1: Another file already has messages for the language es.",
            "words/es/words.ftl:3: `mail-button` is broken: Cyclical dependency detected.",
            "words/es/words.ftl:4: `mail-heading` contains a URL. The only link in a mail must be the sign-in link.",
            "words/es/words.ftl:5: `mail-preview` is empty.",
            "words/es/words.ftl:6: `mail-newest-code` contains a control character.",
            "words/es/words.ftl:7: `mail-newest-link` is broken: Unknown variable: $host; Unknown variable: $time.",
            "words/fr/words.ftl:1: `mail-headline` is not a message of the mail or the confirm page.",
            "words/fr/words.ftl:3: `mail-heading` calls the function `NUMBER`, which does not exist.",
            "words/fr/words.ftl:3: `mail-heading` refers to the message `mail-title`, which does not exist.",
            "words/fr/words.ftl:3: `mail-heading` refers to the term `-brand`, which does not exist.",
            "words/fr/words.ftl:4: `mail-subject-link` selects a form by `$host`, which is not a count.",
            "words/fr/words.ftl:7: `mail-button` appears twice.",
            "words/fr/words.ftl:7: `mail-button` uses `$host`, but this message has no arguments.",
            "words/fr/words.ftl:8: `mail-newest-link` has an attribute, which is never shown.",
            "words/fr/words.ftl:8: `mail-newest-link` has no text.",
            "words/fr/words.ftl:10: The line contains a control character.",
            "words/fr/words.ftl:10: `mail-subject-code` uses `$hour`, but this message has only $host, $time.",
        ]
    );
}

#[test]
fn an_empty_catalogue_changes_nothing() {
    assert_eq!(faults(&[catalogue("de", ""), catalogue("tlh", "# nothing yet\n")]), Vec::<String>::new());
}
