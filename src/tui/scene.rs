//! The content of a frame.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;
use unicode_width::UnicodeWidthStr;

use super::marks::LevelLine;
use super::palette::Palette;
use super::quantity::Quantity;
use super::rows::rows;
use super::run_status::RunStatus;
use super::styles::RunStyles;
use super::view::View;
use entropy_history::history::{History, Run};
use entropy_history::label::{shorten_middle, visible};

/// A text in the bottom line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    /// Something that went wrong.
    Problem(&'a str),
    /// An answer to a key.
    Note(&'a str),
}

/// Everything that a frame shows.
pub struct Scene<'a> {
    /// The runs.
    pub runs: &'a [Run],
    /// The status of each run.
    pub statuses: &'a [RunStatus],
    /// The rows of the table, and the colours of the runs.
    pub listing: &'a Listing,
    /// The quantities of `--with`, which have a panel each.
    pub quantities: &'a [Quantity],
    /// Lines at values of the entropy.
    pub levels: &'a [LevelLine],
    /// What the user chose to see.
    pub view: &'a View,
    /// The styles for the terminal.
    pub palette: Palette,
    /// The number of steps over which the change is computed.
    pub change_steps: f64,
    /// The message at the bottom; without one the keys are listed there.
    pub message: Option<Message<'a>>,
    /// The text in place of the curves as long as there is no run.
    pub waiting: &'a str,
    /// Whether keys can be used.
    pub keys: bool,
}

/// The rows of the table, and the colours of the runs.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// The indices of the runs in the table, from top to bottom.
    pub rows: Vec<usize>,
    /// The colours.
    pub styles: RunStyles,
}

impl Listing {
    /// The listing for a view. Runs keep the colours that they have in `self`, if they still have one.
    pub fn updated(&self, runs: &[Run], statuses: &[RunStatus], view: &View) -> Listing {
        let styles = self.styles.updated(runs, statuses, |label| view.is_shown(label));
        Listing { rows: rows(statuses, view.filter(), view.sort), styles }
    }

    /// The labels of the rows.
    pub fn labels<'r>(&self, runs: &'r [Run]) -> Vec<&'r str> {
        self.rows.iter().filter_map(|row| Some(runs.get(*row)?.history.label())).collect()
    }
}

impl Scene<'_> {
    /// The status of the run that stands out: the selected one if it is drawn, or the only one that is.
    pub(super) fn run_in_focus(&self) -> Option<&RunStatus> {
        let shown = || self.statuses.iter().filter(|status| self.view.is_shown(&status.label));
        let selected = shown().find(|status| self.view.is_selected(&status.label));
        let mut all = shown();
        let only = all.next().filter(|_| all.next().is_none());
        selected.or(only)
    }

    /// The style of the curve of a run. A grey run that is selected stands out.
    pub(super) fn curve_style(&self, label: &str) -> Style {
        match self.listing.styles.of(label) {
            None if self.view.is_selected(label) => self.palette.selected(),
            place => self.palette.curve(place),
        }
    }
}

/// The value at a step, or at the last one before it; `None` before the first and after the last step.
pub(super) fn value_at(history: &History, step: f64) -> Option<f64> {
    let points = history.points();
    let later = points.partition_point(|point| point.step <= step);
    let point = points.get(later.checked_sub(1)?)?;
    (step <= history.last_step()).then_some(point.entropy)
}

/// The logged step that is nearest to `step`, of the runs that are drawn.
pub fn nearest_step(runs: &[Run], view: &View, step: f64) -> Option<f64> {
    let shown = runs.iter().filter(|run| view.is_shown(run.history.label()));
    let around = shown.flat_map(|run| {
        let points = run.history.points();
        let later = points.partition_point(|point| point.step < step);
        let before = later.checked_sub(1).and_then(|at| points.get(at));
        [before, points.get(later)].into_iter().flatten().map(|point| point.step)
    });
    around.min_by(|a, b| (a - step).abs().total_cmp(&(b - step).abs()))
}

/// The first and the last step of the runs; 0 to 1 without runs.
pub fn span(runs: &[Run]) -> (f64, f64) {
    let ends = runs.iter().map(|run| {
        let points = run.history.points();
        (points[0].step, points[points.len() - 1].step)
    });
    let all = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    all.unwrap_or((0.0, 1.0))
}

/// Shortens a text in the middle to a width in columns.
pub(super) fn fit(text: &str, width: usize) -> String {
    match width {
        0 => String::new(),
        _ => shorten_middle(text, |text| text.width() <= width),
    }
}

/// Truncates a text with an ellipsis at the end.
pub(super) fn truncate(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut start: String = text.to_owned();
    while !start.is_empty() && start.width() + 1 > width {
        start.pop();
    }
    if width == 0 { String::new() } else { start + "…" }
}

/// Draws a text in the middle of an area.
pub(super) fn centred(text: &str, area: Rect, style: Style, buffer: &mut Buffer) {
    if area.height > 0 {
        let text = fit(&visible(text), usize::from(area.width));
        let row = Rect { y: area.y + area.height / 2, height: 1, ..area };
        Line::from(Span::styled(text, style)).centered().render(row, buffer);
    }
}
