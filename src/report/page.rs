//! The page of `report`: one HTML file that shows curves, bars, tables and single tokens, and asks nothing of
//! any network.
//!
//! [`document`] is everything that depends on the runs, as one JSON text; `templates/report/*.js` draws it and
//! can be given another one later. [`page`] puts it into `templates/report.html` with the scripts and styles.
//! The policy in the page's head allows these by their digests and nothing else. What comes from a log is in the
//! document, where `<` is written `\u003c` so that no text ends the element around it, and reaches the page as
//! text only.

mod live;
mod numbers;
mod series;

use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use minijinja::value::Value;
use minijinja::{AutoEscape, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::contrasts::{Table, groups, pairs};
use entropy_history::history::Comparison;
use entropy_history::label::{common_prefix, visible};
use entropy_history::stats::health::{MIN_POINTS, Thresholds};
use entropy_history::stats::{Analysis, RunStats};
use entropy_plot::styles;
use entropy_plot::theme::{DARK, LIGHT, STYLES, Theme};
pub use live::{LivePage, live_page};
use series::{Embedded, Series, embed};

static TEMPLATE: &str = include_str!("../../templates/report.html");
static STYLE: &str = concat!(
    include_str!("../../assets/uplot/uPlot.min.css"),
    "\n",
    include_str!("../../templates/report.css")
);
static UPLOT: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
/// One scope, several files: each an idea.
static SCRIPT: &str = concat!(
    "(() => {\n'use strict';\n",
    include_str!("../../templates/report/data.js"),
    include_str!("../../templates/report/make.js"),
    include_str!("../../templates/report/chart.js"),
    include_str!("../../templates/report/curves.js"),
    include_str!("../../templates/report/sections.js"),
    include_str!("../../templates/report/page.js"),
    "})();\n"
);
static TOKENS_STYLE: &str = include_str!("../../templates/tokens.css");
static TOKENS_SCRIPT: &str = include_str!("../../templates/tokens.js");

const TITLE: &str = "Policy entropy";

/// What a page says beside its runs.
#[derive(Debug, Clone, Copy, Default)]
pub struct Page<'a> {
    /// Its title, if it is to have one of its own.
    pub title: Option<&'a str>,
    /// The command line that makes it, as a shell takes it.
    pub command: &'a str,
    /// The day it says it was made; none for none.
    pub date: Option<&'a str>,
    /// Weight of the exponential moving average that the slider starts at.
    pub smoothing: f64,
    /// Whether the value axis starts logarithmic.
    pub log_y: bool,
    /// When a run counts as collapsed or exploded.
    pub thresholds: Thresholds,
    /// What was not read, in words.
    pub notes: &'a [String],
    /// What [`super::tokens`] makes of a dump.
    pub tokens: Option<&'a serde_json::Value>,
}

/// Everything that the page shows of its runs.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    version: &'static str,
    unit: &'static str,
    title: String,
    command: String,
    date: Option<&'a str>,
    /// What the values are.
    quantity: String,
    /// What all names begin with.
    prefix: String,
    start: Start,
    health: Limits,
    /// Points of the runs; with `exact`, every one of them is in `runs`.
    points: usize,
    exact: bool,
    grids: Vec<numbers::Numbers>,
    runs: Vec<Entry>,
    groups: Option<Table>,
    pairs: Option<Table>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Start {
    smoothing: f64,
    log_y: bool,
}

#[derive(Serialize)]
struct Limits {
    collapse_ratio: f64,
    explode_ratio: f64,
    fewest_points: usize,
}

#[derive(Serialize)]
struct Entry {
    /// The number of its style; none for one of the crowd.
    style: Option<usize>,
    /// What is read, as a table says it.
    quantity: &'static str,
    stats: RunStats,
    series: Series,
}

/// The data of a page as JSON, ready to stand in an HTML element.
pub fn document(comparison: &Comparison, analysis: &Analysis, page: &Page<'_>) -> String {
    let Embedded { grids, series, exact } = embed(comparison);
    let runs =
        comparison.runs().iter().zip(&analysis.runs).zip(series).zip(styles(comparison.runs()));
    let runs: Vec<Entry> = runs
        .map(|(((run, stats), series), style)| Entry {
            style,
            quantity: run.history.kind().words(),
            stats: shown(stats),
            series,
        })
        .collect();
    let labels: Vec<&str> = runs.iter().map(|run| run.stats.label.as_str()).collect();
    let kinds = comparison.kinds();
    let document = Document {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        unit: "nats",
        title: title(page),
        command: visible(page.command).into_owned(),
        date: page.date,
        quantity: kinds.iter().map(|kind| kind.describe()).collect::<Vec<_>>().join(" | "),
        prefix: common_prefix(&labels).to_owned(),
        start: Start { smoothing: page.smoothing, log_y: page.log_y },
        health: Limits {
            collapse_ratio: page.thresholds.collapse_ratio,
            explode_ratio: page.thresholds.explode_ratio,
            fewest_points: MIN_POINTS,
        },
        points: analysis.runs.iter().map(|run| run.points).sum(),
        exact,
        grids,
        groups: groups(analysis),
        pairs: pairs(analysis, usize::MAX),
        notes: page.notes.iter().chain(&analysis.notes).map(|n| visible(n).into_owned()).collect(),
        runs,
    };
    let json = serde_json::to_string(&document);
    in_html(&json.expect("BUG: the document has string keys and finite numbers"))
}

/// What a page may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It asks nobody for anything.
    Still,
    /// It asks whoever sent it for newer data.
    Live,
}

/// The page, with the document in it.
pub fn page(comparison: &Comparison, analysis: &Analysis, page: &Page<'_>) -> String {
    whole(&document(comparison, analysis, page), page, Kind::Still).0
}

/// The page around a document, and its policy.
fn whole(data: &str, page: &Page<'_>, kind: Kind) -> (String, String) {
    let tokens = page.tokens.map_or(String::new(), |tokens| in_html(&tokens.to_string()));
    let mut style = colours();
    style.push_str(STYLE);
    let (mut styles, mut scripts) = (vec![style], vec![UPLOT, SCRIPT]);
    if page.tokens.is_some() {
        styles.push(TOKENS_STYLE.to_owned());
        scripts.push(TOKENS_SCRIPT);
    }
    if kind == Kind::Live {
        styles.push(live::STYLE.to_owned());
        scripts.push(live::SCRIPT);
    }
    let digests =
        |parts: &mut dyn Iterator<Item = &str>| parts.map(digest).collect::<Vec<_>>().join(" ");
    let connect = if kind == Kind::Live { " connect-src 'self';" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {};{connect} img-src data:; base-uri 'none'; form-action 'none'",
        digests(&mut scripts.iter().copied()),
        digests(&mut styles.iter().map(String::as_str)),
    );
    let safe = |text: &str| Value::from_safe_string(text.to_owned());
    let context = context! {
        title => title(page),
        version => env!("CARGO_PKG_VERSION"),
        policy => &policy,
        live => kind == Kind::Live,
        styles => styles.iter().map(|text| safe(text)).collect::<Vec<_>>(),
        scripts => scripts.iter().map(|text| safe(text)).collect::<Vec<_>>(),
        data => safe(data),
        tokens => safe(&tokens),
    };
    let mut environment = super::environment();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("report.html", TEMPLATE).expect("BUG: the template parses");
    let template = environment.get_template("report.html").expect("BUG: it was just added");
    let text = template.render(context).expect("BUG: the template names what it is given");
    (text, policy)
}

fn title(page: &Page<'_>) -> String {
    visible(page.title.unwrap_or(TITLE)).into_owned()
}

/// The numbers of a run with its texts made visible.
fn shown(stats: &RunStats) -> RunStats {
    let mut stats = stats.clone();
    for text in [&mut stats.label, &mut stats.source, &mut stats.metric]
        .into_iter()
        .chain(&mut stats.warnings)
        .chain(stats.joints.iter_mut().map(|joint| &mut joint.stage))
    {
        *text = visible(text).into_owned();
    }
    stats
}

/// JSON that ends no element of HTML, and no line of a script.
fn in_html(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// How a policy names a script or a style.
fn digest(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// The colours of the pictures, as custom properties: of the page, and of each style of a run.
fn colours() -> String {
    let mut css = String::from(":root{");
    css.push_str(&ground(&LIGHT));
    css.push('}');
    css.push_str(&lines(&LIGHT, ""));
    // A page is printed in its light colours.
    let dark = |selector: &str| {
        format!("{selector}{{{}}}{}", ground(&DARK), lines(&DARK, &format!("{selector} ")))
    };
    let by_system = dark("html:not([data-theme=light])");
    let by_button = dark("html[data-theme=dark]");
    let _ = writeln!(
        css,
        "@media screen and (prefers-color-scheme:dark){{{by_system}}}@media screen{{{by_button}}}"
    );
    css
}

fn ground(theme: &Theme) -> String {
    let accent = theme.style(0).line;
    format!(
        "--ground:{};--text:{};--quiet:{};--hairline:{};--crowd:{};--accent:{accent};",
        theme.background, theme.text, theme.muted, theme.hairline, theme.unstyled
    )
}

fn lines(theme: &Theme, selector: &str) -> String {
    let mut css = format!(
        "{selector}.crowd{{--line:{0};--name:{1};--faint:{2}}}",
        theme.unstyled,
        theme.muted,
        theme.unstyled.over(theme.background, 0.25)
    );
    for index in 0..STYLES {
        let style = theme.style(index);
        let dash: Vec<String> = style.dash.iter().map(f64::to_string).collect();
        let dash = if dash.is_empty() { "none".to_owned() } else { dash.join(" ") };
        let _ = write!(
            css,
            "{selector}.s{index}{{--line:{};--name:{};--faint:{};--dash:{dash}}}",
            style.line, style.name, style.faint
        );
    }
    css
}
