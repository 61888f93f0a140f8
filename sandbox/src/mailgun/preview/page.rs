//! The page that shows all example mails: a heading for each portal and language, and below it the mails of each style
//! in frames. The switches for the mode and the width work without scripts.

use super::run::{Faults, ListedMail};
use crate::{html::escape, mailgun::tabs::Tab};

const PAGE: &str = include_str!("preview.html");

/// The frames run no scripts. `allow-same-origin` lets the page make each frame as tall as its mail.
const SANDBOX: &str = "allow-same-origin allow-popups allow-popups-to-escape-sandbox";

/// The switches: name, legend, and the id and label of each choice. The first choice is on.
type Switch = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
const SWITCHES: [Switch; 2] = [
    ("mode", "Mode", &[("both", "Light and dark"), ("light", "Light"), ("dark", "Dark")]),
    ("width", "Width", &[("phone", "Phone"), ("desktop", "Desktop")]),
];

/// The page that shows these mails.
pub(super) fn of_mails(mails: &[ListedMail]) -> String {
    let portals: Vec<&[ListedMail]> = mails.chunk_by(|one, next| one.portal == next.portal).collect();
    let sections: String = portals.iter().map(|mails| portal(mails)).collect();
    let content = format!(
        "<main>\n<div class=\"bar\">{}<a class=\"again\" href=\"/mails\">Render again</a></div>\n\
         <div class=\"gallery\">\n<p class=\"soft\">Example mails of all portals, rendered from the current files each \
         time this page is opened. The running programs use changed files only after a reload.</p>\n\
         {}{sections}</div>\n</main>",
        SWITCHES.map(switch).concat(),
        contents(&portals),
    );
    page(&format!("{} mails", mails.len()), &content)
}

/// The page that shows why the mails could not be rendered.
pub(super) fn of_faults(Faults(lines): &Faults) -> String {
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    let content = format!(
        "<main class=\"gallery\">\n<section class=\"faults\" role=\"alert\">\n<h2>The mails cannot be rendered</h2>\n\
         <p>Fix these problems, and then <a href=\"/mails\">render again</a>. Until then, the programs keep using the \
         files that they loaded last.</p>\n<ul>\n{lines}</ul>\n</section>\n</main>"
    );
    page("not rendered", &content)
}

fn page(summary: &str, content: &str) -> String {
    // Insert the content last, so that placeholders in it are not replaced.
    PAGE.replace("{{tabs}}", &Tab::Mails.render()).replace("{{summary}}", summary).replace("{{content}}", content)
}

fn switch((name, legend, choices): Switch) -> String {
    let choices = choices.iter().enumerate().map(|(place, (id, label))| {
        let checked = if place == 0 { " checked" } else { "" };
        format!("<label><input type=\"radio\" name=\"{name}\" id=\"{id}\" value=\"{id}\"{checked}>{label}</label>")
    });
    format!("<fieldset><legend>{legend}</legend>{}</fieldset>", choices.collect::<String>())
}

/// Links to the languages of each portal.
fn contents(portals: &[&[ListedMail]]) -> String {
    let portals = portals.iter().map(|mails| {
        let links = by_language(mails).map(|mails| {
            let language = escape(&mails[0].language);
            format!(" <a href=\"#{}\">{language}</a>", section_id(&mails[0]))
        });
        format!("<li>{}:{}</li>\n", escape(&title(&mails[0])), links.collect::<String>())
    });
    format!(
        "<nav aria-label=\"Portals and languages\"><ul class=\"contents\">\n{}</ul></nav>\n",
        portals.collect::<String>()
    )
}

fn portal(mails: &[ListedMail]) -> String {
    let languages: String = by_language(mails).map(language).collect();
    format!("<section>\n<h2>{}</h2>\n{languages}</section>\n", escape(&title(&mails[0])))
}

fn language(mails: &[ListedMail]) -> String {
    let figures: String = mails.iter().map(figure).collect();
    let language = escape(&mails[0].language);
    format!("<h3 id=\"{}\">{language}</h3>\n<div class=\"styles\">\n{figures}</div>\n", section_id(&mails[0]))
}

fn figure(mail: &ListedMail) -> String {
    let (name, language) = (escape(&mail.name), escape(&mail.language));
    let style = escape(&mail.style.replace('-', " "));
    let frames = ["light", "dark"].map(|mode| {
        format!(
            "<iframe class=\"{mode}\" src=\"/mails/shown/{name}-{mode}.html\" title=\"{name}, {mode}\" \
             loading=\"lazy\" sandbox=\"{SANDBOX}\"></iframe>\n"
        )
    });
    format!(
        "<figure>\n<figcaption><strong>{style}</strong> \
         <a href=\"/mails/{name}.txt\" aria-label=\"text of {name}\">text</a> \
         <a href=\"/mails/{name}.headers\" aria-label=\"headers of {name}\">headers</a>\
         <span lang=\"{language}\" dir=\"auto\">{}</span></figcaption>\n<div class=\"frames\">\n{}</div>\n</figure>\n",
        escape(&mail.subject),
        frames.concat(),
    )
}

fn by_language(mails: &[ListedMail]) -> impl Iterator<Item = &[ListedMail]> {
    mails.chunk_by(|one, next| one.language == next.language)
}

/// The name and the id of a mail's portal, for a heading.
fn title(mail: &ListedMail) -> String {
    match (&mail.portal_name, &mail.portal) {
        (Some(name), Some(id)) => format!("{name} ({id})"),
        (None, Some(id)) => id.clone(),
        (_, None) => "All portals".to_owned(),
    }
}

/// The HTML id of the section with a portal's mails in one language. `mail` is the section's first mail.
fn section_id(mail: &ListedMail) -> String {
    format!("mail-{}", escape(&mail.name))
}
