//! The parts of a change: a bar for each group of tokens, in sections, with its interval and its number.

use super::axis::{Axis, range, value_axis};
use super::canvas::{Anchor, Layer, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::{Fonts, Weight};
use super::metrics::{BODY, PX_PER_INCH, PictureSize};
use super::titles::{footer, header};
use super::{ChartOptions, Picture};
use entropy_history::label::{shorten_middle, visible};

/// Width in inches, unless the user sets a size.
const WIDTH: f64 = 8.0;
/// Heights in px of a row, of the heading of a section, and of the gap after one; and the smallest height of a row.
const ROW: f64 = 24.0;
const HEADING: f64 = 24.0;
const GAP: f64 = 12.0;
const MIN_ROW: f64 = 15.4; // at which type has its full size
/// Height in px below the rows for ticks and the name of the axis.
const AXIS: f64 = 3.4 * BODY;
/// Largest share of the width of the names.
const NAMES: f64 = 0.3;
/// Distance in px between names, bars and numbers.
const COLUMN_GAP: f64 = 12.0;
/// Height of a bar as a share of its row.
const BAR: f64 = 0.6;

/// The numbers of a picture.
#[derive(Debug, Clone)]
pub struct Parts {
    /// Title of the picture.
    pub title: String,
    /// Parts of the line below the title.
    pub subtitle: Vec<String>,
    /// Name of the axis.
    pub axis_name: String,
    /// The sections, from the top; at least one with a row.
    pub sections: Vec<PartSection>,
}

/// Parts that add up to the whole.
#[derive(Debug, Clone)]
pub struct PartSection {
    /// What they are parts by.
    pub heading: String,
    /// The parts.
    pub rows: Vec<PartBar>,
}

/// A part.
#[derive(Debug, Clone)]
pub struct PartBar {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Ends of its interval.
    pub interval: Option<(f64, f64)>,
    /// The value in proportion to its size, which an upright mark shows.
    pub even: Option<f64>,
    /// Its value and its share of the whole in words.
    pub words: [String; 2],
}

/// Draws the parts.
pub fn parts(data: &Parts, options: &ChartOptions, fonts: &Fonts) -> Picture {
    let chart = ChartContext { options, fonts };
    let theme = chart.theme();
    let metrics = chart.metrics();
    let pad = metrics.pad;
    let rows = data.sections.iter().map(|section| section.rows.len()).sum::<usize>() as f64;
    let headings =
        data.sections.len() as f64 * HEADING + data.sections.len().saturating_sub(1) as f64 * GAP;
    let px_per_inch = options.size.map_or(PX_PER_INCH, |size| options.look.px_per_inch(size));
    let width = options.size.map_or(WIDTH, |size| size.0) * px_per_inch;
    let ends = (pad, width - pad);
    let (mut marks, below_header) = header(chart, &data.title, &data.subtitle, ends);
    let top = below_header + 0.5 * metrics.plot_margin;
    let footer_height = if options.footer.is_some() { 20.0 } else { 0.0 };
    let height_of = |row: f64| top + headings + row * rows + AXIS + pad + footer_height;
    let least = height_of(MIN_ROW);
    let given = options.size.map(|size| size.1 * px_per_inch);
    let height = given.map_or(height_of(ROW), |given| given.max(least));
    let mut warnings = Vec::new();
    if given.is_some_and(|given| given < least) {
        let inches = height / px_per_inch;
        warnings.push(format!("the picture is {inches:.1} in high: its parts need that"));
    }
    let (footer, above_footer) = footer(chart, ends, height);
    marks.extend(footer);
    let bottom = above_footer - AXIS;
    let row = ((bottom - top - headings) / rows.max(1.0)).clamp(MIN_ROW, ROW);
    let size = BODY.min(0.82 * row);

    let all = || data.sections.iter().flat_map(|section| &section.rows);
    let column =
        |at: usize| all().map(|bar| chart.text_width(&bar.words[at], size)).fold(0.0, f64::max);
    let words_width = column(0) + COLUMN_GAP + column(1);
    let words_ends = [width - pad - column(1) - COLUMN_GAP, width - pad];
    let name = |bar: &PartBar| {
        shorten_middle(&visible(&bar.name), |t| chart.text_width(t, size) <= NAMES * width)
    };
    let names_width = all().map(|bar| chart.text_width(&name(bar), size)).fold(0.0, f64::max);
    let (left, right) = (pad + names_width + COLUMN_GAP, width - pad - words_width - COLUMN_GAP);
    let axis = axis(all(), right - left);
    let x = |value: f64| left + (value - axis.low) / (axis.high - axis.low) * (right - left);

    let mut y = top;
    let (mut lines, mut bars, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for (at, section) in data.sections.iter().enumerate() {
        let fits = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold) <= ends.1 - ends.0;
        let heading = shorten_middle(&visible(&section.heading), fits);
        let format = TextFormat::semi_bold(BODY, theme.text);
        texts.push(chart.text(heading, (pad, y + 1.2 * BODY), Anchor::Start, format));
        y += HEADING;
        let (from, to) = (y, y + row * section.rows.len() as f64);
        for (value, _) in &axis.ticks {
            let colour = if *value == 0.0 { theme.muted } else { theme.hairline };
            lines.push(Mark::Line(vec![(x(*value), from), (x(*value), to)], 1.0, colour));
        }
        for bar in &section.rows {
            let middle = y + 0.5 * row;
            // A part in proportion to its tokens is of a group; the mix has no such mark, and another colour.
            let colour = if bar.even.is_some() { theme.style(0).line } else { theme.unstyled };
            let (low, high) = (x(bar.value.min(0.0)), x(bar.value.max(0.0)));
            let half = 0.5 * BAR * row;
            bars.push(Mark::Bar(
                (low, middle - half),
                (high.max(low + 0.5), middle + half),
                colour,
            ));
            if let Some((low, high)) = bar.interval {
                let line = vec![(x(low), middle), (x(high), middle)];
                bars.push(Mark::Line(line, 1.6, theme.text));
            }
            if let Some(even) = bar.even {
                let line = vec![(x(even), middle - 0.42 * row), (x(even), middle + 0.42 * row)];
                bars.push(Mark::Line(line, 1.4, theme.muted));
            }
            let format = TextFormat::regular(size, theme.text);
            let baseline = middle + 0.36 * size;
            texts.push(chart.text(name(bar), (left - COLUMN_GAP, baseline), Anchor::End, format));
            for (words, end) in bar.words.iter().zip(words_ends) {
                texts.push(chart.text(words, (end, baseline), Anchor::End, format));
            }
            y += row;
        }
        if at + 1 < data.sections.len() {
            y += GAP;
        }
    }
    texts.extend(tick_labels(&axis, x, y, chart));
    let format = TextFormat::regular(BODY, theme.muted);
    let fits = |t: &str| chart.text_width(t, BODY) <= ends.1 - ends.0;
    let axis_name = options.x_label.as_deref().unwrap_or(&data.axis_name);
    let axis_name = shorten_middle(&visible(axis_name), fits);
    let half = 0.5 * chart.text_width(&axis_name, BODY);
    let middle = ((left + right) / 2.0).clamp(pad + half, (width - pad - half).max(pad + half));
    texts.push(chart.text(axis_name, (middle, y + 2.9 * BODY), Anchor::Middle, format));

    let layers = [("grid", lines), ("title", marks), ("parts", bars), ("texts", texts)];
    let layers = layers.map(|(name, marks)| Layer { name: name.to_owned(), marks });
    let size = PictureSize { width, height, px_per_inch };
    Picture { drawing: chart.drawing(size, &data.title, layers.into()), warnings }
}

/// The axis of all parts, with 0 in it.
fn axis<'a>(bars: impl Iterator<Item = &'a PartBar>, width: f64) -> Axis {
    let ends = bars.flat_map(|bar| {
        let (low, high) = bar.interval.unwrap_or((bar.value, bar.value));
        [bar.value, low, high, bar.even.unwrap_or(0.0), 0.0]
    });
    let (low, high) = range(ends);
    let high = if high > low { high } else { low + 1.0 };
    value_axis(low, high, (false, false), (width / 60.0).clamp(2.0, 8.0) as usize)
}

/// The labels of the ticks that do not touch the one before.
fn tick_labels(axis: &Axis, x: impl Fn(f64) -> f64, y: f64, chart: ChartContext<'_>) -> Vec<Mark> {
    let format = TextFormat::regular(BODY, chart.theme().muted);
    let mut free_from = f64::NEG_INFINITY;
    let mut marks = Vec::new();
    for (value, label) in &axis.ticks {
        let half = 0.5 * chart.text_width(label, BODY);
        if x(*value) - half > free_from {
            marks.push(chart.text(label, (x(*value), y + 1.4 * BODY), Anchor::Middle, format));
            free_from = x(*value) + half + 8.0;
        }
    }
    marks
}
