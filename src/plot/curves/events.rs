//! What happens on a curve: collapses and explosions, and where rounds of training meet.

use super::{Curve, Frame, ring};
use crate::label::visible;
use crate::plot::Look;
use crate::plot::canvas::{Anchor, Layer, Mark, Text};
use crate::plot::fonts::{Fonts, Weight};
use crate::plot::header::{BODY, text};
use crate::plot::ink::Xy;
use crate::plot::place::Occupied;
use crate::stats::Analysis;
use crate::stats::health::State;

/// Something that happens at a step of a curve.
struct Event {
    curve: usize,
    step: f64,
    words: String,
}

/// What happens on the curves, in the order in which room is given to its words.
fn happenings(curves: &[Curve<'_>], analysis: &Analysis, look: &Look) -> Vec<Event> {
    let states = analysis.runs.iter().enumerate().filter_map(|(curve, stats)| {
        let step = stats.state_step?;
        let word = if stats.state == State::Exploded { "exploded" } else { "collapsed" };
        Some(Event { curve, step, words: format!("{word} at {}", look.across.place(step)) })
    });
    let joints = curves.iter().enumerate().flat_map(|(i, curve)| {
        curve.runs().iter().flat_map(|run| &run.joints).map(move |joint| {
            let is_number = joint.round.chars().all(|c| c.is_ascii_digit());
            let round = visible(&joint.round);
            let words = if is_number { format!("round {round}") } else { round.into_owned() };
            Event { curve: i, step: joint.step, words }
        })
    });
    states.chain(joints).collect()
}

/// Collapses, explosions and joints: an open circle on the line, and a few words where no line runs, with a
/// leader when that is not close by.
pub(super) fn events(
    curves: &[Curve<'_>],
    analysis: &Analysis,
    frame: &Frame,
    look: &Look,
    fonts: &Fonts,
) -> Option<Layer> {
    let happenings = happenings(curves, analysis, look);
    if happenings.is_empty() {
        return None;
    }
    let mut occupied = Occupied::new(frame.left, frame.right);
    for part in curves.iter().flat_map(|curve| &curve.parts) {
        occupied.add(&part.places);
    }
    let logged = curves.iter().flat_map(Curve::behind).flat_map(|history| frame.parts(history));
    logged.for_each(|part| occupied.add(&part));
    let (mut leaders, mut rings, mut notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut taken: Vec<Bounds> = Vec::new();
    for Event { curve, step, words } in happenings {
        let curve = &curves[curve];
        let (Some(style), Some(shown)) = (curve.style, curve.shown()) else { continue };
        let points = shown.points();
        let Some(point) = points.get(points.partition_point(|p| p.step < step)) else { continue };
        let at = (frame.x.at(point.step), frame.y.at(point.entropy));
        if !frame.contains(at) {
            continue;
        }
        rings.extend(ring(at, 5.0, 2.0, style.line, look.theme.ground));
        let Some(note) = place_note(words, at, frame, look, fonts, &occupied, &taken) else {
            continue;
        };
        let bounds = room(&note);
        let (left, top, right, bottom) = bounds;
        let near = (at.0.clamp(left, right), at.1.clamp(top, bottom));
        if (near.0 - at.0).hypot(near.1 - at.1) > 14.0 {
            let leader = style.line.over(look.theme.ground, 0.7);
            leaders.push(Mark::Line(vec![at, near], 0.9, leader));
        }
        taken.push(bounds);
        notes.push(Mark::Note(note));
    }
    leaders.extend(rings);
    leaders.extend(notes);
    Some(Layer { name: "events".to_owned(), marks: leaders })
}

/// Left, top, right, bottom.
type Bounds = (f64, f64, f64, f64);

/// The room that a note takes with some air around it.
fn room(note: &Text) -> Bounds {
    let (left, top, right, bottom) = note.bounds();
    (left - 3.0, top - 2.0, right + 3.0, bottom + 2.0)
}

/// The place for a note about the point `at` with the fewest lines in it, near before far.
fn place_note(
    words: String,
    at: Xy,
    frame: &Frame,
    look: &Look,
    fonts: &Fonts,
    occupied: &Occupied,
    taken: &[Bounds],
) -> Option<Text> {
    let note = |at, anchor| {
        text(fonts, words.clone(), at, anchor, BODY, Weight::Regular, look.theme.quiet)
    };
    let inside = |b: &Bounds| {
        b.0 > frame.left && b.2 < frame.right && b.1 > frame.top - BODY && b.3 < frame.bottom
    };
    let free = |b: &Bounds| taken.iter().all(|t| b.2 < t.0 || t.2 < b.0 || b.3 < t.1 || t.3 < b.1);
    let (x, y) = at;
    let candidates = (0..30).flat_map(|ring| {
        let (dx, dy) = (11.0 + 2.0 * f64::from(ring), 6.0 + 9.0 * f64::from(ring));
        [
            note((x + dx, y - dy), Anchor::Start),
            note((x + dx, y + dy + 8.0), Anchor::Start),
            note((x - dx, y - dy), Anchor::End),
            note((x - dx, y + dy + 8.0), Anchor::End),
        ]
    });
    let fitting =
        candidates.enumerate().filter(|(_, note)| inside(&room(note)) && free(&room(note)));
    let cost = |(distance, note): &(usize, Text)| occupied.crossings(room(note)) * 4 + distance;
    fitting.min_by_key(cost).map(|(_, note)| note)
}
