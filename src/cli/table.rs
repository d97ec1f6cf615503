//! Tables of text: one row per run, with aligned columns.

use unicode_width::UnicodeWidthStr;

use crate::report;
use entropy_history::history::Comparison;
use entropy_history::label::visible;
use entropy_history::number::exact;
use entropy_history::stats::health::State;
use entropy_history::stats::{Analysis, RunStats};

const COLUMNS: [&str; 10] = [
    "run",
    "quantity",
    "points",
    "first → last",
    "mean ± sd",
    "median",
    "min @ step",
    "max @ step",
    "halved @",
    "state",
];

/// The largest number of printed pairs: all pairs of ten runs. Further pairs are only counted.
const MAX_PAIRS: usize = 45;

/// The table of runs. The quantity of the values is below the table if all runs have the same one, otherwise in a
/// column.
pub(super) fn render(comparison: &Comparison, analysis: &Analysis, colour: bool) -> String {
    let kinds = comparison.kinds();
    let mut rows: Vec<[String; 10]> = analysis.runs.iter().map(cells).collect();
    for (row, run) in rows.iter_mut().zip(comparison.runs()) {
        row[1] = run.history.kind().words().to_owned();
    }
    let shown: &[usize] = match kinds.len() {
        1 => &[0, 2, 3, 4, 5, 6, 7, 8, 9],
        _ => &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    };
    let among = |cells: &[String; 10]| shown.iter().map(|column| cells[*column].clone()).collect();
    let heads: Vec<String> = shown.iter().map(|column| COLUMNS[*column].to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(among).collect();
    let last = heads.len() - 1;
    let mut text = aligned(&heads, &rows, |row, column, cell| {
        match (colour && column == last, analysis.runs[row].state) {
            (true, State::Collapsed | State::Exploded) => format!("\x1b[31m{cell}\x1b[0m"),
            (true, State::Falling | State::NotRecorded) => format!("\x1b[33m{cell}\x1b[0m"),
            _ => cell.to_owned(),
        }
    });
    if let [kind] = kinds[..] {
        text.push_str(&format!("quantity: {} ({})\n", kind.words(), kind.describe()));
    }
    text
}

/// The tables of groups and of comparisons, with notes about skipped comparisons; empty if there are no
/// groups and no comparisons.
pub(super) fn comparisons(analysis: &Analysis) -> String {
    let mut text = String::new();
    let tables = [report::group_table(analysis), report::pair_table(analysis, MAX_PAIRS)];
    for table in tables.into_iter().flatten() {
        text.push('\n');
        text.push_str(&aligned(&table.heads, &table.rows, |_, _, cell| cell.to_owned()));
        for remark in table.left_out.iter().chain(&table.remarks) {
            text.push_str(remark);
            text.push('\n');
        }
    }
    for note in &analysis.notes {
        text.push_str(&format!("\n{note}\n"));
    }
    text
}

/// A table with column titles. The first and the last column are aligned left, the others right. `paint` is called
/// with the row, the column and the text of each cell; it may add colour codes.
pub(super) fn aligned(
    heads: &[String],
    rows: &[Vec<String>],
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([heads[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String], paint: &dyn Fn(usize, &str) -> String| {
        let mut row = String::new();
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate() {
            let room = " ".repeat(width - cell.width());
            let painted = paint(column, cell);
            match column {
                0 => row.push_str(&format!("{painted}{room}")),
                _ if column + 1 == cells.len() => row.push_str(&format!("  {painted}")),
                _ => row.push_str(&format!("  {room}{painted}")),
            }
        }
        row.trim_end().to_owned() + "\n"
    };
    let mut text = line(heads, &|_, cell| cell.to_owned());
    for (i, row) in rows.iter().enumerate() {
        text.push_str(&line(row, &|column, cell| paint(i, column, cell)));
    }
    text
}

fn cells(run: &RunStats) -> [String; 10] {
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
        run.half_life_step.map_or("–".to_owned(), exact),
        state,
    ]
}

/// A number with four decimals, or in scientific notation if it is very small or large.
pub(super) fn number(value: f64) -> String {
    let text = match value.abs() {
        0.0 => "0".to_owned(),
        1e-3..1e6 => format!("{value:.4}"),
        _ => format!("{value:.3e}"),
    };
    text.replace('-', "−")
}
