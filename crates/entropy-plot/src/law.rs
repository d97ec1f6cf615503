//! The reward–entropy law: reward over entropy, a dot a step, and the curve R = b − a·e^H through them.
//!
//! A curve is strong where its run has been and thin on to H = 0, where a ring marks the ceiling, if the
//! axis gets there. Of few runs the curve that was fitted to the first third is there too, dashed.

use std::collections::HashSet;

use super::axis::{Axis, Scale, value_axis};
use super::canvas::{Anchor, Drawing, Layer, Mark, px_per_inch};
use super::curves::{
    DEFAULT_SIZE, Frame, LEADER, LINE_HEIGHT, NAMED_AT_END, NothingToDraw, air, grid, ring, stroke,
    tick_count, x_ticks,
};
use super::fonts::{Fonts, Weight};
use super::header::{BODY, Names, PAD, footer, header, text};
use super::ink::{Xy, between_y, dashes};
use super::place::push_apart;
use super::theme::{STYLES, Style};
use super::{ChartOptions, Picture, ValueScale, styles_over};
use entropy_history::history::Comparison;
use entropy_history::label::{shorten_middle, visible};
use entropy_history::number::short;
use entropy_history::stats::law::{Curve, Law, Pair, pairs};

/// Up to so many runs show the fit to their first third.
const WITH_TEST: usize = 3;
const FIT_PEN: f64 = 2.0;
const MANY_PEN: f64 = 1.3;
const THIN_PEN: f64 = 0.9;
/// Size of the equation under a name.
const SMALL: f64 = 11.0;
/// Dots nearer than this are one.
const CELL: f64 = 1.5;

/// A run on its way into the picture.
struct Row<'a> {
    law: &'a Law,
    pairs: Vec<Pair>,
    name: String,
    style: Option<Style>,
    end: Option<Xy>, // of its curve on the right, in px
}

impl Row<'_> {
    fn entropies(&self) -> (f64, f64) {
        range(self.pairs.iter().map(|pair| pair.entropy))
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// Lays the picture out; `laws` are those of the runs of `comparison`.
pub fn law(
    comparison: &Comparison,
    laws: &[Law],
    look: &ChartOptions,
    fonts: &Fonts,
) -> Result<Picture, NothingToDraw> {
    let (width, height) = look.size.unwrap_or(DEFAULT_SIZE);
    let px_per_inch = px_per_inch((width, height));
    let (width, height) = (width * px_per_inch, height * px_per_inch);
    let runs = comparison.runs();
    let names = Names::of(runs.iter().map(|run| run.history.label()));
    let styles = styles_over(runs, look.steps);
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (((run, law), name), style) in runs.iter().zip(laws).zip(&names.short).zip(styles) {
        let style = style.map(|index| look.theme.style(index));
        rows.push(Row { law, pairs: pairs(run), name: name.clone(), style, end: None });
    }
    let (entropy, reward) = limits(&rows, look).ok_or(NothingToDraw::Limits)?;
    let y_fixed = (look.y_min.is_some(), look.y_max.is_some());
    let y_axis = padded_axis(reward, y_fixed, tick_count(height));

    let label_width = |axis: &Axis| {
        let widths = axis.ticks.iter().map(|(_, t)| fonts.width(t, BODY, Weight::Regular));
        widths.fold(0.0, f64::max)
    };
    let left = (PAD + label_width(&y_axis) + 8.0).max(44.0);
    let title = match runs {
        [run] => format!("Reward and entropy of {}", visible(run.history.label())),
        _ => "Reward and entropy by run".to_owned(),
    };
    let subtitle = subtitle(&rows, look, &names);
    let (mut words, below_header) = header(fonts, look, &title, &subtitle, (left, width - PAD));
    let (foot, above_footer) = footer(fonts, look, (left, width - PAD), height);
    words.extend(foot);
    let (top, bottom) = (below_header + air(height), above_footer - 3.0 * BODY);

    let entry = LINE_HEIGHT + 1.3 * SMALL;
    let at_end = rows.len() <= NAMED_AT_END && rows.len() as f64 * entry <= bottom - top + entry;
    let key = Key::new(&mut rows, at_end, fonts, width, (top, bottom));
    let right = width - PAD - key.width - if at_end { LEADER } else { 24.0 };

    let most = ((right - left) / 95.0).clamp(2.0, 8.0) as usize;
    let x_axis = padded_axis(entropy, (false, false), most);
    let frame = Frame {
        left,
        right,
        top,
        bottom,
        x: Scale::new((x_axis.low, x_axis.high), (left, right), ValueScale::Linear),
        y: Scale::new((y_axis.low, y_axis.high), (bottom, top), ValueScale::Linear),
        limited: true,
    };
    let x_names = [&format!("entropy, {}", quantity(comparison)), "entropy"];
    let mut layers = vec![
        grid(&frame, &y_axis, look, fonts),
        x_ticks(&frame, &x_axis, &x_names, look, fonts),
        Layer { name: "title".to_owned(), marks: words },
    ];
    let dots = rows.iter().map(|row| dots(row, rows.len(), &frame, look));
    layers.push(Layer { name: "steps".to_owned(), marks: dots.flatten().collect() });
    let with_test = rows.len() <= WITH_TEST;
    let many = rows.len() > NAMED_AT_END;
    let mut crowd = Vec::new();
    let mut curves = Vec::new();
    for row in &mut rows {
        let marks = fit(row, with_test, many, &x_axis, &frame, look);
        match row.style {
            Some(_) => curves.push(Layer { name: row.law.label.clone(), marks }),
            None => crowd.extend(marks),
        }
    }
    layers.push(Layer { name: "other runs".to_owned(), marks: crowd });
    layers.extend(curves);
    layers.retain(|layer| !layer.marks.is_empty());
    layers.push(key.layer(&rows, &frame, look, fonts));
    let title = look.title.clone().unwrap_or(title);
    let drawing = Drawing { width, height, px_per_inch, ground: look.theme.ground, title, layers };
    Ok(Picture { drawing, warnings: Vec::new() })
}

/// What the entropies are.
fn quantity(comparison: &Comparison) -> String {
    let kinds = comparison.kinds();
    kinds.iter().map(|kind| kind.describe()).collect::<Vec<_>>().join(" | ")
}

fn subtitle(rows: &[Row<'_>], look: &ChartOptions, names: &Names) -> Vec<String> {
    let mut rewards: Vec<String> = Vec::new();
    for row in rows {
        let reward = visible(&row.law.reward).into_owned();
        if !rewards.contains(&reward) {
            rewards.push(reward);
        }
    }
    let reward = match &look.y_label {
        Some(label) => visible(label).into_owned(),
        None => format!("reward: {}", rewards.join(" | ")),
    };
    let mut parts =
        vec![reward, "a dot a step".to_owned(), "line: b − a·e^H, least squares".to_owned()];
    if rows.len() <= WITH_TEST && rows.iter().any(|row| row.law.hold_out.is_some()) {
        parts.push("dashed: fitted to the first third of the steps".to_owned());
    }
    parts.extend(names.remark());
    if rows.len() > STYLES {
        parts.push(format!("{} runs, the {STYLES} with the largest spread in colour", rows.len()));
    }
    parts
}

/// The entropies and the rewards that are shown: all pairs, and 0 where that does not waste two thirds of
/// the width, with the ceilings there; `None` if there is no pair within the user's limits.
fn limits(rows: &[Row<'_>], look: &ChartOptions) -> Option<((f64, f64), (f64, f64))> {
    let all = || rows.iter().flat_map(|row| &row.pairs);
    let (mut low, high) = range(all().map(|pair| pair.entropy));
    let (mut least, mut most) = range(all().map(|pair| pair.reward));
    if low > high {
        return None;
    }
    if low > 0.0 && low <= high * 2.0 / 3.0 {
        low = 0.0;
    }
    for row in rows {
        let Some(curve) = row.law.curve() else { continue };
        let from = if low == 0.0 { 0.0 } else { row.entropies().0 };
        for reward in [curve.at(from), curve.at(row.entropies().1)] {
            (least, most) = (least.min(reward), most.max(reward));
        }
    }
    let shown = (look.y_min.unwrap_or(least), look.y_max.unwrap_or(most));
    let inside = all().any(|pair| (shown.0..=shown.1).contains(&pair.reward));
    inside.then_some(((low, high), shown))
}

/// A value axis that has some width even where all values are one.
fn padded_axis((low, high): (f64, f64), fixed: (bool, bool), most: usize) -> Axis {
    let (low, high) = match (low < high, fixed.1) {
        (true, _) => (low, high),
        (false, true) => (high - 1.0, high),
        (false, false) => (low, low + 1.0),
    };
    value_axis(low, high, fixed, most)
}

/// The steps of a run, each a dot; those that would cover each other once.
fn dots(row: &Row<'_>, runs: usize, frame: &Frame, look: &ChartOptions) -> Vec<Mark> {
    let ground = look.theme.ground;
    let (radius, share) = if runs > NAMED_AT_END { (1.2, 0.35) } else { (2.0, 0.5) };
    let colour = match row.style {
        Some(style) => style.line.over(ground, share),
        None => look.theme.crowd.over(ground, share),
    };
    let mut taken = HashSet::new();
    let mut marks = Vec::new();
    for pair in &row.pairs {
        let at = (frame.x.at(pair.entropy), frame.y.at(pair.reward));
        let cell = ((at.0 / CELL) as i64, (at.1 / CELL) as i64);
        if frame.contains(at) && taken.insert(cell) {
            marks.push(Mark::Disc(at, radius, colour));
        }
    }
    marks
}

/// The fitted curve where the run has been, thin on to H = 0, and the one fitted to the first third.
fn fit(
    row: &mut Row<'_>,
    with_test: bool,
    many: bool,
    x_axis: &Axis,
    frame: &Frame,
    look: &ChartOptions,
) -> Vec<Mark> {
    let Some(curve) = row.law.curve() else { return Vec::new() };
    let (from, to) = row.entropies();
    let colour = row.style.map_or(look.theme.crowd, |style| style.line);
    let (mut pen, dash) =
        if many { (MANY_PEN, row.style.map_or(&[][..], |s| s.dash)) } else { (FIT_PEN, &[][..]) };
    if row.style.is_none() {
        pen = THIN_PEN;
    }
    let thin = colour.over(look.theme.ground, 0.7);
    let mut marks = Vec::new();
    if x_axis.low <= 0.0 && from > 0.0 && !many {
        for part in parts(&curve, (0.0, from), frame) {
            marks.extend(stroke(&part, THIN_PEN, thin, &[]));
        }
        let end = (frame.x.at(0.0), frame.y.at(curve.at(0.0)));
        if frame.contains(end) {
            marks.extend(ring(end, 4.0, 1.6, colour, look.theme.ground));
        }
    }
    if let (true, Some(test)) = (with_test, row.law.hold_out) {
        let low = if x_axis.low <= 0.0 { from.min(0.0) } else { from };
        for part in parts(&test.curve(), (low, to), frame) {
            let pieces = dashes(&part, &[6.0, 4.0]);
            marks.extend(pieces.into_iter().map(|piece| Mark::Line(piece, 1.2, thin)));
        }
    }
    for part in parts(&curve, (from, to), frame) {
        row.end = part.last().copied();
        for piece in dashes(&part, dash) {
            marks.extend(stroke(&piece, pen, colour, &[]));
        }
    }
    marks
}

/// A curve between two entropies in px, cut where it leaves the frame.
fn parts(curve: &Curve, (from, to): (f64, f64), frame: &Frame) -> Vec<Vec<Xy>> {
    const PIECES: usize = 96;
    let place = |i: usize| {
        let entropy = from + (to - from) * i as f64 / PIECES as f64;
        (frame.x.at(entropy), frame.y.at(curve.at(entropy)))
    };
    let places: Vec<Xy> = (0..=PIECES).map(place).filter(|at| at.1.is_finite()).collect();
    if places.is_empty() { Vec::new() } else { between_y(&places, frame.top, frame.bottom) }
}

/// `0.83 − 0.021·e^H, R² 0.91, 0.81 at H = 0`, as much of it as exists, and then less of it at a time.
fn wordings(law: &Law) -> Vec<String> {
    let (Some(curve), Some(ceiling)) = (law.curve(), law.ceiling) else {
        return vec!["no fit".to_owned()];
    };
    let sign = if curve.a < 0.0 { '+' } else { '−' };
    let r2 = law.r2.map_or(String::new(), |r2| format!(", R² {}", short(r2)));
    let ceiling = short(ceiling.estimate);
    let equation = format!("{} {sign} {}·e^H", short(curve.b), short(curve.a.abs()));
    vec![
        format!("{equation}{r2}, {ceiling} at H = 0"),
        format!("{equation}{r2}"),
        equation,
        format!("{ceiling} at H = 0"),
    ]
}

/// Which curve is whose: names with equations at the curves' ends, or a list beside the plot.
struct Key {
    at_end: bool,
    equations: Vec<String>,
    width: f64,
    rows: usize,
    columns: usize,
    size: f64,
}

const SWATCH: f64 = 28.0;

impl Key {
    fn new(
        rows: &mut [Row<'_>],
        at_end: bool,
        fonts: &Fonts,
        width: f64,
        (top, bottom): Xy,
    ) -> Key {
        if at_end {
            let room = 0.34 * width;
            let mut equations = Vec::new();
            let mut widest: f64 = 0.0;
            for row in rows {
                let bold = |t: &str| fonts.width(t, BODY, Weight::SemiBold);
                let plain = |t: &str| fonts.width(t, SMALL, Weight::Regular);
                row.name = shorten_middle(&row.name, |t| bold(t) <= room);
                let mut told = wordings(row.law);
                let fits = told.iter().position(|t| plain(t) <= room);
                let equation = told.swap_remove(fits.unwrap_or(told.len() - 1));
                let equation = shorten_middle(&equation, |t| plain(t) <= room);
                widest = widest.max(bold(&row.name)).max(plain(&equation));
                equations.push(equation);
            }
            return Key { at_end, equations, width: widest, rows: 0, columns: 1, size: BODY };
        }
        let listed = rows.iter().filter(|row| row.style.is_some()).count();
        let entries = listed + usize::from(rows.len() > listed);
        let mut size = BODY;
        let fitting = |size: f64| (((bottom - top) / (1.32 * size)) as usize).max(1);
        while fitting(size) * 2 < entries && size > 10.0 {
            size -= 0.4;
        }
        let count = fitting(size).min(entries);
        let columns = entries.div_ceil(count).min(2);
        let room = 0.36 * width / columns as f64 - SWATCH - 12.0;
        let wide = |t: &str| fonts.width(t, size, Weight::Regular);
        let mut widest = wide(&format!("and {} more", rows.len()));
        for row in rows.iter_mut().filter(|row| row.style.is_some()) {
            row.name = shorten_middle(&row.name, |t| wide(t) <= room);
            widest = widest.max(wide(&row.name));
        }
        let width = (SWATCH + widest + 12.0) * columns as f64;
        Key { at_end, equations: Vec::new(), width, rows: count, columns, size }
    }

    fn layer(&self, rows: &[Row<'_>], frame: &Frame, look: &ChartOptions, fonts: &Fonts) -> Layer {
        let marks = if self.at_end {
            self.names(rows, frame, look, fonts)
        } else {
            self.list(rows, frame, look, fonts)
        };
        Layer { name: "names".to_owned(), marks }
    }

    fn names(
        &self,
        rows: &[Row<'_>],
        frame: &Frame,
        look: &ChartOptions,
        fonts: &Fonts,
    ) -> Vec<Mark> {
        let x = frame.right + LEADER;
        let height = LINE_HEIGHT + 1.3 * SMALL;
        // A run without a curve inside the frame has its name at the foot.
        let y_of = |row: &Row<'_>| row.end.map_or(frame.bottom, |end| end.1);
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| y_of(&rows[*a]).total_cmp(&y_of(&rows[*b])));
        let wanted: Vec<f64> = order.iter().map(|i| y_of(&rows[*i])).collect();
        let room = (frame.top - height / 2.0, frame.bottom + height / 2.0);
        let (mut marks, mut names) = (Vec::new(), Vec::new());
        for (y, i) in push_apart(&wanted, height, room).into_iter().zip(order) {
            let (row, Some(style)) = (&rows[i], rows[i].style) else { continue };
            if let Some(end) = row.end {
                let leader = style.line.over(look.theme.ground, 0.55);
                let bend = end.0.max(frame.right + 4.0);
                let mut line = vec![(end.0 + 2.0, end.1)];
                if bend > end.0 + 6.0 {
                    line.push((bend, end.1));
                }
                line.push((x - 6.0, y));
                marks.push(Mark::Line(line, 0.9, leader));
            }
            let (name, equation) = (y - 0.14 * BODY, y + 1.1 * SMALL);
            let at = (x, name);
            let words =
                text(fonts, &row.name, at, Anchor::Start, BODY, Weight::SemiBold, style.name);
            names.push(Mark::Text(words));
            let (at, quiet) = ((x, equation), look.theme.quiet);
            let words = &self.equations[i];
            let words = text(fonts, words, at, Anchor::Start, SMALL, Weight::Regular, quiet);
            names.push(Mark::Text(words));
        }
        marks.extend(names);
        marks
    }

    fn list(
        &self,
        rows: &[Row<'_>],
        frame: &Frame,
        look: &ChartOptions,
        fonts: &Fonts,
    ) -> Vec<Mark> {
        let mut styled: Vec<(&Row<'_>, Style)> =
            rows.iter().filter_map(|row| Some((row, row.style?))).collect();
        styled.sort_by(|a, b| {
            let y = |row: &Row<'_>| row.end.map_or(f64::INFINITY, |end| end.1);
            y(a.0).total_cmp(&y(b.0))
        });
        let slots = self.rows * self.columns;
        let last = usize::from(rows.len() > styled.len() || styled.len() > slots);
        let shown = styled.len().min(slots - last);
        let left = frame.right + 24.0;
        let slot = |i: usize| {
            let x = left + (i / self.rows) as f64 * self.width / self.columns as f64;
            (x, frame.top + (i % self.rows) as f64 * 1.32 * self.size)
        };
        let words = |words: &str, (x, y): Xy, colour| {
            let at = (x + SWATCH, y + 0.36 * self.size);
            Mark::Text(text(fonts, words, at, Anchor::Start, self.size, Weight::Regular, colour))
        };
        let mut marks = Vec::new();
        for (i, (row, style)) in styled[..shown].iter().enumerate() {
            let (x, y) = slot(i);
            marks.extend(stroke(&[(x, y), (x + SWATCH - 6.0, y)], 2.4, style.line, style.dash));
            marks.push(words(&row.name, (x, y), style.name));
        }
        let unlisted = rows.len() - shown;
        if unlisted > 0 {
            let (x, y) = slot(shown);
            marks.extend(stroke(&[(x, y), (x + SWATCH - 6.0, y)], 1.0, look.theme.crowd, &[]));
            marks.push(words(&format!("and {unlisted} more"), (x, y), look.theme.quiet));
        }
        marks
    }
}
