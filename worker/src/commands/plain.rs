//! Makes text safe to print on a terminal: untrusted text cannot move the cursor or change the text direction.

use outbox::CodePoint;

/// Replaces characters that could change how a terminal shows the text around them.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Whether a character is unsafe to print: a control character, a bidi control or another invisible character, or a
/// separator that some programs treat as a line break.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control() || CodePoint(c).is_invisible() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_text_cannot_move_the_cursor_or_reverse_the_text() {
        let hostile = "a\u{1b}[2Jb\u{9b}c\u{202e}d\u{2028}e\r\nf\u{e0041}g é 木";
        assert_eq!(plain(hostile), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}\u{fffd}f\u{fffd}g é 木");
    }
}
