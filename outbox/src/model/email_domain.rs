//! The domain of an email address, in the form that DNS and SMTP use: ASCII, with punycode for labels in other scripts.
//!
//! The checks of UTS #46 are not strict enough for an address that a person types: UTS #46 accepts emoji, and deletes
//! invisible characters. So each label is checked before it is encoded. A label that is already punycode must decode to
//! a valid label.

use icu_properties::{
    CodePointMapData,
    props::{GeneralCategory, GeneralCategoryGroup},
};
use idna::{
    AsciiDenyList,
    uts46::{DnsLength, Hyphens, Uts46},
};

use super::{code_point::CodePoint, email::EmailError};

/// Returns the domain in lower case, with punycode for labels that are not ASCII: `müller.example` becomes
/// `xn--mller-kva.example`. The domain must be in Unicode Normalization Form KC.
///
/// # Errors
/// [`EmailError::Domain`] if the text is not a domain, [`EmailError::NoDot`] if the domain has a single label.
pub(super) fn to_ascii(domain: &str) -> Result<String, EmailError> {
    // UTS #46 also treats the ideographic full stop as a dot.
    let labels: Vec<&str> = domain.split(['.', '\u{3002}']).collect();
    if !labels.iter().all(|label| is_label(label)) {
        return Err(EmailError::Domain);
    }
    if labels.len() == 1 {
        return Err(EmailError::NoDot);
    }
    let domain = labels.join(".");
    // This call maps the domain to lower case. It checks lengths, the bidi rule, marks at the start of a label, joiners
    // in context (CONTEXTJ), and that punycode is the canonical encoding of a valid label. ASCII labels such as
    // `ab--cd` exist, so hyphens are checked only at the ends of a label.
    Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map(Into::into)
        .map_err(|_| EmailError::Domain)
}

/// Whether a label contains only letters, marks, digits and inner hyphens, with no hyphens in reserved positions.
fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.chars().all(is_label_char)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && !has_reserved_hyphens(label)
}

/// Whether a non-ASCII label, in Unicode or as punycode, has hyphens as its third and fourth characters. Hyphens in
/// these positions are reserved (RFC 5891 §4.2.3.1), and `xn--` in such a label would be punycode of punycode.
fn has_reserved_hyphens(label: &str) -> bool {
    let encoded = label.get(..4).filter(|prefix| prefix.eq_ignore_ascii_case("xn--")).map(|_| &label[4..]);
    let unicode = match encoded {
        Some(encoded) => idna::punycode::decode_to_string(encoded).unwrap_or_default(),
        None => label.to_owned(),
    };
    !unicode.is_ascii() && unicode.chars().skip(2).take(2).eq("--".chars())
}

fn is_label_char(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '-';
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let is_letter_mark_or_digit = GeneralCategoryGroup::Letter.contains(category)
        || matches!(
            category,
            GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark | GeneralCategory::DecimalNumber
        )
        // The Chinese and Japanese zero. Unicode classifies it as a letter number, like the Roman numerals.
        || c == '〇';
    // Some marks and letters, such as variation selectors, are invisible, and UTS #46 deletes them.
    is_letter_mark_or_digit && !CodePoint(c).is_invisible()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_in_another_script_becomes_punycode() {
        for (domain, ascii) in [
            ("example.com", "example.com"),
            ("Mail.EXAMPLE.co", "mail.example.co"),
            ("ab--cd.example", "ab--cd.example"),
            ("x-1.y0", "x-1.y0"),
            ("müller.example", "xn--mller-kva.example"),
            ("MÜLLER.example", "xn--mller-kva.example"),
            ("xn--mller-kva.example", "xn--mller-kva.example"),
            ("XN--MLLER-KVA.Example", "xn--mller-kva.example"),
            ("straße.example", "xn--strae-oqa.example"),
            ("xn--strae-oqa.example", "xn--strae-oqa.example"),
            ("почта.рф", "xn--80a1acny.xn--p1ai"),
            ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
            ("〇一.example", "xn--w6j351g.example"),
            ("उदाहरण.परीक्षा", "xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
            ("مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"),
            // Joiners are invisible, so they are refused in typed domains. A domain with valid joiners is accepted as
            // punycode.
            ("xn--mgba3gch31f060k.example", "xn--mgba3gch31f060k.example"),
        ] {
            assert_eq!(to_ascii(domain).as_deref(), Ok(ascii), "{domain}");
        }
    }

    #[test]
    fn a_label_contains_only_letters_marks_digits_and_hyphens() {
        for domain in [
            "",
            ".",
            "a.",
            ".b",
            "a..b",
            "a。。b",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a b.c",
            "a,b.c",
            "a/b.c",
            "[127.0.0.1]",
            "💩.example",
            "i❤.example",
            "1\u{20e3}.example",
            "a\u{ad}b.example",
            "a\u{200b}b.example",
            "a\u{fe0f}.example",
            "a·b.example",
            "a’b.example",
            "☃.example",
            "√.example",
            "½.example",
            // A label cannot begin with a mark, and a label that begins with a Hebrew letter cannot contain Latin
            // letters.
            "\u{301}a.example",
            "אבגabc.example",
            "ü-.example",
            "-ü.example",
            "üb--er.example",
            "xn--ü.example",
            "\u{e000}.example",
        ] {
            assert_eq!(to_ascii(domain), Err(EmailError::Domain), "{domain}");
        }
        for domain in ["localhost", "b", "müller", "xn--mller-kva"] {
            assert_eq!(to_ascii(domain), Err(EmailError::NoDot), "{domain}");
        }
    }

    #[test]
    fn punycode_must_be_the_encoding_of_a_valid_label() {
        for label in ["xn--", "xn---", "xn--a", "xn--a-", "xn--abc-", "xn--0", "xn--99999999", "xn--mller-kva-"] {
            assert_eq!(to_ascii(&format!("{label}.example")), Err(EmailError::Domain), "{label}");
        }
        // The punycode of strings that are not valid labels, or that UTS #46 would map to other labels.
        for text in [
            "mÜller",
            "oﬃce",
            "u\u{308}ber",
            "a\u{ad}b",
            "a\u{200b}b",
            "a\u{200d}b",
            "\u{301}ä",
            "א1b",
            "-ü",
            "ü.",
            "xn--ü",
            "üb--er",
        ] {
            let label = format!("xn--{}", idna::punycode::encode_str(text).unwrap());
            assert_eq!(to_ascii(&format!("{label}.example")), Err(EmailError::Domain), "{text:?}");
        }
    }

    #[test]
    fn a_label_has_at_most_63_bytes_and_a_domain_253_after_encoding() {
        assert!(to_ascii(&format!("{}.example", "b".repeat(63))).is_ok());
        assert_eq!(to_ascii(&format!("{}.example", "b".repeat(64))), Err(EmailError::Domain));
        assert!(to_ascii(&format!("{}.example", "ü".repeat(50))).is_ok());
        assert_eq!(to_ascii(&format!("{}.example", "ü".repeat(63))), Err(EmailError::Domain));
        assert!(to_ascii(&["b"; 127].join(".")).is_ok());
        assert_eq!(to_ascii(&["b"; 128].join(".")), Err(EmailError::Domain));
    }

    /// `is_label` checks a label only before UTS #46 maps it, so the mapping must not delete characters or add dots.
    #[test]
    fn no_character_of_a_label_is_deleted_or_becomes_a_dot() {
        // To save time, skip 100,000 ideographs and Hangul syllables: the mapping to lower case does not affect them.
        let others = ('\u{80}'..'\u{3400}').chain('\u{a000}'..'\u{ac00}').chain('\u{d7a4}'..'\u{20000}');
        for c in others.chain('\u{e0000}'..'\u{e1000}').filter(|&c| is_label_char(c)) {
            let Ok(ascii) = to_ascii(&format!("a{c}.example")) else { continue };
            assert_eq!(ascii.matches('.').count(), 1, "{c:?} became {ascii}");
            let (unicode, valid) = idna::domain_to_unicode(&ascii);
            assert!(valid.is_ok() && unicode != "a.example", "{c:?} became {unicode}");
        }
    }
}
