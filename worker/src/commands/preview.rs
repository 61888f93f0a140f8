//! `magic-link-worker mail preview`: writes example mails for every portal, language and style into a folder, so that
//! they can be reviewed before any mail is sent.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _, stdout},
    path::Path,
};

use serde::Serialize;
use words::Language;

use super::{CommandError, preview_page::PreviewPage};
use crate::mail::{
    look::Look,
    look_set::LookSet,
    render::RenderedMail,
    sample::{MailStyle, sample},
};

/// Which mails to write. `None` means all languages, styles or portals.
#[derive(Debug, Clone, Copy)]
pub struct PreviewChoice<'a> {
    /// The tag of a language.
    pub language: Option<&'a str>,
    /// A style.
    pub style: Option<MailStyle>,
    /// The id of a portal.
    pub portal: Option<&'a str>,
}

/// A mail's entry in `index.json`. The entries are in the same order as the mails in `index.html`.
#[derive(Debug, Serialize)]
struct ListedMail<'a> {
    /// The beginning of the names of the mail's files, including the files in the folder `shown`.
    name: String,
    portal: Option<&'a str>,
    portal_name: Option<String>,
    language: String,
    style: &'static str,
    subject: String,
}

/// Writes the mails as files such as `de-link.html`, `de-link.txt` and `de-link.headers`. The names of a portal's files
/// begin with the portal's id. Each text file begins with the subject. `index.html` shows the HTML mails side by side,
/// and `index.json` is a machine-readable list of the mails. Prints the path of `index.html`. Replaces existing files.
///
/// # Errors
/// [`CommandError::Language`], [`CommandError::Portal`], [`CommandError::Mail`], [`CommandError::File`] or
/// [`CommandError::Output`].
pub fn preview(
    looks: &LookSet,
    default_sender: Option<&str>,
    folder: &Path,
    choice: PreviewChoice<'_>,
) -> Result<(), CommandError> {
    let chosen = chosen_mails(looks, choice)?;
    let shown = folder.join("shown");
    fs::create_dir_all(&shown).map_err(|error| CommandError::file(&shown, error))?;
    let mut page = PreviewPage::default();
    let mut listed = vec![];
    for (look, language, style) in &chosen {
        let mail = sample(look, *language, *style).map_err(|error| CommandError::Mail(error.to_string()))?;
        let portal = look.brand.portal.as_deref();
        let prefix = portal.map(|portal| format!("{portal}-")).unwrap_or_default();
        let name = format!("{prefix}{language}-{}", style.name());
        write_file(&folder.join(format!("{name}.html")), &mail.html)?;
        write_file(&folder.join(format!("{name}.txt")), format!("{}\n\n{}\n", mail.subject, mail.text))?;
        write_file(&folder.join(format!("{name}.headers")), headers(look, &mail, default_sender))?;
        if let Some(logo) = &mail.logo {
            write_file(&folder.join(format!("{prefix}{}", logo.file_name())), logo.bytes())?;
        }
        for (file, html) in page.add(&name, portal, *language, &mail) {
            write_file(&shown.join(file), html)?;
        }
        listed.push(ListedMail {
            name,
            portal,
            portal_name: look.brand.name.as_ref().map(ToString::to_string),
            language: language.tag(),
            style: style.name(),
            subject: mail.subject,
        });
    }
    write_file(&folder.join("index.json"), serde_json::to_vec_pretty(&listed).map_err(io::Error::from)?)?;
    let path = folder.join("index.html");
    write_file(&path, page.finish())?;
    let mails = if chosen.len() == 1 { "1 mail".to_owned() } else { format!("{} mails", chosen.len()) };
    writeln!(stdout(), "wrote {mails}: open {}", path.display())?;
    Ok(())
}

/// The mails to write, ordered by portal and language.
fn chosen_mails<'a>(
    looks: &'a LookSet,
    choice: PreviewChoice<'_>,
) -> Result<Vec<(&'a Look, Language, MailStyle)>, CommandError> {
    let chosen_looks: Vec<&Look> = match choice.portal {
        // If there are portals, no new mail uses the common look.
        None => looks.all().skip(usize::from(looks.has_portals())).map(AsRef::as_ref).collect(),
        Some(_) => vec![look_of(looks, choice.portal)?],
    };
    let mut chosen = vec![];
    for look in chosen_looks {
        let languages = match choice.language {
            None => look.brand.languages.clone().unwrap_or_else(|| look.words.offered()),
            Some(tag) => vec![language_of(look, tag)?],
        };
        let styles = MailStyle::ALL.into_iter().filter(|style| choice.style.is_none_or(|chosen| chosen == *style));
        let styles: Vec<MailStyle> = styles.collect();
        chosen.extend(languages.iter().flat_map(|language| styles.iter().map(|style| (look, *language, *style))));
    }
    Ok(chosen)
}

/// The look of a portal, or the common look if `portal` is `None`.
///
/// # Errors
/// [`CommandError::Portal`] if there is no such portal.
pub(super) fn look_of<'a>(looks: &'a LookSet, portal: Option<&str>) -> Result<&'a Look, CommandError> {
    let look = looks.of_portal(portal);
    if look.brand.portal.as_deref() == portal {
        return Ok(look);
    }
    let known: Vec<&str> = looks.all().filter_map(|look| look.brand.portal.as_deref()).collect();
    let known = match &known[..] {
        [] => "no portal is configured".to_owned(),
        known => format!("the portals are {}", known.join(", ")),
    };
    Err(CommandError::Portal { id: portal.unwrap_or_default().to_owned(), known })
}

/// Finds the look's language with this tag. Upper and lower case are equivalent.
///
/// # Errors
/// [`CommandError::Language`] if the look has no words in the language.
pub(super) fn language_of(look: &Look, tag: &str) -> Result<Language, CommandError> {
    let offered = look.words.offered();
    let found = offered.iter().find(|language| language.tag().eq_ignore_ascii_case(tag.trim()));
    found.copied().ok_or_else(|| {
        let known: Vec<String> = offered.iter().map(|language| language.tag()).collect();
        CommandError::Language { tag: tag.to_owned(), known: known.join(", ") }
    })
}

fn headers(look: &Look, mail: &RenderedMail, default_sender: Option<&str>) -> String {
    let from = look.brand.from.as_deref().or(default_sender).unwrap_or("(MAIL_FROM)");
    let mut headers = format!("From: {from}\n");
    // Ignore the results, because writing to a String cannot fail.
    if let Some(reply_to) = &look.brand.reply_to {
        let _ = writeln!(headers, "Reply-To: {reply_to}");
    }
    let _ = writeln!(headers, "Subject: {}", mail.subject);
    if let Some(logo) = &mail.logo {
        let _ = writeln!(headers, "Inline: {} ({}, {} bytes)", logo.file_name(), logo.media_type(), logo.bytes().len());
    }
    headers
}

fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<(), CommandError> {
    fs::write(path, content).map_err(|error| CommandError::file(path, error))
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    use super::*;
    use crate::mail::brand::{Brand, Logo};

    #[test]
    fn a_portals_file_names_begin_with_its_id_and_its_frames_show_its_logo() {
        let pixel = BASE64_STANDARD.decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7").unwrap();
        let brand = Brand {
            portal: Some("shop".to_owned()),
            name: Some("Shop & Co".parse().unwrap()),
            logo: Some(Logo::parse(pixel.clone()).unwrap()),
            from: Some("Shop <shop@mg.example.com>".to_owned()),
            reply_to: Some("help@example.com".to_owned()),
            ..Brand::default()
        };
        let looks = LookSet::read(None, &[brand]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let choice = PreviewChoice { language: Some("de"), style: Some(MailStyle::Link), portal: None };
        preview(&looks, Some("Example <a@mg.example.com>"), folder.path(), choice).unwrap();
        let file = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let headers = file("shop-de-link.headers");
        assert!(
            headers.starts_with("From: Shop <shop@mg.example.com>\nReply-To: help@example.com\nSubject: "),
            "{headers}"
        );
        assert!(headers.ends_with("\nInline: logo.gif (image/gif, 42 bytes)\n"), "{headers}");
        assert_eq!(fs::read(folder.path().join("shop-logo.gif")).unwrap(), pixel);
        assert!(file("shop-de-link.html").contains("src=\"cid:logo.gif\""));
        for mode in ["light", "dark"] {
            let shown = file(&format!("shown/shop-de-link-{mode}.html"));
            assert!(shown.contains("src=\"data:image/gif;base64,R0lG") && !shown.contains("cid:"), "{shown}");
            assert!(shown.contains(&format!("content=\"{mode}\"")), "{shown}");
        }
        let index = file("index.html");
        assert!(index.contains("<h2>shop: de</h2>") && index.matches("<iframe").count() == 2, "{index}");
        assert!(!folder.path().join("de-link.html").exists(), "no new mail has the common look");
        let listed: serde_json::Value = serde_json::from_str(&file("index.json")).unwrap();
        let (_, subject) = headers.split_once("Subject: ").unwrap();
        let expected = serde_json::json!([{
            "name": "shop-de-link", "portal": "shop", "portal_name": "Shop & Co", "language": "de", "style": "link",
            "subject": subject.lines().next(),
        }]);
        assert_eq!(listed, expected);

        preview(&LookSet::read(None, &[]).unwrap(), Some("Example <a@mg.example.com>"), folder.path(), choice).unwrap();
        let headers = file("de-link.headers");
        let expected = "From: Example <a@mg.example.com>\nSubject: Ihr Anmeldelink für portal.";
        assert!(headers.starts_with(expected), "{headers}");
    }
}
