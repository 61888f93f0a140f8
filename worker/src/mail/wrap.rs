//! Wraps the lines of a plain-text mail, because many mail programs do not wrap long lines of plain text.

/// Maximum length of a line, in characters. RFC 5322, §2.1.1, recommends at most 78.
const MAX_WIDTH: usize = 77;

/// Wraps a paragraph at spaces, but not at no-break spaces. Does not split a word that is longer than a line, such as a
/// host name. Does not break an isolated value, because a line break would end its isolation (UAX #9).
pub(super) fn wrap(paragraph: &str) -> String {
    let (mut wrapped, mut column) = (String::new(), 0);
    for piece in pieces(paragraph) {
        let width = piece.chars().filter(|character| !is_isolate(*character)).count();
        let fits = column + 1 + width <= MAX_WIDTH;
        match (column, fits) {
            (0, _) => {}
            (_, true) => wrapped.push(' '),
            (_, false) => wrapped.push('\n'),
        }
        column = if fits && column > 0 { column + 1 + width } else { width };
        wrapped.push_str(&piece);
    }
    wrapped
}

/// The parts of a paragraph that must each stay on one line: words, and isolated values together with the text attached
/// to them.
fn pieces(paragraph: &str) -> Vec<String> {
    let (mut pieces, mut depth) = (Vec::<String>::new(), 0_usize);
    for word in paragraph.split(' ').filter(|word| !word.is_empty()) {
        match pieces.last_mut().filter(|_| depth > 0) {
            Some(piece) => {
                piece.push(' ');
                piece.push_str(word);
            }
            None => pieces.push(word.to_owned()),
        }
        depth = word.chars().fold(depth, |depth, character| match character {
            '\u{2066}'..='\u{2068}' => depth + 1,
            '\u{2069}' => depth.saturating_sub(1),
            _ => depth,
        });
    }
    pieces
}

/// Whether a character begins or ends an isolated value. Such characters have no width.
fn is_isolate(character: char) -> bool {
    ('\u{2066}'..='\u{2069}').contains(&character)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_break_at_the_last_space_that_fits() {
        let (five, long) = ("aaaa ".repeat(15), "b".repeat(90));
        for (paragraph, expected) in [
            ("", String::new()),
            ("a  b ", "a b".to_owned()),
            (&format!("{five}bb"), format!("{five}bb")),
            (&format!("{five}bbb"), format!("{}\nbbb", five.trim())),
            (&format!("a {long} c"), format!("a\n{long}\nc")),
            (&format!("{five}b\u{a0}:"), format!("{}\nb\u{a0}:", five.trim())),
            (&format!("{five}\u{2068}bb\u{2069} c"), format!("{five}\u{2068}bb\u{2069}\nc")),
            // "b" alone would fit on the first line, but the isolated value "b c" must not be split.
            (&format!("{five}\u{2068}b c\u{2069} d"), format!("{}\n\u{2068}b c\u{2069} d", five.trim())),
        ] {
            assert_eq!(wrap(paragraph), expected, "{paragraph}");
        }
    }

    proptest! {
        #[test]
        fn only_spaces_change_and_no_line_is_too_long(words in proptest::collection::vec("[a-zé.:]{1,20}", 0..60)) {
            let wrapped = wrap(&words.join(" "));
            prop_assert_eq!(wrapped.split_whitespace().collect::<Vec<_>>(), words);
            prop_assert!(wrapped.lines().all(|line| line.chars().count() <= 77));
        }
    }
}
