//! The content of a frame.

use unicode_width::UnicodeWidthStr;

use super::palette::Palette;
use super::run_status::RunStatus;
use super::view::View;
use entropy_history::history::Run;
use entropy_history::label::shorten_middle;

/// Everything that a frame shows.
pub struct Scene<'a> {
    /// The runs.
    pub runs: &'a [Run],
    /// The status of each run.
    pub statuses: &'a [RunStatus],
    /// The smoothing, the zoom and the hidden runs.
    pub view: &'a View,
    /// The styles for the terminal.
    pub palette: Palette,
    /// The number of steps over which the change is computed.
    pub change_steps: f64,
    /// The message at the bottom; without one the keys are listed there.
    pub message: Option<&'a str>,
    /// The text in place of the curves as long as there is no run.
    pub waiting: &'a str,
    /// Whether keys can be used.
    pub keys: bool,
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
