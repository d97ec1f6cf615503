//! The ink of lines: runs, what stands behind them, and the means of groups.

use rayon::prelude::*;

use super::{Curve, FEW_POINTS, Frame, Line, NAMED_AT_END};
use crate::ChartOptions;
use crate::canvas::{Layer, Mark};
use crate::ink::{Pen, Xy, dashes};
use crate::theme::Rgb;

/// Pens in px: a smoothed line, a line as logged, one of many, one behind a smoothed one, the crowd.
const SMOOTH_PEN: f64 = 2.0;
const PLAIN_PEN: f64 = 1.6;
const MANY_PEN: f64 = 1.1;
const FAINT_PEN: f64 = 0.9;
const CROWD_PEN: f64 = 0.7;
/// The mean of a group, and where only some of its runs go on.
const MEAN_PEN: f64 = 2.2;
const PARTIAL_PEN: f64 = 1.6;
/// On and off along x in px, where only some of the runs of a group go on.
const PARTIAL_DASH: [f64; 2] = [7.0, 3.0];
/// More runs than this in groups are drawn fainter: so thin, and with so much of their colour.
const MANY_MEMBERS: usize = 24;
const FAINTER: (f64, f64) = (0.6, 0.15);

/// The lines, a layer each: first what stands behind all, then the named ones in order.
pub(super) fn lines(curves: &[Curve<'_>], frame: &Frame, look: &ChartOptions) -> Vec<Layer> {
    let line = |curve: &Curve<'_>| match &curve.line {
        Line::Run { .. } => run(curve, curves.len(), look),
        Line::Group { .. } => mean(curve, look),
    };
    let members = curves.iter().map(|curve| curve.runs().len()).sum();
    let (behind, marks): (Vec<_>, Vec<_>) =
        curves.par_iter().map(|curve| (behind(curve, members, frame, look), line(curve))).unzip();
    let bands = curves.iter().flat_map(|curve| super::bands::marks(curve, frame));
    let bands = Layer { name: "bands".to_owned(), marks: bands.collect() };
    let mut crowd = Vec::new();
    let mut layers = Vec::new();
    for (curve, marks) in curves.iter().zip(marks) {
        match curve.style {
            Some(_) => layers.push(Layer { name: curve.label.to_owned(), marks }),
            None => crowd.extend(marks),
        }
    }
    let behind = Layer { name: "as logged".to_owned(), marks: behind.concat() };
    let crowd = Layer { name: "other runs".to_owned(), marks: crowd };
    let back = [crowd, behind, bands].into_iter();
    back.chain(layers).filter(|layer| !layer.marks.is_empty()).collect()
}

/// What stands faint behind a line: a smoothed run as logged, or the runs of a group.
fn behind(curve: &Curve<'_>, runs: usize, frame: &Frame, look: &ChartOptions) -> Vec<Mark> {
    let (pen, colour) = match (&curve.style, &curve.line) {
        (Some(style), Line::Group { .. }) if runs > MANY_MEMBERS => {
            (FAINTER.0, style.line.over(look.theme.ground, FAINTER.1))
        }
        (Some(style), _) => (FAINT_PEN, style.faint),
        (None, Line::Run { .. }) => return Vec::new(),
        (None, Line::Group { .. }) => (FAINTER.0, look.theme.hairline),
    };
    let parts = curve.behind().flat_map(|history| frame.parts(history));
    parts.flat_map(|part| stroke(&part, pen, colour, &[])).collect()
}

fn run(curve: &Curve<'_>, count: usize, look: &ChartOptions) -> Vec<Mark> {
    let parts = curve.parts.iter().map(|part| &part.places);
    let Some(style) = curve.style else {
        return parts.flat_map(|part| stroke(part, CROWD_PEN, look.theme.crowd, &[])).collect();
    };
    let pen = match (curve.is_smoothed(), count) {
        (true, _) => SMOOTH_PEN,
        (false, 0..=NAMED_AT_END) => PLAIN_PEN,
        (false, _) => MANY_PEN,
    };
    let few = curve.points() < FEW_POINTS;
    let mut marks = Vec::new();
    for part in parts {
        marks.extend(stroke(part, pen, style.line, style.dash));
        if few && part.len() > 1 {
            marks.extend(rings(part, style.line, look.theme.ground));
        }
    }
    marks
}

fn mean(curve: &Curve<'_>, look: &ChartOptions) -> Vec<Mark> {
    let colour = curve.style.map_or(look.theme.crowd, |style| style.line);
    let dash = curve.style.map_or(&[][..], |style| style.dash);
    let few = curve.points() < FEW_POINTS;
    let mut marks = Vec::new();
    for part in &curve.parts {
        let (pen, dash) = match part.of_all {
            true => (MEAN_PEN, dash),
            false => (PARTIAL_PEN, &PARTIAL_DASH[..]),
        };
        marks.extend(stroke(&part.places, pen, colour, dash));
        if few && part.places.len() > 1 {
            marks.extend(rings(&part.places, colour, look.theme.ground));
        }
    }
    marks
}

fn rings(part: &[Xy], colour: Rgb, ground: Rgb) -> impl Iterator<Item = Mark> {
    part.iter().flat_map(move |at| ring(*at, 3.0, 1.5, colour, ground))
}

/// One part of a curve; a single point is a disc, or it would not be seen.
pub(crate) fn stroke(part: &[Xy], width: f64, colour: Rgb, dash: &[f64]) -> Vec<Mark> {
    if let [point] = part {
        return vec![Mark::Disc(*point, 1.2 + width, colour)];
    }
    let pen = Pen::new(width, part.len(), part[part.len() - 1].0 - part[0].0);
    dashes(part, dash).iter().map(|piece| pen.draw(piece, colour)).collect()
}

/// An open circle.
pub(crate) fn ring(at: Xy, radius: f64, pen: f64, colour: Rgb, ground: Rgb) -> [Mark; 2] {
    [Mark::Disc(at, radius, colour), Mark::Disc(at, radius - pen, ground)]
}
