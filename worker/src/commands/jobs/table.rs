//! An aligned table for a terminal.

/// Width of the widest line, in characters.
const WIDTH: usize = 120;
/// Space between two columns.
const GAP: &str = "  ";

/// The narrowest width of a column that is never cut.
pub(super) const WHOLE: usize = usize::MAX;

/// A column: its heading, and the width below which it is not cut.
pub(super) struct Column {
    /// What the first line says.
    pub(super) heading: &'static str,
    /// The width down to which long values are cut.
    pub(super) narrowest: usize,
}

/// Lines up the columns. Columns that have no value in any row are left out, and long values are cut until the lines fit.
pub(super) fn table(columns: &[Column], rows: &[Vec<String>]) -> String {
    let is_used = |index: usize| rows.iter().any(|row| !row[index].is_empty());
    let used: Vec<usize> = (0..columns.len()).filter(|index| is_used(*index)).collect();
    let widest = |index: usize| {
        let values = rows.iter().map(|row| row[index].chars().count());
        values.chain([columns[index].heading.chars().count()]).max().unwrap_or(0)
    };
    let mut widths: Vec<usize> = used.iter().map(|index| widest(*index)).collect();
    while widths.iter().sum::<usize>() + GAP.len() * used.len().saturating_sub(1) > WIDTH {
        let cuttable = (0..used.len()).filter(|place| widths[*place] > columns[used[*place]].narrowest);
        let Some(place) = cuttable.max_by_key(|place| widths[*place] - columns[used[*place]].narrowest) else { break };
        widths[place] -= 1;
    }
    let headings = columns.iter().map(|column| column.heading.to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells = used.iter().zip(&widths).map(|(index, width)| cell(&row[*index], *width));
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned() + "\n"
    };
    [&headings].into_iter().chain(rows).map(line).collect()
}

fn cell(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return format!("{text:<width$}");
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column { heading: "AGE", narrowest: WHOLE },
        Column { heading: "PORTAL", narrowest: 6 },
        Column { heading: "RECIPIENT", narrowest: 16 },
    ];

    fn row(age: &str, portal: &str, recipient: &str) -> Vec<String> {
        vec![age.to_owned(), portal.to_owned(), recipient.to_owned()]
    }

    #[test]
    fn columns_line_up_and_empty_ones_are_left_out() {
        let rows = [row("5s", "", "a***@example.com"), row("12m", "", "b")];
        assert_eq!(table(&COLUMNS, &rows), "AGE  RECIPIENT\n5s   a***@example.com\n12m  b\n");
    }

    #[test]
    fn long_values_are_cut_to_the_width() {
        let rows = [row("5s", "shop", &"x".repeat(250)), row("5s", &"p".repeat(32), "b")];
        let table = table(&COLUMNS, &rows);
        assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{table}");
        assert!(table.contains(&"p".repeat(32)) && table.contains("xx…"), "{table}");
    }
}
