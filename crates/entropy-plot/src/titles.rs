//! Title, subtitle and footer of every chart, and the names of runs.

use super::ChartOptions;
use super::canvas::{Anchor, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::Weight;
use entropy_history::history::Comparison;
pub(super) use entropy_history::label::ShortNames;
use entropy_history::label::{shorten_middle, visible};

/// Font sizes in px: 15 pt, 10 pt and 9.5 pt.
const TITLE: f64 = 20.0;
const SUBTITLE: f64 = 13.3;
pub(super) const BODY: f64 = 12.6;
/// Margin around the picture in px.
pub(super) const PAD: f64 = 20.0;

/// The part of the subtitle that says what the values are: the user's name of the y axis, or the quantities.
pub(super) fn quantity(comparison: &Comparison, options: &ChartOptions) -> String {
    match &options.y_label {
        Some(label) => visible(label).into_owned(),
        None => kinds(comparison),
    }
}

/// The kinds of entropy of a comparison, with their units.
pub(super) fn kinds(comparison: &Comparison) -> String {
    let kinds = comparison.kinds();
    kinds.iter().map(|kind| kind.describe()).collect::<Vec<_>>().join(" | ")
}

/// The title of a picture: the user's, or the given one with its subject if that fits `width`.
pub(super) fn title_of(
    chart: ChartContext<'_>,
    (title, subject): (&str, &str),
    width: f64,
) -> String {
    if let Some(title) = &chart.options.title {
        return title.clone();
    }
    let whole = format!("{title} of {subject}");
    let fits = chart.fonts.width(&whole, TITLE, Weight::SemiBold) <= width;
    if fits && !subject.is_empty() { whole } else { title.to_owned() }
}

/// The parts of a subtitle that a picture of this height in px has: only the first one of a small picture.
pub(super) fn subtitle_of(parts: &[String], height: f64) -> &[String] {
    if height < 330.0 { &parts[..parts.len().min(1)] } else { parts }
}

/// Title and subtitle from `left` to `right`. Returns the marks and the y below them.
pub(super) fn header(
    chart: ChartContext<'_>,
    title: &str,
    subtitle: &[String],
    (left, right): (f64, f64),
) -> (Vec<Mark>, f64) {
    let theme = chart.theme();
    let fits = |size, weight| move |t: &str| chart.fonts.width(t, size, weight) <= right - left;
    let title = visible(chart.options.title.as_deref().unwrap_or(title)).into_owned();
    let title = shorten_middle(&title, fits(TITLE, Weight::SemiBold));
    let mut y = PAD + 0.76 * TITLE;
    let format = TextFormat::semi_bold(TITLE, theme.text);
    let mut marks = vec![chart.text(title, (left, y), Anchor::Start, format)];
    y += 8.0;
    for line in wrap(subtitle, fits(SUBTITLE, Weight::Regular)) {
        y += 1.3 * SUBTITLE;
        let format = TextFormat::regular(SUBTITLE, theme.muted);
        marks.push(chart.text(line, (left, y), Anchor::Start, format));
    }
    (marks, y + 0.25 * SUBTITLE)
}

/// Joins the parts with middle dots into as few lines as possible. A part longer than a line continues on a
/// second line; a part longer than two lines is shortened.
fn wrap(parts: &[String], fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        if !fits(part)
            && let Some((at, _)) = part.rmatch_indices(' ').find(|(at, _)| fits(&part[..*at]))
        {
            lines.push(part[..at].to_owned());
            lines.push(shorten_middle(&part[at + 1..], &fits));
            continue;
        }
        let part = shorten_middle(part, &fits);
        match lines.last_mut() {
            Some(line) if fits(&format!("{line} · {part}")) => *line = format!("{line} · {part}"),
            _ => lines.push(part),
        }
    }
    lines
}

/// The footer, if the user gave one, and the y above it.
pub(super) fn footer(
    chart: ChartContext<'_>,
    (left, right): (f64, f64),
    height: f64,
) -> (Option<Mark>, f64) {
    let Some(words) = &chart.options.footer else { return (None, height - PAD) };
    let format = TextFormat::regular(10.7, chart.theme().muted);
    let fits = |t: &str| chart.fonts.width(t, format.size, format.weight) <= right - left;
    let words = shorten_middle(&visible(words), fits);
    let at = (left, height - PAD * 0.7);
    let mark = chart.text(words, at, Anchor::Start, format);
    (Some(mark), height - PAD * 0.7 - 1.9 * format.size)
}
