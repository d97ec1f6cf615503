//! Groups of runs: a mean each, a band around it, and how many runs are behind both.
//!
//! Runs are smoothed before they are averaged, so that the band is how far smoothed runs lie apart. Bands
//! are the one thing in a picture that is transparent: of two that overlap, both can be seen.

use std::borrow::Cow;

use super::{Curve, Frame, Line, Part, smoothed};
use crate::canvas::Mark;
use crate::ink::{Xy, between_x, edge};
use crate::{Across, ChartOptions, Grouped};
use entropy_history::history::{Comparison, History, Run};
use entropy_history::label::visible;
use entropy_history::stats::band::{Filling, Place, Spread, Stretch, stretches};
use entropy_history::stats::smooth::Smoothing;

/// How much of its colour a band mixes into what is below it: of all runs of a group, and of some.
const OPACITY: f64 = 0.18;
const PARTIAL_OPACITY: f64 = 0.09;
/// Half the width of the band at a single place, in px.
const WHISKER: f64 = 3.0;
/// Up to so many groups say in words where their number of runs changes.
const MOST_WORDS: usize = 3;

/// The lines of the groups, without places, and what is to be said of them.
pub(super) fn groups<'a>(
    comparison: &'a Comparison,
    grouped: &'a Grouped,
    look: &ChartOptions,
    span: f64,
) -> (Vec<Line<'a>>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut alone: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for group in &grouped.groups {
        let members: Vec<&Run> = group.members.iter().map(|i| &comparison.runs()[*i]).collect();
        let kind = members[0].history.kind();
        let mixed = members.iter().any(|run| run.history.kind() != kind);
        let stretches = match mixed {
            true => Vec::new(),
            false => line(&members, grouped, look, span),
        };
        if members.len() == 1 {
            alone.push(&group.name);
        }
        let why = match mixed {
            true => Some("its runs hold different quantities and are not averaged".to_owned()),
            false => remark(&members, &stretches, grouped),
        };
        warnings.extend(why.map(|why| format!("group {}: {why}", visible(&group.name))));
        lines.push(Line::Group { members, stretches });
    }
    match alone[..] {
        [] => {}
        [name] => warnings.push(format!("group {}: one run has no band", visible(name))),
        _ => warnings.push(format!("{} groups are of one run each and have no band", alone.len())),
    }
    (lines, warnings)
}

fn line(members: &[&Run], grouped: &Grouped, look: &ChartOptions, span: f64) -> Vec<Stretch> {
    let smooth = |run: &&'_ Run| smoothed(&run.history, look.smoothing, span);
    let taken: Vec<Cow<'_, History>> = members
        .iter()
        .map(|run| smooth(run).map_or(Cow::Borrowed(&run.history), Cow::Owned))
        .collect();
    let taken: Vec<&History> = taken.iter().map(AsRef::as_ref).collect();
    stretches(&taken, grouped.spread, grouped.filling, &grouped.resampling)
}

/// What limits the line of a group whose runs hold one quantity.
fn remark(members: &[&Run], stretches: &[Stretch], grouped: &Grouped) -> Option<String> {
    let runs = members.len();
    if runs == 1 {
        return None; // counted with the others
    }
    let shared: usize = stretches.iter().map(|stretch| stretch.places.len()).sum();
    let fewest = members.iter().map(|run| run.history.points().len()).min().unwrap_or(0);
    let between = match grouped.filling {
        Filling::AsLogged => "; values between logged points were not interpolated",
        Filling::Interpolated => "",
    };
    match shared {
        0 => Some(format!("its runs share no place on the axis and have no mean{between}")),
        // Runs that log alike share most of what the shortest of them has.
        _ if 2 * shared < fewest => {
            let places = if shared == 1 { "place" } else { "places" };
            Some(format!(
                "its runs share {shared} {places} on the axis, the shortest having {fewest} points{between}"
            ))
        }
        _ if stretches.iter().all(|s| s.runs < grouped.spread.fewest_runs()) => {
            let asked = grouped.spread.fewest_runs();
            Some(format!("{runs} runs: a band by resampling asks for {asked}"))
        }
        _ => None,
    }
}

/// Whether there is hardly a mean: none, or one place of runs that have more.
pub(super) fn is_hardly_shared(members: &[&Run], stretches: &[Stretch]) -> bool {
    let shared: usize = stretches.iter().map(|stretch| stretch.places.len()).sum();
    shared == 0 || shared == 1 && members.iter().all(|run| run.history.points().len() > 1)
}

/// The line of a group in px.
pub(super) fn parts(members: usize, stretches: &[Stretch], frame: &Frame) -> Vec<Part> {
    let of_stretch = |stretch: &Stretch| {
        let of_all = stretch.runs == members;
        let place = |place: &Place| (frame.x.at(place.step), frame.y.at(place.mean));
        let inside = frame.inside(stretch.places.iter().map(place).collect());
        inside.into_iter().map(move |places| Part { places, of_all })
    };
    stretches.iter().flat_map(of_stretch).collect()
}

/// The bands of a line; none if it is that of a run, or has no colour of its own.
pub(super) fn marks(curve: &Curve<'_>, frame: &Frame) -> Vec<Mark> {
    let (Line::Group { members, stretches }, Some(style)) = (&curve.line, curve.style) else {
        return Vec::new();
    };
    let mut marks = Vec::new();
    for stretch in stretches {
        let opacity = if stretch.runs == members.len() { OPACITY } else { PARTIAL_OPACITY };
        let ends = stretch.places.chunk_by(|a, b| a.band.is_some() == b.band.is_some());
        for places in ends {
            let outline = outline(places, frame);
            if outline.len() > 2 {
                marks.push(Mark::Veil(outline, style.line, opacity));
            }
        }
    }
    marks
}

/// The band around places in px, within the frame; empty where there is none.
fn outline(places: &[Place], frame: &Frame) -> Vec<Xy> {
    let side = |end: fn((f64, f64)) -> f64| -> Vec<Xy> {
        let at = |place: &Place| {
            let y = frame.y.at(end(place.band?));
            // What has no logarithm is below the axis.
            Some((frame.x.at(place.step), if y.is_finite() { y } else { frame.bottom }))
        };
        let line: Vec<Xy> = places.iter().filter_map(at).collect();
        within(&between_x(&line, frame.left, frame.right), frame.top, frame.bottom)
    };
    let (below, above) = (side(|band| band.0), side(|band| band.1));
    let (Some(low), Some(high)) = (below.first(), above.first()) else { return Vec::new() };
    if let ([low], [high]) = (&below[..], &above[..]) {
        let (left, right) = (low.0 - WHISKER, low.0 + WHISKER);
        return vec![(left, high.1), (right, high.1), (right, low.1), (left, low.1)];
    }
    if low.1 == high.1 && below.iter().zip(&above).all(|(b, a)| b == a) {
        return Vec::new(); // no spread, or all of it outside
    }
    let mut outline = edge(&above, f64::min);
    outline.extend(edge(&below, f64::max).into_iter().rev());
    outline
}

/// The line with what is above `top` or below `bottom` moved there.
fn within(line: &[Xy], top: f64, bottom: f64) -> Vec<Xy> {
    let mut moved: Vec<Xy> = Vec::with_capacity(line.len());
    for (i, &(x, y)) in line.iter().enumerate() {
        if let Some(&(x0, y0)) = i.checked_sub(1).and_then(|before| line.get(before)) {
            let crossing = |at: f64| (at - y0) / (y - y0);
            let mut crossings: Vec<f64> = [crossing(top), crossing(bottom)]
                .into_iter()
                .filter(|t| *t > 0.0 && *t < 1.0)
                .collect();
            crossings.sort_unstable_by(f64::total_cmp);
            let at = |t: f64| (x0 + (x - x0) * t, (y0 + (y - y0) * t).clamp(top, bottom));
            moved.extend(crossings.into_iter().map(at));
        }
        moved.push((x, y.clamp(top, bottom)));
    }
    moved
}

/// What the quiet line says of groups.
pub(super) fn words(curves: &[Curve<'_>], grouped: &Grouped, look: &ChartOptions) -> Vec<String> {
    let mut words = Vec::new();
    words.push(match look.smoothing {
        Smoothing::None => "line: mean over runs".to_owned(),
        smoothing => {
            format!(
                "line: mean over runs, each smoothed by {} first",
                look.across.smoothing(smoothing)
            )
        }
    });
    if curves.iter().any(Curve::has_band) {
        words.push(match grouped.spread {
            Spread::Sd => "band: ± standard deviation of runs".to_owned(),
            Spread::Se => "band: ± standard error of the mean".to_owned(),
            Spread::MinMax => "band: smallest to largest run".to_owned(),
            Spread::Ci95 => {
                let level = 100.0 * grouped.resampling.level;
                let (resamples, seed) = (grouped.resampling.resamples, grouped.resampling.seed);
                format!(
                    "band: {level:.0} % interval of the mean, {resamples} resamples of runs, seed {seed}"
                )
            }
        });
    }
    if look.smoothing != Smoothing::None || curves.iter().any(|curve| curve.runs().len() > 1) {
        words.push("faint: runs as logged".to_owned());
    }
    if grouped.filling == Filling::Interpolated {
        words.push("interpolated between logged points".to_owned());
    }
    let changes: Vec<String> =
        curves.iter().filter_map(|curve| change(curve, look.across, look.steps)).collect();
    match changes.len() {
        0 => {}
        1..=MOST_WORDS => {
            words.push(format!("dashed, lighter: fewer runs ({})", changes.join("; ")));
        }
        _ => words.push("dashed, lighter: fewer runs than n".to_owned()),
    }
    words
}

/// Where the number of runs behind a line changes, in words; `None` if all are behind all of it.
fn change(curve: &Curve<'_>, across: Across, (from, to): (f64, f64)) -> Option<String> {
    let Line::Group { members, stretches } = &curve.line else { return None };
    let shown = stretches.iter().filter_map(|stretch| {
        let first = stretch.places.iter().find(|place| (from..=to).contains(&place.step))?;
        Some((stretch.runs, first.step))
    });
    let mut counts: Vec<(usize, f64)> = shown.collect();
    counts.dedup_by_key(|(runs, _)| *runs);
    if counts.iter().all(|(runs, _)| *runs == members.len()) {
        return None;
    }
    let name = &curve.name;
    let counts = match &counts[..] {
        [(first, _), rest @ ..] if rest.len() <= 2 => {
            let later = rest.iter().map(|(n, at)| format!(", {n} from {}", across.place(*at)));
            format!("{first}{}", later.collect::<String>())
        }
        many => {
            let counts = || many.iter().map(|(runs, _)| *runs);
            format!("{} to {}", counts().min().unwrap_or(0), counts().max().unwrap_or(0))
        }
    };
    Some(format!("{name}: n = {counts}"))
}
