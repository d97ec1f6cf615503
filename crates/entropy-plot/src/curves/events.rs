//! What happens on a curve: collapses and explosions, and where rounds of training meet.

use super::{Curve, Frame, ring};
use crate::ChartOptions;
use crate::canvas::{Anchor, Layer, Mark, Text};
use crate::fonts::{Fonts, Weight};
use crate::header::{BODY, text};
use crate::ink::Xy;
use crate::place::{Bounds, Occupied, cross, overlap, passes};
use crate::theme::Style;
use entropy_history::label::visible;
use entropy_history::stats::Analysis;
use entropy_history::stats::health::State;

/// Something that happens at a step of a curve.
struct Event {
    curve: usize,
    step: f64,
    words: String,
    is_state: bool, // rather than a joint
}

/// What happens on the curves, in the order in which room is given to its words.
fn happenings(curves: &[Curve<'_>], analysis: &Analysis, look: &ChartOptions) -> Vec<Event> {
    let states = analysis.runs.iter().enumerate().filter_map(|(curve, stats)| {
        let step = stats.state_step?;
        let word = if stats.state == State::Exploded { "exploded" } else { "collapsed" };
        let words = format!("{word} at {}", look.across.place(step));
        Some(Event { curve, step, words, is_state: true })
    });
    let joints = curves.iter().enumerate().flat_map(|(i, curve)| {
        curve.runs().iter().flat_map(|run| &run.joints).map(move |joint| {
            let is_number = joint.round.chars().all(|c| c.is_ascii_digit());
            let round = visible(&joint.round);
            let words = if is_number { format!("round {round}") } else { round.into_owned() };
            Event { curve: i, step: joint.step, words, is_state: false }
        })
    });
    states.chain(joints).collect()
}

/// An event with its place in px.
struct Placed {
    at: Xy,
    style: Style,
    words: String,
    is_state: bool,
}

/// Collapses, explosions and joints: an open circle on the line, and a few words where no line runs, with a
/// leader when that is not close by.
pub(super) fn events(
    curves: &[Curve<'_>],
    analysis: &Analysis,
    frame: &Frame,
    look: &ChartOptions,
    fonts: &Fonts,
) -> Option<Layer> {
    let place = |Event { curve, step, words, is_state }: Event| {
        let curve = &curves[curve];
        let (style, points) = (curve.style?, curve.shown()?.points());
        let point = points.get(points.partition_point(|p| p.step < step))?;
        let at = (frame.x.at(point.step), frame.y.at(point.entropy));
        frame.contains(at).then_some(Placed { at, style, words, is_state })
    };
    let events: Vec<Placed> =
        happenings(curves, analysis, look).into_iter().filter_map(place).collect();
    if events.is_empty() {
        return None;
    }
    let mut lines = Occupied::new(frame.left, frame.right);
    for part in curves.iter().flat_map(|curve| &curve.parts) {
        lines.add(&part.places);
    }
    let logged = curves.iter().flat_map(Curve::behind).flat_map(|history| frame.parts(history));
    let mut faint = Occupied::new(frame.left, frame.right);
    logged.for_each(|part| faint.add(&part));
    // Where a line ends early, a leader goes on to its name.
    for end in curves.iter().filter_map(Curve::end).filter(|end| end.0 < frame.right) {
        lines.add(&[end, (frame.right, end.1)]);
    }

    let room = Room { frame, look, fonts, events: &events, lines, faint };
    let middle = events.iter().map(|event| event.at.0).sum::<f64>() / events.len() as f64;
    let outermost = |event: &Placed| -(event.at.0 - middle).abs();
    let orders: [&dyn Fn(&Placed) -> f64; 5] =
        [&|_| 0.0, &|event| event.at.0, &|event| -event.at.0, &outermost, &|event| {
            -outermost(event)
        }];
    let orders = if events.len() > MANY { &orders[..1] } else { &orders[..] };
    let candidates: Vec<Vec<Note>> = (0..events.len()).map(|i| room.candidates(i)).collect();
    let tries = orders.iter().map(|key| arrange(&events, &candidates, *key));
    let best = tries.min_by(|a, b| a.cost.total_cmp(&b.cost))?;

    let mut marks = Vec::new();
    for (index, note) in best.notes.iter().filter(|(_, note)| note.leader.is_some()) {
        let colour = events[*index].style.line.over(look.theme.ground, 0.7);
        marks.extend(note.leader.map(|ends| Mark::Line(ends.to_vec(), 0.9, colour)));
    }
    for event in &events {
        marks.extend(ring(event.at, RADIUS, 2.0, event.style.line, look.theme.ground));
    }
    marks.extend(best.notes.iter().map(|(_, note)| Mark::Note(note.text.clone())));
    Some(Layer { name: "events".to_owned(), marks })
}

const RADIUS: f64 = 5.0;
/// How often all notes are placed.
const SWEEPS: usize = 3;
/// More events than this are arranged in one order only.
const MANY: usize = 48;
/// A note farther from its event than this has a leader, in px.
const FAR: f64 = 14.0;

/// What is worse than standing a px farther from the event: lines in the note, each column of them; a faint one; a ring in it;
/// a leader through it, or its own through another note; its leader through a line, each column of it; through a
/// ring or another leader; no room.
const LINES: (f64, f64) = (50.0, 8.0);
const FAINT: f64 = 2.0;
const RING: f64 = 120.0;
const CROSSED: f64 = 400.0;
const MET: f64 = 8.0;
const THROUGH: f64 = 60.0;
const LEFT_OUT: f64 = 1500.0;

/// A note with its leader, if it has one, and how bad its place is whatever other notes there are.
struct Note {
    text: Text,
    bounds: Bounds,
    leader: Option<[Xy; 2]>,
    cost: f64,
}

/// Notes for events, by index, and how bad it is where they stand.
#[derive(Default)]
struct Arrangement<'n> {
    notes: Vec<(usize, &'n Note)>,
    cost: f64,
}

/// Places notes one after another, each where it is best among its candidates: states first, then by `key`;
/// then each again, as the first did not know of the last.
fn arrange<'n>(
    events: &[Placed],
    candidates: &'n [Vec<Note>],
    key: &dyn Fn(&Placed) -> f64,
) -> Arrangement<'n> {
    let mut order: Vec<usize> = (0..events.len()).collect();
    let of = |i: &usize| (!events[*i].is_state, key(&events[*i]));
    order.sort_by(|a, b| of(a).0.cmp(&of(b).0).then(of(a).1.total_cmp(&of(b).1)));
    let mut arrangement = Arrangement::default();
    for _ in 0..SWEEPS {
        arrangement.cost = 0.0;
        for &index in &order {
            arrangement.notes.retain(|(other, _)| *other != index);
            let costed = candidates[index]
                .iter()
                .filter_map(|note| Some((note.cost + note.among(&arrangement.notes)?, note)));
            match costed.min_by(|a, b| a.0.total_cmp(&b.0)) {
                Some((cost, note)) => {
                    arrangement.cost += cost;
                    arrangement.notes.push((index, note));
                }
                None => arrangement.cost += LEFT_OUT,
            }
        }
    }
    arrangement
}

impl Note {
    /// How bad it is among those placed; `None` if it is on another.
    fn among(&self, placed: &[(usize, &Note)]) -> Option<f64> {
        let mut cost = 0.0;
        for (_, other) in placed {
            if overlap(self.bounds, other.bounds) {
                return None;
            }
            if other.leader.is_some_and(|leader| passes(leader, self.bounds)) {
                cost += CROSSED;
            }
            let Some(leader) = self.leader else { continue };
            if passes(leader, other.bounds) {
                cost += CROSSED;
            }
            if other.leader.is_some_and(|other| cross(leader, other)) {
                cost += THROUGH;
            }
        }
        Some(cost)
    }
}

/// What notes are placed among.
struct Room<'a> {
    frame: &'a Frame,
    look: &'a ChartOptions,
    fonts: &'a Fonts,
    events: &'a [Placed],
    lines: Occupied,
    faint: Occupied,
}

impl Room<'_> {
    /// Places for a note around its event, inside the frame.
    fn candidates(&self, index: usize) -> Vec<Note> {
        let event = &self.events[index];
        let (x, y) = event.at;
        let places = (0..30).flat_map(|step| {
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
        let notes = places.filter_map(|(at, anchor)| self.note(event, at, anchor));
        notes.map(|note| Note { cost: self.cost(index, &note), ..note }).collect()
    }

    fn note(&self, event: &Placed, at: Xy, anchor: Anchor) -> Option<Note> {
        let (size, colour) = (BODY, self.look.theme.quiet);
        let text = text(self.fonts, &event.words, at, anchor, size, Weight::Regular, colour);
        let (left, top, right, bottom) = text.bounds();
        let bounds = (left - 3.0, top - 2.0, right + 3.0, bottom + 2.0); // some air
        let (frame, (left, top, right, bottom)) = (self.frame, bounds);
        let is_inside = left > frame.left
            && right < frame.right
            && top > frame.top - BODY
            && bottom < frame.bottom;
        let near = (event.at.0.clamp(left, right), event.at.1.clamp(top, bottom));
        let leader = (distance(event.at, near) > FAR).then_some([event.at, near]);
        is_inside.then_some(Note { text, bounds, leader, cost: 0.0 })
    }

    /// How bad the place of a note is among lines and rings.
    fn cost(&self, index: usize, note: &Note) -> f64 {
        let (left, top, right, bottom) = note.bounds;
        let at = self.events[index].at;
        let mut cost = distance(at, (at.0.clamp(left, right), at.1.clamp(top, bottom)));
        let columns = self.lines.crossings(note.bounds);
        if columns > 0 {
            cost += LINES.0 + LINES.1 * columns as f64;
        }
        cost += FAINT * self.faint.crossings(note.bounds) as f64;
        if let Some(leader) = note.leader {
            cost += MET * self.lines.met(leader) as f64;
        }
        for event in self.events.iter().enumerate().filter(|(i, _)| *i != index).map(|(_, e)| e) {
            let ((x, y), reach) = (event.at, RADIUS + 1.0);
            let ring = (x - reach, y - reach, x + reach, y + reach);
            if overlap(note.bounds, ring) {
                cost += RING;
            }
            // Events close to each other hide each other's rings anyway.
            let is_apart = distance(event.at, at) > 2.0 * RADIUS;
            if is_apart && note.leader.is_some_and(|leader| passes(leader, ring)) {
                cost += THROUGH;
            }
        }
        cost
    }
}

fn distance(a: Xy, b: Xy) -> f64 {
    (a.0 - b.0).hypot(a.1 - b.1)
}
