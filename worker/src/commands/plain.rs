//! Text that is safe to print on a terminal: words of strangers cannot move the cursor or change the direction of writing.

use outbox::CodePoint;

/// Replaces characters that could change how a terminal shows the rest.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if is_unsafe(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Control characters, bidi controls and other invisible characters, and the separators that some programs take for a line
/// break.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control() || CodePoint(c).is_invisible() || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_strangers_cannot_move_the_cursor_or_turn_the_text_around() {
        let hostile = "a\u{1b}[2Jb\u{9b}c\u{202e}d\u{2028}e\r\nf\u{e0041}g é 木";
        assert_eq!(plain(hostile), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\u{fffd}e\u{fffd}\u{fffd}f\u{fffd}g é 木");
    }
}
