//! What every chart has above and below its marks: title, quiet line, footer; and the names of runs.

use super::ChartOptions;
use super::canvas::{Anchor, Mark, Text};
use super::fonts::{Fonts, Weight};
use super::ink::Xy;
use super::theme::Rgb;
use entropy_history::history::Comparison;
use entropy_history::label::{common_prefix, shorten_middle, visible};

/// 15 pt, 10 pt and 9.5 pt in px.
pub(super) const TITLE: f64 = 20.0;
pub(super) const SUBTITLE: f64 = 13.3;
pub(super) const BODY: f64 = 12.6;
/// Room around the picture.
pub(super) const PAD: f64 = 20.0;

/// A text that knows its width.
pub(super) fn text(
    fonts: &Fonts,
    text: impl Into<String>,
    at: Xy,
    anchor: Anchor,
    size: f64,
    weight: Weight,
    colour: Rgb,
) -> Text {
    let text = text.into();
    let width = fonts.width(&text, size, weight);
    Text { text, at, anchor, size, weight, colour, width }
}

/// The names of runs as the picture shows them: visible, without the prefix they all share.
pub(super) struct Names {
    /// One a run.
    pub(super) short: Vec<String>,
    /// What was dropped from each; may be empty.
    prefix: String,
}

impl Names {
    pub(super) fn of<'a>(labels: impl Iterator<Item = &'a str>) -> Names {
        let labels: Vec<_> = labels.map(visible).collect();
        let all: Vec<&str> = labels.iter().map(AsRef::as_ref).collect();
        let prefix = common_prefix(&all);
        let short = all.iter().map(|label| label[prefix.len()..].to_owned()).collect();
        Names { short, prefix: prefix.to_owned() }
    }

    /// What the quiet line says of the prefix, if there is one.
    pub(super) fn remark(&self) -> Option<String> {
        (!self.prefix.is_empty()).then(|| format!("names without “{}”", self.prefix))
    }
}

/// What the values are, for the quiet line.
pub(super) fn quantity(comparison: &Comparison, look: &ChartOptions) -> String {
    match &look.y_label {
        Some(label) => visible(label).into_owned(),
        None => {
            let kinds = comparison.kinds();
            kinds.iter().map(|kind| kind.describe()).collect::<Vec<_>>().join(" | ")
        }
    }
}

/// Title and quiet lines from `left` to `right`; returns the marks and where the room below begins.
pub(super) fn header(
    fonts: &Fonts,
    look: &ChartOptions,
    title: &str,
    subtitle: &[String],
    (left, right): (f64, f64),
) -> (Vec<Mark>, f64) {
    let theme = look.theme;
    let fits = |size, weight| move |t: &str| fonts.width(t, size, weight) <= right - left;
    let title = visible(look.title.as_deref().unwrap_or(title)).into_owned();
    let title = shorten_middle(&title, fits(TITLE, Weight::SemiBold));
    let mut y = PAD + 0.76 * TITLE;
    let mut marks = Vec::new();
    let at = (left, y);
    marks.push(Mark::Text(text(
        fonts,
        title,
        at,
        Anchor::Start,
        TITLE,
        Weight::SemiBold,
        theme.text,
    )));
    y += 8.0;
    for line in wrap(subtitle, fits(SUBTITLE, Weight::Regular)) {
        y += 1.3 * SUBTITLE;
        let at = (left, y);
        marks.push(Mark::Text(text(
            fonts,
            line,
            at,
            Anchor::Start,
            SUBTITLE,
            Weight::Regular,
            theme.quiet,
        )));
    }
    (marks, y + 0.25 * SUBTITLE)
}

/// The parts joined by middle dots into as few lines as fit. A part that is longer than a line goes on in
/// a second, and what is longer than two is shortened.
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

/// The footer's marks, if one is wanted, and the room left above it.
pub(super) fn footer(
    fonts: &Fonts,
    look: &ChartOptions,
    (left, right): (f64, f64),
    height: f64,
) -> (Option<Mark>, f64) {
    let Some(words) = &look.footer else { return (None, height - PAD) };
    let size = 10.7;
    let fits = |t: &str| fonts.width(t, size, Weight::Regular) <= right - left;
    let words = shorten_middle(&visible(words), fits);
    let at = (left, height - PAD * 0.7);
    let mark = text(fonts, words, at, Anchor::Start, size, Weight::Regular, look.theme.quiet);
    (Some(Mark::Text(mark)), height - PAD * 0.7 - 1.9 * size)
}
