//! Pins the English words, so that they do not change by accident.

use words::{Language, Value, Words};

const ARGS: [(&str, Value<'_>); 7] = [
    ("host", Value::Text("portal.example.com")),
    ("time", Value::Text("13:04:50 UTC")),
    ("date", Value::Text("23 November 2026")),
    ("lifetime", Value::Text("60 minutes")),
    ("until", Value::Text("14:05 UTC")),
    ("until-date", Value::Text("23 November 2026")),
    ("days", Value::Count(0)),
];

#[test]
fn the_mail_in_english() {
    let words = Words::built_in();
    for (id, expected) in [
        ("mail-subject-link", "Your sign-in link for portal.example.com, 13:04:50 UTC"),
        ("mail-subject-code", "Your sign-in code for portal.example.com, 13:04:50 UTC"),
        ("mail-preview", "Works once, for 60 minutes, until 14:05 UTC."),
        ("mail-heading", "Sign in to portal.example.com"),
        (
            "mail-request-link",
            "Somebody asked for this link at 13:04:50 UTC on 23 November 2026. If that was you, sign in here:",
        ),
        ("mail-button", "Sign in"),
        ("mail-link-works", "The link works once, for 60 minutes, until 14:05 UTC."),
        (
            "mail-newest-link",
            "If you asked more than once, use the newest mail: once you have signed in, older links no longer work.",
        ),
        ("mail-button-fails", "If the button does nothing, copy this into your browser:"),
        (
            "mail-ignore-link",
            "If you did not ask for it, you can ignore this mail: nobody gets in without the link. Never pass it on.",
        ),
        (
            "mail-other-device",
            "Are you signing in on another device? Type this code there. It works once, until 14:05 UTC, if you have \
             not used the link. Type it only at portal.example.com:",
        ),
        (
            "mail-ignore-link-and-code",
            "If you did not ask for them, you can ignore this mail: nobody gets in without the link or the code. Never \
             pass them on.",
        ),
        (
            "mail-request-code",
            "Somebody asked for this code at 13:04:50 UTC on 23 November 2026. If that was you, type it on the page \
             where you asked for it. Type it only at portal.example.com.",
        ),
        ("mail-code-works", "The code works once, for 60 minutes, until 14:05 UTC."),
        (
            "mail-newest-code",
            "If you asked more than once, use the newest mail: once you have signed in, older codes no longer work.",
        ),
        (
            "mail-ignore-code",
            "If you did not ask for it, you can ignore this mail: nobody gets in without the code. Never pass it on.",
        ),
    ] {
        assert_eq!(words.text(Language::ENGLISH, id, &ARGS).as_deref(), Ok(expected));
    }
}

#[test]
fn the_confirm_page_in_english() {
    let words = Words::built_in();
    let args = [("host", Value::Text("portal.example.com")), ("address", Value::Text("ann@example.com"))];
    for (id, expected) in [
        ("confirm-heading", "Sign in to portal.example.com"),
        ("confirm-as", "You are about to sign in as ann@example.com."),
        ("confirm-with-link", "You are about to sign in with the link from your mail."),
        ("confirm-button-as", "Sign in as ann@example.com"),
        ("confirm-button", "Sign in"),
        ("confirm-not-you", "Not you?"),
        (
            "confirm-not-you-note",
            "Close this page. If somebody forwarded this link to you, it would sign you in to their account.",
        ),
        ("confirm-code-hint", "Signing in on another device? Type the code from the mail there."),
        ("confirm-unreadable-title", "This link is incomplete"),
        (
            "confirm-unreadable-text",
            "A part of it may have been lost on the way. Open it from the mail again, or copy the whole link into your \
             browser. If that does not help, ask for a new link.",
        ),
        ("confirm-expired-title", "This link has expired"),
        ("confirm-expired-text", "Ask for a new one, and use the newest mail."),
        ("confirm-expired-button", "Go to the sign-in page"),
        ("confirm-not-allowed-title", "This link cannot be used"),
        (
            "confirm-not-allowed-text",
            "The portal that it leads to has moved. Go to the portal, and ask for a new link.",
        ),
        ("confirm-foreign-title", "Please open the link from your mail"),
        ("confirm-foreign-text", "Another site tried to sign you in. Nothing has happened."),
        ("confirm-limited-title", "Too many requests"),
        (
            "confirm-limited-text",
            "Your network has opened too many sign-in links. Wait a minute, and open the link again.",
        ),
    ] {
        assert_eq!(words.text(Language::ENGLISH, id, &args).as_deref(), Ok(expected));
    }
}
