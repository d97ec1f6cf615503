//! The user's lines at a value or at a step, with labels where no curve runs.

use super::room::Room;
use crate::canvas::{Anchor, Layer, Mark, Text, TextFormat};
use crate::context::ChartContext;
use crate::geometry::{Bounds, Xy};
use crate::metrics::BODY;
use crate::plot_area::PlotArea;
use crate::theme::Rgb;
use crate::{LineAxis, ReferenceLine};
use entropy_history::label::{shorten_middle, visible};

const WIDTH: f64 = 1.1;
/// On and off lengths in px.
pub(super) const DASH: [f64; 2] = [4.0, 3.0];
/// Distance in px from a line to its label, and between two positions that are tried.
const GAP: f64 = 4.0;
const STRIDE: f64 = 8.0;

/// The marks of the lines, which are behind the curves, and warnings about lines and labels that are not drawn.
#[derive(Default)]
pub(super) struct ReferenceLines {
    pub(super) lines: Vec<Mark>,
    pub(super) labels: Vec<Mark>,
    pub(super) warnings: Vec<String>,
}

impl ReferenceLines {
    /// These layers, without those that are empty: the lines and their labels.
    pub(super) fn layers(self) -> [Option<Layer>; 2] {
        [("reference lines", self.lines), ("labels of reference lines", self.labels)].map(
            |(name, marks)| (!marks.is_empty()).then(|| Layer { name: name.to_owned(), marks }),
        )
    }
}

/// Draws the lines of the user inside the plot area.
pub(super) fn reference_lines(room: &mut Room, chart: ChartContext<'_>) -> ReferenceLines {
    let mut drawn = ReferenceLines::default();
    let ends = |line: &ReferenceLine| ends(line, &room.area);
    let inside: Vec<(&ReferenceLine, [Xy; 2])> = chart
        .options
        .lines
        .iter()
        .filter_map(|line| {
            let ends = ends(line);
            if ends.is_none() {
                drawn.warnings.push(format!("{line} is outside the axis and is not drawn"));
            }
            Some((line, ends?))
        })
        .collect();
    let colour = chart.theme().muted;
    for (_, ends) in &inside {
        drawn.lines.extend(dashed(*ends, DASH, colour));
    }
    for (line, ends) in &inside {
        let Some(words) = line.label.as_deref().filter(|words| !words.is_empty()) else { continue };
        let others = inside.iter().map(|(_, ends)| *ends).filter(|other| other != ends);
        let blocked: Vec<Bounds> = others.map(around).collect();
        match label_beside(words, line.axis, (*ends, colour), (room, &blocked), chart) {
            Some(text) => {
                room.take(text.bounds());
                drawn.labels.push(Mark::Note(text));
            }
            None => drawn.warnings.push(format!("there is no room for the label of {line}")),
        }
    }
    for (_, ends) in inside {
        room.take(around(ends));
    }
    drawn
}

/// Both ends of a line in px; `None` if it is outside the plot area.
pub(super) fn ends(line: &ReferenceLine, area: &PlotArea) -> Option<[Xy; 2]> {
    let ends = match line.axis {
        LineAxis::Value => [area.left, area.right].map(|x| (x, area.y.at(line.at))),
        LineAxis::Step => [area.bottom, area.top].map(|y| (area.x.at(line.at), y)),
    };
    ends.into_iter().all(|end| area.contains(end)).then_some(ends)
}

/// The box of a line.
fn around([from, to]: [Xy; 2]) -> Bounds {
    let half = WIDTH / 2.0;
    (
        from.0.min(to.0) - half,
        from.1.min(to.1) - half,
        from.0.max(to.0) + half,
        from.1.max(to.1) + half,
    )
}

/// The dashes of a level or an upright line.
pub(super) fn dashed([from, to]: [Xy; 2], [on, off]: [f64; 2], colour: Rgb) -> Vec<Mark> {
    let length = (to.0 - from.0).abs().max((to.1 - from.1).abs());
    let at = |along: f64| {
        let share = along.min(length) / length;
        (from.0 + share * (to.0 - from.0), from.1 + share * (to.1 - from.1))
    };
    let starts = (0..).map(|i| f64::from(i) * (on + off)).take_while(|start| *start < length);
    starts.map(|start| Mark::Line(vec![at(start), at(start + on)], WIDTH, colour)).collect()
}

/// The label beside a line, at the first free position: level lines from the right end, upright ones from the top.
pub(super) fn label_beside(
    words: &str,
    axis: LineAxis,
    ([from, to], colour): ([Xy; 2], Rgb),
    (room, blocked): (&Room, &[Bounds]),
    chart: ChartContext<'_>,
) -> Option<Text> {
    let area = &room.area;
    let format = TextFormat::regular(BODY, colour);
    let fits = |t: &str| chart.text_width(t, BODY) <= 0.6 * (area.right - area.left);
    let words = shorten_middle(&visible(words), fits);
    let (above, below) = (GAP + 0.22 * BODY, GAP + 0.76 * BODY);
    let positions: Vec<(Xy, Anchor)> = match axis {
        LineAxis::Value => {
            let xs = (0..).map(|i| area.right - 2.0 - STRIDE * f64::from(i));
            let xs = xs.take_while(|x| *x > area.left);
            xs.flat_map(|x| [from.1 - above, from.1 + below].map(|y| ((x, y), Anchor::End)))
                .collect()
        }
        LineAxis::Step => {
            let ys = (0..).map(|i| to.1 + below + STRIDE * f64::from(i));
            let ys = ys.take_while(|y| *y < area.bottom);
            ys.flat_map(|y| [((from.0 + GAP, y), Anchor::Start), ((from.0 - GAP, y), Anchor::End)])
                .collect()
        }
    };
    let texts = positions
        .into_iter()
        .map(|(at, anchor)| Text::new(chart.fonts, words.as_str(), at, anchor, format));
    texts.into_iter().find(|text| {
        let bounds = text.bounds();
        room.is_free(bounds)
            && !blocked.iter().any(|other| crate::geometry::boxes_overlap(*other, bounds))
    })
}
