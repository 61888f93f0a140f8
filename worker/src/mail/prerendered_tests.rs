//! A mail from the cache of prerendered mails must be identical to the mail that the templates would render.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use proptest::{prelude::*, sample::select};
use words::{Language, Words};

use super::{
    brand::{Brand, Logo},
    look::Look,
    mailed_link::MailedLink,
    prerendered_mails::MailKind,
    render::{MailContent, render, render_parts},
    sample::MailStyle,
    templates::{HTML, SUBJECT, TEXT, TemplateSource, Templates},
};

static COMMON: LazyLock<Look> = LazyLock::new(|| Look::built_in(Words::built_in(), Brand::default()));
static SHOP: LazyLock<Look> = LazyLock::new(|| Look::built_in(Words::built_in(), shop()));

fn shop() -> Brand {
    let pixel = BASE64_STANDARD.decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7").unwrap();
    Brand {
        portal: Some("shop".to_owned()),
        name: Some("Tom & Söhne".parse().unwrap()),
        colour: Some("#ffe066".parse().unwrap()),
        logo: Some(Logo::parse(pixel).unwrap()),
        support: Some("https://example.com/help?a=b&c=d".parse().unwrap()),
        ..Brand::default()
    }
}

/// A look with an operator's own templates. The subject is always the host.
fn own(text: &str, html: &str, others: &[(&str, &str)]) -> Look {
    let own = [(SUBJECT, "{{ host }}"), (TEXT, text), (HTML, html)];
    let source = |(name, text): &(&str, &str)| TemplateSource {
        name: (*name).to_owned(),
        file: (*name).to_owned(),
        text: (*text).into(),
    };
    let templates = Templates::compile(own.iter().chain(others).map(source).collect());
    let templates = templates.unwrap_or_else(|faults| panic!("{faults:?}")).into();
    Look::new(Words::built_in(), shop(), HashMap::from([(Language::ENGLISH, templates)]))
}

fn link(style: MailStyle, url: &str, code: &str) -> MailedLink {
    let example = style.example(url, "2026-11-23T13:05:30Z".parse().unwrap());
    MailedLink { code: example.code.map(|_| code.to_owned()), ..example }
}

fn content(link: &MailedLink, language: Language) -> MailContent<'_> {
    let time_zone = "Europe/Berlin".parse().unwrap();
    MailContent { link, host: "portal.example.com", requested_at: link.created_at, language, time_zone }
}

/// Asserts that the mail is exactly what the templates render, and returns the mail's two bodies.
#[track_caller]
fn assert_exact(look: &Look, content: &MailContent<'_>) -> (String, String) {
    let mail = render(look, content).unwrap();
    let parts = render_parts(look, content).unwrap();
    assert_eq!(
        (&mail.subject, &mail.text, &mail.html),
        (&parts.subject.unwrap(), &parts.text.unwrap(), &parts.html.unwrap())
    );
    (mail.text, mail.html)
}

fn is_kept(look: &Look, content: &MailContent<'_>) -> bool {
    look.prerendered.get(&MailKind::new(content)).is_some()
}

/// Links and codes. Some contain template syntax, HTML escapes or placeholders, which must stay unchanged.
const VALUES: [(&str, &str); 5] = [
    ("https://login.example.com/auth/confirm/AQECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "123456"),
    ("https://a.example/?a=b&c='d'&amp;token=\"x\"<>", "4081726359"),
    ("x", "1"),
    ("{{ link }}{% if code %} cid:logo.gif", "<&>"),
    ("\u{fdd0}&\u{fdd1}\u{fdd2}&amp;\u{fdd3}", "\u{fdd2} & \u{fdd3}\u{fdd0}&\u{fdd1}"),
];

#[test]
fn every_built_in_mail_is_prerendered_exactly() {
    for look in [&*COMMON, &*SHOP] {
        for language in Language::ALL {
            for style in MailStyle::ALL {
                for (url, code) in VALUES {
                    let link = link(style, url, code);
                    let content = content(&link, language);
                    assert_exact(look, &content);
                    assert!(is_kept(look, &content), "{language} {style:?}");
                }
            }
        }
    }
}

/// Everything that determines a mail.
#[derive(Debug, Clone)]
struct Case {
    is_shop: bool,
    language: Language,
    style: MailStyle,
    zone: &'static str,
    host: &'static str,
    requested_at: DateTime<Utc>,
    created_at: DateTime<Utc>,
    lifetime: u64,
    url: String,
    code: String,
}

impl Case {
    fn assert_exact(&self) {
        let Self { is_shop, language, style, zone, host, requested_at, created_at, lifetime, ref url, ref code } =
            *self;
        let look = if is_shop { &*SHOP } else { &*COMMON };
        let link = MailedLink { created_at, lifetime: Duration::from_secs(lifetime), ..link(style, url, code) };
        let content = MailContent { link: &link, host, requested_at, language, time_zone: zone.parse().unwrap() };
        assert_exact(look, &content);
        assert!(is_kept(look, &content));
    }

    /// Copies of this case, each with one property of `other`.
    fn with_each_property_of(&self, other: &Self) -> [Self; 10] {
        let (this, other) = (|| self.clone(), other.clone());
        [
            Self { is_shop: other.is_shop, ..this() },
            Self { language: other.language, ..this() },
            Self { style: other.style, ..this() },
            Self { zone: other.zone, ..this() },
            Self { host: other.host, ..this() },
            Self { requested_at: other.requested_at, ..this() },
            Self { created_at: other.created_at, ..this() },
            Self { lifetime: other.lifetime, ..this() },
            Self { url: other.url, ..this() },
            Self { code: other.code, ..this() },
        ]
    }
}

/// Mails whose times are close to each other, and close to midnight or to the end of summer time.
fn cases() -> impl Strategy<Value = Case> {
    let looks = (any::<bool>(), select(Language::ALL.to_vec()), select(MailStyle::ALL.to_vec()));
    let zones = vec!["UTC", "Europe/Berlin", "Europe/Paris", "America/New_York", "America/St_Johns", "Asia/Kolkata"];
    let places = (select(zones), select(vec!["portal.example.com", "shop.example.com", "münchen.example:8443"]));
    let starts = vec!["2026-11-23T22:59:58Z", "2026-11-23T23:59:58Z", "2026-10-25T00:58:58Z"];
    let lifetimes = select(vec![60, 61, 3_600, 3_659, 5_400, 7_200, 86_400, 172_800]);
    let times = (select(starts), 0..4_000_i64, 0..70_000_i64, lifetimes);
    let values = ("https://[a-z]{1,9}\\.example/[a-z?&=%'/]{0,200}", "[0-9]{6,10}");
    (looks, places, times, values).prop_map(
        |(look, (zone, host), (start, requested, created, lifetime), (url, code))| {
            let (is_shop, language, style) = look;
            let start: DateTime<Utc> = start.parse().unwrap();
            let requested_at = start + TimeDelta::milliseconds(requested);
            let created_at = start + TimeDelta::milliseconds(created);
            Case { is_shop, language, style, zone, host, requested_at, created_at, lifetime, url, code }
        },
    )
}

proptest! {
    /// Renders `case`, and then mails that differ from it in one property each. If the cache of prerendered mails
    /// ignored one of these properties, it would return the wrong mail.
    #[test]
    fn a_mail_does_not_depend_on_the_mails_before_it(case in cases(), other in cases()) {
        case.assert_exact();
        case.with_each_property_of(&other).iter().for_each(Case::assert_exact);
    }
}

#[test]
fn an_operators_template_may_show_the_link_and_the_code_anywhere() {
    let text = "{{ link }}{{ link }}\n{% include \"links.html\" %}{{ code }}";
    let html = "{% extends \"page.html\" %}{% block body %}<a href={{ link }}>{{ spelled_code }}</a>{{ subject }}{% endblock %}";
    let others = [
        ("page.html", "<b>{% block body %}{% endblock %}</b>{% include \"raw.txt\" %}"),
        (
            "links.html",
            "{% for time in [1, 2] %}{% if link and not logo %}x{% elif code %}{{ code }}{{ link }}{% endif %}{% endfor %}",
        ),
        ("raw.txt", "{{ link }}{{ spelled_code }}{{ code }}"),
    ];
    let look = own(text, html, &others);
    for (url, code) in VALUES {
        let link = link(MailStyle::LinkAndCode, url, code);
        let (text, _) = assert_exact(&look, &content(&link, Language::ENGLISH));
        assert!(text.starts_with(&format!("{url}{url}\n")), "{text}");
        assert!(is_kept(&look, &content(&link, Language::ENGLISH)));
    }
}

#[test]
fn a_template_that_changes_or_compares_the_link_is_rendered_for_each_mail() {
    for (text, html) in [
        ("{{ link|upper }}", "{{ code|reverse }}"),
        ("{{ link }}", "{% if link == \"x\" %}short{% else %}{{ link[:5] }}{% endif %}"),
        ("{{ link }}", "{% filter upper %}{{ link }}{% endfilter %}"),
        ("{% set all %}{{ link }}{{ code }}{% endset %}{{ all|length }}", "{{ link }}"),
        ("{{ link }}", "{% macro a() %}{{ link }}{% endmacro %}{{ a()|length }}"),
        ("{% for digit in code %}[{{ digit }}]{% endfor %}", "{{ link }}"),
        ("{{ link }}", "{% block a %}{{ link }}{% endblock %}{{ self.a()|upper }}"),
    ] {
        let look = own(text, html, &[]);
        let mut seen = vec![];
        for (url, code) in VALUES {
            let link = link(MailStyle::LinkAndCode, url, code);
            seen.push(assert_exact(&look, &content(&link, Language::ENGLISH)));
            assert!(!is_kept(&look, &content(&link, Language::ENGLISH)));
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), VALUES.len(), "{text} {html}");
    }
}

#[test]
fn an_empty_link_or_a_reserved_character_in_the_host_does_not_corrupt_a_mail() {
    let look = own("{% if link %}link{% endif %}{% if code %}code{% endif %}", "{{ host }}", &[]);
    for (url, code, expected) in [("", "", ""), ("", "1", "code"), ("x", "", "link"), ("x", "1", "linkcode")] {
        let link = link(MailStyle::LinkAndCode, url, code);
        assert_eq!(assert_exact(&look, &content(&link, Language::ENGLISH)).0, expected);
        let content = MailContent { host: "\u{fdd0}&amp;\u{fdd1}", ..content(&link, Language::ENGLISH) };
        assert_exact(&look, &content);
        assert!(!is_kept(&look, &content));
    }
}

#[test]
fn rendering_fails_without_words_or_with_a_broken_template() {
    let link = link(MailStyle::Link, "x", "1");
    let italian = "it".parse().unwrap();
    assert!(render(&COMMON, &content(&link, italian)).is_err());
    let look = own("{{ link }}", "{{ link }}{{ code }}", &[]);
    for _ in 0..2 {
        let error = render(&look, &content(&link, Language::ENGLISH)).err().unwrap().to_string();
        assert_eq!(error, "sign_in.html:1: undefined value");
    }
}
