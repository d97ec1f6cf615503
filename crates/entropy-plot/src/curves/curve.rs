//! A line on its way into the picture: a run, or the mean of a group.

use super::{Frame, bands};
use crate::ink::Xy;
use crate::theme::Style;
use entropy_history::history::{History, Run};
use entropy_history::label::shorten_middle;
use entropy_history::stats::band::Stretch;

/// What a line shows.
pub(super) enum Line<'a> {
    /// A run, smoothed if that was asked for.
    Run { run: &'a Run, smoothed: Option<History> },
    /// The mean of a group; no stretches if there is none.
    Group { members: Vec<&'a Run>, stretches: Vec<Stretch> },
}

/// A line on its way into the picture.
pub(super) struct Curve<'a> {
    pub(super) line: Line<'a>,
    pub(super) label: &'a str,
    pub(super) name: String,
    pub(super) count: String, // behind the name of a group: how many runs it has
    pub(super) style: Option<Style>,
    pub(super) parts: Vec<Part>, // in px
}

/// A part of a line inside the frame.
pub(super) struct Part {
    pub(super) places: Vec<Xy>,
    pub(super) of_all: bool, // of all the runs of a group
}

impl<'a> Curve<'a> {
    /// Its runs.
    pub(super) fn runs(&self) -> &[&'a Run] {
        match &self.line {
            Line::Run { run, .. } => std::slice::from_ref(run),
            Line::Group { members, .. } => members,
        }
    }

    /// The curve of a run as the line shows it.
    pub(super) fn shown(&self) -> Option<&History> {
        match &self.line {
            Line::Run { run, smoothed } => Some(smoothed.as_ref().unwrap_or(&run.history)),
            Line::Group { .. } => None,
        }
    }

    /// What stands faint behind the line.
    pub(super) fn behind(&self) -> impl Iterator<Item = &'a History> {
        let (behind, _) = match &self.line {
            Line::Run { smoothed: None, .. } => self.runs().split_at(0),
            _ => self.runs().split_at(self.runs().len()),
        };
        behind.iter().map(|run| &run.history)
    }

    pub(super) fn is_smoothed(&self) -> bool {
        matches!(self.line, Line::Run { smoothed: Some(_), .. })
    }

    pub(super) fn has_band(&self) -> bool {
        let Line::Group { stretches, .. } = &self.line else { return false };
        stretches.iter().flat_map(|stretch| &stretch.places).any(|place| place.band.is_some())
    }

    /// How many points the line has.
    pub(super) fn points(&self) -> usize {
        match &self.line {
            Line::Run { run, .. } => run.history.points().len(),
            Line::Group { stretches, .. } => stretches.iter().map(|s| s.places.len()).sum(),
        }
    }

    /// The last value of the line; of a group without a mean, that of its first run.
    pub(super) fn last(&self) -> f64 {
        let mean = match &self.line {
            Line::Run { .. } => None,
            Line::Group { stretches, .. } => stretches.last().and_then(|s| s.places.last()),
        };
        let points = self.shown().unwrap_or(&self.runs()[0].history).points();
        mean.map_or(points[points.len() - 1].entropy, |place| place.mean)
    }

    /// Where the line ends, if any of it is inside the frame.
    pub(super) fn end(&self) -> Option<Xy> {
        self.parts.last().and_then(|part| part.places.last().copied())
    }

    /// The name with what stands behind it, before it is shortened.
    pub(super) fn whole_name(&self) -> String {
        format!("{}{}", self.name, self.count)
    }

    /// Shortens the name until it fits with what stands behind it.
    pub(super) fn fit_name(&mut self, fits: impl Fn(&str) -> bool) {
        let mut count = std::mem::take(&mut self.count);
        // A picture too small for both keeps the name.
        if !fits(&format!("…{count}")) {
            count.clear();
        }
        self.name = shorten_middle(&self.name, |t| fits(&format!("{t}{count}"))) + &count;
    }

    /// Whether any of its values has a place on a logarithmic axis.
    pub(super) fn has_logarithm(&self, (from, to): (f64, f64)) -> bool {
        let points = self.runs().iter().flat_map(|run| run.history.points());
        points.filter(|p| (from..=to).contains(&p.step)).any(|p| p.entropy > 0.0)
    }

    /// Finds the places of the line.
    pub(super) fn place(&mut self, frame: &Frame) {
        self.parts = match &self.line {
            Line::Run { run, smoothed } => {
                let parts = frame.parts(smoothed.as_ref().unwrap_or(&run.history)).into_iter();
                parts.map(|places| Part { places, of_all: true }).collect()
            }
            Line::Group { members, stretches } => bands::parts(members.len(), stretches, frame),
        };
    }

    /// Both ends of the band of a line at each of the steps shown.
    pub(super) fn band_ends(&self, (from, to): (f64, f64)) -> impl Iterator<Item = f64> {
        let stretches = match &self.line {
            Line::Run { .. } => &[][..],
            Line::Group { stretches, .. } => stretches,
        };
        let places = stretches.iter().flat_map(|stretch| &stretch.places);
        let shown = places.filter(move |place| (from..=to).contains(&place.step));
        shown.filter_map(|place| place.band).flat_map(|(low, high)| [low, high])
    }
}
