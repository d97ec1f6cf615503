//! Numbers as documents: JSON and CSV for programs, the Markdown summary for a pull request.

mod checks;
mod contrasts;
mod page;
mod tokens;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, context};

pub use checks::{annotation, junit};
pub use contrasts::{Table, groups, pairs};
pub use page::{LivePage, Page, document, live_page, page};
pub use tokens::tokens;

use entropy_history::label::{as_cell, visible};
use entropy_history::number::{exact, short};
use entropy_history::stats::{Analysis, RunStats};

static SUMMARY: &str = include_str!("../../templates/summary.md");
/// Pairs in the summary before the rest are only counted: all of five runs.
const MOST_PAIRS: usize = 10;

/// The analysis as one JSON document, indented, with a newline at its end.
pub fn json(analysis: &Analysis) -> String {
    let text = serde_json::to_string_pretty(analysis);
    text.expect("BUG: the analysis has string keys and finite numbers") + "\n"
}

/// One row a run, all numbers in full precision, empty where there is none. Texts that a spreadsheet
/// would run as a formula carry an apostrophe in front.
pub fn csv(analysis: &Analysis) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let columns = columns();
    writer.write_record(columns.iter().map(|(name, _)| name)).expect("BUG: memory takes all");
    for run in &analysis.runs {
        let cells = columns.iter().map(|(_, cell)| cell(run));
        writer.write_record(cells).expect("BUG: every row has the same columns");
    }
    let bytes = writer.into_inner().expect("BUG: memory takes all");
    String::from_utf8(bytes).expect("BUG: only text was written")
}

type Column = (&'static str, fn(&RunStats) -> String);

fn columns() -> [Column; 25] {
    fn number(value: f64) -> String {
        value.to_string()
    }
    fn maybe(value: Option<f64>) -> String {
        value.map_or(String::new(), number)
    }
    [
        ("label", |r| harmless(&r.label)),
        ("source", |r| harmless(&r.source)),
        ("format", |r| r.format.to_owned()),
        ("metric", |r| harmless(&r.metric)),
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
        ("state", |r| r.state.words().replace(' ', "_")),
        ("state_step", |r| maybe(r.state_step)),
        ("baseline", |r| maybe(r.baseline)),
        ("not_finite", |r| r.repairs.not_finite.to_string()),
        ("relogged", |r| r.repairs.relogged.to_string()),
        ("warnings", |r| harmless(&r.warnings.join("; "))),
    ]
}

/// The text, so that no spreadsheet takes it for a formula.
fn harmless(text: &str) -> String {
    as_cell(&visible(text)).into_owned()
}

/// The summary for a pull request, from `templates/summary.md`.
pub fn summary(analysis: &Analysis) -> String {
    let mut environment = environment();
    environment.add_template("summary.md", SUMMARY).expect("BUG: the template parses");
    let template = environment.get_template("summary.md").expect("BUG: it was just added");
    let runs: Vec<Value> = analysis.runs.iter().map(row).collect();
    let tables = [groups(analysis), pairs(analysis, MOST_PAIRS)];
    let tables: Vec<Value> = tables.iter().flatten().map(markdown_table).collect();
    let notes: Vec<String> = analysis.notes.iter().map(|note| plain(note)).collect();
    template
        .render(context! { runs, tables, notes, version => env!("CARGO_PKG_VERSION") })
        .expect("BUG: the template names what it is given")
}

/// What renders the templates: a line with a statement alone leaves nothing behind.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    environment.set_syntax(syntax.expect("BUG: the syntax is the default one"));
    environment
}

fn markdown_table(table: &Table) -> Value {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| plain(cell)).collect();
        format!("| {} |", cells.join(" | "))
    };
    context! {
        head => line(&table.heads),
        rule => format!("| --- |{}", " ---: |".repeat(table.heads.len() - 1)),
        rows => table.rows.iter().map(|row| line(row)).collect::<Vec<_>>(),
        left_out => table.left_out.as_ref().map(|words| plain(words)),
        remarks => table.remarks.iter().map(|remark| plain(remark.trim())).collect::<Vec<_>>(),
    }
}

fn row(run: &RunStats) -> Value {
    let state = match run.state_step {
        Some(step) => format!("{} at step {}", run.state.words(), exact(step)),
        None => run.state.words().to_owned(),
    };
    context! {
        label => code(&run.label),
        points => run.points,
        first => short(run.first),
        last => short(run.last),
        mean => run.mean.map_or("–".to_owned(), short),
        std => run.std.map_or("–".to_owned(), short),
        median => short(run.median),
        min => short(run.min),
        min_step => exact(run.min_step),
        max => short(run.max),
        max_step => exact(run.max_step),
        state,
        warnings => run.warnings.iter().map(|w| plain(w)).collect::<Vec<_>>(),
    }
}

/// Text as code in Markdown, so that a label is never a mention or a link.
fn code(text: &str) -> String {
    format!("<code>{}</code>", plain(text))
}

/// Text without effect in Markdown and HTML: what they could act on stands as an entity.
fn plain(text: &str) -> String {
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
    fn a_label_is_no_formula() {
        assert_eq!(harmless("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(harmless("@x"), "'@x");
        assert_eq!(harmless("\tx"), r"\u{9}x");
        assert_eq!(harmless("run"), "run");
    }

    #[test]
    fn a_label_is_no_markup() {
        assert_eq!(code("<b>|@x"), "<code>&#60;b&#62;&#124;&#64;x</code>");
        assert_eq!(code("a-b.c"), "<code>a-b.c</code>");
        assert_eq!(plain("no \"x\"; see *y*"), "no &#34;x&#34;; see &#42;y&#42;");
    }
}
