//! A forest plot: a row a pair, the difference of its means with its interval, over all the steps that both
//! have and over the last tenth of them.
//!
//! Both panels share one scale, as both count nats. What has no interval keeps its point and its value; why
//! stands in quiet words, once for all rows of one reason.

use super::axis::{Axis, value_axis};
use super::canvas::{Anchor, Drawing, Layer, Mark, PX_PER_INCH, px_per_inch};
use super::curves::ring;
use super::fonts::{Fonts, Weight};
use super::header::{BODY, Names, PAD, footer, header, quantity, text};
use super::{ChartOptions, Picture};
use entropy_history::history::Comparison;
use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::short;
use entropy_history::stats::Analysis;
use entropy_history::stats::contrast::{Between, Contrast, Statistic};

const DEFAULT_WIDTH: f64 = 11.0;
/// Room of a row in px when the height is free, of one of many, and the least a row can do with.
const ROW: f64 = 28.0;
const MANY_ROW: f64 = 20.0;
const SMALLEST_ROW: f64 = 10.0;
/// More pairs than this: those with the largest difference.
const MOST_ROWS: usize = 40;
/// Up to so many reasons are said.
const MOST_REASONS: usize = 5;
/// Between panels, and between a panel and its values.
const GUTTER: f64 = 24.0;
const GAP: f64 = 10.0;
const PEN: f64 = 2.0;
/// Size of reasons, and room of a line of them.
const SMALL: f64 = 11.0;
const REASON: f64 = 1.4 * SMALL;
/// Below the rows: values and the name of the axis.
const AXIS: f64 = 3.8 * BODY;

const PANELS: [(Statistic, &str); 2] =
    [(Statistic::MeanDifference, "all shared steps"), (Statistic::LateDifference, "last tenth")];

/// A pair of runs or groups.
struct Row<'a> {
    names: [String; 2],
    contrasts: &'a [Contrast],
}

impl<'a> Row<'a> {
    fn name(&self) -> String {
        self.names.join(" − ")
    }

    fn contrast(&self, statistic: Statistic) -> Option<&'a Contrast> {
        self.contrasts.iter().find(|contrast| contrast.statistic == statistic)
    }

    /// The estimates of both panels.
    fn estimates(&self) -> impl Iterator<Item = f64> {
        PANELS.iter().filter_map(|(statistic, _)| self.contrast(*statistic)?.estimate)
    }

    /// What orders rows where there are too many: how large the difference is.
    fn size(&self) -> f64 {
        self.estimates().next().map_or(0.0, f64::abs)
    }

    /// Why it has no estimate at all.
    fn refusal(&self) -> Option<&'a str> {
        match self.estimates().next() {
            Some(_) => None,
            None => self.contrasts[0].note.as_deref(),
        }
    }
}

/// Whether any pair has a difference to draw.
pub fn has_differences(analysis: &Analysis) -> bool {
    rows(analysis).iter().any(|row| row.estimates().next().is_some())
}

/// A row a pair, in the order of the analysis, without names.
fn rows(analysis: &Analysis) -> Vec<Row<'_>> {
    let pairs = analysis.comparisons.chunk_by(|x, y| (&x.a, &x.b) == (&y.a, &y.b));
    pairs.map(|contrasts| Row { names: Default::default(), contrasts }).collect()
}

/// Lays the picture out; `analysis` is that of `comparison`, and [`has_differences`].
pub fn forest(
    comparison: &Comparison,
    analysis: &Analysis,
    look: &ChartOptions,
    fonts: &Fonts,
) -> Picture {
    let mut rows = rows(analysis);
    let pairs = rows.len();
    let named = rows.iter().flat_map(|row| [&row.contrasts[0].a, &row.contrasts[0].b]);
    let names = Names::of(named.map(String::as_str));
    for (row, pair) in rows.iter_mut().zip(names.short.chunks_exact(2)) {
        row.names = [pair[0].clone(), pair[1].clone()];
    }
    let groups = rows.iter().any(|row| row.contrasts[0].between == Between::Groups);
    let title = if groups {
        "Difference of mean entropy by pair of groups"
    } else {
        "Difference of mean entropy by pair of runs"
    };
    let mut quiet = vec![quantity(comparison, look)];
    quiet.extend(method(analysis, groups));
    quiet.push("open: the interval holds 0".to_owned());
    quiet.extend(names.remark());

    let px_per_inch = look.size.map_or(PX_PER_INCH, px_per_inch);
    let smallest_row = SMALLEST_ROW * px_per_inch / PX_PER_INCH;
    let width = look.size.map_or(DEFAULT_WIDTH, |(width, _)| width) * px_per_inch;
    let reasons = reasons(&rows);
    let mut count = pairs.min(MOST_ROWS);
    let footed = if look.footer.is_some() { 20.0 } else { 0.0 };
    let row_room = if count > 12 { MANY_ROW } else { ROW };
    let free_height = 186.0 + footed + REASON * reasons.len() as f64 + row_room * count as f64;
    let height = look.size.map_or(free_height, |(_, height)| height * px_per_inch);
    let (foot, above_footer) = footer(fonts, look, (PAD, width - PAD), height);

    // How many rows there is room for decides what the quiet line says, which may take a line more.
    let (head, top, bottom) = loop {
        let mut words = quiet.clone();
        if count < pairs {
            words.push(format!("{count} of {pairs} pairs, those with the largest difference"));
        }
        let (head, below) = header(fonts, look, title, &words, (PAD, width - PAD));
        let (top, bottom) = (below + 24.0 + 1.2 * BODY, above_footer - AXIS);
        let fitting = (((bottom - top) / smallest_row) as usize).clamp(1, pairs);
        if fitting >= count {
            break (head, top, bottom);
        }
        count = fitting;
    };
    keep_largest(&mut rows, count);
    // Reasons give way to rows.
    let spare = bottom - top - smallest_row * count as f64;
    let said = ((spare / REASON).max(0.0) as usize).min(reasons.len());
    let bottom = bottom - REASON * said as f64;

    let mut marks = head;
    marks.extend(foot);
    marks.extend(panels(&mut rows, look, fonts, smallest_row, (width, top, bottom)));
    let mut y = bottom + AXIS + 0.6 * SMALL;
    for reason in &reasons[..said] {
        let fits = |t: &str| fonts.width(t, SMALL, Weight::Regular) <= width - 2.0 * PAD;
        let reason = shorten_middle(reason, fits);
        marks.push(plain(fonts, reason, (PAD, y), Anchor::Start, SMALL, look));
        y += REASON;
    }
    let left_out = pairs - rows.len();
    let warnings = if left_out > 0 {
        let why = format!("the plot shows the {} pairs with the largest difference", rows.len());
        vec![format!("{why}; the other {left_out} are among the numbers only")]
    } else {
        vec![]
    };
    let title = look.title.clone().unwrap_or_else(|| title.to_owned());
    let layers = vec![Layer { name: "differences".to_owned(), marks }];
    let drawing = Drawing { width, height, px_per_inch, ground: look.theme.ground, title, layers };
    Picture { drawing, warnings }
}

/// How the intervals were had.
fn method(analysis: &Analysis, groups: bool) -> Option<String> {
    let resampling = analysis.resampling?;
    let level = 100.0 * resampling.level;
    Some(match groups {
        true => format!("a − b, {level:.0} % intervals by Welch’s t over runs"),
        false => format!(
            "a − b, {level:.0} % intervals by moving blocks of step-wise differences ({} resamples, seed {})",
            resampling.resamples, resampling.seed
        ),
    })
}

/// Keeps so many rows, those with the largest difference, in their order.
fn keep_largest(rows: &mut Vec<Row<'_>>, count: usize) {
    if rows.len() <= count {
        return;
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| rows[*b].size().total_cmp(&rows[*a].size()).then(a.cmp(b)));
    let mut index = 0;
    rows.retain(|_| {
        index += 1;
        order[..count].contains(&(index - 1))
    });
}

/// Why rows with a value have no interval, or what limits it: each reason once.
fn reasons(rows: &[Row<'_>]) -> Vec<String> {
    let mut reasons: Vec<((&str, &str), usize)> = Vec::new();
    for row in rows.iter().filter(|row| row.refusal().is_none()) {
        for (statistic, panel) in PANELS {
            let Some(note) = row.contrast(statistic).and_then(|c| c.note.as_deref()) else {
                continue;
            };
            match reasons.iter_mut().find(|(key, _)| *key == (panel, note)) {
                Some((_, pairs)) => *pairs += 1,
                None => reasons.push(((panel, note), 1)),
            }
        }
    }
    let more = reasons.len().saturating_sub(MOST_REASONS);
    let line = |((panel, note), pairs): &((&str, &str), usize)| match pairs {
        1 => format!("{panel}, 1 pair: {note}"),
        pairs => format!("{panel}, {pairs} pairs: {note}"),
    };
    let mut lines: Vec<String> = reasons.iter().take(MOST_REASONS).map(line).collect();
    if more > 0 {
        lines.push(format!("and {more} more, which stand below the table"));
    }
    lines
}

fn plain(
    fonts: &Fonts,
    words: impl Into<String>,
    at: (f64, f64),
    anchor: Anchor,
    size: f64,
    look: &ChartOptions,
) -> Mark {
    Mark::Text(text(fonts, words, at, anchor, size, Weight::Regular, look.theme.quiet))
}

/// Names, both panels and their values, between `top` and `bottom`.
fn panels(
    rows: &mut [Row<'_>],
    look: &ChartOptions,
    fonts: &Fonts,
    smallest_row: f64,
    (width, top, bottom): (f64, f64, f64),
) -> Vec<Mark> {
    let theme = look.theme;
    let row_height = ((bottom - top) / rows.len() as f64).clamp(smallest_row, 1.6 * ROW);
    let bottom = top + row_height * rows.len() as f64;
    let size = BODY.min(0.82 * row_height);
    let wide = |t: &str| fonts.width(t, size, Weight::Regular);
    let middle = |i: usize| top + (i as f64 + 0.5) * row_height;

    let room = 0.3 * width;
    let mut names_width: f64 = 0.0;
    for row in rows.iter_mut() {
        // Each name for itself: what tells runs apart stands mostly at its end.
        let [a, b] = &mut row.names;
        let whole = wide(&format!("{a} − {b}"));
        if whole > room {
            let half = 0.5 * (room - wide(" − "));
            let (spare_a, spare_b) = ((half - wide(a)).max(0.0), (half - wide(b)).max(0.0));
            *a = shorten_middle(a, |t| wide(t) <= half + spare_b);
            *b = shorten_middle(b, |t| wide(t) <= half + spare_a);
        }
        names_width = names_width.max(wide(&row.name()));
    }
    let left = PAD + names_width + 14.0;
    let values = rows.iter().flat_map(|row| PANELS.map(|(s, _)| row.contrast(s).map(value)));
    let values_width = values.flatten().map(|words| wide(&words)).fold(0.0, f64::max);
    let panel_width = (width - PAD - left - GUTTER) / 2.0;
    // In a narrow picture the values give way to the points.
    let with_values = panel_width - GAP - values_width >= 60.0;
    let plot_width = if with_values { panel_width - GAP - values_width } else { panel_width };
    let axis = axis(rows, plot_width);

    let mut marks = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let at = (left - 14.0, middle(i) + 0.36 * size);
        let colour = if row.refusal().is_some() { theme.quiet } else { theme.text };
        marks.push(Mark::Text(text(
            fonts,
            row.name(),
            at,
            Anchor::End,
            size,
            Weight::Regular,
            colour,
        )));
    }
    for (panel, (statistic, name)) in PANELS.iter().enumerate() {
        let start = left + panel as f64 * (panel_width + GUTTER);
        let end = start + plot_width;
        let at = |value: f64| start + (value - axis.low) / (axis.high - axis.low) * plot_width;
        let fits = |t: &str| fonts.width(t, BODY, Weight::SemiBold) <= panel_width;
        let name = shorten_middle(name, fits);
        let head = (start, top - 0.75 * BODY);
        marks.push(Mark::Text(text(
            fonts,
            name,
            head,
            Anchor::Start,
            BODY,
            Weight::SemiBold,
            theme.text,
        )));
        marks.extend(ticks(&axis, (start, end), (top, bottom), look, fonts));
        for (i, row) in rows.iter().enumerate() {
            let Some(contrast) = row.contrast(*statistic) else { continue };
            let Some(estimate) = contrast.estimate else { continue };
            let y = middle(i);
            marks.extend(point(contrast, estimate, y, at, row_height, look));
            if with_values {
                let at = (end + GAP, y + 0.36 * size);
                let words = value(contrast);
                marks.push(Mark::Text(text(
                    fonts,
                    words,
                    at,
                    Anchor::Start,
                    size,
                    Weight::Regular,
                    theme.text,
                )));
            }
        }
    }
    // Why a pair has no point at all stands where its points would.
    for (i, row) in rows.iter().enumerate() {
        let Some(why) = row.refusal() else { continue };
        let fits = |t: &str| wide(t) <= width - PAD - left - GAP;
        let why = shorten_middle(why, fits);
        let (y, from) = (middle(i), left + 4.0);
        let behind = ((from - 3.0, y - 0.5 * size), (from + wide(&why) + 3.0, y + 0.5 * size));
        marks.push(Mark::Bar(behind.0, behind.1, theme.ground));
        marks.push(plain(fonts, why, (from, y + 0.36 * size), Anchor::Start, size, look));
    }
    marks
}

/// The scale of both panels: from the lowest end to the highest, with 0.
fn axis(rows: &[Row<'_>], plot_width: f64) -> Axis {
    let contrasts = rows.iter().flat_map(|row| PANELS.map(|(s, _)| row.contrast(s))).flatten();
    let ends = contrasts.flat_map(|c| [c.estimate, c.low, c.high]).flatten();
    let (low, high) = ends.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let (low, high) = if low < high { (low, high) } else { (-1.0, 1.0) };
    let air = 0.03 * (high - low);
    let low = if low < 0.0 { low - air } else { low };
    let high = if high > 0.0 { high + air } else { high };
    // Round numbers may be few within ends that are not round.
    let most = (plot_width / 50.0).clamp(3.0, 6.0) as usize;
    let axes = (most..12).map(|most| value_axis(low, high, (true, true), most));
    let mut enough = axes.filter(|axis| axis.ticks.len() >= 3);
    enough.next().unwrap_or_else(|| value_axis(low, high, (true, true), most))
}

/// Hairlines with their values below, and a line at 0.
fn ticks(
    axis: &Axis,
    (start, end): (f64, f64),
    (top, bottom): (f64, f64),
    look: &ChartOptions,
    fonts: &Fonts,
) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut free = f64::NEG_INFINITY;
    for (value, words) in &axis.ticks {
        let x = start + (value - axis.low) / (axis.high - axis.low) * (end - start);
        let zero = *value == 0.0;
        let colour = if zero { look.theme.quiet } else { look.theme.hairline };
        marks.push(Mark::Line(vec![(x, top - 2.0), (x, bottom + 2.0)], 1.0, colour));
        let half = fonts.width(words, BODY, Weight::Regular) / 2.0;
        if x - half > free {
            let at = (x, bottom + 6.0 + BODY);
            marks.push(plain(fonts, words, at, Anchor::Middle, BODY, look));
            free = x + half + 6.0;
        }
    }
    let fits = |t: &str| fonts.width(t, BODY, Weight::Regular) <= end - start;
    let name = match &look.x_label {
        Some(name) => shorten_middle(&visible(name), fits),
        None if fits("difference in nats") => "difference in nats".to_owned(),
        None => "nats".to_owned(),
    };
    let at = ((start + end) / 2.0, bottom + 2.9 * BODY);
    marks.push(plain(fonts, name, at, Anchor::Middle, BODY, look));
    marks
}

/// A point with its interval: open where that holds 0, small and quiet where there is none.
fn point(
    contrast: &Contrast,
    estimate: f64,
    y: f64,
    at: impl Fn(f64) -> f64,
    row_height: f64,
    look: &ChartOptions,
) -> Vec<Mark> {
    let theme = look.theme;
    let radius = (0.24 * row_height).clamp(2.0, 4.5);
    let (Some(low), Some(high)) = (contrast.low, contrast.high) else {
        return vec![Mark::Disc((at(estimate), y), 0.6 * radius, theme.quiet)];
    };
    let colour = theme.style(0).line;
    let mut marks = vec![Mark::Line(vec![(at(low), y), (at(high), y)], PEN, colour)];
    match low <= 0.0 && 0.0 <= high {
        true => marks.extend(ring((at(estimate), y), radius, 1.6, colour, theme.ground)),
        false => marks.push(Mark::Disc((at(estimate), y), radius, colour)),
    }
    marks
}

/// `0.937 [0.850, 1.02]`, as much of it as exists.
fn value(contrast: &Contrast) -> String {
    let Some(estimate) = contrast.estimate else { return String::new() };
    match (contrast.low, contrast.high) {
        (Some(low), Some(high)) => {
            format!("{} [{}, {}]", short(estimate), short(low), short(high))
        }
        _ => format!("{}, no interval", short(estimate)),
    }
}
