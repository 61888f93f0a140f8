//! Tests that a portal's own look appears in its mails, in every language and style.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use words::{Language, Words};

use super::*;
use crate::mail::{
    look::Look,
    look_set::LookSet,
    sample::{HOST, MailStyle, sample},
};

/// A transparent GIF of one pixel.
const PIXEL: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

fn brand() -> Brand {
    Brand {
        portal: Some("shop".to_owned()),
        name: Some("Tom & Söhne".parse().unwrap()),
        colour: Some("#ffe066".parse().unwrap()),
        logo: Some(Logo::parse(BASE64_STANDARD.decode(PIXEL).unwrap()).unwrap()),
        support: Some("help@example.com".parse().unwrap()),
        from: None,
        reply_to: None,
        languages: None,
    }
}

fn look(brand: Brand) -> Look {
    Look::built_in(Words::built_in(), brand)
}

#[test]
fn a_portals_mails_pass_every_check() {
    let page = Brand {
        portal: Some("page".to_owned()),
        support: Some("https://example.com/help".parse().unwrap()),
        ..brand()
    };
    let found = LookSet::read(None, &[brand(), page]).err().unwrap_or_default();
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_portals_mail_shows_its_name_and_the_host_in_every_language() {
    for language in Language::ALL {
        for style in MailStyle::ALL {
            let mail = sample(&look(brand()), language, style).unwrap();
            assert!(mail.subject.contains("Tom & Söhne") && !mail.subject.contains(HOST), "{}", mail.subject);
            let heading = mail.html.split("<h1").nth(1).unwrap().split("</h1>").next().unwrap();
            assert!(heading.contains("Tom &amp; Söhne") && !heading.contains(HOST), "{heading}");
            for body in [&mail.text, &mail.html] {
                assert!(body.contains(HOST), "{language} {style:?}: {body}");
                assert!(body.contains("help@example.com"), "{language} {style:?}: {body}");
            }
            let width =
                |line: &str| line.chars().filter(|character| !('\u{2066}'..='\u{2069}').contains(character)).count();
            assert!(mail.text.lines().all(|line| line.contains("://") || width(line) <= 78), "{}", mail.text);
            assert!(mail.html.contains("href=\"mailto:help@example.com\""), "{}", mail.html);
        }
    }
}

#[test]
fn a_portals_plain_text_shows_its_name_and_its_support_contact() {
    let text = sample(&look(brand()), Language::ENGLISH, MailStyle::Link).unwrap().text;
    assert!(
        text.starts_with(
            "Sign in to Tom & Söhne\n\nSomebody asked for this link to Tom & Söhne (portal.example.com) at "
        )
    );
    assert!(text.ends_with("Never pass it on.\n\nQuestions? Write to help@example.com"), "{text}");
    let support = Some("https://example.com/help".parse().unwrap());
    let text = sample(&look(Brand { support, ..brand() }), Language::GERMAN, MailStyle::Code).unwrap().text;
    assert!(text.ends_with("\n\nFragen? Hilfe finden Sie unter https://example.com/help"), "{text}");
}

#[test]
fn the_button_has_the_portals_colour_and_readable_text() {
    let html = sample(&look(brand()), Language::ENGLISH, MailStyle::Link).unwrap().html;
    let button = html.lines().find(|line| line.contains("class=\"button\"")).unwrap();
    // The text is black. There is a border, because light yellow is hard to distinguish from white.
    for part in ["background-color:#ffe066;", "color:#000000;", "border:1px solid #000000;"] {
        assert!(button.contains(part), "{part}: {button}");
    }
    let dark = "{ background-color: #ffe066 !important; border-color: #ffe066 !important; color: #000000 !important; }";
    assert!(html.contains(dark), "{html}");
}

#[test]
fn the_logo_is_embedded_and_has_alternative_text() {
    let mail = sample(&look(brand()), Language::ENGLISH, MailStyle::Link).unwrap();
    assert!(
        mail.html.contains("src=\"cid:logo.gif\" width=\"1\" height=\"1\" alt=\"Tom &amp; Söhne\""),
        "{}",
        mail.html
    );
    assert_eq!(mail.logo, brand().logo);
    let without = sample(&look(Brand { logo: None, ..brand() }), Language::ENGLISH, MailStyle::Link).unwrap();
    assert!(without.logo.is_none() && !without.html.contains("<img"), "{}", without.html);
}

#[test]
fn a_language_without_a_heading_for_portal_names_shows_the_host() {
    let own = words::OperatorCatalogue {
        file: "it/words.ftl".to_owned(),
        language: "it".parse().unwrap(),
        text: "mail-heading = Accedi a { $host }\n".to_owned(),
    };
    let look = Look::built_in(Words::with_overrides(std::slice::from_ref(&own)).unwrap(), brand());
    let mail = sample(&look, own.language, MailStyle::Link).unwrap();
    assert!(
        mail.text.starts_with("Accedi a portal.example.com\n\nSomebody asked for this link to Tom & Söhne"),
        "{}",
        mail.text
    );
}

#[test]
fn every_part_of_a_brand_changes_the_looks_id() {
    let mut ids = vec![look(Brand::default()).id().to_owned(), look(brand()).id().to_owned()];
    for changed in [
        Brand { portal: Some("other".to_owned()), ..brand() },
        Brand { name: None, ..brand() },
        Brand { colour: None, ..brand() },
        Brand { logo: None, ..brand() },
        Brand { support: None, ..brand() },
        Brand { from: Some("a@example.com".to_owned()), ..brand() },
        Brand { reply_to: Some("a@example.com".to_owned()), ..brand() },
    ] {
        ids.push(look(changed).id().to_owned());
    }
    assert_eq!(look(brand()).id(), ids[1]);
    assert!(ids.iter().all(|id| id.len() == 16));
    let count = ids.len();
    assert_eq!(ids.into_iter().collect::<std::collections::HashSet<_>>().len(), count);
}
