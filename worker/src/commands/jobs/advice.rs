//! Finds the advice for a code in docs/troubleshooting.md. The document is compiled into the program, so the program
//! and the document always give the same advice.

const TROUBLESHOOTING: &str = include_str!("../../../../docs/troubleshooting.md");

/// The heading of the section on codes in docs/troubleshooting.md.
const CODES: &str = "## Codes of jobs";

/// The entry for a code in docs/troubleshooting.md.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Advice {
    /// What happens to the job, such as "waits".
    pub(super) then: String,
    /// What the code means, and what to do.
    pub(super) text: String,
    /// The section of docs/troubleshooting.md that contains the entry, as a path with an anchor.
    pub(super) place: String,
}

/// Returns the entry for this code in docs/troubleshooting.md, or `None` if there is no such entry.
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

/// Converts Markdown to plain text: replaces each link with its text, and removes backticks.
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

/// The anchor that GitHub generates for a heading.
fn anchor(heading: &str) -> String {
    heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_is_found_for_each_kind_of_code() {
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
    fn advice_contains_no_markdown() {
        let markdown = "Set `A_B`. See [One](#one) and [the `two`](deploying.md#two). [open, a](b";
        assert_eq!(plain(markdown), "Set A_B. See One and the two. [open, a](b");
    }
}
