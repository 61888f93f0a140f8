//! What to do about a code, as docs/troubleshooting.md says. The document is part of the program, so both always say the same.

const TROUBLESHOOTING: &str = include_str!("../../../../docs/troubleshooting.md");

/// The heading of the part of the document that explains codes.
const CODES: &str = "## Codes of jobs";

/// What the document says about a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// What happens to the job, such as "waits".
    pub(super) then: String,
    /// What the code means, and what to do.
    pub(super) text: String,
    /// Where the document says it.
    pub(super) place: String,
}

/// What the document says about this code. `None` if it has no entry for the code.
pub(super) fn advice(code: &str) -> Option<Advice> {
    let wanted = format!("`{code}`");
    let mut heading = CODES;
    let (_, codes) = TROUBLESHOOTING.split_once(CODES)?;
    for line in codes.lines() {
        if line.starts_with('#') {
            heading = line;
        }
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        if let [names, then, text] = cells[..]
            && names.split(", ").any(|name| name == wanted)
        {
            let place = format!("docs/troubleshooting.md#{}", anchor(heading));
            return Some(Advice { then: then.to_owned(), text: plain(text), place });
        }
    }
    None
}

/// Markdown without its marks: the text of each link, and inline code as it is.
fn plain(markdown: &str) -> String {
    let (mut text, mut rest) = (String::new(), markdown);
    while let Some((before, link)) = rest.split_once('[')
        && let Some((label, target)) = link.split_once("](")
        && let Some((_, after)) = target.split_once(')')
    {
        text = text + before + label;
        rest = after;
    }
    (text + rest).replace('`', "")
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(heading: &str) -> String {
    heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_code_has_its_advice() {
        for (code, then, words, place) in [
            ("hook_failed", "waits", "Auth hooks", "from-supabase-auth"),
            ("not_admin", "waits", "SUPABASE_SERVICE_ROLE_KEY", "from-supabase-auth"),
            ("recipient_refused", "fails", "does not accept the address", "from-mailgun"),
            ("deadline_passed", "expires", "workers", "from-the-outbox-and-the-worker"),
        ] {
            let advice = advice(code).unwrap();
            assert!(advice.then == then && advice.text.contains(words), "{code}: {advice:?}");
            assert_eq!(advice.place, format!("docs/troubleshooting.md#{place}"));
            assert!(!advice.text.contains(['`', '[', '#']), "{advice:?}");
        }
        assert_eq!(advice("code"), None);
        assert_eq!(advice("no_such_code"), None);
    }

    #[test]
    fn advice_has_no_marks_of_markdown() {
        let markdown = "Set `A_B`. See [One](#one) and [the `two`](deploying.md#two). [open, a](b";
        assert_eq!(plain(markdown), "Set A_B. See One and the two. [open, a](b");
    }
}
