//! The layout of a frame: a summary line, the curves, a table of the runs, and a line for messages and keys.
//!
//! On a wide screen the table is to the right of the curves, otherwise below them.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Widget};
use unicode_width::UnicodeWidthStr;

use super::chart::{Axes, BrailleCurve, draw};
use super::palette::{ColourDepth, Palette};
use super::scene::{Scene, fit, span};
use super::table::draw_table;
use entropy_history::history::{History, Run};
use entropy_history::label::visible;
use entropy_history::quantity::EntropyKind;
use entropy_history::stats::smooth::Smoothing;
use entropy_plot::ValueScale;

/// The smallest width in columns at which the table is beside the curves.
const WIDE: u16 = 120;
/// Columns of the table beside the curves.
const TABLE_WIDTH: u16 = 66;
/// The smallest height of the chart in rows, including the axis; a lower one is not drawn.
const MIN_CHART_HEIGHT: u16 = 7;

/// Draws a frame into an area.
pub fn render(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.width < 20 || area.height < 3 {
        Span::raw("too small").render(area, buffer);
        return;
    }
    header(scene, Rect { height: 1, ..area }, buffer);
    let foot = u16::from(scene.keys || scene.message.is_some());
    let body = Rect { y: area.y + 1, height: area.height - 1 - foot, ..area };
    if scene.runs.is_empty() {
        centred(scene.waiting, body, scene.palette.muted(), buffer);
    } else {
        let rows = scene.runs.len() as u16 + 1;
        if area.width >= WIDE {
            let width = TABLE_WIDTH.min(area.width / 2);
            let left = Rect { width: body.width - width - 1, ..body };
            chart(scene, left, buffer);
            draw_table(scene, Rect { x: left.right() + 1, width, ..body }, buffer);
        } else {
            let most = (body.height * 2 / 5).max(4).min(body.height);
            let height = match body.height.checked_sub(most) {
                Some(rest) if rest >= MIN_CHART_HEIGHT => rows.min(most),
                _ => body.height,
            };
            chart(scene, Rect { height: body.height - height, ..body }, buffer);
            draw_table(scene, Rect { y: body.bottom() - height, height, ..body }, buffer);
        }
    }
    if foot > 0 {
        footer(scene, Rect { y: area.bottom() - 1, height: 1, ..area }, buffer);
    }
    if scene.view.help {
        help(area, scene.palette, buffer);
    }
}

fn header(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let mut counts: Vec<(&str, usize, Style)> = Vec::new();
    for status in scene.statuses {
        let name = status.state_name();
        match counts.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, count, _)) => *count += 1,
            None => counts.push((name, 1, scene.palette.state(status.state, status.stale))),
        }
    }
    let runs = scene.runs.len();
    let mut summary = Line::from(entropy_shell::plural(runs, "run", "runs").bold());
    for (name, count, style) in counts {
        summary.push_span(Span::styled(" · ", scene.palette.muted()));
        let text = if runs == 1 { name.to_owned() } else { format!("{count} {name}") };
        summary.push_span(Span::styled(text, style));
    }
    let mut settings = Vec::new();
    let hidden = scene.runs.iter().filter(|run| !scene.view.is_shown(run.history.label())).count();
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
    let settings = Line::from(Span::styled(settings.join(" · "), scene.palette.muted()));
    if summary.width() + settings.width() < usize::from(area.width) {
        settings.right_aligned().render(area, buffer);
    }
    summary.render(area, buffer);
}

/// A text in the middle of an area.
fn centred(text: &str, area: Rect, style: Style, buffer: &mut Buffer) {
    if area.height > 0 {
        let text = fit(&visible(text), usize::from(area.width));
        let row = Rect { y: area.y + area.height / 2, height: 1, ..area };
        Line::from(Span::styled(text, style)).centered().render(row, buffer);
    }
}

fn chart(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height < MIN_CHART_HEIGHT || area.width < 20 {
        return;
    }
    let muted = scene.palette.muted();
    let kinds: Vec<EntropyKind> = scene.runs.iter().map(|run| run.history.kind()).collect();
    let title = match kinds.iter().all(|kind| *kind == kinds[0]) {
        true => kinds[0].describe(),
        false => "different quantities, not comparable",
    };
    Span::styled(title, muted).render(Rect { height: 1, ..area }, buffer);
    let area = Rect { y: area.y + 1, height: area.height - 1, ..area };

    let all = span(scene.runs);
    let steps = scene.view.visible_steps(all);
    let smoothing = scene.view.smoothing();
    let is_shown = |(_, run): &(usize, &Run)| scene.view.is_shown(run.history.label());
    let mut order: Vec<(usize, &Run)> = scene.runs.iter().enumerate().filter(is_shown).collect();
    order.sort_by_key(|(_, run)| scene.view.is_selected(run.history.label())); // drawn last
    let smooth = |run: &Run| {
        let history = &run.history;
        history.with_values(&smoothing.apply(history.points(), all.1 - all.0))
    };
    let smoothed: Vec<History> = match smoothing {
        Smoothing::None => Vec::new(),
        _ => order.iter().map(|(_, run)| smooth(run)).collect(),
    };
    let curve = |index: usize, history| -> BrailleCurve<'_> {
        let history: &History = history;
        BrailleCurve {
            segments: history.segments().collect(),
            style: scene.palette.curve(index),
            dash: scene.palette.dash(index),
            phase: 7 * index, // coprime to the periods of all dash patterns
            mark: scene.palette.mark(index).map(|mark| (mark, 5 * index)),
        }
    };
    let mut curves: Vec<BrailleCurve<'_>> = Vec::new();
    // Without colours, a reader could not distinguish logged from smoothed curves.
    if smoothing == Smoothing::None || scene.palette.depth != ColourDepth::Plain {
        curves.extend(order.iter().map(|(index, run)| curve(*index, &run.history)));
    }
    if smoothing != Smoothing::None {
        for (logged, (index, _)) in curves.iter_mut().zip(&order) {
            logged.style = scene.palette.faint(*index);
        }
        curves.extend(order.iter().zip(&smoothed).map(|((index, _), h)| curve(*index, h)));
    }
    let size = (area.width, area.height);
    match Axes::around(&curves, steps, scene.view.scale, scene.view.is_zoomed(), size) {
        Some(axes) => draw(&curves, &axes, muted, area, buffer),
        None if order.is_empty() => centred("all runs are hidden", area, muted, buffer),
        None => centred("no values in this range", area, muted, buffer),
    }
}

fn footer(scene: &Scene<'_>, area: Rect, buffer: &mut Buffer) {
    let muted = scene.palette.muted();
    let Some(message) = scene.message else {
        let keys = "q quit  ? help  s S smooth  l log  + − zoom  ← → pan  ↑ ↓ run  space hide";
        Span::styled(keys, muted).render(area, buffer);
        return;
    };
    let width = usize::from(area.width);
    let message = fit(&visible(message), width);
    let keys = Span::styled("  q quit  ? help", muted);
    if scene.keys && message.width() + keys.width() <= width {
        Line::from(keys).right_aligned().render(area, buffer);
    }
    Span::styled(message, scene.palette.alarm()).render(area, buffer);
}

const HELP: [(&str, &str); 12] = [
    ("s  S", "more or less smoothing"),
    ("l", "logarithmic or linear entropy"),
    ("+  −", "zoom in or out; at the right edge it follows the newest step"),
    ("←  →", "earlier or later steps"),
    ("↑ ↓  k j  PgUp PgDn", "select a run, which is drawn on top"),
    ("space", "hide or show the selected run"),
    ("1 … 9", "hide or show one of the first runs"),
    ("o", "only the selected run, or all again"),
    ("a", "all runs, or none"),
    ("r", "all steps and all runs"),
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
