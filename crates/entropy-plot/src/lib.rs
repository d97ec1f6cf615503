//! Pictures: a chart decides where everything stands, the canvas draws it, encoders turn it into files.
//!
//! A chart is one file that turns a [`Comparison`] into a [`Drawing`] in px; it knows nothing of
//! plotters, files or pixels. [`Fonts`] measure its texts, [`encode`] makes its bytes.

mod across;
mod axis;
mod bars;
mod canvas;
mod curves;
mod encode;
mod fonts;
mod forest;
mod header;
mod ink;
mod law;
mod place;
pub mod theme;

pub use across::{Across, Unit};
pub use axis::{Axis, Scale, log_axis, step_axis, value_axis};
pub use bars::bars;
pub use canvas::{Drawing, Text};
pub use curves::{Curves, NothingToDraw};
pub use encode::{EncodeError, Encoding, encode};
pub use fonts::Fonts;
pub use forest::{forest, has_differences};
pub use law::law;

use entropy_history::history::{Comparison, Run};
use entropy_history::label::visible;
use entropy_history::stats::band::{Filling, Spread};
use entropy_history::stats::bootstrap::Resampling;
use entropy_history::stats::group::Group;
use entropy_history::stats::smooth::Smoothing;
use theme::{Rgb, STYLES, Theme};

/// How a picture is to look; lengths in inches.
#[derive(Debug, Clone)]
pub struct ChartOptions {
    /// Colours.
    pub theme: &'static Theme,
    /// Width and height; `None` lets the chart choose.
    pub size: Option<(f64, f64)>,
    /// Title; `None` lets the chart choose.
    pub title: Option<String>,
    /// A quiet line at the foot.
    pub footer: Option<String>,
    /// Name of the x axis.
    pub x_label: Option<String>,
    /// Name of the y axis, put where the unit stands.
    pub y_label: Option<String>,
    /// Logarithmic y axis.
    pub scale: ValueScale,
    /// Smoothing of the curves.
    pub smoothing: Smoothing,
    /// What the x axis counts.
    pub across: Across,
    /// The part of it shown.
    pub steps: (f64, f64),
    /// Smallest value shown.
    pub y_min: Option<f64>,
    /// Largest value shown.
    pub y_max: Option<f64>,
    /// Groups of runs that share a hue, and of which curves show the mean; a curve a run if `None`.
    pub groups: Option<Grouped>,
}

/// Groups of the runs of a picture, and how their means are drawn.
#[derive(Debug, Clone)]
pub struct Grouped {
    /// The groups; runs in none of them have no curve.
    pub groups: Vec<Group>,
    /// What the band around a mean shows.
    pub spread: Spread,
    /// What counts where a run has no point.
    pub filling: Filling,
    /// How intervals are resampled.
    pub resampling: Resampling,
}

impl Grouped {
    /// The colour of the run at `index`: that of its group, or quiet.
    fn colour(&self, index: usize, theme: &Theme) -> Rgb {
        let group = self.groups.iter().position(|group| group.members.contains(&index));
        match group {
            Some(group) if group < STYLES => theme.style(group).line,
            _ => theme.crowd,
        }
    }
}

/// The scale of the value axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueScale {
    /// Equal distances for equal differences.
    Linear,
    /// Equal distances for equal ratios.
    Log,
}

/// A picture and what the user should know about it.
#[derive(Debug)]
pub struct Picture {
    /// What to draw.
    pub drawing: Drawing,
    /// What it leaves out, in words.
    pub warnings: Vec<String>,
}

/// Every text of a comparison that a picture may show, for [`Fonts::for_texts`].
pub fn texts_of<'a>(comparison: &'a Comparison, look: &'a ChartOptions) -> Vec<String> {
    let labels = comparison.runs().iter().map(|run| run.history.label());
    let rewards = comparison.runs().iter().filter_map(|run| run.reward.as_ref());
    let given = [&look.title, &look.footer, &look.x_label, &look.y_label];
    labels
        .chain(rewards.map(|reward| reward.metric()))
        .chain(given.into_iter().flatten().map(String::as_str))
        .map(|t| visible(t).into_owned())
        .collect()
}

/// Which runs have a style of their own: all, or in a larger crowd those whose entropy spans most
/// over the steps shown.
fn named(runs: &[Run], (from, to): (f64, f64)) -> Vec<bool> {
    if runs.len() <= STYLES {
        return vec![true; runs.len()];
    }
    let spread = |run: &Run| {
        let shown = run.history.points().iter().filter(|p| (from..=to).contains(&p.step));
        let values = shown.map(|p| p.entropy);
        values.clone().fold(f64::MIN, f64::max) - values.fold(f64::MAX, f64::min)
    };
    let spreads: Vec<f64> = runs.iter().map(spread).collect();
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by(|&a, &b| spreads[b].total_cmp(&spreads[a]).then(a.cmp(&b)));
    let mut named = vec![false; runs.len()];
    for &index in &order[..STYLES] {
        named[index] = true;
    }
    named
}

/// Which style of a theme each run has, when all their steps are shown; none for one of the crowd.
pub fn styles(runs: &[Run]) -> Vec<Option<usize>> {
    styles_over(runs, (f64::NEG_INFINITY, f64::INFINITY))
}

/// Which style each run has over the steps shown. A run has the same in every picture, whichever runs are
/// left beside it: it goes by its place among all. Those that only these steps bring to the fore take what
/// is free.
fn styles_over(runs: &[Run], steps: (f64, f64)) -> Vec<Option<usize>> {
    let own = |(index, run): (usize, &Run)| match run.place {
        Some(place) if place.of <= STYLES => place.order,
        Some(place) => place.by_spread,
        None => index,
    };
    let named = named(runs, steps);
    let own: Vec<usize> = runs.iter().enumerate().map(own).collect();
    let mut styles: Vec<Option<usize>> = own
        .iter()
        .zip(&named)
        .map(|(own, named)| (*named && *own < STYLES).then_some(*own))
        .collect();
    let free: Vec<usize> = (0..STYLES).filter(|style| !styles.contains(&Some(*style))).collect();
    let without = styles.iter_mut().zip(&named).filter(|(style, named)| **named && style.is_none());
    for ((style, _), free) in without.zip(free) {
        *style = Some(free);
    }
    styles
}

#[cfg(test)]
mod tests;
