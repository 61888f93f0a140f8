//! `PORTALS_FILE`: what it may contain, and how each fault is reported.
#![allow(clippy::unwrap_used, reason = "a test panics if it cannot continue")]

use std::{fs, path::PathBuf, time::Duration};

use portals::{LinkStyleName, MailCode, Origin, Portal, PortalRules, Support, read_file};
use tempfile::TempDir;
use words::WordsFolder;

/// The start of a PNG image of one pixel: its signature and its header.
const PNG: &[u8] = &[
    0x89, b'P', b'N', b'G', 13, 10, 26, 10, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8, 6, 0, 0, 0,
    0x1f, 0x15, 0xc4, 0x89,
];

/// A folder with a `portals.toml` and a logo.
struct Folder(TempDir);

impl Folder {
    fn new(text: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::write(folder.file(), text).unwrap();
        fs::write(folder.0.path().join("logo.png"), PNG).unwrap();
        folder
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("portals.toml")
    }

    /// Returns the portals, or the faults with the folder's path removed.
    fn read(&self) -> Result<Vec<Portal>, Vec<String>> {
        let folder = format!("{}/", self.0.path().display());
        let faults =
            |faults: Vec<portals::Fault>| faults.iter().map(|fault| fault.to_string().replace(&folder, "")).collect();
        read_file(&self.file(), Some(&words())).map_err(faults)
    }
}

/// The built-in texts of the mails.
fn words() -> WordsFolder {
    WordsFolder::from_setting(None).unwrap()
}

fn read(text: &str) -> Result<Vec<Portal>, Vec<String>> {
    Folder::new(text).read()
}

/// A portal with these additional lines, which begin at line 5.
fn portal_with(lines: &str) -> String {
    format!("[[portal]]\nid = \"shop\"\nname = \"Shop\"\norigins = [\"https://shop.example.com\"]\n{lines}")
}

#[test]
fn a_portal_has_every_field_that_the_file_sets() {
    let portals = read(
        r##"
        [[portal]]
        id = "shop"
        name = "Example Shop"
        origins = ["https://shop.example.com", "https://*.preview.example.com"]
        callback_path = "/signed-in"
        next_prefixes = ["/orders", "/account/"]
        from = "Example Shop <sign-in@mg.example.com>"
        reply_to = "help@example.com"
        link_style = "token_hash"
        code = "on-rate-limited"
        languages = ["de", "en"]
        time_zone = "Europe/Berlin"
        colour = "#00563F"
        logo = "logo.png"
        support = "https://example.com/help"
        job_deadline = "10m"
        recipient_rate_limit = "5/15m,10/1d"

        [[portal]]
        id = "docs"
        name = "Docs"
        origins = ["http://localhost:*"]
        "##,
    )
    .unwrap();
    let [shop, docs] = portals.as_slice() else { panic!("{portals:?}") };
    assert_eq!((shop.id.as_str(), shop.name.as_str()), ("shop", "Example Shop"));
    let preview = Origin::parse("https://pr-7.preview.example.com").unwrap();
    assert!(shop.origins.find_portal(preview).is_some());
    assert_eq!(shop.callback_path.as_deref(), Some("/signed-in"));
    let prefixes = shop.next_prefixes.as_ref().unwrap();
    assert!(prefixes.contain("/account/x") && !prefixes.contain("/other"));
    assert_eq!(shop.from.as_deref(), Some("Example Shop <sign-in@mg.example.com>"));
    assert_eq!(shop.reply_to.as_deref(), Some("help@example.com"));
    assert_eq!((shop.link_style, shop.code), (Some(LinkStyleName::TokenHash), Some(MailCode::OnRateLimited)));
    let languages: Vec<String> = shop.languages.iter().flatten().map(|language| language.tag()).collect();
    assert_eq!(languages, ["de", "en"]);
    assert_eq!(shop.time_zone.unwrap().name(), "Europe/Berlin");
    assert_eq!(shop.colour.unwrap().to_string(), "#00563f");
    let logo = shop.logo.as_ref().unwrap();
    assert_eq!((logo.media_type(), logo.size(), logo.bytes()), ("image/png", (1, 1), PNG));
    assert_eq!(shop.support, Some(Support::Page("https://example.com/help".to_owned())));
    assert_eq!(shop.job_deadline, Some(Duration::from_mins(10)));
    assert_eq!(shop.recipient_rate_limit, Some("5/15m,10/1d".parse().unwrap()));

    assert_eq!(docs.id.as_str(), "docs");
    assert!(docs.callback_path.is_none() && docs.languages.is_none() && docs.logo.is_none() && docs.from.is_none());
}

#[test]
fn each_wrong_field_is_reported_with_its_line() {
    for (lines, expected) in [
        ("colour = \"blue\"", "portals.toml:5: `colour`: `blue` is not a hex colour such as #1d5fd6."),
        ("colour = 7", "portals.toml:5: `colour` must be a string in quotes."),
        ("\n\ntime_zone = \"Mars/Olympus\"", "portals.toml:7: `time_zone`: is not a name in the IANA time zone"),
        ("languages = [\"en\",\n\"xx\"]", "portals.toml:6: `languages`: `xx` is not one of en, de, fr, es, ar."),
        ("languages = [\"en\", \"en\"]", "portals.toml:5: `languages` has `en` twice."),
        ("languages = []", "portals.toml:5: `languages` must not be an empty list."),
        ("languages = \"en\"", "portals.toml:5: `languages` must be a list of strings, in square brackets."),
        ("next_prefixes = [\"app\"]", "portals.toml:5: `next_prefixes`: `app` must be an absolute path"),
        ("callback_path = \"/a?b\"", "portals.toml:5: `callback_path`: `/a?b` must be an absolute path"),
        ("from = \"Shop\"", "portals.toml:5: `from`: `Shop` is not an address"),
        ("reply_to = \"a@b.example, c@d.example\"", "portals.toml:5: `reply_to`: "),
        ("link_style = \"magic\"", "portals.toml:5: `link_style`: `magic` is not one of confirm, verify"),
        ("code = true", "portals.toml:5: `code` must be a string in quotes."),
        ("link_style = \"code\"\ncode = \"off\"", "`code` is off, but with link_style = \"code\""),
        ("logo = \"missing.png\"", "portals.toml:5: `logo`: missing.png: No such file or folder."),
        ("logo = \"portals.toml\"", "portals.toml:5: `logo`: portals.toml is not a PNG, JPEG or GIF image."),
        ("support = \"call us\"", "portals.toml:5: `support`: is neither an email address nor an https URL"),
        ("job_deadline = \"soon\"", "portals.toml:5: `job_deadline`: `soon` is not a duration"),
        ("recipient_rate_limit = \"5\"", "portals.toml:5: `recipient_rate_limit`: `5` is not a quota"),
        (
            "color = \"#1d5fd6\"",
            "portals.toml:5: `color` is not a field of a portal. The fields are id, name, origins,",
        ),
    ] {
        let faults = read(&portal_with(lines)).unwrap_err();
        assert!(
            faults.len() == 1 && faults[0].starts_with(expected) || faults[0].contains(expected),
            "{lines}: {faults:?}"
        );
        assert_eq!(faults.len(), 1, "{faults:?}");
    }
}

#[test]
fn all_faults_of_all_portals_are_reported_together() {
    let text = r#"
[[portal]]
id = "shop"
name = "Shop"
origins = ["https://shop.example.com", "https://*.example.com"]

[[portal]]
id = "shop"
name = ""
origins = ["https://a.b.example.com", "http://shop.example.com", "https://docs.example.com"]

[[portal]]
id = "Third"
"#;
    assert_eq!(
        read(text).unwrap_err(),
        [
            "portals.toml:5: `origins` has an entry that overlaps with an entry on line 5: each origin may match only \
             one entry in the file.",
            "portals.toml:8: `id` is `shop`, which is already on line 3: each portal needs its own id.",
            "portals.toml:9: `name`: is empty.",
            "portals.toml:10: `origins`: `http://shop.example.com` is not an origin: an origin is \
             https://host[:port] without a path (http for loopback only).",
            "portals.toml:12: `name` is missing.",
            "portals.toml:12: `origins` is missing.",
            "portals.toml:13: `id`: `Third` must be 1 to 32 lower-case letters, digits and hyphens, and must not begin with a hyphen.",
        ]
    );
}

#[test]
fn an_origin_can_belong_to_only_one_portal() {
    for (one, other) in [
        ("https://shop.example.com", "https://SHOP.example.com:443/"),
        ("https://*.example.com", "https://shop.example.com"),
        ("http://localhost:3000", "http://localhost:*"),
    ] {
        let portal =
            |id: &str, origin: &str| format!("[[portal]]\nid = \"{id}\"\nname = \"{id}\"\norigins = [\"{origin}\"]\n");
        let faults = read(&(portal("a", one) + &portal("b", other))).unwrap_err();
        let expected = "portals.toml:8: `origins` has an entry that overlaps with an entry on line 4: each origin may \
                        match only one entry in the file.";
        assert_eq!(faults, [expected], "{one} {other}");
    }
}

#[test]
fn a_file_that_is_not_a_list_of_portals_is_refused() {
    for (text, expected) in [
        ("", "portals.toml: The file defines no portal. Define each portal in a [[portal]] table."),
        ("portal = []", "portals.toml: The file defines no portal. Define each portal in a [[portal]] table."),
        ("[portal]\nid = \"shop\"", "portals.toml:1: Write [[portal]] in double brackets"),
        ("[[portal]\nid = 1", "portals.toml:1: This is not valid TOML"),
        ("[[portal]]\nid = \"shop\nname = \"Shop\"", "portals.toml:2: This is not valid TOML"),
        ("[[portal]]\nid = \"a\"\nid = \"b\"", "portals.toml:3: This is not valid TOML: duplicate key"),
        ("name = \"Shop\"", "portals.toml:1: `name` is not allowed here."),
        ("portal = [7]", "portals.toml:1: Each portal must be a [[portal]] table."),
    ] {
        let faults = read(text).unwrap_err();
        assert!(faults.iter().any(|fault| fault.starts_with(expected)), "{text}: {faults:?}");
    }
    let folder = Folder::new("");
    for (path, expected) in [("none.toml", "No such file or folder."), ("", "This path is a folder.")] {
        let faults = read_file(&folder.0.path().join(path), Some(&words())).unwrap_err();
        assert!(faults.len() == 1 && faults[0].to_string().ends_with(expected), "{faults:?}");
    }
    fs::write(folder.file(), [0xff, 0xfe]).unwrap();
    assert_eq!(folder.read().unwrap_err(), ["portals.toml: The file is not valid UTF-8."]);
}

#[test]
fn a_portal_must_be_compatible_with_the_settings_in_the_environment() {
    for (lines, expected) in [
        ("from = \"a@mg.example.com\"", None),
        ("from = \"Shop <a@eu.MG.example.com>\"", None),
        (
            "from = \"a@example.com\"",
            Some("portals.toml:5: `from` of the portal `shop` is not an address at MAILGUN_DOMAIN"),
        ),
        ("from = \"a@evilmg.example.com\"", Some("portals.toml:5: `from` of the portal `shop`")),
        ("job_deadline = \"55m\"", None),
        (
            "job_deadline = \"56m\"",
            Some("portals.toml:5: `job_deadline` of the portal `shop` must be at least five minutes"),
        ),
    ] {
        let folder = Folder::new(&portal_with(lines));
        let portals = folder.read().unwrap();
        let max_job_deadline = Duration::from_mins(55);
        let faults = PortalRules { mailgun_domain: Some("mg.example.com"), max_job_deadline }.check(&portals);
        match expected {
            None => assert_eq!(faults, [], "{lines}"),
            Some(expected) => {
                assert!(faults.len() == 1 && faults[0].to_string().contains(expected), "{lines}: {faults:?}");
            }
        }
        let unknown_domain = PortalRules { mailgun_domain: None, max_job_deadline: Duration::MAX };
        assert_eq!(unknown_domain.check(&portals), []);
    }
}
