//! `magic-link-worker mail preview`: writes example mails in every language into a folder, so that they can be reviewed before
//! any mail is sent.

use std::{
    fmt::Write as _,
    fs,
    io::{Write as _, stdout},
    path::Path,
    time::Duration,
};

use chrono::Utc;
use words::{Language, TimeZone, Words};

use super::CommandError;
use crate::mail::{
    look::Look,
    mailed_link::MailedLink,
    render::{self, MailContent, RenderedMail},
};

const HOST: &str = "portal.example.com";
/// An example link of typical length. Nothing serves it.
const LINK: &str =
    "https://login.example.com/auth/confirm/AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v";
const CODE: &str = "0123456789";

/// The variants of a mail: the variant's name, which is part of the file names, its link and its code.
const KINDS: [(&str, Option<&str>, Option<&str>); 3] =
    [("link", Some(LINK), None), ("link-and-code", Some(LINK), Some(CODE)), ("code", None, Some(CODE))];

/// Writes the mails in all languages, or only in `language`, as files such as `de-link.html` and `de-link.txt`. Each text file
/// begins with the subject. `index.html` shows the HTML mails side by side. Prints the path of `index.html`. Replaces existing
/// files.
///
/// # Errors
/// [`CommandError::Language`], [`CommandError::Mail`], [`CommandError::File`] or [`CommandError::Output`].
pub fn preview(words: &Words, folder: &Path, language: Option<&str>) -> Result<(), CommandError> {
    let languages = chosen(words, language)?;
    fs::create_dir_all(folder).map_err(|error| CommandError::file(folder, error))?;
    let mut index = INDEX_HEAD.to_owned();
    for language in &languages {
        let _ = write!(index, "<h2>{language}</h2>\n<div>\n");
        for (kind, link, code) in KINDS {
            let mail = sample(words, *language, link, code)?;
            let name = format!("{language}-{kind}");
            write_file(&folder.join(format!("{name}.html")), &mail.html)?;
            write_file(&folder.join(format!("{name}.txt")), &format!("{}\n\n{}\n", mail.subject, mail.text))?;
            let _ = writeln!(index, "<iframe src=\"{name}.html\" title=\"{name}\"></iframe>");
        }
        index += "</div>\n";
    }
    let path = folder.join("index.html");
    write_file(&path, &(index + "</body>\n</html>\n"))?;
    let mails = languages.len() * KINDS.len();
    writeln!(stdout(), "wrote {mails} mails: open {}", path.display())?;
    Ok(())
}

const INDEX_HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"color-scheme\" content=\"light dark\">
<title>Sign-in mails</title>
<style>
  body { font-family: sans-serif; margin: 24px; }
  div { display: flex; flex-wrap: wrap; gap: 16px; }
  iframe { width: 420px; height: 860px; border: 1px solid #8a95a5; resize: both; }
</style>
</head>
<body>
";

fn chosen(words: &Words, language: Option<&str>) -> Result<Vec<Language>, CommandError> {
    let offered = words.offered();
    let Some(tag) = language else { return Ok(offered) };
    match offered.iter().find(|language| language.tag().eq_ignore_ascii_case(tag.trim())) {
        Some(language) => Ok(vec![*language]),
        None => {
            let known: Vec<String> = offered.iter().map(|language| language.tag()).collect();
            Err(CommandError::Language { tag: tag.to_owned(), known: known.join(", ") })
        }
    }
}

fn sample(
    words: &Words,
    language: Language,
    link: Option<&str>,
    code: Option<&str>,
) -> Result<RenderedMail, CommandError> {
    let now = Utc::now();
    let (url, code) = (link.map(str::to_owned), code.map(str::to_owned));
    let link = MailedLink { url, code, created_at: now, lifetime: Duration::from_hours(1) };
    let content = MailContent { link: &link, host: HOST, requested_at: now, language, time_zone: TimeZone::UTC };
    render::render(&Look::with_words(words.clone()), &content).map_err(|error| CommandError::Mail(error.to_string()))
}

fn write_file(path: &Path, text: &str) -> Result<(), CommandError> {
    fs::write(path, text).map_err(|error| CommandError::file(path, error))
}
