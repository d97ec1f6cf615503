//! The page of `report`: one HTML file with curves, bars, tables and token entropies. It makes no network request.
//!
//! [`document`] returns everything that depends on the runs, as JSON; `templates/report/*.js` draws it, and can
//! draw a newer document later. [`page`] puts it into `templates/report.html` with the scripts and styles. The
//! content security policy in the page's head allows only these, by their digests. Text from a log occurs only in
//! the document, where `<` is written `\u003c` so that no text ends the element around it, and is shown only as
//! text nodes.

mod assets;
mod bands;
mod numbers;
mod panels;
mod series;

use std::borrow::Cow;
use std::fmt::Write;

use base64::prelude::{BASE64_STANDARD, Engine};
use minijinja::value::Value;
use minijinja::{AutoEscape, context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::contrasts::{TextTable, group_table, pair_table};
use super::template;
use assets::{EXPLAIN_SCRIPT, EXPLAIN_STYLE, LIVE_SCRIPT, LIVE_STYLE, SCRIPT, UPLOT, packed};
pub(super) use assets::{STYLE, TOKENS_SCRIPT, TOKENS_STYLE};
use bands::Bands;
use entropy_history::history::Comparison;
use entropy_history::label::{ShortNames, visible};
use entropy_history::quantity_runs::QuantityRuns;
use entropy_history::stats::health::{MIN_POINTS, Thresholds};
use entropy_history::stats::{Analysis, RunStats};
use entropy_plot::theme::{DARK, LIGHT, STYLES, Theme};
use entropy_plot::{Emphasis, GroupOptions, RunColours};
use panels::{PageBands, PagePanel, panels, sources};
use series::{EmbeddedSeries, Series, embed};

static TEMPLATE: &str = include_str!("../../templates/report.html");

/// The settings of a page, and its texts that do not come from the runs.
#[derive(Debug, Clone, Default)]
pub struct PageOptions<'a> {
    /// The title; `None` for the default.
    pub title: Option<&'a str>,
    /// The command line that made the page, quoted for a shell.
    pub command: String,
    /// The command that shows the same runs in a terminal, if there is one.
    pub terminal: Option<TerminalCommand>,
    /// The date in the footer, if any.
    pub date: Option<&'a str>,
    /// Initial weight of the exponential moving average.
    pub smoothing: f64,
    /// Whether the y axis is logarithmic at first.
    pub log_y: bool,
    /// The limits of a collapse and an explosion.
    pub thresholds: Thresholds,
    /// The groups whose means are drawn, if any.
    pub groups: Option<&'a GroupOptions>,
    /// The quantities in panels below the entropy; of the same runs.
    pub quantities: &'a [QuantityRuns],
    /// Notes shown above the findings, e.g. about files that could not be read.
    pub notes: &'a [String],
    /// The document of a token dump, from [`super::tokens()`].
    pub tokens: Option<&'a serde_json::Value>,
    /// The document of `explain`: sentences and tables, as `templates/explain.js` reads them.
    pub explanation: Option<&'a serde_json::Value>,
}

/// A command line that shows the runs of a page in a terminal, without the options of the view; the page adds these.
#[derive(Debug, Clone, Serialize)]
pub struct TerminalCommand {
    /// The command line, quoted for a shell.
    pub command: String,
    /// Whether the command takes `--x`, `--from-step` and `--to-step`.
    pub has_ranges: bool,
}

/// The data of the page, as `templates/report/data.js` reads them.
#[derive(Serialize)]
struct PageDocument<'a> {
    schema: u32,
    version: &'static str,
    unit: &'static str,
    title: String,
    command: String,
    terminal: Option<TerminalCommand>,
    date: Option<&'a str>,
    /// What the values measure.
    quantity: String,
    /// What was left out of the names of the runs; `None` if they are the labels.
    names_note: Option<String>,
    start: InitialView,
    health: HealthLimits,
    /// The number of logged points; if `exact`, all of them are in `runs`.
    points: usize,
    exact: bool,
    grids: Vec<numbers::Numbers>,
    runs: Vec<RunEntry>,
    bands: Option<Bands>,
    panels: Vec<PagePanel>,
    groups: Option<TextTable>,
    pairs: Option<TextTable>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct InitialView {
    smoothing: f64,
    log_y: bool,
}

#[derive(Serialize)]
struct HealthLimits {
    collapse_ratio: f64,
    explode_ratio: f64,
    fewest_points: usize,
}

#[derive(Serialize)]
struct RunEntry {
    /// The index of the line style; `None` for an unstyled run.
    style: Option<usize>,
    /// The label without the parts that all labels share.
    name: String,
    /// The short name of the measured quantity.
    quantity: &'static str,
    stats: RunStats,
    series: Series,
}

/// The data of a page as JSON that can be embedded in an HTML element.
pub fn document(comparison: &Comparison, analysis: &Analysis, options: &PageOptions<'_>) -> String {
    let quantities = options.quantities;
    let mut bands = PageBands::of(comparison, quantities, options.groups, options.smoothing);
    let sources = sources(comparison, quantities);
    let EmbeddedSeries { grids, series, exact } = embed(&sources, bands.size());
    let mut series = series.into_iter();
    let names = ShortNames::of(analysis.runs.iter().map(|run| run.label.as_str()));
    let styles = match &bands.entropy {
        Some(bands) => bands.styles(comparison.runs().len()),
        None => {
            let runs = comparison.runs();
            let colours = RunColours::choose(runs, Some(analysis), &Emphasis::default());
            runs.iter().map(|run| colours.palette_index(run.history.label())).collect()
        }
    };
    let runs = comparison.runs().iter().zip(&analysis.runs).zip(series.by_ref()).zip(styles);
    let runs: Vec<RunEntry> = runs
        .zip(names.names())
        .map(|((((run, stats), series), style), name)| RunEntry {
            style,
            name: name.clone(),
            quantity: run.history.kind().words(),
            stats: with_visible_texts(stats),
            series,
        })
        .collect();
    let kinds = comparison.kinds();
    let notes = options.notes.iter().chain(&analysis.notes);
    let document = PageDocument {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        unit: "nats",
        title: title(options, &comparison.subject()),
        command: visible(&options.command).into_owned(),
        terminal: options.terminal.clone(),
        date: options.date,
        quantity: kinds.iter().map(|kind| kind.describe()).collect::<Vec<_>>().join(" | "),
        names_note: names.note(),
        start: InitialView { smoothing: options.smoothing, log_y: options.log_y },
        health: HealthLimits {
            collapse_ratio: options.thresholds.collapse_ratio,
            explode_ratio: options.thresholds.explode_ratio,
            fewest_points: MIN_POINTS,
        },
        points: analysis.runs.iter().map(|run| run.points).sum(),
        exact,
        grids,
        bands: bands.entropy.take(),
        panels: panels(quantities, bands, series),
        groups: group_table(analysis),
        pairs: pair_table(analysis, usize::MAX),
        notes: notes.map(|note| visible(note).into_owned()).collect(),
        runs,
    };
    let json = serde_json::to_string(&document);
    escape_for_script(&json.expect("BUG: the document has string keys and finite numbers"))
}

/// Whether a page requests newer data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PageKind {
    /// It makes no request.
    Static,
    /// It requests newer data from the server that sent it.
    Live,
}

/// The complete page of `report`.
pub fn page(comparison: &Comparison, analysis: &Analysis, options: &PageOptions<'_>) -> String {
    let title = title(options, &comparison.subject());
    render(&document(comparison, analysis, options), &title, options, PageKind::Static).0
}

/// The page that embeds a document, and its content security policy.
pub(super) fn render(
    data: &str,
    title: &str,
    options: &PageOptions<'_>,
    kind: PageKind,
) -> (String, String) {
    let tokens = options.tokens.map_or(String::new(), |json| escape_for_script(&json.to_string()));
    let (mut styles, mut scripts) =
        (vec![Cow::from(colours() + &packed(STYLE))], vec![UPLOT.into(), packed(SCRIPT).into()]);
    if options.tokens.is_some() {
        styles.push(packed(TOKENS_STYLE).into());
        scripts.push(packed(TOKENS_SCRIPT).into());
    }
    let explanation =
        options.explanation.map_or(String::new(), |json| escape_for_script(&json.to_string()));
    if options.explanation.is_some() {
        styles.push(packed(EXPLAIN_STYLE).into());
        scripts.push(packed(EXPLAIN_SCRIPT).into());
    }
    let is_live = kind == PageKind::Live;
    if is_live {
        styles.push(packed(LIVE_STYLE).into());
        scripts.push(packed(LIVE_SCRIPT).into());
    }
    let digests =
        |texts: &[Cow<'_, str>]| texts.iter().map(|t| digest(t)).collect::<Vec<_>>().join(" ");
    let safe = |text: &str| Value::from_safe_string(text.to_owned());
    let all_safe = |texts: &[Cow<'_, str>]| texts.iter().map(|t| safe(t)).collect::<Vec<_>>();
    let connect = if is_live { " connect-src 'self';" } else { "" };
    let policy = format!(
        "default-src 'none'; script-src {}; style-src {};{connect} img-src data:; base-uri 'none'; form-action 'none'",
        digests(&scripts),
        digests(&styles),
    );
    let context = context! {
        title,
        version => env!("CARGO_PKG_VERSION"),
        policy => &policy,
        live => is_live,
        styles => all_safe(&styles),
        scripts => all_safe(&scripts),
        data => safe(data),
        tokens => safe(&tokens),
        explanation => safe(&explanation),
    };
    (template::render(TEMPLATE, AutoEscape::Html, context), policy)
}

/// The title that the user set, else what the runs show.
pub(super) fn title(options: &PageOptions<'_>, subject: &str) -> String {
    visible(options.title.unwrap_or(subject)).into_owned()
}

/// The statistics of a run, with the control characters in its texts made visible.
fn with_visible_texts(stats: &RunStats) -> RunStats {
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

/// Escapes JSON so that it can be embedded in a `<script>` element.
fn escape_for_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

/// The source expression of a script or a style in a content security policy.
pub(super) fn digest(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text.as_bytes())))
}

/// The colours of the plot themes as CSS custom properties: for the page, and for the line style of each run.
pub(super) fn colours() -> String {
    let light = format!(":root{{{}}}{}", page_colours(&LIGHT), line_styles(&LIGHT, ""));
    // Only on screens: a page is printed in its light colours.
    let dark = |selector: &str| {
        let lines = line_styles(&DARK, &format!("{selector} "));
        format!("{selector}{{{}}}{lines}", page_colours(&DARK))
    };
    let by_system = dark("html:not([data-theme=light])");
    let by_button = dark("html[data-theme=dark]");
    format!(
        "{light}@media screen and (prefers-color-scheme:dark){{{by_system}}}@media screen{{{by_button}}}\n"
    )
}

fn page_colours(theme: &Theme) -> String {
    let accent = theme.style(0).line;
    format!(
        "--background:{};--text:{};--muted:{};--hairline:{};--accent:{accent};",
        theme.background, theme.text, theme.muted, theme.hairline
    )
}

fn line_styles(theme: &Theme, selector: &str) -> String {
    let mut css = format!(
        "{selector}.unstyled{{--line:{};--faint:{}}}",
        theme.unstyled,
        theme.unstyled.over(theme.background, 0.25)
    );
    for index in 0..STYLES {
        let style = theme.style(index);
        let dash: Vec<String> = style.dash.iter().map(f64::to_string).collect();
        let dash = if dash.is_empty() { "none".to_owned() } else { dash.join(" ") };
        let _ = write!(
            css,
            "{selector}.s{index}{{--line:{};--faint:{};--dash:{dash}}}",
            style.line, style.faint
        );
    }
    css
}
