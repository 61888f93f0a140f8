//! `magic-link-worker mail preview`: writes mails in every language, without a database, upstreams or settings.

use std::{fs, path::Path};

use crate::test_worker::spawn;

/// Runs the command. Returns its exit code and its output.
async fn preview(settings: &[(String, String)], folder: &Path, more: &[&str]) -> (Option<i32>, String) {
    let arguments = [&["mail", "preview", "--out", folder.to_str().unwrap()], more].concat();
    let command = spawn(settings, &arguments);
    (command.wait().await.code(), command.log().join("\n"))
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn every_mail_in_every_language_is_written_and_shown_on_one_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("mails");
    let (code, printed) = preview(&[], &out, &[]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.ends_with(&format!("wrote 15 mails: open {}", out.join("index.html").display())), "{printed}");
    assert_eq!(files(&out).len(), 48, "{:?}", files(&out));
    let index = fs::read_to_string(out.join("index.html")).unwrap();
    for tag in ["ar", "de", "en", "es", "fr"] {
        for (kind, has_link, has_code) in [("link", true, false), ("link-and-code", true, true), ("code", false, true)]
        {
            let html = fs::read_to_string(out.join(format!("{tag}-{kind}.html"))).unwrap();
            let text = fs::read_to_string(out.join(format!("{tag}-{kind}.txt"))).unwrap();
            let headers = fs::read_to_string(out.join(format!("{tag}-{kind}.headers"))).unwrap();
            assert!(headers.starts_with("From: (MAIL_FROM)\nSubject: ") && !headers.contains("Inline"), "{headers}");
            for (mode, background) in [("light", "@media not all"), ("dark", "@media all")] {
                let shown = format!("shown/{tag}-{kind}-{mode}.html");
                assert!(index.contains(&format!("src=\"{shown}\"")), "{shown}");
                let shown = fs::read_to_string(out.join(shown)).unwrap();
                assert!(shown.contains(background) && !shown.contains("prefers-color-scheme"), "{shown}");
            }
            assert!(html.contains(&format!("<html lang=\"{tag}\"")) && text.contains("portal.example.com"), "{html}");
            for form in [&html, &text] {
                let seen = (form.contains("https://login.example.com/"), form.contains("0123456789"));
                assert_eq!(seen, (has_link, has_code), "{tag}-{kind}: {form}");
            }
        }
    }
}

#[tokio::test]
async fn the_preview_shows_an_operators_words() {
    let folder = tempfile::tempdir().unwrap();
    let templates = folder.path().join("templates");
    fs::create_dir_all(templates.join("it")).unwrap();
    fs::write(templates.join("it/words.ftl"), "mail-button = Accedi\n").unwrap();
    let settings = [("MAIL_TEMPLATES".to_owned(), templates.to_str().unwrap().to_owned())];
    let out = folder.path().join("mails");
    let (code, printed) = preview(&settings, &out, &["--language", "it"]).await;
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(files(&out).len(), 12, "{:?}", files(&out));
    assert!(fs::read_to_string(out.join("it-link.html")).unwrap().contains(">Accedi</a>"));

    fs::write(templates.join("it/words.ftl"), "mail-buton = Accedi\n").unwrap();
    let (code, printed) = preview(&settings, &out, &[]).await;
    assert_eq!(code, Some(2), "{printed}");
    assert!(printed.starts_with("MAIL_TEMPLATES: ") && printed.contains("it/words.ftl:1: "), "{printed}");
}

#[tokio::test]
async fn a_preview_can_be_limited_to_one_style() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("mails");
    let (code, printed) = preview(&[], &out, &["--style", "link-and-code", "--language", "DE"]).await;
    assert_eq!(code, Some(0), "{printed}");
    let expected = [
        "de-link-and-code.headers",
        "de-link-and-code.html",
        "de-link-and-code.txt",
        "index.html",
        "index.json",
        "shown",
    ];
    assert_eq!(files(&out), expected);
}

#[tokio::test]
async fn the_reason_is_printed_if_a_preview_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    for (out, more, problem) in [
        (
            "mails",
            &["--language", "pt"][..],
            "mails are not available in the language `pt`, only in en, de, fr, es, ar",
        ),
        ("mails", &["--portal", "shop"], "there is no portal `shop`: no portal is configured"),
        ("file/mails", &[], "file/mails"),
    ] {
        let (code, printed) = preview(&[], &folder.path().join(out), more).await;
        assert!(code == Some(1) && printed.contains(problem), "{code:?}: {printed}");
        assert!(!folder.path().join("mails").exists());
    }
}
