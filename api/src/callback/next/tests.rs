//! Tests which destinations are accepted, and which rule each refused destination breaks.

use super::{
    UnsafeCallbackNext::{
        Backslash, BadEscape, Control, DotSegment, EmptySegment, EncodedSlash, Format, Invisible, Lookalike, NotAPath,
        NotEncoded, OtherOrigin, Scheme,
    },
    *,
};

const ORIGIN: &str = "https://portal.example.com";

/// Refused values, grouped by the rule that they break.
const REFUSED: &[(UnsafeCallbackNext, &[&str])] = &[
    (
        EmptySegment,
        &[
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "https://portal.example.com//evil.example",
            "//portal.example.com/x",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/%2e//evil.example",
            "/%2e%2e//evil.example",
            "/a/%2E%2e//evil.example",
            "/a//b",
            "/%20/evil.example",
            "/a/%20",
        ],
    ),
    (
        Backslash,
        &[
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/./\\/evil.example",
            "https://portal.example.com\\@evil.example",
            "/%5cevil.example",
            "/%5Cevil.example",
            "/%255cevil.example",
            "/x?a=\\",
            "/x?a=%5c",
        ],
    ),
    (
        NotEncoded,
        &[
            " ",
            "/\t/evil.example",
            "/\n/evil.example",
            "\t//evil.example",
            " //evil.example",
            "\u{1}//evil.example",
            "/ /evil.example",
            "/x?a b",
            "/\u{3002}\u{3002}/evil",
            "//evil\u{3002}example",
            "/a\u{a0}b",
            "/é",
        ],
    ),
    (Invisible(CodePoint('\u{feff}')), &["\u{feff}/x", "/x\u{feff}"]),
    (Invisible(CodePoint('\u{200b}')), &["/a\u{200b}b"]),
    (
        Control,
        &[
            "/%09/evil.example",
            "/%0a/evil.example",
            "/%0D%0Aset-cookie:a",
            "/a%00b",
            "/a%7fb",
            "/a%250ab",
            "/%c2%85",
            "/%e2%80%a8",
            "/x?a=%0a",
            "/x#%09",
            "/x?a=%e2%80%a8",
        ],
    ),
    (
        Scheme,
        &[
            "https:evil.example",
            "https:/evil.example",
            "javascript:alert(1)",
            "JavaScript:alert(1)",
            "javascript%3aalert(1)",
            "javascript%3Aalert(1)",
            "javascript%253aalert(1)",
            "%6aavascript%3aalert(1)",
            "java%73cript:alert(1)",
            "data:text/html,x",
            "data%3atext%2fhtml",
            "mailto:a@b",
            "vbscript:x",
            "about:blank",
            "user:pw@evil.example",
            "view-source%3Ax",
            "a+b.c%3A",
        ],
    ),
    (
        OtherOrigin,
        &[
            "https://evil.example",
            "https:///evil.example",
            "http://portal.example.com/x",
            "HTTPS://evil.example/x",
            "https://portal.example.com.evil.example/x",
            "https://portal.example.com@evil.example/x",
            "https://portal.example.com:8443/x",
            "https://user@portal.example.com/x",
            "javascript://portal.example.com/%0aalert(1)",
        ],
    ),
    (
        NotAPath,
        &[
            "",
            "@evil.example",
            ":80",
            ".evil.example",
            "..//evil.example",
            "?x",
            "#x",
            "a@evil.example",
            "12:30",
            "%2f%2fevil.example",
            "%20javascript%3aalert(1)",
        ],
    ),
    (
        EncodedSlash,
        &[
            "/%2f%2fevil.example",
            "/%2Fevil.example",
            "/a%2fb",
            "a%2fb",
            "/%252f%252fevil.example",
            "/a%3Fb%2Fc",
            "/a/%2e%2e%2f/evil.example",
        ],
    ),
    (
        DotSegment,
        &[
            "/a/%2e%2E/b",
            "/%2e",
            "/a/.%2e/b",
            "/app/%252e%252e/admin",
            "/app/..;/admin",
            "/app/..%3Fx",
            "/app/..%20",
            "/app/%EF%BC%8E%EF%BC%8E/admin",
        ],
    ),
    (Lookalike(CodePoint('\u{3002}')), &["/x/evil%E3%80%82example"]),
    (Lookalike(CodePoint('\u{ff0f}')), &["/%EF%BC%8F%EF%BC%8Fevil.example"]),
    (Format(CodePoint('\u{202e}')), &["/a%E2%80%AEb"]),
    (BadEscape, &["/%", "/%2", "/%zz", "/%ff", "/%c0%af", "/x?a=%", "/%u002f", "/x?a=%E9"]),
];

fn parse(text: &str) -> Result<String, UnsafeCallbackNext> {
    let origin = Origin::parse(ORIGIN).unwrap();
    CallbackNext::parse(text, Some(&origin), &NextPrefixes::default()).map(|next| next.0)
}

#[test]
fn a_destination_inside_the_portal_is_accepted() {
    for (text, expected) in [
        ("example", "/example"),
        ("/", "/"),
        ("/example", "/example"),
        ("/a/b/", "/a/b/"),
        ("a/b?c=d", "/a/b?c=d"),
        ("/orders?page=2&sort=-date", "/orders?page=2&sort=-date"),
        ("/search?q=two%20words", "/search?q=two%20words"),
        ("/x?return=https://portal.example.com/y", "/x?return=https://portal.example.com/y"),
        ("/x?return=%2Fa%2Fb%3Fc%252Fd", "/x?return=%2Fa%2Fb%3Fc%252Fd"),
        ("/docs#part-2", "/docs#part-2"),
        ("/files/My%20Report.pdf", "/files/My%20Report.pdf"),
        ("files/My%20Report.pdf", "/files/My%20Report.pdf"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/%41bc", "/%41bc"),
        ("/a%C2%A0b", "/a%C2%A0b"),
        ("/@user/a:b", "/@user/a:b"),
        ("/a%3Ab/c%3Fd%23e/100%25", "/a%3Ab/c%3Fd%23e/100%25"),
        ("/javascript%3Aalert(1)", "/javascript%3Aalert(1)"),
        ("/a/../b", "/b"),
        ("/./a", "/a"),
        ("/..", "/"),
        ("https://portal.example.com", "/"),
        ("https://portal.example.com/x?y#z", "/x?y#z"),
        ("https://PORTAL.example.com:443/x", "/x"),
        ("https://portal.example.com?y", "/?y"),
        // The Japanese full stop U+3002 and the Persian non-joiner U+200C are refused in a path, but not in a query.
        ("/x?q=%E3%80%82%E2%80%8C", "/x?q=%E3%80%82%E2%80%8C"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(expected), "{text}");
    }
    assert!(parse(&format!("/{}", "a".repeat(1_023))).is_ok());
}

#[test]
fn a_destination_that_could_leave_the_portal_is_refused_with_the_rule_that_it_breaks() {
    // A browser encodes the brace in the second value as three bytes.
    for text in [format!("/{}", "a".repeat(1_024)), format!("/{}{{", "a".repeat(1_022))] {
        assert_eq!(parse(&text), Err(UnsafeCallbackNext::TooLong));
    }
    for (expected, texts) in REFUSED {
        for text in *texts {
            assert_eq!(parse(text), Err(*expected), "{text:?}");
        }
    }
}

#[test]
fn the_message_describes_the_rule_and_the_character() {
    for (text, words) in [
        ("/a%2Fb", "encoded slash (%2F)"),
        ("/a%E2%80%8Bb", "U+200B zero width space"),
        ("/a%E3%80%82b", "U+3002 ideographic full stop"),
        ("\u{feff}/a", "U+FEFF byte order mark"),
        ("javascript%3aalert(1)", "scheme"),
        ("/100%", "Write %25"),
    ] {
        let message = parse(text).unwrap_err().issue().message;
        assert!(message.contains("callback_next") && message.contains(words), "{message}");
    }
}

#[test]
fn prefixes_match_whole_segments_after_normalization() {
    let prefixes: NextPrefixes = "/app, /docs/public/".parse().unwrap();
    for (text, expected) in [
        ("/app", Ok("/app")),
        ("app/x?y", Ok("/app/x?y")),
        ("/docs/public", Ok("/docs/public")),
        ("/a/../app", Ok("/app")),
        ("/app/My%20Report.pdf", Ok("/app/My%20Report.pdf")),
        ("/app/a%3Fb", Ok("/app/a%3Fb")),
        ("/", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/apple", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/docs", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/app/../admin", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/app%3F/../admin", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/app%3Fx", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/%61pp", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/app;x/y", Err(UnsafeCallbackNext::OutsidePrefixes)),
        ("/app/%2e%2e/admin", Err(UnsafeCallbackNext::DotSegment)),
        ("/app/%252e%252e/admin", Err(UnsafeCallbackNext::DotSegment)),
    ] {
        let parsed = CallbackNext::parse(text, None, &prefixes).map(|next| next.0);
        assert_eq!(parsed.as_deref().map_err(|error| *error), expected, "{text}");
    }
}

#[test]
fn every_reserved_character_is_percent_encoded() {
    let next = CallbackNext("/a-b._~/c?d=e&f=%20#g".to_owned());
    assert_eq!(next.percent_encoded(), "%2Fa-b._~%2Fc%3Fd%3De%26f%3D%2520%23g");
}
