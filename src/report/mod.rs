//! The analysis as documents: JSON and CSV for programs, a Markdown summary for a pull request, an HTML page.

mod budget;
mod checks;
mod contrasts;
mod live_page;
mod page;
mod pairs_csv;
mod template;
mod tokens;

use minijinja::value::Value;
use minijinja::{AutoEscape, context};

pub use checks::{annotation, junit};
pub use contrasts::{Remark, TextTable, group_table, method, pair_sentence, pair_table};
pub use live_page::live_page;
pub use page::{PageOptions, TerminalCommand, document, page};
pub use pairs_csv::pairs_csv;
pub use tokens::{TokenPage, tokens};

use entropy_history::label::{as_cell, visible};
use entropy_history::number::{exact, short};
use entropy_history::run_config::{ConfigColumn, ConfigValue, ConfigValueKind};
use entropy_history::stats::{Analysis, RunStats};
use template::render;

static SUMMARY: &str = include_str!("../../templates/summary.md");
/// The largest number of pairs that the summary lists: all pairs of five runs.
const MAX_PAIRS: usize = 10;

/// The analysis as one indented JSON document with a newline at its end.
pub fn json(analysis: &Analysis) -> String {
    let text = serde_json::to_string_pretty(analysis);
    text.expect("BUG: the analysis has string keys and finite numbers") + "\n"
}

/// A CSV table with one row per run: numbers in full precision, empty cells where a number is undefined. Keys of
/// the configuration are the last columns, `config.lr`. Texts that a spreadsheet would evaluate as a formula get an
/// apostrophe in front.
pub fn csv(analysis: &Analysis, config: &[ConfigColumn]) -> String {
    let columns = columns();
    let config_heads = config.iter().map(|column| format!("config.{}", visible(&column.name)));
    let heads = columns.iter().map(|(name, _)| (*name).to_owned()).chain(config_heads).collect();
    let rows = analysis.runs.iter().enumerate().map(|(i, run)| {
        let value = |column: &ConfigColumn| column.values[i].as_ref().map(config_cell);
        let config = config.iter().map(|column| value(column).unwrap_or_default());
        columns.iter().map(|c| c.1(run)).chain(config).collect()
    });
    csv_text(heads, rows)
}

/// A value of a configuration. A number is no formula, even if it begins with a sign.
fn config_cell(value: &ConfigValue) -> String {
    match value.kind() {
        ConfigValueKind::Number => value.text().to_owned(),
        _ => spreadsheet_cell(value.text()),
    }
}

/// A CSV document of these rows.
fn csv_text(heads: Vec<String>, rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in std::iter::once(heads).chain(rows) {
        writer.write_record(row).expect("BUG: every row has the same columns");
    }
    let bytes = writer.into_inner().expect("BUG: writing to memory cannot fail");
    String::from_utf8(bytes).expect("BUG: only text was written")
}

type Column = (&'static str, fn(&RunStats) -> String);

fn columns() -> [Column; 32] {
    fn number(value: f64) -> String {
        value.to_string()
    }
    fn maybe(value: Option<f64>) -> String {
        value.map_or(String::new(), number)
    }
    [
        ("label", |r| spreadsheet_cell(&r.label)),
        ("source", |r| spreadsheet_cell(&r.source)),
        ("format", |r| r.format.to_owned()),
        ("metric", |r| spreadsheet_cell(&r.metric)),
        ("quantity", |r| r.quantity.to_owned()),
        ("points", |r| r.points.to_string()),
        ("first_step", |r| number(r.first_step)),
        ("last_step", |r| number(r.last_step)),
        ("first", |r| number(r.first)),
        ("last", |r| number(r.last)),
        ("mean", |r| maybe(r.mean)),
        ("median", |r| number(r.median)),
        ("std", |r| maybe(r.std)),
        ("max", |r| number(r.max)),
        ("max_step", |r| number(r.max_step)),
        ("min", |r| number(r.min)),
        ("min_step", |r| number(r.min_step)),
        ("auc", |r| maybe(r.auc)),
        ("half_life_step", |r| maybe(r.half_life_step)),
        ("state", |r| r.state_words().replace(' ', "_")),
        ("state_step", |r| maybe(r.state_step)),
        ("baseline", |r| maybe(r.baseline)),
        ("not_finite", |r| r.repairs.not_finite.to_string()),
        ("relogged", |r| r.repairs.relogged.to_string()),
        ("warnings", |r| spreadsheet_cell(&r.warnings.join("; "))),
        ("aggregation", |r| r.aggregation.unwrap_or_default().to_owned()),
        ("start", |r| maybe(r.start)),
        ("level", |r| maybe(r.level)),
        ("final_ratio", |r| maybe(r.final_ratio)),
        ("slope", |r| maybe(r.slope)),
        ("late_slope", |r| maybe(r.late_slope)),
        ("state_level", |r| maybe(r.state_level)),
    ]
}

/// Text made safe for a spreadsheet: it is not evaluated as a formula.
fn spreadsheet_cell(text: &str) -> String {
    as_cell(&visible(text)).into_owned()
}

/// The Markdown summary for a pull request, from `templates/summary.md`.
pub fn summary(analysis: &Analysis) -> String {
    let runs: Vec<Value> = analysis.runs.iter().map(summary_row).collect();
    let tables = [group_table(analysis), pair_table(analysis, MAX_PAIRS)];
    let tables: Vec<Value> = tables.iter().flatten().map(markdown_table).collect();
    let notes = escaped(&analysis.notes);
    let sentence = pair_sentence(analysis).map(|text| escape_markdown(&text));
    let context = context! { runs, sentence, tables, notes, version => env!("CARGO_PKG_VERSION") };
    render(SUMMARY, AutoEscape::None, context)
}

fn markdown_table(table: &TextTable) -> Value {
    let line = |cells: &[String]| format!("| {} |", escaped(cells).join(" | "));
    context! {
        head => line(&table.heads),
        rule => format!("| --- |{}", " ---: |".repeat(table.heads.len() - 1)),
        rows => table.rows.iter().map(|row| line(row)).collect::<Vec<_>>(),
        left_out => table.left_out.as_deref().map(escape_markdown),
        remarks => table.remarks.iter().map(|remark| remark.text.trim()).chain([table.method]).map(escape_markdown).collect::<Vec<_>>(),
    }
}

fn summary_row(run: &RunStats) -> Value {
    let optional = |value: Option<f64>| value.map_or("–".to_owned(), short);
    let state = match run.state_step {
        Some(step) => format!("{} at step {}", run.state_words(), exact(step)),
        None => run.state_words().to_owned(),
    };
    context! {
        label => code(&run.label),
        points => run.points,
        first => short(run.first),
        last => short(run.last),
        mean => optional(run.mean),
        std => optional(run.std),
        median => short(run.median),
        min => short(run.min),
        min_step => exact(run.min_step),
        max => short(run.max),
        max_step => exact(run.max_step),
        state,
        warnings => escaped(&run.warnings),
    }
}

/// Text as inline code, so that a label never becomes a mention or a link.
fn code(text: &str) -> String {
    format!("<code>{}</code>", escape_markdown(text))
}

fn escaped(texts: &[String]) -> Vec<String> {
    texts.iter().map(|text| escape_markdown(text)).collect()
}

/// Replaces every character with a meaning in Markdown or HTML by an entity.
fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in visible(text).chars() {
        if "\\`*_{}[]()<>#+!|~$^@&\"=:".contains(c) {
            escaped.push_str(&format!("&#{};", u32::from(c)));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_in_labels_are_disabled() {
        assert_eq!(spreadsheet_cell("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(spreadsheet_cell("@x"), "'@x");
        assert_eq!(spreadsheet_cell("\tx"), r"\u{9}x");
        assert_eq!(spreadsheet_cell("run"), "run");
    }

    #[test]
    fn markup_in_labels_is_escaped() {
        assert_eq!(code("<b>|@x"), "<code>&#60;b&#62;&#124;&#64;x</code>");
        assert_eq!(code("a-b.c"), "<code>a-b.c</code>");
        assert_eq!(escape_markdown("no \"x\"; see *y*"), "no &#34;x&#34;; see &#42;y&#42;");
    }
}
