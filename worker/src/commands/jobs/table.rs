//! An aligned table for a terminal.

/// Maximum width of a line, in characters.
const WIDTH: usize = 120;
/// Space between two columns.
const GAP: &str = "  ";

/// The value of [`Column::narrowest`] for a column whose values are never cut.
pub(super) const WHOLE: usize = usize::MAX;

/// A column of a table.
pub(super) struct Column {
    /// The heading in the first line.
    pub(super) heading: &'static str,
    /// The width below which the column's values are not cut any further.
    pub(super) narrowest: usize,
}

/// Aligns the columns. Leaves out columns that have no value in any row, and cuts long values until the lines fit or no
/// column can be cut further.
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
    fn columns_are_aligned_and_empty_columns_are_left_out() {
        let rows = [row("5s", "", "a***@example.com"), row("12m", "", "b")];
        assert_eq!(table(&COLUMNS, &rows), "AGE  RECIPIENT\n5s   a***@example.com\n12m  b\n");
    }

    #[test]
    fn long_values_are_cut_until_the_lines_fit() {
        let rows = [row("5s", "shop", &"x".repeat(250)), row("5s", &"p".repeat(32), "b")];
        let table = table(&COLUMNS, &rows);
        assert!(table.lines().all(|line| line.chars().count() <= WIDTH), "{table}");
        assert!(table.contains(&"p".repeat(32)) && table.contains("xx…"), "{table}");
    }
}
