//! Title, subtitle and footer of every chart, and the names of runs.

use super::ChartOptions;
use super::canvas::{Anchor, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::Weight;
use super::metrics::{Header, Metrics};
use entropy_history::history::{Comparison, ENTROPY};
pub(super) use entropy_history::label::ShortNames;
use entropy_history::label::{shorten_middle, visible};
use entropy_history::quantity::EntropyKind;

/// A warning if shortened names of different runs are equal.
pub(super) fn alike<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut names = names.filter(|name| !name.is_empty());
    let twice = names.find(|name| !seen.insert(*name))?;
    Some(format!(
        "at this size several runs are named {twice:?}: a larger --size has room for their names"
    ))
}

/// The part of the subtitle that says what the values are; `None` if the title of the y axis says it.
pub(super) fn quantity(comparison: &Comparison, options: &ChartOptions) -> Option<String> {
    options.y_label.is_none().then(|| kinds(comparison))
}

/// The title beside the y axis: the user's, or in a picture without a subtitle the subject with its unit, such as
/// `policy entropy (nats)`.
pub(super) fn y_title(comparison: &Comparison, options: &ChartOptions) -> Option<String> {
    if let Some(label) = &options.y_label {
        return Some(visible(label).into_owned()).filter(|label| !label.is_empty());
    }
    let subject = comparison.subject();
    let unit = match comparison.kinds()[..] {
        _ if subject != ENTROPY => "",
        [EntropyKind::SequenceSum] => " (nats per response)",
        [EntropyKind::ActionDistribution] => " (nats per action)",
        [EntropyKind::Unknown] => "",
        _ => " (nats)",
    };
    let subject = if subject == ENTROPY { subject.to_lowercase() } else { subject };
    (options.look.header == Header::Hidden)
        .then(|| visible(&format!("{subject}{unit}")).into_owned())
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
    let fits = chart.fonts.width(&whole, chart.metrics().title, Weight::SemiBold) <= width;
    if fits && !subject.is_empty() { whole } else { title.to_owned() }
}

/// Title and subtitle from `left` to `right`, as far as the picture has them. Returns the marks and the y below
/// them.
pub(super) fn header(
    chart: ChartContext<'_>,
    title: &str,
    subtitle: &[String],
    (left, right): (f64, f64),
) -> (Vec<Mark>, f64) {
    let (theme, metrics) = (chart.theme(), chart.metrics());
    let is_hidden = chart.options.look.header == Header::Hidden;
    let fits = |size, weight| move |t: &str| chart.fonts.width(t, size, weight) <= right - left;
    let title = chart.options.title.as_deref().or((!is_hidden).then_some(title)).unwrap_or("");
    let title = shorten_middle(&visible(title), fits(metrics.title, Weight::SemiBold));
    let (mut marks, mut y) = (Vec::new(), metrics.top);
    if !title.is_empty() {
        y += 0.76 * metrics.title;
        let format = TextFormat::semi_bold(metrics.title, theme.text);
        marks.push(chart.text(title, (left, y), Anchor::Start, format));
        y += metrics.subtitle_gap;
    }
    let lines = match metrics.max_subtitle {
        _ if is_hidden => Vec::new(),
        None => wrap(subtitle, fits(metrics.subtitle, Weight::Regular)),
        Some(most) => {
            let fits = fits(metrics.subtitle, Weight::Regular);
            one_line(subtitle, |t| t.chars().count() <= most && fits(t)).into_iter().collect()
        }
    };
    for line in lines {
        let next = y + 1.3 * metrics.subtitle;
        if below_line(next, metrics) > metrics.max_header {
            break;
        }
        y = next;
        let format = TextFormat::regular(metrics.subtitle, theme.muted);
        marks.push(chart.text(line, (left, y), Anchor::Start, format));
    }
    let is_empty = marks.is_empty();
    (marks, if is_empty { metrics.pad.min(metrics.top) } else { below_line(y, metrics) })
}

/// The y below a subtitle with this baseline.
fn below_line(baseline: f64, metrics: Metrics) -> f64 {
    baseline + 0.25 * metrics.subtitle
}

/// As many of the first parts as fit a single line, joined with middle dots; the first is shortened if need be.
fn one_line(parts: &[String], fits: impl Fn(&str) -> bool) -> Option<String> {
    let (first, rest) = parts.split_first()?;
    let mut line = shorten_middle(first, &fits);
    for part in rest {
        let longer = format!("{line} · {part}");
        if !fits(&longer) {
            break;
        }
        line = longer;
    }
    Some(line)
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
    let pad = chart.metrics().pad;
    let words = chart.options.footer.as_deref().filter(|words| !words.is_empty());
    let Some(words) = words else { return (None, height - pad) };
    let format = TextFormat::regular(10.7, chart.theme().muted);
    let fits = |t: &str| chart.fonts.width(t, format.size, format.weight) <= right - left;
    let words = shorten_middle(&visible(words), fits);
    let baseline = height - (pad * 0.7).max(0.3 * format.size);
    let mark = chart.text(words, (left, baseline), Anchor::Start, format);
    (Some(mark), baseline - 1.9 * format.size)
}
