//! A bar chart of all rates.

use std::path::Path;

use plotters::prelude::*;

use crate::figures::{Figures, short};

const BAR: i32 = 26;
const LEFT: i32 = 460;
const WIDTH: i32 = 1_000;

/// Writes one chart of all rates (jobs or requests per second).
pub(crate) fn write(figures: &Figures, path: &Path) {
    let rates: Vec<_> = figures.summary().into_iter().filter(|(figure, ..)| figure.unit == "/s").collect();
    let most = rates.iter().map(|(_, _, most)| *most).fold(1.0, f64::max);
    let height = BAR * i32::try_from(rates.len()).unwrap() + 60;
    let size = (WIDTH.unsigned_abs(), height.unsigned_abs());
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let text = |size: u32| ("sans-serif", size).into_font().color(&BLACK);
    area.draw_text("Jobs or requests per second: median and spread of the run", &text(17), (12, 12)).unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "pixels")]
    let x = |value: f64| LEFT + (value / most * f64::from(WIDTH - LEFT - 90)) as i32;
    for (row, (figure, least, highest)) in rates.iter().enumerate() {
        let top = 46 + BAR * i32::try_from(row).unwrap();
        let color = if figure.group == "peers" || figure.group == "floor" {
            RGBColor(150, 160, 175)
        } else {
            RGBColor(45, 110, 200)
        };
        area.draw_text(&format!("{}: {}", figure.group, figure.name), &text(13), (12, top + 4)).unwrap();
        let bar = Rectangle::new([(LEFT, top + 3), (x(figure.value), top + BAR - 5)], color.filled());
        area.draw(&bar).unwrap();
        let middle = top + BAR / 2 - 1;
        area.draw(&PathElement::new(vec![(x(*least), middle), (x(*highest), middle)], BLACK)).unwrap();
        area.draw_text(&short(figure.value), &text(13), (x(*highest) + 8, top + 4)).unwrap();
    }
    area.present().unwrap();
}
