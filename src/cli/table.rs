//! Tables of text that fit the width of a terminal.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal};

use ratatui::crossterm::terminal;
use unicode_width::UnicodeWidthStr;

use crate::report::{self, Remark, TextTable};
use crate::tui::table::distinct;
use entropy_history::history::Comparison;
use entropy_history::label::{ShortNames, shorten_middle, visible};
use entropy_history::number::exact;
use entropy_history::run_config::ConfigColumn;
use entropy_history::stats::health::State;
use entropy_history::stats::{Analysis, RunStats};

/// The largest number of printed pairs: all pairs of ten runs. Further pairs are only counted.
const MAX_PAIRS: usize = 45;
/// The width of a table that is not printed to a terminal.
const DEFAULT_WIDTH: usize = 80;
/// What is between the two names of a pair.
const BETWEEN: &str = " − ";
/// The narrowest column of run names.
const MIN_NAME: usize = 12;

/// The number of columns of the terminal; for a pipe or a file `$COLUMNS`, else 80.
pub(super) fn width() -> usize {
    let of_terminal = || io::stdout().is_terminal().then(terminal::size)?.ok();
    let of_variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    let columns = of_terminal().map(|(columns, _)| usize::from(columns)).or_else(of_variable);
    columns.unwrap_or(DEFAULT_WIDTH).max(40)
}

/// What the numbers of a table are computed from.
type Column = (&'static str, fn(&RunStats) -> String);

/// The columns after state and run, the most important first.
const COLUMNS: [Column; 11] = [
    ("last", |run| number(run.last)),
    ("mean", |run| run.mean.map_or("too large".to_owned(), number)),
    ("min", |run| number(run.min)),
    ("max", |run| number(run.max)),
    ("points", |run| run.points.to_string()),
    ("start", |run| optional(run.start)),
    ("sd", |run| optional(run.std)),
    ("median", |run| number(run.median)),
    ("halved @", |run| run.half_life_step.map_or("–".to_owned(), exact)),
    ("min @", |run| exact(run.min_step)),
    ("max @", |run| exact(run.max_step)),
];

/// The table of runs: state and name, the keys of their configurations, and as many other columns as fit `width`. If
/// the runs hold different quantities, each has its own in a column.
pub(super) fn runs(
    comparison: &Comparison,
    analysis: &Analysis,
    config: &[ConfigColumn],
    width: usize,
    colour: bool,
) -> String {
    let short = ShortNames::of(analysis.runs.iter().map(|run| run.label.as_str()));
    let mut heads = vec!["state".to_owned(), "run".to_owned()];
    let kinds = comparison.kinds();
    let mixed = kinds.len() > 1;
    heads.extend(mixed.then(|| "quantity".to_owned()));
    heads.extend(config.iter().map(|column| shown(&column.name)));
    heads.extend(COLUMNS.iter().map(|(head, _)| (*head).to_owned()));
    let rows = analysis.runs.iter().zip(short.names()).zip(comparison.runs()).enumerate();
    let mut rows: Vec<Vec<String>> = rows
        .map(|(i, ((stats, name), run))| {
            let mut cells = vec![state(stats), name.clone()];
            cells.extend(mixed.then(|| run.history.kind().words().to_owned()));
            let value = |column: &ConfigColumn| column.values[i].as_ref().map(|v| shown(v.text()));
            cells.extend(config.iter().map(|column| value(column).unwrap_or("–".to_owned())));
            cells.extend(COLUMNS.iter().map(|(_, cell)| cell(stats)));
            cells
        })
        .collect();

    // Names are shortened until the first four numbers fit.
    let needed = config.len() + if mixed { 7 } else { 6 };
    let widths = column_widths(&heads, &rows);
    let others: usize = widths[..needed].iter().sum::<usize>() - widths[1] + 2 * (needed - 1);
    let room = width.saturating_sub(others).max(MIN_NAME);
    let names: Vec<String> = rows.iter().map(|row| row[1].clone()).collect();
    for (row, name) in rows.iter_mut().zip(distinct(&names, room)) {
        row[1] = name;
    }
    // The title has what the names share if it fits, else a line below the table.
    let widest = rows.iter().map(|row| row[1].width()).max().unwrap_or(0);
    let title = format!("run ({})", short.shared());
    let mut note = short.note();
    if note.is_some() && short.is_everywhere() && title.width() <= widest {
        heads[1] = title;
        note = None;
    }
    let table = aligned(&heads, &rows, (2, width), |row, column, cell| {
        match (colour && column == 0, analysis.runs[row].state) {
            (true, Some(State::Collapsed | State::Exploded)) => format!("\x1b[31m{cell}\x1b[0m"),
            (true, Some(State::Falling | State::NotRecorded)) => format!("\x1b[33m{cell}\x1b[0m"),
            (true, Some(State::Healthy)) => format!("\x1b[32m{cell}\x1b[0m"),
            _ => cell.to_owned(),
        }
    });
    table + &note.map_or(String::new(), |note| note + "\n")
}

/// A key or a value of a configuration, safe for a terminal and not too long for a column.
fn shown(text: &str) -> String {
    const WIDEST: usize = 24;
    shorten_middle(&visible(text), |text| text.width() <= WIDEST)
}

/// What the values of the runs are, if they all are the same quantity.
pub(super) fn details(comparison: &Comparison) -> String {
    match comparison.kinds()[..] {
        [kind] => format!("quantity: {} ({})\n", kind.words(), kind.describe()),
        _ => String::new(),
    }
}

/// The tables of groups and of pairs; empty if there are none. `verbose` adds how the numbers were computed.
pub(super) fn comparisons(analysis: &Analysis, width: usize, verbose: bool) -> String {
    let mut text = String::new();
    let tables = [report::group_table(analysis), report::pair_table(analysis, MAX_PAIRS)];
    for mut table in tables.into_iter().flatten() {
        text.push('\n');
        shorten_names(&mut table, width);
        text.push_str(&aligned(&table.heads, &table.rows, (1, width), |_, _, cell| {
            cell.to_owned()
        }));
        let columns = shown_columns(&column_widths(&table.heads, &table.rows), 1, width);
        let (shown, hidden) = table.heads.split_at(columns);
        let is_shown = |remark: &&Remark| {
            remark.heads.is_empty()
                || remark.heads.iter().any(|head| shown.iter().any(|s| s == head))
        };
        let remarks = table.remarks.iter().filter(is_shown).map(|remark| remark.text.as_str());
        let left_out = table.left_out.as_deref();
        let more = (!hidden.is_empty()).then(|| {
            format!("  more columns in a wider terminal, with COLUMNS=200 in a pipe, or with --json: {}", hidden.join(", "))
        });
        let method = verbose.then_some(table.method);
        for line in left_out.into_iter().chain(remarks).chain(more.as_deref()).chain(method) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Shortens the names in the first column until the next two columns fit. Names stay distinct.
fn shorten_names(table: &mut TextTable, width: usize) {
    let widths = column_widths(&table.heads, &table.rows);
    let others: usize = widths[1..].iter().take(2).map(|width| width + 2).sum();
    let room = width.saturating_sub(others).max(2 * MIN_NAME);
    if widths[0] <= room {
        return;
    }
    let parts = |cell: &str| cell.split(BETWEEN).map(str::to_owned).collect::<Vec<_>>();
    let names: BTreeSet<String> = table.rows.iter().flat_map(|row| parts(&row[0])).collect();
    let names: Vec<String> = names.into_iter().collect();
    let count = table.rows.iter().map(|row| parts(&row[0]).len()).max().unwrap_or(1);
    let short = distinct(&names, (room - BETWEEN.width() * (count - 1)) / count);
    for row in &mut table.rows {
        let short = |name: &String| names.binary_search(name).map_or(name, |i| &short[i]).clone();
        row[0] = parts(&row[0]).iter().map(short).collect::<Vec<_>>().join(BETWEEN);
    }
}

/// A table with column titles. The first `left` columns are aligned left, the others right; the last columns are
/// left out if they do not fit `width`. `paint` is called with the row, the column and the text of each cell; it may
/// add colour codes.
pub(super) fn aligned(
    heads: &[String],
    rows: &[Vec<String>],
    (left, width): (usize, usize),
    paint: impl Fn(usize, usize, &str) -> String,
) -> String {
    let widths = column_widths(heads, rows);
    let shown = shown_columns(&widths, left, width);
    let line = |cells: &[String], paint: &dyn Fn(usize, &str) -> String| {
        let mut row = String::new();
        for (column, (cell, width)) in cells.iter().zip(&widths).enumerate().take(shown) {
            let room = " ".repeat(width - cell.width());
            let gap = if column == 0 { "" } else { "  " };
            let painted = paint(column, cell);
            row.push_str(&match column < left {
                true => format!("{gap}{painted}{room}"),
                false => format!("{gap}{room}{painted}"),
            });
        }
        row.trim_end().to_owned() + "\n"
    };
    let mut text = line(heads, &|_, cell| cell.to_owned());
    for (i, row) in rows.iter().enumerate() {
        text.push_str(&line(row, &|column, cell| paint(i, column, cell)));
    }
    text
}

/// The number of columns that fit `width`; at least one after the first `left`.
fn shown_columns(widths: &[usize], left: usize, width: usize) -> usize {
    let mut total = 0;
    let fits = |column: &&usize| {
        total += **column + 2;
        total <= width.saturating_add(2)
    };
    widths.iter().take_while(fits).count().max(left + 1).min(widths.len())
}

fn column_widths(heads: &[String], rows: &[Vec<String>]) -> Vec<usize> {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].width());
        cells.chain([heads[column].width()]).max().unwrap_or(0)
    };
    (0..heads.len()).map(width).collect()
}

/// The state of a run with its step.
fn state(run: &RunStats) -> String {
    match run.state_step {
        Some(step) => format!("{} @ {}", run.state_words(), exact(step)),
        None => run.state_words().to_owned(),
    }
}

fn optional(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), number)
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
