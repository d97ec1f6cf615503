//! One frame: a line that sums up, the curves, a table of the runs, a line for messages and keys.
//!
//! On a wide screen the table stands beside the curves, else below them. Where not all runs fit in the
//! table, it shows those around the selected one and says how many are above and below.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::chart::{Axes, Curve, draw};
use super::ink::{Depth, Ink};
use super::standing::Standing;
use super::view::View;
use crate::history::{History, Run};
use crate::label::{shorten_middle, visible};
use crate::plot::{ValueScale, exact, short};
use crate::quantity::Kind;
use crate::stats::health::State;
use crate::stats::smooth::Smoothing;

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
fn put(area: Rect, x: u16, text: &str, style: Style, buffer: &mut Buffer) -> u16 {
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
fn fitting(text: &str, width: usize) -> String {
    match width {
        0 => String::new(),
        _ => shorten_middle(text, |text| text.width() <= width),
    }
}

fn chart(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height < LEAST_CHART || area.width < 20 {
        return;
    }
    let kinds: Vec<Kind> = scene.runs.iter().map(|run| run.history.kind()).collect();
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

/// The cells of a run's row behind its name.
fn cells(standing: &Standing) -> [String; 4] {
    let mut state = standing.state.words().to_owned();
    if let Some(step) = standing.state_step {
        state = format!("{state} @ {}", exact(step));
    }
    if standing.stale {
        let silence = standing.silence.map_or(String::new(), |silence| minutes(silence.as_secs()));
        state = match standing.state {
            State::Collapsed | State::Exploded => format!("{state}, stale {silence}"),
            _ => format!("stale {silence}"),
        };
    }
    [
        short(standing.last.entropy),
        exact(standing.last.step),
        standing.change.map_or("–".to_owned(), signed),
        state,
    ]
}

/// A difference with its sign.
fn signed(change: f64) -> String {
    let text = short(change);
    if change > 0.0 { format!("+{text}") } else { text }
}

/// How long, in the unit that fits.
fn minutes(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn table(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height == 0 {
        return;
    }
    let rows: Vec<[String; 4]> = scene.standings.iter().map(cells).collect();
    let heads = ["last", "step", &format!("Δ{}", exact(scene.over)), "state"].map(str::to_owned);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([heads[column].width()]).max().unwrap_or(0)
    };
    let widths: [usize; 4] = std::array::from_fn(width);
    let before = 4; // the selection, the sample of the line, a space
    let others: usize = before + widths.iter().map(|width| width + 2).sum::<usize>();
    let longest = scene.standings.iter().map(|s| visible(&s.label).width()).max().unwrap_or(0);
    let name = usize::from(area.width).saturating_sub(others).max(8).min(longest.max(3));

    let line = |n: u16| Rect { y: area.y + n, height: 1, ..area };
    let put_cells = |row: u16, cells: &[String; 4], style: [Style; 4], buffer: &mut Buffer| {
        let mut x = area.x + (before + name) as u16;
        for (column, cell) in cells.iter().enumerate() {
            let room = if column == 3 { 0 } else { widths[column] - cell.width() };
            put(line(row), x + 2 + room as u16, cell, style[column], buffer);
            x += 2 + widths[column] as u16;
        }
    };
    let quiet = scene.ink.quiet();
    put(line(0), area.x + before as u16, "run", quiet, buffer);
    put_cells(0, &heads, [quiet; 4], buffer);

    let (from, to) = visible_rows(scene, usize::from(area.height - 1));
    for (row, index) in (from..to).enumerate() {
        let row = row as u16 + 1;
        let standing = &scene.standings[index];
        let shown = scene.view.shows(&standing.label);
        let selected = scene.view.is_selected(&standing.label);
        let (colour, sample) = match shown {
            true => (scene.ink.run(index), scene.ink.sample(index)),
            false => (quiet, "○ ".to_owned()),
        };
        let mut text = if shown { Style::new() } else { quiet };
        if selected {
            put(line(row), area.x, "▸", Style::new(), buffer);
            text = text.add_modifier(Modifier::BOLD);
        }
        put(line(row), area.x + 1, &sample, colour, buffer);
        let label = fitting(&visible(&standing.label), name);
        put(line(row), area.x + before as u16, &label, text, buffer);
        let state = scene.ink.state(standing.state, standing.stale);
        put_cells(row, &rows[index], [text, text, text, state], buffer);
    }
    let (above, below) = (from, scene.standings.len() - to);
    if above + below > 0 {
        let text = match (above, below) {
            (0, n) => format!("↓ {n} more"),
            (n, 0) => format!("↑ {n} more"),
            (a, b) => format!("↑ {a} ↓ {b} more"),
        };
        let start = area.right().saturating_sub(text.width() as u16);
        put(line(0), start, &text, quiet, buffer);
    }
}

/// The rows of the table that fit: around the selected run.
fn visible_rows(scene: &Scene<'_>, room: usize) -> (usize, usize) {
    let all = scene.standings.len();
    let selected = scene.standings.iter().position(|s| scene.view.is_selected(&s.label));
    let from = selected.unwrap_or(0).saturating_sub(room / 2).min(all.saturating_sub(room));
    (from, (from + room).min(all))
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
    ("↑  ↓  PgUp  PgDn", "select a run, which lies on top"),
    ("space", "hide or show the selected run"),
    ("1 … 9", "hide or show one of the first runs"),
    ("o", "the selected run only, and back"),
    ("a", "all runs, or none"),
    ("r", "all steps, all runs"),
    ("?", "close this"),
    ("q  Ctrl-C", "leave"),
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
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
