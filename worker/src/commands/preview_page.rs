//! `index.html` of the preview: all mails side by side, with switches for dark mode and for the width of a phone. The
//! page works without scripts.

use std::fmt::Write as _;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use words::Language;

use crate::mail::{markup::escape, render::RenderedMail};

/// The media query for the dark-mode styles.
const DARK: &str = "(prefers-color-scheme: dark)";

/// The page while mails are being added to it. Mails for the same portal and language must be added one after another.
#[derive(Default)]
pub(super) struct PreviewPage {
    sections: String,
    open: Option<(Option<String>, Language)>,
}

impl PreviewPage {
    /// Adds a mail. Returns the names and the contents of the two files that the page shows in its frames: the mail in
    /// light mode and in dark mode.
    pub(super) fn add(
        &mut self,
        name: &str,
        portal: Option<&str>,
        language: Language,
        mail: &RenderedMail,
    ) -> [(String, String); 2] {
        let section = (portal.map(str::to_owned), language);
        if self.open.as_ref() != Some(&section) {
            self.close();
            let title = portal.map(|portal| format!("{portal}: ")).unwrap_or_default();
            // Ignore the result, because writing to a String cannot fail.
            let _ = write!(self.sections, "<h2>{}{language}</h2>\n<div class=\"mails\">\n", escape(&title));
            self.open = Some(section);
        }
        let (name, subject) = (escape(name), escape(&mail.subject));
        let _ = write!(
            self.sections,
            "<figure>\n<figcaption>{subject}<br><a href=\"{name}.html\">{name}</a> <a href=\"{name}.txt\">text</a> \
             <a href=\"{name}.headers\">headers</a></figcaption>\n"
        );
        let files = [("light", "not all"), ("dark", "all")].map(|(mode, condition)| {
            let _ = writeln!(
                self.sections,
                "<iframe class=\"{mode}\" src=\"shown/{name}-{mode}.html\" title=\"{name}, {mode}\" loading=\"lazy\"></iframe>"
            );
            (format!("{name}-{mode}.html"), in_mode(mail, mode, condition))
        });
        self.sections += "</figure>\n";
        files
    }

    /// The page.
    pub(super) fn finish(mut self) -> String {
        self.close();
        format!("{HEAD}{}</main>\n</body>\n</html>\n", self.sections)
    }

    fn close(&mut self) {
        if self.open.take().is_some() {
            self.sections += "</div>\n";
        }
    }
}

/// The mail as a mail program shows it in light or dark mode, with its logo. In this page, a frame would use the
/// browser's own mode, so this function replaces the media query with one that always or never applies.
fn in_mode(mail: &RenderedMail, mode: &str, condition: &str) -> String {
    let html = mail.html.replace(DARK, condition).replace("color-scheme: light dark", &format!("color-scheme: {mode}"));
    let html = html.replace("content=\"light dark\"", &format!("content=\"{mode}\""));
    match &mail.logo {
        Some(logo) => {
            let data = format!("data:{};base64,{}", logo.media_type(), BASE64_STANDARD.encode(logo.bytes()));
            html.replace(&logo.source(), &data)
        }
        None => html,
    }
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<title>Sign-in mails</title>
<style>
  body { margin: 24px; font-family: sans-serif; }
  .mails { display: flex; flex-wrap: wrap; gap: 16px; }
  figure { margin: 0; }
  figcaption { max-width: 375px; margin: 0 0 6px; font-size: 13px; line-height: 19px; overflow-wrap: anywhere; }
  iframe { width: 375px; height: 900px; border: 1px solid #8a95a5; }
  #desktop:checked ~ main iframe { width: 700px; }
  #light:checked ~ main .dark, #dark:checked ~ main .light { display: none; }
  #dark:checked ~ main iframe { background: #15181c; }
</style>
</head>
<body>
<h1>Sign-in mails</h1>
<input type=\"radio\" name=\"mode\" id=\"light\" checked><label for=\"light\">Light</label>
<input type=\"radio\" name=\"mode\" id=\"dark\"><label for=\"dark\">Dark</label>
&nbsp;
<input type=\"radio\" name=\"width\" id=\"phone\" checked><label for=\"phone\">Phone</label>
<input type=\"radio\" name=\"width\" id=\"desktop\"><label for=\"desktop\">Desktop</label>
<main>
";
