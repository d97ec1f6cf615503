//! The layout of a frame: a summary line, the charts, a table of the runs, and a line for messages and keys.
//!
//! On a wide screen the table is to the right of the curves, otherwise below them; also if several panels are better
//! readable above it.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Widget};
use unicode_width::UnicodeWidthStr;

use super::chart::PlotPlace;
use super::grid::Grid;
use super::palette::Palette;
use super::panels::draw_panels;
use super::rows::urgency;
use super::run_status::RunStatus;
use super::scene::{Message, Scene, centred, fit};
use super::table::{TablePlace, draw_table, duration_text};
use super::view::View;
use entropy_history::label::visible;
use entropy_history::number::short;
use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// The smallest width in columns at which the table is beside the curves.
const WIDE: u16 = 120;
/// Columns of the table beside the curves.
const TABLE_WIDTH: u16 = 66;
/// The smallest height of the charts in rows, including the axis; lower ones are not drawn.
const MIN_CHART_HEIGHT: u16 = 7;
/// The height of a table up to which no line is taken from it.
const MIN_TABLE_HEIGHT: u16 = 3;

/// Where the parts of a frame are on the screen.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    /// The plots.
    pub plots: Vec<PlotPlace>,
    /// The table.
    pub table: Option<TablePlace>,
}

/// Draws a frame into an area.
pub fn render(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) -> Layout {
    let mut layout = Layout::default();
    if area.width < 20 || area.height < 3 {
        Span::raw("too small").render(area, buffer);
        return layout;
    }
    header(scene, Rect { height: 1, ..area }, buffer);
    let foot = u16::from(scene.keys || scene.message.is_some());
    let body = Rect { y: area.y + 1, height: area.height - 1 - foot, ..area };
    if scene.runs.is_empty() {
        centred(scene.waiting, body, scene.palette.muted(), buffer);
    } else {
        let (charts, table) = parts(scene, body);
        layout.plots = draw_panels(scene, charts, buffer);
        layout.table = draw_table(scene, table, buffer);
    }
    if foot > 0 {
        footer(scene, Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
    }
    if scene.view.help {
        help(area, scene.palette, buffer);
    }
    layout
}

/// The places of the charts and of the table.
fn parts(scene: &Scene<'_>, body: Rect) -> (Rect, Rect) {
    let rows = scene.listing.rows.len().max(1) as u16 + 1;
    let most = (body.height * 2 / 5).max(4).min(body.height);
    let height = match rows.min(most) {
        height if body.height - height >= MIN_CHART_HEIGHT => height,
        // One line says that there is no chart.
        _ if body.height > MIN_TABLE_HEIGHT => body.height - 1,
        _ => body.height,
    };
    let above = Rect { height: body.height - height, ..body };
    let below = Rect { y: body.bottom() - height, height, ..body };
    if body.width < WIDE {
        return (above, below);
    }
    let width = TABLE_WIDTH.min(body.width / 2);
    let left = Rect { width: body.width - width - 1, ..body };
    let right = Rect { x: left.right() + 1, width, ..body };
    let panels = 1 + scene.quantities.len();
    let (narrow, wide) = (Grid::within(left, panels), Grid::within(above, panels));
    match narrow.columns.len() < wide.columns.len() && wide.compare(&narrow).is_gt() {
        true => (above, below),
        false => (left, right),
    }
}

/// The number of runs and their states. If there is no room for all states, the most urgent are named.
fn summary(scene: &Scene<'_>, width: usize) -> Line<'static> {
    let mut counts: Vec<(&RunStatus, usize)> = Vec::new();
    for status in scene.listing.rows.iter().filter_map(|row| scene.statuses.get(*row)) {
        match counts.iter_mut().find(|(known, _)| known.state_name() == status.state_name()) {
            Some((_, count)) => *count += 1,
            None => counts.push((status, 1)),
        }
    }
    let (shown, all) = (scene.listing.rows.len(), scene.runs.len());
    let mut summary = Line::from(match scene.view.filter() {
        "" => entropy_shell::plural(all, "run", "runs").bold(),
        _ => format!("{shown} of {}", entropy_shell::plural(all, "run", "runs")).bold(),
    });
    let text = |(status, count): &(&RunStatus, usize)| match shown {
        1 => status.state_name().to_owned(),
        _ => format!("{count} {}", status.state_name()),
    };
    let (between, more) = (" · ", " …");
    let room = |count: &(&RunStatus, usize)| between.width() + text(count).width();
    let fits = summary.width() + counts.iter().map(room).sum::<usize>() <= width;
    if !fits {
        counts.sort_by_key(|(status, _)| urgency(status));
    }
    for count in &counts {
        if !fits && summary.width() + room(count) + more.width() > width {
            summary.push_span(Span::styled(more, scene.palette.muted()));
            break;
        }
        let (status, _) = count;
        summary.push_span(Span::styled(between, scene.palette.muted()));
        let style = scene.palette.state(status.state, status.stale);
        summary.push_span(Span::styled(text(count), style));
    }
    summary
}

fn header(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let summary = summary(scene, usize::from(area.width));
    let listed = || scene.listing.rows.iter().filter_map(|row| scene.statuses.get(*row));
    let hidden = listed().filter(|status| scene.view.is_hidden(&status.label)).count();
    let mut settings = settings(scene.view, hidden);
    settings.splice(0..0, scene.run_in_focus().and_then(pace_words));
    let room = usize::from(area.width).saturating_sub(summary.width() + 1);
    let settings = fitting(&settings, " · ", room);
    Line::from(Span::styled(settings, scene.palette.muted())).right_aligned().render(area, buffer);
    summary.render(area, buffer);
}

/// The pace of a run in words: `12 steps/min, 3 h left`. A stale run has none.
fn pace_words(status: &RunStatus) -> Option<String> {
    let pace = status.pace.filter(|_| !status.stale)?;
    let rate = format!("{} steps/min", short(pace.steps_per_minute));
    let left = pace.left.map(|left| format!(", {} left", duration_text(left.as_secs())));
    Some(rate + &left.unwrap_or_default())
}

/// What differs from the view at the start, in words.
fn settings(view: &View, hidden: usize) -> Vec<String> {
    let mut settings = Vec::new();
    if !view.filter().is_empty() {
        settings.push(format!("“{}”", visible(view.filter())));
    }
    if hidden > 0 {
        settings.push(format!("{hidden} hidden"));
    }
    if view.is_zoomed() {
        settings.push("zoomed".to_owned());
    }
    if view.smoothing() != Smoothing::None {
        settings.push(view.smoothing().to_string());
    }
    if view.scale == ValueScale::Log {
        settings.push("log".to_owned());
    }
    settings
}

/// The first of these texts, as many as fit into a width in columns.
fn fitting(texts: &[String], separator: &str, width: usize) -> String {
    let mut joined = (0..=texts.len()).rev().map(|count| texts[..count].join(separator));
    joined.find(|text| text.width() <= width).unwrap_or_default()
}

/// The keys of the bottom line, the most important first.
const KEYS: [&str; 9] = [
    "q quit",
    "? help",
    "s S smooth",
    "l log",
    "+ − zoom",
    "← → pan",
    "↑ ↓ run",
    "/ filter",
    "t sort",
];

fn footer(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let muted = scene.palette.muted();
    if scene.view.is_typing {
        return filter_line(scene, area, buffer);
    }
    let Some(message) = scene.message else {
        let keys = KEYS.map(str::to_owned);
        Span::styled(fitting(&keys, "  ", usize::from(area.width)), muted).render(area, buffer);
        return;
    };
    let width = usize::from(area.width);
    let (text, style) = match message {
        Message::Problem(text) => (text, scene.palette.alarm()),
        Message::Note(text) => (text, Style::new()),
    };
    let text = fit(&visible(text), width);
    let keys = Span::styled("  q quit  ? help", muted);
    if scene.keys && text.width() + keys.width() <= width {
        Line::from(keys).right_aligned().render(area, buffer);
    }
    Span::styled(text, style).render(area, buffer);
}

/// The filter while it is typed.
fn filter_line(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let (shown, all) = (scene.listing.rows.len(), scene.runs.len());
    let count = format!("  {shown} of {}", entropy_shell::plural(all, "run", "runs"));
    let room = usize::from(area.width).saturating_sub(count.width() + 2);
    let filter = fit(&visible(scene.view.filter()), room);
    let muted = scene.palette.muted();
    let mut line = Line::from(format!("/{filter}▏"));
    line.push_span(Span::styled(count, muted));
    let keys = "   Enter keep  Esc clear";
    if line.width() + keys.width() <= usize::from(area.width) {
        line.push_span(Span::styled(keys, muted));
    }
    line.render(area, buffer);
}

const HELP: [(&str, &str); 19] = [
    ("s  S", "more or less smoothing"),
    ("l", "logarithmic or linear entropy"),
    ("+  −", "zoom in or out; at the end it follows the training"),
    ("←  →", "earlier or later steps"),
    ("↑ ↓  k j  PgUp PgDn", "select a run, which is drawn on top"),
    ("space", "hide or show the selected run"),
    ("1 … 9", "hide or show one of the first runs"),
    ("o", "only the selected run, or all again"),
    ("a", "all runs, or none"),
    ("/", "list only runs whose names contain these words"),
    ("t", "sort by name, last value, change, state or step"),
    ("T", "sort in the other direction"),
    ("Tab", "the next quantity, where not all fit"),
    ("r", "all steps and all runs"),
    ("w", "write the command that draws this view as a picture"),
    ("click", "select a run; in a chart, show the values of a step"),
    ("wheel", "zoom at the pointer; in the table, select a run"),
    ("?  h", "close this help"),
    ("q  Esc  Ctrl-C", "quit"),
];

fn help(area: Rect, palette: Palette, buffer: &mut Buffer) {
    let key_width = HELP.iter().map(|(key, _)| key.width()).max().unwrap_or(0);
    let line = |(key, effect): (&'static str, &'static str)| {
        Line::from_iter([format!("{key:<key_width$}  ").bold(), effect.into()])
    };
    let lines: Vec<Line<'_>> = HELP.into_iter().map(line).collect();
    let width = lines.iter().map(Line::width).max().unwrap_or(0) as u16 + 4;
    let height = HELP.len() as u16 + 2;
    let popup = area.centered(Constraint::Length(width), Constraint::Length(height));
    let mut block = Block::bordered().border_style(palette.muted()).padding(Padding::horizontal(1));
    let omitted = HELP.len().saturating_sub(usize::from(popup.height.saturating_sub(2)));
    if omitted > 0 {
        let text = format!(" {omitted} more keys in a taller window ");
        block = block.title_bottom(Span::styled(text, palette.alarm()));
    }
    Clear.render(popup, buffer);
    Paragraph::new(lines).block(block).render(popup, buffer);
}

#[cfg(test)]
#[path = "frame/tests.rs"]
mod tests;
