//! Which line is whose: names at the line ends, or a legend beside the plot.

use super::{Curve, Frame, LEADER, LINE_HEIGHT, stroke};
use crate::ChartOptions;
use crate::canvas::{Anchor, Layer, Mark};
use crate::fonts::{Fonts, Weight};
use crate::header::{BODY, text};
use crate::ink::Xy;
use crate::place::push_apart;
use crate::theme::Style;

/// A sample of a dashed line before its name, and between both, in px.
const SAMPLE: f64 = 22.0;
const SAMPLE_GAP: f64 = 6.0;

/// Room before a name for a sample of its line: one that is dashed has the colour of another.
pub(super) fn sample_width(curve: &Curve<'_>) -> f64 {
    match curve.style {
        Some(style) if !style.dash.is_empty() => SAMPLE + SAMPLE_GAP,
        _ => 0.0,
    }
}

/// Names at the line ends, pushed apart where ends are close, with a thin leader.
pub(super) fn end_labels(
    curves: &[Curve<'_>],
    frame: &Frame,
    look: &ChartOptions,
    fonts: &Fonts,
) -> Layer {
    let x = frame.right + LEADER;
    let mut ends: Vec<(Xy, &Curve<'_>)> = Vec::new();
    for curve in curves.iter().filter(|curve| curve.style.is_some()) {
        // A run above or below the limits has no line, and keeps its name at that side.
        let outside = || {
            let y = frame.y.at(curve.last());
            (f64::NAN, if y < frame.top { frame.top } else { frame.bottom })
        };
        ends.push((curve.end().unwrap_or_else(outside), curve));
    }
    ends.sort_by(|a, b| a.0.1.total_cmp(&b.0.1));
    let wanted: Vec<f64> = ends.iter().map(|((_, y), _)| *y).collect();
    let room = (frame.top - LINE_HEIGHT / 2.0, frame.bottom + LINE_HEIGHT / 2.0);
    let mut marks = Vec::new();
    let mut names = Vec::new();
    for (y, (end, curve)) in push_apart(&wanted, LINE_HEIGHT, room).into_iter().zip(&ends) {
        let Some(style) = curve.style else { continue };
        if end.0.is_finite() {
            let bend = end.0.max(frame.right + 4.0);
            let leader = style.line.over(look.theme.ground, 0.55);
            let mut line = vec![(end.0 + 2.0, end.1)];
            if bend > end.0 + 6.0 {
                line.push((bend, end.1));
            }
            line.push((x - 6.0, y));
            marks.push(Mark::Line(line, 0.9, leader));
        }
        let sample = sample_width(curve);
        if sample > 0.0 {
            let line = [(x, y), (x + SAMPLE, y)];
            marks.extend(stroke(&line, 2.0, style.line, style.dash));
        }
        let at = (x + sample, y + 0.36 * BODY);
        let words = &curve.name;
        names.push(Mark::Text(text(
            fonts,
            words,
            at,
            Anchor::Start,
            BODY,
            Weight::SemiBold,
            style.name,
        )));
    }
    marks.extend(names);
    Layer { name: "names".to_owned(), marks }
}

/// A legend beside the plot: columns of names in the order in which the lines end.
pub(super) struct Legend {
    rows: usize,
    columns: usize,
    column_width: f64,
    size: f64,
}

const SWATCH: f64 = 26.0;
const MOST_COLUMNS: usize = 3;
/// In px: the smallest type of a legend, the least room of a name in one of several columns, and pictures that
/// leave more of their width to the lines.
const SMALLEST: f64 = 9.4;
const LEAST_NAME: f64 = 60.0;
const NARROW: f64 = 620.0;

impl Legend {
    /// Chooses rows, columns and a font size: the largest at which all names fit as they are; if there is none,
    /// one at which all have a line, shortened.
    pub(super) fn new(curves: &mut [Curve<'_>], fonts: &Fonts, width: f64, height: f64) -> Legend {
        let named = curves.iter().filter(|c| c.style.is_some()).count();
        let rest = curves.len() - named;
        let entries = named + usize::from(rest > 0);
        let more = format!("and {} more", curves.len());
        let share = if width < NARROW { 0.35 } else { 0.42 };
        let margin = SWATCH + 12.0;
        let rows_at = |size: f64| ((height / (1.32 * size)) as usize).max(1);
        let wide = |t: &str, size: f64| fonts.width(t, size, Weight::Regular);
        // Widths go with the size.
        let names = curves.iter().filter(|c| c.style.is_some());
        let least = if rest > 0 { wide(&more, 1.0) } else { 0.0 };
        let widest = names.map(|c| wide(&c.whole_name(), 1.0)).fold(least, f64::max);

        let sizes =
            || (0..).map(|i| BODY - 0.4 * f64::from(i)).take_while(|size| *size >= SMALLEST);
        let columns_at = |size: f64| entries.div_ceil(rows_at(size));
        let fits = |size: &f64| {
            let columns = columns_at(*size);
            columns <= MOST_COLUMNS
                && widest * size <= 0.26 * width
                && columns as f64 * (margin + widest * size) <= share * width
        };
        let most = (share * width / (margin + LEAST_NAME)).clamp(1.0, MOST_COLUMNS as f64) as usize;
        let listing = |size: &f64| columns_at(*size) <= most;
        let size = sizes().find(fits).or_else(|| sizes().find(listing)).unwrap_or(SMALLEST);
        let rows = rows_at(size).min(entries);
        let columns = match fits(&size) {
            true => columns_at(size),
            false => columns_at(size).min(most),
        };

        let room = (share * width / columns as f64 - margin).min(0.26 * width);
        let all_listed = rest == 0 && entries <= rows * columns;
        let mut widest = if all_listed { 0.0 } else { wide(&more, size) };
        for curve in curves.iter_mut().filter(|c| c.style.is_some()) {
            curve.fit_name(|t| wide(t, size) <= room);
            widest = widest.max(wide(&curve.name, size));
        }
        Legend { rows, columns, column_width: margin + widest, size }
    }

    pub(super) fn width(&self) -> f64 {
        self.column_width * self.columns as f64
    }

    pub(super) fn layer(
        self,
        curves: &[Curve<'_>],
        frame: &Frame,
        look: &ChartOptions,
        fonts: &Fonts,
    ) -> Layer {
        let mut entries: Vec<(f64, &Curve<'_>, Style)> = curves
            .iter()
            .filter_map(|c| Some((c.end().map_or(f64::INFINITY, |e| e.1), c, c.style?)))
            .collect();
        entries.sort_by(|a, b| a.0.total_cmp(&b.0));
        let slots = self.rows * self.columns;
        let unnamed = curves.len() - entries.len();
        let last = usize::from(unnamed > 0 || entries.len() > slots);
        let shown = entries.len().min(slots - last);
        let unlisted = curves.len() - shown;

        let left = frame.right + 24.0;
        let slot = |i: usize| {
            let x = left + (i / self.rows) as f64 * self.column_width;
            (x, frame.top + (i % self.rows) as f64 * 1.32 * self.size)
        };
        let words = |words: &str, (x, y): Xy, colour| {
            let at = (x + SWATCH, y + 0.36 * self.size);
            Mark::Text(text(fonts, words, at, Anchor::Start, self.size, Weight::Regular, colour))
        };
        let mut marks = Vec::new();
        for (i, (_, curve, style)) in entries[..shown].iter().enumerate() {
            let (x, y) = slot(i);
            marks.extend(stroke(&[(x, y), (x + SWATCH - 6.0, y)], 2.4, style.line, style.dash));
            marks.push(words(&curve.name, (x, y), style.name));
        }
        if unlisted > 0 {
            let (x, y) = slot(shown);
            marks.extend(stroke(&[(x, y), (x + SWATCH - 6.0, y)], 1.0, look.theme.crowd, &[]));
            marks.push(words(&format!("and {unlisted} more"), (x, y), look.theme.quiet));
        }
        Layer { name: "legend".to_owned(), marks }
    }
}
