//! The table of `stats` on a terminal: one row a run, columns aligned by what they show.

use unicode_width::UnicodeWidthStr;

use crate::history::Comparison;
use crate::label::visible;
use crate::plot::exact;
use crate::stats::health::State;
use crate::stats::{Analysis, RunStats};

const HEADS: [&str; 9] = [
    "run",
    "quantity",
    "points",
    "first → last",
    "mean ± sd",
    "median",
    "min @ step",
    "max @ step",
    "state",
];

/// The table, states in colour if asked for; what the numbers are stands below it where they are all
/// the same, else in a column.
pub(super) fn render(comparison: &Comparison, analysis: &Analysis, colour: bool) -> String {
    let kinds = comparison.kinds();
    let mut rows: Vec<[String; 9]> = analysis.runs.iter().map(cells).collect();
    for (row, run) in rows.iter_mut().zip(comparison.runs()) {
        row[1] = run.history.kind().words().to_owned();
    }
    let shown: &[usize] = match kinds.len() {
        1 => &[0, 2, 3, 4, 5, 6, 7, 8],
        _ => &[0, 1, 2, 3, 4, 5, 6, 7, 8],
    };
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([HEADS[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = shown.iter().map(|column| width(*column)).collect();
    let among = |cells: [&'static str; 9]| shown.iter().map(move |column| cells[*column]);
    let mut text = String::new();
    line(&mut text, &among(HEADS).collect::<Vec<_>>(), &widths, |_, cell| cell.to_owned());
    for (row, run) in rows.iter().zip(&analysis.runs) {
        let cells: Vec<&str> = shown.iter().map(|column| row[*column].as_str()).collect();
        let last = cells.len() - 1;
        line(&mut text, &cells, &widths, |column, cell| {
            match (colour && column == last, run.state) {
                (true, State::Collapsed | State::Exploded) => format!("\x1b[31m{cell}\x1b[0m"),
                (true, State::Falling | State::NotRecorded) => format!("\x1b[33m{cell}\x1b[0m"),
                _ => cell.to_owned(),
            }
        });
    }
    if let [kind] = kinds[..] {
        text.push_str(&format!("quantity: {} ({})\n", kind.words(), kind.describe()));
    }
    text
}

fn line(
    text: &mut String,
    cells: &[&str],
    widths: &[usize],
    paint: impl Fn(usize, &str) -> String,
) {
    let mut row = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let room = " ".repeat(width - cell.width());
        let cell = paint(column, cell);
        let last = column + 1 == cells.len();
        match column {
            0 => row.push_str(&format!("{cell}{room}")),
            _ if last => row.push_str(&format!("  {cell}")),
            _ => row.push_str(&format!("  {room}{cell}")),
        }
    }
    text.push_str(row.trim_end());
    text.push('\n');
}

fn cells(run: &RunStats) -> [String; 9] {
    let deviation = match (run.mean, run.std) {
        (Some(mean), Some(std)) => format!("{} ± {}", number(mean), number(std)),
        (Some(mean), None) => number(mean),
        (None, _) => "too large".to_owned(),
    };
    let state = match run.state_step {
        Some(step) => format!("{} @ {}", run.state.words(), exact(step)),
        None => run.state.words().to_owned(),
    };
    [
        visible(&run.label).into_owned(),
        String::new(),
        run.points.to_string(),
        format!("{} → {}", number(run.first), number(run.last)),
        deviation,
        number(run.median),
        format!("{} @ {}", number(run.min), exact(run.min_step)),
        format!("{} @ {}", number(run.max), exact(run.max_step)),
        state,
    ]
}

/// Four decimals, or powers of ten where these would say nothing.
fn number(value: f64) -> String {
    let text = match value.abs() {
        0.0 => "0".to_owned(),
        1e-3..1e6 => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    };
    text.replace('-', "−")
}
