//! Bars of mean, maximum and minimum: three panels, one row a run, one shared scale.

use super::canvas::{Anchor, Drawing, Layer, Mark, PX_PER_INCH, px_per_inch};
use super::fonts::{Fonts, Weight};
use super::header::{BODY, Names, PAD, footer, header, quantity, text};
use super::theme::Rgb;
use super::{Across, ChartOptions, Picture, styles_over};
use entropy_history::history::Comparison;
use entropy_history::label::shorten_middle;
use entropy_history::number::short;
use entropy_history::stats::{Analysis, RunStats};

const DEFAULT_WIDTH: f64 = 11.0;
/// Room of a row in px when the height is free, and the least a row can do with.
const ROW: f64 = 34.0;
const SMALLEST_ROW: f64 = 10.0;
/// Between panels.
const GUTTER: f64 = 26.0;

struct Row<'a> {
    name: String,
    colour: Rgb,
    stats: &'a RunStats,
}

const DEFAULT_TITLE: &str = "Policy entropy: mean, max, min";

/// Lays the picture out; `analysis` is that of `comparison`.
pub fn bars(
    comparison: &Comparison,
    analysis: &Analysis,
    look: &ChartOptions,
    fonts: &Fonts,
) -> Picture {
    let runs = comparison.runs();
    let names = Names::of(runs.iter().map(|run| run.history.label()));
    let styles = styles_over(runs, look.steps);
    let shown = styles.iter().flatten().count();

    let mut subtitle = vec![quantity(comparison, look)];
    let across = look.across;
    subtitle.push(format!("@ {} of the extreme", across.noun()));
    match look.steps {
        (from, to) if from.is_finite() && to.is_finite() => {
            subtitle.push(across.range(from, to));
        }
        (from, _) if from.is_finite() => subtitle.push(format!("from {}", across.place(from))),
        (_, to) if to.is_finite() => subtitle.push(format!("up to {}", across.place(to))),
        _ => {}
    }
    if look.groups.is_some() {
        subtitle.push("a colour a group".to_owned());
    }
    subtitle.extend(names.remark());

    let px_per_inch = look.size.map_or(PX_PER_INCH, px_per_inch);
    let smallest_row = SMALLEST_ROW * px_per_inch / PX_PER_INCH;
    let width = look.size.map_or(DEFAULT_WIDTH, |(width, _)| width) * px_per_inch;
    let footed = if look.footer.is_some() { 20.0 } else { 0.0 };
    let row_room = if shown > 12 { ROW * 0.62 } else { ROW };
    let free_height = 132.0 + footed + row_room * shown as f64;
    let height = look.size.map_or(free_height, |(_, height)| height * px_per_inch);
    let (foot, above_footer) = footer(fonts, look, (PAD, width - PAD), height);

    // How many rows there is room for decides what the quiet line says, which may take a line more.
    let fitting = |top: f64| (((above_footer - top) / smallest_row) as usize).clamp(1, shown);
    let mut count = shown;
    let (head, top) = loop {
        let mut words = subtitle.clone();
        if count < runs.len() {
            words.push(format!("{count} of {} runs, those with the largest spread", runs.len()));
        }
        let (head, below) = header(fonts, look, DEFAULT_TITLE, &words, (PAD, width - PAD));
        let top = below + 24.0 + 1.2 * BODY;
        if fitting(top) >= count {
            break (head, top);
        }
        count = fitting(top);
    };

    let mut rows: Vec<Row<'_>> = Vec::new();
    for ((index, stats), name) in analysis.runs.iter().enumerate().zip(names.short) {
        if let Some(style) = styles[index] {
            let colour = match &look.groups {
                Some(grouped) => grouped.colour(index, look.theme),
                None => look.theme.style(style).line,
            };
            rows.push(Row { name, colour, stats });
        }
    }
    if rows.len() > count {
        let mut spreads: Vec<f64> = rows.iter().map(|r| r.stats.max - r.stats.min).collect();
        spreads.sort_by(|a, b| b.total_cmp(a));
        let least = spreads[count - 1];
        rows.retain(|row| row.stats.max - row.stats.min >= least);
        rows.truncate(count);
    }
    let mut marks = head;
    marks.extend(foot);
    marks.extend(panels(&mut rows, look, fonts, (width, top, above_footer)));
    let left_out = runs.len() - rows.len();
    let warnings = if left_out > 0 {
        let why = format!("the bars show the {} runs with the largest spread", rows.len());
        vec![format!("{why}; the other {left_out} are in the table only")]
    } else {
        vec![]
    };
    let title = look.title.clone().unwrap_or_else(|| DEFAULT_TITLE.to_owned());
    let layers = vec![Layer { name: "bars".to_owned(), marks }];
    let drawing = Drawing { width, height, px_per_inch, ground: look.theme.ground, title, layers };
    Picture { drawing, warnings }
}

/// An extreme and where it is.
fn extreme(value: f64, x: f64, across: Across) -> String {
    format!("{}  @ {}", short(value), across.at(x))
}

/// The three panels between `top` and `bottom`.
fn panels(
    rows: &mut [Row<'_>],
    look: &ChartOptions,
    fonts: &Fonts,
    (width, top, bottom): (f64, f64, f64),
) -> Vec<Mark> {
    let row_height = ((bottom - top) / rows.len() as f64).min(1.6 * ROW);
    let bottom = top + row_height * rows.len() as f64;
    let size = BODY.min(0.82 * row_height);
    let wide = |t: &str| fonts.width(t, size, Weight::Regular);

    let room = 0.24 * width;
    let mut names_width: f64 = 0.0;
    for row in rows.iter_mut() {
        row.name = shorten_middle(&row.name, |t| wide(t) <= room);
        names_width = names_width.max(wide(&row.name));
    }
    type Value = fn(&RunStats) -> Option<f64>;
    type Words = fn(&RunStats, Across) -> String;
    let panels: [(&str, Value, Words); 3] = [
        ("mean", |s| s.mean, |s, _| s.mean.map_or("too large".to_owned(), short)),
        ("max", |s| Some(s.max), |s, across| extreme(s.max, s.max_step, across)),
        ("min", |s| Some(s.min), |s, across| extreme(s.min, s.min_step, across)),
    ];

    // One scale for all: from the smallest value or 0 to the largest or 0.
    let values = rows.iter().flat_map(|row| panels.iter().filter_map(|p| p.1(row.stats)));
    let (low, high) = values.fold((0.0f64, 0.0f64), |(l, h), v| (l.min(v), h.max(v)));
    let span = if high / 2.0 > low / 2.0 { high / 2.0 - low / 2.0 } else { 1.0 };
    let words =
        rows.iter().flat_map(|row| panels.iter().map(|p| wide(&p.2(row.stats, look.across))));
    let words_width = words.fold(0.0, f64::max) + 6.0;
    let left = PAD + names_width + 10.0;
    let panel_width = (width - PAD - left - 2.0 * GUTTER) / 3.0;
    // Values below 0 carry their words on the left, in room of their own.
    let before = if low < 0.0 { words_width } else { 0.0 };
    let bar_room = (panel_width - words_width - before).max(20.0);
    let reach = |value: f64| value / 2.0 / span * bar_room;

    let theme = look.theme;
    let mut marks = Vec::new();
    for (row, y) in rows.iter().zip((0..).map(|i| top + (f64::from(i) + 0.5) * row_height)) {
        let at = (left - 8.0, y + 0.36 * size);
        marks.push(Mark::Text(text(
            fonts,
            &row.name,
            at,
            Anchor::End,
            size,
            Weight::Regular,
            theme.text,
        )));
    }
    for (i, (name, value, words)) in panels.iter().enumerate() {
        let start = left + i as f64 * (panel_width + GUTTER);
        let zero = start + before - reach(low);
        let at = (start, top - 0.75 * BODY);
        marks.push(Mark::Text(text(
            fonts,
            *name,
            at,
            Anchor::Start,
            BODY,
            Weight::SemiBold,
            theme.text,
        )));
        for (row, y) in rows.iter().zip((0..).map(|i| top + (f64::from(i) + 0.5) * row_height)) {
            let half = 0.31 * row_height;
            let end = zero + value(row.stats).map_or(0.0, reach);
            let (from, to) = (zero.min(end), zero.max(end));
            if to > from {
                marks.push(Mark::Bar((from, y - half), (to, y + half), row.colour));
            }
            let (x, anchor) =
                if end < zero { (from - 5.0, Anchor::End) } else { (to + 5.0, Anchor::Start) };
            let at = (x, y + 0.36 * size);
            marks.push(Mark::Text(text(
                fonts,
                words(row.stats, look.across),
                at,
                anchor,
                size,
                Weight::Regular,
                theme.text,
            )));
        }
        marks.push(Mark::Line(vec![(zero, top - 2.0), (zero, bottom + 2.0)], 1.0, theme.quiet));
    }
    marks
}
