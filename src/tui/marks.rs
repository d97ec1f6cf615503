//! What a chart shows besides its curves: lines at values, names at the ends of curves, and the step that was pointed at.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use entropy_plot::Scale;

/// A dotted line at a value.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelLine {
    /// The value.
    pub value: f64,
    /// The text beside it.
    pub label: String,
    /// The style of the line and its label.
    pub style: Style,
    /// Whether the y axis reaches to it.
    pub reach: Reach,
}

/// Whether the y axis reaches to a line that is beyond the values of the curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It does.
    Extended,
    /// It does not: an arrow at the edge says where the line is.
    AsIs,
}

/// The name of a curve, beside its end.
#[derive(Debug, Clone, PartialEq)]
pub struct EndName {
    /// The last value of the curve that is shown.
    pub value: f64,
    /// The name.
    pub name: String,
    /// The style of the curve.
    pub style: Style,
}

/// Positions of a label that are tried, in columns.
const STRIDE: usize = 4;

/// Draws a line and its label where no curve is. Of a line beyond the axis, only the label is drawn, with an arrow.
pub(super) fn draw_level(line: &LevelLine, y: &Scale, plot: Rect, buffer: &mut Buffer) {
    let at = y.at(line.value);
    let bottom = f64::from(plot.height) * 4.0 - 1.0;
    let (text, row) = match at {
        at if !at.is_finite() => return,
        at if at < -0.5 => (format!("▴ {}", line.label), plot.y),
        at if at > bottom + 0.5 => (format!("▾ {}", line.label), plot.bottom() - 1),
        at => {
            draw_dots(at, line.style, plot, buffer);
            (line.label.clone(), plot.y + (at / 4.0).clamp(0.0, bottom / 4.0) as u16)
        }
    };
    let width = text.width() as u16;
    let rows = [row, row.saturating_sub(1), row + 1];
    let rows = rows.into_iter().filter(|row| (plot.y..plot.bottom()).contains(row));
    let columns = || (plot.x..(plot.right() + 1).saturating_sub(width)).rev().step_by(STRIDE);
    let is_free = |(x, y): &(u16, u16)| (*x..x + width).all(|x| buffer[(x, *y)].symbol() == " ");
    let mut places = rows.flat_map(|row| columns().map(move |x| (x, row)));
    if let Some((x, y)) = places.find(is_free) {
        buffer.set_string(x, y, text, line.style);
    }
}

/// Draws dots in a row of dots, in characters that are still empty.
fn draw_dots(at: f64, style: Style, plot: Rect, buffer: &mut Buffer) {
    const LEFT_DOTS: [u32; 4] = [0x01, 0x02, 0x04, 0x40];
    let dot = at.round().clamp(0.0, f64::from(plot.height) * 4.0 - 1.0) as u16;
    let symbol = char::from_u32(0x2800 + LEFT_DOTS[usize::from(dot % 4)]).unwrap_or('.');
    for x in (plot.x..plot.right()).step_by(2) {
        let cell = &mut buffer[(x, plot.y + dot / 4)];
        if cell.symbol() == " " {
            cell.set_char(symbol).set_style(style);
        }
    }
}

/// Draws names right of the plot, each in the row of its value or in the next free one.
pub(super) fn draw_end_names(names: &[EndName], y: &Scale, plot: Rect, buffer: &mut Buffer) {
    let last = plot.height.saturating_sub(1);
    let row = |name: &EndName| (y.at(name.value) / 4.0).clamp(0.0, f64::from(last)) as u16;
    let mut placed: Vec<(u16, &EndName)> = names
        .iter()
        .filter(|name| y.at(name.value).is_finite())
        .map(|name| (row(name), name))
        .collect();
    placed.sort_by(|a, b| y.at(a.1.value).total_cmp(&y.at(b.1.value)));
    placed.truncate(usize::from(plot.height));
    let mut free = 0;
    for (row, _) in &mut placed {
        *row = (*row).max(free);
        free = *row + 1;
    }
    let mut limit = plot.height;
    for (row, _) in placed.iter_mut().rev() {
        *row = (*row).min(limit.saturating_sub(1));
        limit = *row;
    }
    for (row, name) in placed {
        buffer.set_string(plot.right() + 1, plot.y + row, &name.name, name.style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_plot::ValueScale;

    const PLOT: Rect = Rect { x: 0, y: 0, width: 12, height: 4 };

    fn rows(buffer: &Buffer) -> Vec<String> {
        let row = |y| {
            (0..buffer.area.width).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>()
        };
        (0..buffer.area.height).map(row).collect()
    }

    /// Values from 0 to 3 on four rows.
    fn scale() -> Scale {
        Scale::new((0.0, 3.0), (15.0, 0.0), ValueScale::Linear)
    }

    fn level(value: f64) -> Vec<String> {
        let mut buffer = Buffer::empty(PLOT);
        buffer.set_string(4, 0, "xxxxxxxx", Style::new());
        let line =
            LevelLine { value, label: "min".to_owned(), style: Style::new(), reach: Reach::AsIs };
        draw_level(&line, &scale(), PLOT, &mut buffer);
        rows(&buffer)
    }

    #[test]
    fn line_has_its_label_where_nothing_else_is() {
        let rows = level(1.4);
        assert!(rows[2].starts_with("⠁ ⠁ ⠁ "), "{rows:?}");
        assert!(rows[1].ends_with("min"), "{rows:?}");
        assert!(rows[0].ends_with("xxxxxxxx"), "{rows:?}");
    }

    #[test]
    fn line_beyond_the_axis_is_an_arrow_at_the_edge() {
        assert!(level(-1.0)[3].ends_with("▾ min"), "{:?}", level(-1.0));
        // Nothing is free in the first row.
        assert!(level(9.0)[1].ends_with("▴ min"), "{:?}", level(9.0));
        assert_eq!(level(f64::NAN)[1..], [" ".repeat(12), " ".repeat(12), " ".repeat(12)]);
    }

    #[test]
    fn names_of_near_ends_are_below_each_other() {
        let name =
            |value: f64, name: &str| EndName { value, name: name.to_owned(), style: Style::new() };
        let drawn = |names: &[EndName]| {
            let mut buffer = Buffer::empty(Rect { width: 15, ..PLOT });
            draw_end_names(names, &scale(), PLOT, &mut buffer);
            rows(&buffer).iter().map(|row| row[13..].trim().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(&[name(0.1, "c"), name(3.0, "a"), name(0.2, "b")]), ["a", "", "b", "c"]);
        assert_eq!(drawn(&[name(3.0, "a"), name(2.9, "b"), name(9.0, "x")]), ["x", "a", "b", ""]);
        let five: Vec<EndName> = (0..5).map(|i| name(f64::from(i), "n")).collect();
        assert_eq!(drawn(&five), ["n"; 4]);
    }
}
