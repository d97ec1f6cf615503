//! One frame: a line that sums up, the curves, a table of the runs, a line for messages and keys.
//!
//! On a wide screen the table stands beside the curves, else below them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::chart::{Axes, Curve, draw};
use super::ink::{Depth, Ink};
use super::standing::Standing;
use super::table::table;
use super::view::View;
use entropy_history::history::{History, Run};
use entropy_history::label::{shorten_middle, visible};
use entropy_history::quantity::EntropyKind;
use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// From here on the table stands beside the curves.
const WIDE: u16 = 120;
/// Characters of the table beside the curves.
const TABLE: u16 = 66;
/// Rows of curves, axis included, below which there is no use in them.
const LEAST_CHART: u16 = 7;

/// What a frame shows.
pub struct Scene<'a> {
    /// The runs, and how each of them stands.
    pub runs: &'a [Run],
    /// One for each run.
    pub standings: &'a [Standing],
    /// What the user chose to see.
    pub view: &'a View,
    /// The colours there are.
    pub ink: Ink,
    /// The steps over which the change is told.
    pub over: f64,
    /// What is said at the foot; the keys if there is nothing to say.
    pub message: Option<&'a str>,
    /// What is said where there is no run.
    pub waiting: &'a str,
    /// Whether there are keys to tell of.
    pub keys: bool,
}

/// The steps that runs span.
pub fn span(runs: &[Run]) -> (f64, f64) {
    let ends = runs.iter().map(|run| {
        let points = run.history.points();
        (points[0].step, points[points.len() - 1].step)
    });
    let all = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    all.unwrap_or((0.0, 1.0))
}

/// Draws a frame into an area.
pub fn render(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.width < 20 || area.height < 3 {
        buffer.set_stringn(area.x, area.y, "too small", usize::from(area.width), Style::new());
        return;
    }
    header(scene, Rect { height: 1, ..area }, buffer);
    let foot = u16::from(scene.keys || scene.message.is_some());
    let body = Rect { y: area.y + 1, height: area.height - 1 - foot, ..area };
    if scene.runs.is_empty() {
        middle(scene.waiting, body, scene.ink.quiet(), buffer);
    } else {
        let rows = scene.runs.len() as u16 + 1;
        if area.width >= WIDE {
            let width = TABLE.min(area.width / 2);
            let left = Rect { width: body.width - width - 1, ..body };
            chart(scene, left, buffer);
            let table_area = Rect { x: left.right() + 1, width, ..body };
            table(scene, table_area, buffer);
        } else {
            let most = (body.height * 2 / 5).max(4).min(body.height);
            let height = match body.height.checked_sub(most) {
                Some(rest) if rest >= LEAST_CHART => rows.min(most),
                _ => body.height,
            };
            chart(scene, Rect { height: body.height - height, ..body }, buffer);
            table(scene, Rect { y: body.bottom() - height, height, ..body }, buffer);
        }
    }
    if foot > 0 {
        footer(scene, Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
    }
    if scene.view.help {
        help(area, scene.ink, buffer);
    }
}

fn header(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let mut counts: Vec<(&str, usize, Style)> = Vec::new();
    for standing in scene.standings {
        let words = standing.words();
        match counts.iter_mut().find(|(known, ..)| *known == words) {
            Some((_, count, _)) => *count += 1,
            None => counts.push((words, 1, scene.ink.state(standing.state, standing.stale))),
        }
    }
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let runs = match scene.runs.len() {
        1 => "1 run".to_owned(),
        n => format!("{n} runs"),
    };
    let mut x = put(area, area.x, &runs, bold, buffer);
    for (words, count, style) in counts {
        x = put(area, x, " · ", scene.ink.quiet(), buffer);
        let text =
            if scene.runs.len() == 1 { words.to_owned() } else { format!("{count} {words}") };
        x = put(area, x, &text, style, buffer);
    }
    let mut settings = Vec::new();
    let hidden = scene.runs.iter().filter(|run| !scene.view.shows(run.history.label())).count();
    if hidden > 0 {
        settings.push(format!("{hidden} hidden"));
    }
    if scene.view.is_zoomed() {
        settings.push("zoomed".to_owned());
    }
    if scene.view.smoothing() != Smoothing::None {
        settings.push(scene.view.smoothing().to_string());
    }
    if scene.view.scale == ValueScale::Log {
        settings.push("log".to_owned());
    }
    let settings = settings.join(" · ");
    let start = area.right().saturating_sub(settings.width() as u16);
    if start > x {
        put(area, start, &settings, scene.ink.quiet(), buffer);
    }
}

/// Puts a text into a line, cut at its end; where the next begins.
pub(super) fn put(area: Rect, x: u16, text: &str, style: Style, buffer: &mut Buffer) -> u16 {
    let room = usize::from(area.right().saturating_sub(x));
    if room == 0 {
        return x;
    }
    buffer.set_stringn(x, area.y, text, room, style).0
}

fn middle(text: &str, area: Rect, style: Style, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let text = fitting(&visible(text), usize::from(area.width));
    let x = area.x + (area.width - text.width() as u16) / 2;
    let line = Rect { y: area.y + area.height / 2, height: 1, ..area };
    put(line, x, &text, style, buffer);
}

/// The text, its middle left out where it is too wide.
pub(super) fn fitting(text: &str, width: usize) -> String {
    match width {
        0 => String::new(),
        _ => shorten_middle(text, |text| text.width() <= width),
    }
}

fn chart(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height < LEAST_CHART || area.width < 20 {
        return;
    }
    let kinds: Vec<EntropyKind> = scene.runs.iter().map(|run| run.history.kind()).collect();
    let what = match kinds.iter().all(|kind| *kind == kinds[0]) {
        true => kinds[0].describe(),
        false => "different quantities, which do not compare",
    };
    put(Rect { height: 1, ..area }, area.x, what, scene.ink.quiet(), buffer);
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };

    let all = span(scene.runs);
    let (from, to) = scene.view.steps(all);
    let smoothing = scene.view.smoothing();
    let shown = |(_, run): &(usize, &Run)| scene.view.shows(run.history.label());
    let mut order: Vec<(usize, &Run)> = scene.runs.iter().enumerate().filter(shown).collect();
    order.sort_by_key(|(_, run)| scene.view.is_selected(run.history.label())); // the selected on top
    let smooth = |run: &Run| {
        let history = &run.history;
        history.with_values(&smoothing.apply(history.points(), all.1 - all.0))
    };
    let smoothed: Vec<History> = match smoothing {
        Smoothing::None => Vec::new(),
        _ => order.iter().map(|(_, run)| smooth(run)).collect(),
    };
    let curve = |index: usize, history| -> Curve<'_> {
        let history: &History = history;
        Curve {
            segments: history.segments().collect(),
            style: scene.ink.run(index),
            dash: scene.ink.dash(index),
            phase: 7 * index, // prime to the lengths of all dashes
            mark: scene.ink.mark(index).map(|mark| (mark, 5 * index)),
        }
    };
    let mut curves: Vec<Curve<'_>> = Vec::new();
    if smoothing == Smoothing::None {
        curves.extend(order.iter().map(|(index, run)| curve(*index, &run.history)));
    } else {
        // Without colours what was logged could not be told from what was smoothed.
        if scene.ink.depth != Depth::Plain {
            curves.extend(order.iter().map(|(index, run)| Curve {
                style: scene.ink.faint(*index),
                ..curve(*index, &run.history)
            }));
        }
        curves.extend(order.iter().zip(&smoothed).map(|((index, _), h)| curve(*index, h)));
    }
    let size = (area.width, area.height);
    match Axes::around(&curves, (from, to), scene.view.scale, scene.view.is_zoomed(), size) {
        Some(axes) => draw(&curves, &axes, scene.ink.quiet(), area, buffer),
        None if order.is_empty() => {
            middle("all runs are hidden", area, scene.ink.quiet(), buffer);
        }
        None => middle("nothing to show here", area, scene.ink.quiet(), buffer),
    }
}

fn footer(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    match scene.message {
        Some(message) => {
            let width = usize::from(area.width);
            let text = fitting(&visible(message), width);
            put(area, area.x, &text, scene.ink.alarm(), buffer);
            let keys = "  q quit  ? help";
            if scene.keys && text.width() + keys.width() <= width {
                put(area, area.right() - keys.width() as u16, keys, scene.ink.quiet(), buffer);
            }
        }
        None => {
            let keys = "q quit  ? help  s S smooth  l log  + − zoom  ← → pan  ↑ ↓ run  space hide";
            put(area, area.x, keys, scene.ink.quiet(), buffer);
        }
    }
}

const HELP: [(&str, &str); 12] = [
    ("s  S", "smooth more, less"),
    ("l", "logarithmic or linear entropy"),
    ("+  −", "zoom in and out; at the end it follows the training"),
    ("←  →", "earlier, later steps"),
    ("↑ ↓  k j  PgUp PgDn", "select a run, which lies on top"),
    ("space", "hide or show the selected run"),
    ("1 … 9", "hide or show one of the first runs"),
    ("o", "the selected run only, and back"),
    ("a", "all runs, or none"),
    ("r", "all steps, all runs"),
    ("?  h", "close this"),
    ("q  Esc  Ctrl-C", "leave"),
];

fn help(area: Rect, ink: Ink, buffer: &mut Buffer) {
    let keys = HELP.iter().map(|(key, _)| key.width()).max().unwrap_or(0);
    let wide = HELP.iter().map(|(_, what)| what.width()).max().unwrap_or(0) + keys + 6;
    let (width, height) = ((wide as u16).min(area.width), (HELP.len() as u16 + 2).min(area.height));
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    for y in place.y..place.bottom() {
        for x in place.x..place.right() {
            buffer[(x, y)].reset();
        }
    }
    let inner = usize::from(width.saturating_sub(2));
    let edge = |left: &str, right: &str| format!("{left}{}{right}", "─".repeat(inner));
    let line = |n: u16| Rect { y: place.y + n, height: 1, ..place };
    put(line(0), place.x, &edge("┌", "┐"), ink.quiet(), buffer);
    for (n, (key, what)) in (1..height.saturating_sub(1)).zip(HELP) {
        put(line(n), place.x, "│", ink.quiet(), buffer);
        put(line(n), place.right() - 1, "│", ink.quiet(), buffer);
        let bold = Style::new().add_modifier(Modifier::BOLD);
        put(line(n), place.x + 2, key, bold, buffer);
        let room = Rect { width: width - 1, ..line(n) };
        put(room, place.x + 4 + keys as u16, what, Style::new(), buffer);
    }
    put(line(height - 1), place.x, &edge("└", "┘"), ink.quiet(), buffer);
    let shown = usize::from(height.saturating_sub(2));
    if shown < HELP.len() {
        let words = format!(" {} more keys, in a taller window ", HELP.len() - shown);
        let end = Rect { width: width.saturating_sub(1), ..line(height - 1) };
        put(end, place.x + 2, &words, ink.alarm(), buffer);
    }
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
