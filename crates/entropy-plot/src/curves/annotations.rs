//! Annotations of collapses and explosions: a circle on the curve, a tick at the x axis, and a few words. Events of the same
//! words whose circles touch share one label.

use super::curve::Curve;
use super::reference_lines::{dashed, label_beside};
use super::room::Room;
use crate::canvas::{Anchor, Layer, Mark, Text, TextFormat};
use crate::context::ChartContext;
use crate::geometry::{Bounds, Xy, boxes_overlap, distance, segment_hits_box, segments_cross};
use crate::legend::DOTS;
use crate::metrics::BODY;
use crate::plot_area::PlotArea;
use crate::stroke::ring;
use crate::theme::{Rgb, Style, Theme};
use crate::{ChartOptions, LineAxis};
use entropy_history::number::shortest;
use entropy_history::stats::health::State;
use entropy_history::stats::{Analysis, RunStats};
use entropy_history::text::plural;

/// An event on a curve, with its position in px.
struct CurveEvent {
    at: Xy,
    style: Style,
    words: String,
}

/// A few words on one event, or on several that look the same.
struct EventLabel {
    /// The first event.
    at: Xy,
    events: Vec<usize>,
    words: String,
    /// The colours of the words and of their leader.
    colour: Rgb,
    leader: Rgb,
}

/// The labels of events. Equal words on circles that touch become one label: `collapsed 54 (3 runs)`.
///
/// With `unnamed` runs in grey, which have no events, the label says that it counts the others.
fn event_labels(events: &[CurveEvent], unnamed: bool, theme: &Theme) -> Vec<EventLabel> {
    let mut labels: Vec<EventLabel> = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let is_same = |label: &&mut EventLabel| {
            let touches = label.events.iter().any(|i| distance(events[*i].at, event.at) < TOUCHES);
            events[label.events[0]].words == event.words && touches
        };
        match labels.iter_mut().find(is_same) {
            Some(label) => label.events.push(index),
            None => labels.push(EventLabel {
                at: event.at,
                events: vec![index],
                words: event.words.clone(),
                colour: event.style.name,
                leader: event.style.line.over(theme.background, 0.7),
            }),
        }
    }
    for label in labels.iter_mut().filter(|label| label.events.len() > 1) {
        let runs = if unnamed { "named runs" } else { "runs" };
        label.words.push_str(&format!(" ({} {runs})", label.events.len()));
        (label.colour, label.leader) = (theme.muted, theme.unstyled);
    }
    labels
}

/// The events of all curves that are inside the plot area, in the order in which they are placed.
fn curve_events(
    curves: &[Curve<'_>],
    analysis: &Analysis,
    area: &PlotArea,
    options: &ChartOptions,
) -> Vec<CurveEvent> {
    let event = |(curve, stats): (&Curve<'_>, &RunStats)| {
        let step = stats.state_step?;
        let (style, points) = (curve.style?, curve.shown()?.points());
        let point = points.get(points.partition_point(|p| p.step < step))?;
        // A line as logged may have a spike there; a smoothed one is where it is.
        let level = stats.state_level.filter(|_| !curve.is_smoothed()).unwrap_or(point.entropy);
        let at = (area.x.at(point.step), area.y.at(level));
        let words = format!("{} {}", stats.state_words(), options.x_axis.value(step));
        area.contains(at).then_some(CurveEvent { at, style, words })
    };
    curves.iter().zip(&analysis.runs).filter_map(event).collect()
}

/// The x of the collapses and explosions of grey runs inside the plot area.
fn grey_events(curves: &[Curve<'_>], analysis: &Analysis, area: &PlotArea) -> Vec<f64> {
    let grey = curves.iter().zip(&analysis.runs).filter(|(curve, _)| curve.style.is_none());
    let at = |(_, stats): (_, &RunStats)| Some(area.x.at(stats.state_step?));
    grey.filter_map(at).filter(|x| (area.left..=area.right).contains(x)).collect()
}

/// The annotations. Each event has an open circle on the curve, and a few words where no curve runs, with a
/// leader line if these are not close. Events of grey runs have a tick at the x axis alone. Also warnings. `None` without events.
pub(super) fn annotations(
    curves: &[Curve<'_>],
    analysis: &Analysis,
    mut room: Room,
    chart: ChartContext<'_>,
) -> Option<(Vec<Layer>, Vec<String>)> {
    let plot_area = room.area;
    let area = &plot_area;
    let events = curve_events(curves, analysis, area, chart.options);
    let grey = grey_events(curves, analysis, area);
    if events.is_empty() && grey.is_empty() {
        return None;
    }
    for event in &events {
        room.take((event.at.0 - 2.0, area.bottom - TICK - 2.0, event.at.0 + 2.0, area.bottom));
    }
    let unnamed = curves.iter().any(|curve| curve.style.is_none());
    let labels = event_labels(&events, unnamed, chart.theme());
    let layout = AnnotationLayout { area, chart, events: &events, room };
    let centre = labels.iter().map(|label| label.at.0).sum::<f64>() / labels.len() as f64;
    let outermost = |label: &EventLabel| -(label.at.0 - centre).abs();
    let orders: [&dyn Fn(&EventLabel) -> f64; 5] =
        [&|_| 0.0, &|label| label.at.0, &|label| -label.at.0, &outermost, &|label| {
            -outermost(label)
        }];
    let orders = if labels.len() > MANY_EVENTS { &orders[..1] } else { &orders[..] };
    let candidates: Vec<Vec<Annotation>> =
        labels.iter().map(|label| layout.candidates(label)).collect();
    let tries = orders.iter().map(|key| arrange(&labels, &candidates, *key));
    let best = tries.min_by(|a, b| a.cost.total_cmp(&b.cost))?;

    let tick = |x: f64, width: f64, colour| {
        Mark::Line(vec![(x, area.bottom), (x, area.bottom - TICK)], width, colour)
    };
    let mut ticks: Vec<Mark> = grey.iter().map(|x| tick(*x, 1.0, chart.theme().unstyled)).collect();
    ticks.extend(events.iter().map(|event| tick(event.at.0, 2.0, event.style.line)));
    let ticks = Layer { name: "states".to_owned(), marks: ticks };
    let mut marks = Vec::new();
    for (index, annotation) in &best.annotations {
        let colour = labels[*index].leader;
        marks.extend(annotation.leader.map(|ends| Mark::Line(ends.to_vec(), 0.9, colour)));
    }
    for event in &events {
        marks.extend(ring(event.at, RADIUS, 2.0, event.style.line, chart.theme()));
    }
    marks
        .extend(best.annotations.iter().map(|(_, annotation)| Mark::Note(annotation.text.clone())));
    let (total, missing) = (labels.len(), labels.len() - best.annotations.len());
    let mut warnings = Vec::new();
    if !grey.is_empty() {
        let runs = plural(grey.len(), "grey run", "grey runs");
        warnings.push(format!(
            "{runs} collapsed or exploded in the steps shown; grey ticks at the x axis mark where, `stats` lists the steps"
        ));
    }
    if missing > 0 {
        warnings.push(format!(
            "{missing} of {total} labels of collapses and explosions have no room; ticks at the x axis and circles mark them"
        ));
    }
    Some((vec![ticks, Layer { name: "events".to_owned(), marks }], warnings))
}

/// The threshold that a single collapsed or exploded run crossed: a dotted line with its label.
pub(super) fn threshold(
    curves: &[Curve<'_>],
    analysis: &Analysis,
    room: &mut Room,
    chart: ChartContext<'_>,
) -> Option<Layer> {
    let ([curve], [stats]) = (curves, &analysis.runs[..]) else { return None };
    let (style, start) = (curve.style?, stats.start?);
    let ratio = match stats.state? {
        State::Collapsed => chart.options.thresholds.collapse_ratio,
        State::Exploded => chart.options.thresholds.explode_ratio,
        _ => return None,
    };
    let area = &{ room.area };
    let y = area.y.at(ratio * start);
    let line = [(area.left, y), (area.right, y)];
    if !area.contains(line[0]) {
        return None;
    }
    let mut marks = dashed(line, DOTS, style.line);
    let words = format!("{} % of the start", shortest((1e4 * ratio).round() / 100.0));
    let label = label_beside(&words, LineAxis::Value, (line, style.name), (room, &[]), chart);
    room.take((area.left, y - 1.0, area.right, y + 1.0));
    if let Some(text) = label {
        room.take(text.bounds());
        marks.push(Mark::Note(text));
    }
    Some(Layer { name: "threshold".to_owned(), marks })
}

/// Height in px of the tick of a state at the x axis.
const TICK: f64 = 8.0;
/// Longest leader in px in a compact picture.
const MAX_LEADER: f64 = 60.0;

/// Radius in px of the circle on the curve.
const RADIUS: f64 = 5.0;
/// Circles whose centres are nearer than this touch, in px.
const TOUCHES: f64 = 2.0 * RADIUS + 4.0;
/// Number of passes over all annotations.
const SWEEPS: usize = 6;
/// With more events than this, only one order of placement is tried.
const MANY_EVENTS: usize = 48;
/// An annotation farther from its event than this, in px, gets a leader.
const LEADER_FROM: f64 = 14.0;

/// Costs of a position: each px of distance from the event costs 1, and the following are added.
///
/// Each column of a faint curve behind the text.
const COVERS_FAINT: f64 = 2.0;
/// A circle of another event behind the text.
const COVERS_RING: f64 = 120.0;
/// A leader through the text of another annotation: the last resort.
const LEADER_HITS_TEXT: f64 = 1200.0;
/// Each column in which the leader crosses a curve.
const LEADER_HITS_CURVE: f64 = 8.0;
/// The leader crosses a circle or another leader.
const LEADER_HITS_MARK: f64 = 60.0;
/// An annotation without a position.
const LEFT_OUT: f64 = 1500.0;

/// An annotation at a candidate position, with its leader and its cost among curves and circles.
struct Annotation {
    text: Text,
    bounds: Bounds,
    leader: Option<[Xy; 2]>,
    cost: f64,
}

/// The chosen annotations by index of their labels, and their total cost.
#[derive(Default)]
struct Arrangement<'n> {
    annotations: Vec<(usize, &'n Annotation)>,
    cost: f64,
}

/// Places annotations one after another at their cheapest candidate positions, by `key`.
/// Further passes place each again, because the first ones were placed before the last ones were known.
fn arrange<'n>(
    labels: &[EventLabel],
    candidates: &'n [Vec<Annotation>],
    key: &dyn Fn(&EventLabel) -> f64,
) -> Arrangement<'n> {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| key(&labels[*a]).total_cmp(&key(&labels[*b])));
    let mut arrangement = Arrangement::default();
    for _ in 0..SWEEPS {
        arrangement.cost = 0.0;
        for &index in &order {
            arrangement.annotations.retain(|(other, _)| *other != index);
            let costed = candidates[index].iter().filter_map(|annotation| {
                Some((annotation.cost + annotation.among(&arrangement.annotations)?, annotation))
            });
            match costed.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((cost, annotation)) => {
                    arrangement.cost += cost;
                    arrangement.annotations.push((index, annotation));
                }
                None => arrangement.cost += LEFT_OUT,
            }
        }
    }
    arrangement
}

impl Annotation {
    /// The cost among the annotations placed so far; `None` if it overlaps one of them.
    fn among(&self, placed: &[(usize, &Annotation)]) -> Option<f64> {
        let mut cost = 0.0;
        for (_, other) in placed {
            if boxes_overlap(self.bounds, other.bounds) {
                return None;
            }
            if other.leader.is_some_and(|leader| segment_hits_box(leader, self.bounds)) {
                cost += LEADER_HITS_TEXT;
            }
            let Some(leader) = self.leader else { continue };
            if segment_hits_box(leader, other.bounds) {
                cost += LEADER_HITS_TEXT;
            }
            if other.leader.is_some_and(|other| segments_cross(leader, other)) {
                cost += LEADER_HITS_MARK;
            }
        }
        Some(cost)
    }
}

/// Everything that annotations must keep clear of.
struct AnnotationLayout<'a> {
    area: &'a PlotArea,
    chart: ChartContext<'a>,
    events: &'a [CurveEvent],
    room: Room,
}

impl AnnotationLayout<'_> {
    /// Candidate positions around an event, inside the plot area.
    fn candidates(&self, label: &EventLabel) -> Vec<Annotation> {
        let (x, y) = label.at;
        let points = (0..40).flat_map(|step| {
            let (dx, dy) = (11.0 + 2.0 * f64::from(step), 6.0 + 9.0 * f64::from(step));
            let aside = 11.0 + 12.0 * f64::from(step);
            [
                ((x + dx, y - dy), Anchor::Start),
                ((x + dx, y + dy + 8.0), Anchor::Start),
                ((x - dx, y - dy), Anchor::End),
                ((x - dx, y + dy + 8.0), Anchor::End),
                ((x, y - dy - 6.0), Anchor::Middle),
                ((x, y + dy + 14.0), Anchor::Middle),
                ((x + aside, y - dy), Anchor::Start),
                ((x + aside, y + dy + 8.0), Anchor::Start),
                ((x - aside, y - dy), Anchor::End),
                ((x - aside, y + dy + 8.0), Anchor::End),
            ]
        });
        let annotations = points.filter_map(|(at, anchor)| self.annotation_at(label, at, anchor));
        annotations
            .map(|annotation| Annotation { cost: self.cost(label, &annotation), ..annotation })
            .collect()
    }

    fn annotation_at(&self, label: &EventLabel, at: Xy, anchor: Anchor) -> Option<Annotation> {
        let format = TextFormat::regular(BODY, label.colour);
        let text = Text::new(self.chart.fonts, &label.words, at, anchor, format);
        let (left, top, right, bottom) = text.bounds();
        let bounds = (left - 3.0, top - 2.0, right + 3.0, bottom + 2.0);
        let (area, (left, top, right, bottom)) = (self.area, bounds);
        let is_inside =
            left > area.left && right < area.right && top > area.top - BODY && bottom < area.bottom;
        let near = (label.at.0.clamp(left, right), label.at.1.clamp(top, bottom));
        let length = distance(label.at, near);
        let leader = (length > LEADER_FROM).then_some([label.at, near]);
        let is_near = length <= MAX_LEADER || !self.chart.metrics().is_compact();
        let is_clear = self.room.is_untaken(bounds) && self.room.lines.crossings(bounds) == 0;
        (is_inside && is_near && is_clear).then_some(Annotation { text, bounds, leader, cost: 0.0 })
    }

    /// The cost of a position among curves and circles.
    fn cost(&self, label: &EventLabel, annotation: &Annotation) -> f64 {
        let (left, top, right, bottom) = annotation.bounds;
        let at = label.at;
        let mut cost = distance(at, (at.0.clamp(left, right), at.1.clamp(top, bottom)));
        cost += COVERS_FAINT * self.room.faint.crossings(annotation.bounds) as f64;
        if let Some(leader) = annotation.leader {
            cost += LEADER_HITS_CURVE * self.room.lines.segment_crossings(leader) as f64;
        }
        let others = (0..self.events.len()).filter(|index| !label.events.contains(index));
        for event in others.map(|index| &self.events[index]) {
            let ((x, y), reach) = (event.at, RADIUS + 1.0);
            let ring = (x - reach, y - reach, x + reach, y + reach);
            if boxes_overlap(annotation.bounds, ring) {
                cost += COVERS_RING;
            }
            // Circles of close events overlap anyway.
            let is_apart = distance(event.at, at) > 2.0 * RADIUS;
            if is_apart && annotation.leader.is_some_and(|leader| segment_hits_box(leader, ring)) {
                cost += LEADER_HITS_MARK;
            }
        }
        cost
    }
}
