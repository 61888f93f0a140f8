//! The measured values. Each value is printed as soon as it is measured. At the end of the run, all values are printed
//! as a table and written as JSON and as a plot.

use std::{fmt::Write as _, path::Path};

use serde_json::{Value, json};

/// One measured value.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// The group of the figure, such as `drain`.
    pub(crate) group: &'static str,
    /// What was measured.
    pub(crate) name: String,
    /// The value in `unit`.
    pub(crate) value: f64,
    /// The unit, such as `/s` or `ms`.
    pub(crate) unit: &'static str,
}

/// All values of a run.
#[derive(Debug, Default)]
pub(crate) struct Figures(pub(crate) Vec<Figure>);

impl Figures {
    /// Adds a value and prints it.
    pub(crate) fn add(&mut self, group: &'static str, name: impl Into<String>, value: f64, unit: &'static str) {
        let figure = Figure { group, name: name.into(), value, unit };
        println!("  {}", figure.line());
        self.0.push(figure);
    }

    /// Returns the median of all values with this name. A section that is measured several times adds several values.
    pub(crate) fn median(&self, group: &str, name: &str) -> Option<f64> {
        let mut values: Vec<f64> =
            self.0.iter().filter(|f| f.group == group && f.name == name).map(|f| f.value).collect();
        values.sort_by(f64::total_cmp);
        let (lower, upper) = (values.get(values.len().checked_sub(1)? / 2)?, values.get(values.len() / 2)?);
        Some(f64::midpoint(*lower, *upper))
    }

    /// Adds the ratio of two values, if both were measured.
    pub(crate) fn add_ratio(&mut self, name: &str, of: (&'static str, &str), to: (&'static str, &str)) {
        if let (Some(of), Some(to)) = (self.median(of.0, of.1), self.median(to.0, to.1)) {
            self.add("ratio", name, of / to, "×");
        }
    }

    /// Returns one line per name, sorted by group, with the median, the lowest and the highest value.
    pub(crate) fn summary(&self) -> Vec<(Figure, f64, f64)> {
        let mut lines: Vec<(Figure, f64, f64)> = Vec::new();
        for figure in &self.0 {
            if lines.iter().any(|(f, ..)| f.group == figure.group && f.name == figure.name) {
                continue;
            }
            let same = self.0.iter().filter(|f| f.group == figure.group && f.name == figure.name).map(|f| f.value);
            let (least, most) = same.fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v)));
            let median = self.median(figure.group, &figure.name).unwrap_or(figure.value);
            lines.push((Figure { value: median, ..figure.clone() }, least, most));
        }
        let mut groups: Vec<&str> = Vec::new();
        for (figure, ..) in &lines {
            if !groups.contains(&figure.group) {
                groups.push(figure.group);
            }
        }
        lines.sort_by_key(|(figure, ..)| groups.iter().position(|group| *group == figure.group));
        lines
    }

    /// The table in Markdown.
    pub(crate) fn table(&self) -> String {
        let mut table = "| | figure | lowest – highest |\n|---|---:|---:|\n".to_owned();
        let mut group = "";
        for (figure, least, most) in self.summary() {
            if figure.group != group {
                group = figure.group;
                writeln!(table, "| **{group}** | | |").unwrap();
            }
            let spread = if least < most { format!("{} – {}", short(least), short(most)) } else { String::new() };
            writeln!(table, "| {} | {} {} | {spread} |", figure.name, short(figure.value), figure.unit).unwrap();
        }
        table
    }

    /// Writes all values as JSON.
    pub(crate) fn write_json(&self, path: &Path) {
        let figures: Value = self
            .0
            .iter()
            .map(|f| json!({"group": f.group, "name": f.name, "value": f.value, "unit": f.unit}))
            .collect();
        std::fs::write(path, serde_json::to_string_pretty(&figures).unwrap()).unwrap();
    }
}

impl Figure {
    fn line(&self) -> String {
        format!("{:<10} {:<64} {:>10} {}", self.group, self.name, short(self.value), self.unit)
    }
}

/// Formats a value with two decimal places below 10, one below 100, and none from 100.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
