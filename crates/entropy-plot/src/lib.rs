//! Charts of entropy histories: curves, bars, forest plots and the reward–entropy law.
//!
//! A chart is a function that turns a [`Comparison`] into a [`Drawing`] in px; it does not know plotters, files
//! or pixels. [`Fonts`] measures texts, and [`encode()`] turns a drawing into the bytes of a picture file.

mod axis;
mod bars;
mod canvas;
mod colour_map;
mod context;
mod curves;
mod encode;
mod fonts;
mod forest;
mod geometry;
mod heat_map;
mod label_layout;
mod law;
mod legend;
mod matting;
mod metrics;
mod panels;
mod parts;
mod plot_area;
mod ranges;
mod row_chart;
mod run_styles;
mod sixel;
mod stroke;
pub mod theme;
mod titles;

pub use axis::{Axis, Scale, log_axis, step_axis, value_axis};
pub use bars::bars;
pub use canvas::{Drawing, Text};
pub use curves::{Beside, Curves, line_chart_size, min_line_chart_height};
pub use encode::{EncodeError, Encoding, SvgText, encode};
pub use fonts::Fonts;
pub use forest::{forest, has_differences};
pub use geometry::Xy;
pub use heat_map::{HeatMap, heat_map};
pub use law::law;
pub use metrics::{Header, Look};
pub use panels::{AxisBase, LineShape, Panel, PanelLine, Panels, panels};
pub use parts::{PartBar, PartSection, Parts, parts};
pub use run_styles::{Emphasis, RunColours, RunState, chooses_by_state};

use std::borrow::Cow;

use entropy_history::history::{Comparison, Run};
use entropy_history::label::visible;
use entropy_history::number::shortest;
use entropy_history::quantity_runs::QuantityRuns;
use entropy_history::stats::band::{MissingSteps, Spread};
use entropy_history::stats::group::Group;
use entropy_history::stats::health::Thresholds;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::x_axis::XAxis;
use theme::{Rgb, STYLES, Theme};
use thiserror::Error;

/// How a chart is drawn.
#[derive(Debug, Clone)]
pub struct ChartOptions {
    /// Colours.
    pub theme: &'static Theme,
    /// Width and height in inches; `None` lets the chart choose.
    pub size: Option<(f64, f64)>,
    /// Title; `None` lets the chart choose.
    pub title: Option<String>,
    /// Small text below the chart.
    pub footer: Option<String>,
    /// Name of the x axis; `None` lets the chart choose.
    pub x_label: Option<String>,
    /// Name of the axis of values below rows, such as those of statistics; `None` for that of the y axis.
    pub value_label: Option<String>,
    /// What is around the plot, and how large type and lines are.
    pub look: Look,
    /// Where the names of the lines of line charts are.
    pub legend: LegendPlace,
    /// The thresholds of states, which a picture of one run shows.
    pub thresholds: Thresholds,
    /// How statistics of runs are drawn.
    pub stats_chart: StatsChart,
    /// Lines at values and steps of line charts.
    pub lines: Vec<ReferenceLine>,
    /// Name of the y axis, written beside it instead of the unit in the subtitle.
    pub y_label: Option<String>,
    /// Scale of the value axis.
    pub scale: ValueScale,
    /// Smoothing of the curves.
    pub smoothing: Smoothing,
    /// What the x axis shows.
    pub x_axis: XAxis,
    /// First and last position shown on the x axis; infinite where not limited.
    pub steps: (f64, f64),
    /// Smallest value shown; `None` lets the chart choose.
    pub y_min: Option<f64>,
    /// Largest value shown; `None` lets the chart choose.
    pub y_max: Option<f64>,
    /// Groups of runs. Runs of a group share a colour, and curves show the mean of each group. With `None`,
    /// every run has a curve.
    pub groups: Option<GroupOptions>,
    /// The colours of runs; `None` lets the chart choose.
    pub colours: Option<RunColours>,
    /// Line charts have a panel for each of these groups, with shared axes; runs in none of them are not drawn.
    pub facets: Option<Vec<Group>>,
}

impl Default for ChartOptions {
    /// A light chart of all steps, without smoothing.
    fn default() -> ChartOptions {
        ChartOptions {
            theme: &theme::LIGHT,
            size: None,
            title: None,
            footer: None,
            look: Look::default(),
            legend: LegendPlace::Auto,
            stats_chart: StatsChart::Ranges,
            thresholds: Thresholds::default(),
            lines: Vec::new(),
            x_label: None,
            value_label: None,
            y_label: None,
            scale: ValueScale::Linear,
            smoothing: Smoothing::None,
            x_axis: XAxis::Step,
            steps: (f64::NEG_INFINITY, f64::INFINITY),
            y_min: None,
            y_max: None,
            groups: None,
            colours: None,
            facets: None,
        }
    }
}

impl ChartOptions {
    /// The colours of these runs: the given ones, or those that the chart chooses.
    fn run_colours(&self, runs: &[Run]) -> Cow<'_, RunColours> {
        match &self.colours {
            Some(colours) => Cow::Borrowed(colours),
            None => Cow::Owned(RunColours::choose(runs, None, &Emphasis::default())),
        }
    }

    /// The name of a smoothing; the width of a Gaussian has the unit of the x axis.
    fn smoothing_name(&self, smoothing: Smoothing) -> String {
        match (self.x_axis, smoothing) {
            (XAxis::WallTime(unit), Smoothing::Gaussian(sigma)) => {
                format!("Gaussian of {sigma} {}", unit.symbol())
            }
            _ => smoothing.to_string(),
        }
    }
}

/// How mean, maximum and minimum are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatsChart {
    /// One row per run, with a line from the minimum to the maximum and the numbers.
    Ranges,
    /// Three panels of bars.
    Bars,
}

/// Where the names of lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LegendPlace {
    /// At the line ends, or else in a legend right of the plot.
    Auto,
    /// Nowhere.
    None,
    /// In the emptiest corner of the plot.
    Inside,
    /// Right of the plot.
    Right,
    /// At the line ends.
    Ends,
}

/// A line at a value or a step, with a label.
#[derive(Debug, Clone, PartialEq)]
pub struct ReferenceLine {
    /// What the line is at.
    pub axis: LineAxis,
    /// The value or the step.
    pub at: f64,
    /// Text beside the line.
    pub label: Option<String>,
}

/// What a line is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineAxis {
    /// A value: the line is level.
    Value,
    /// A step: the line is upright.
    Step,
}

impl std::fmt::Display for ReferenceLine {
    /// As in the warnings about it: `the line at step 30 (“switch”)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let what = match self.axis {
            LineAxis::Value => "value",
            LineAxis::Step => "step",
        };
        write!(f, "the line at {what} {}", shortest(self.at))?;
        match &self.label {
            Some(label) if !label.is_empty() => write!(f, " (“{}”)", visible(label)),
            _ => Ok(()),
        }
    }
}

/// Groups of runs, and how their means are drawn.
#[derive(Debug, Clone)]
pub struct GroupOptions {
    /// The groups. Runs in none of them have no curve.
    pub groups: Vec<Group>,
    /// What the band around a mean shows.
    pub spread: Spread,
    /// How steps that a run did not log are treated.
    pub missing_steps: MissingSteps,
}

impl GroupOptions {
    /// The groups of the runs that have another quantity, by their indices among these; groups without such a run are left
    /// out.
    pub fn of_quantity(&self, quantity: &QuantityRuns) -> GroupOptions {
        let group = |group: &Group| Group {
            name: group.name.clone(),
            members: quantity.members(&group.members),
        };
        let groups = self.groups.iter().map(group).filter(|group| !group.members.is_empty());
        GroupOptions { groups: groups.collect(), ..self.clone() }
    }

    /// The colour of the run at `index`: that of its group, or the colour of runs without a style.
    fn colour(&self, index: usize, theme: &Theme) -> Rgb {
        let group = self.groups.iter().position(|group| group.members.contains(&index));
        match group {
            Some(group) if group < STYLES => theme.style(group).line,
            _ => theme.unstyled,
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

/// A drawing with warnings for the user.
#[derive(Debug)]
pub struct Picture {
    /// The drawing.
    pub drawing: Drawing,
    /// Sentences about what the drawing leaves out.
    pub warnings: Vec<String>,
}

/// Why a picture would be empty.
#[derive(Debug, Error)]
pub enum NothingToDraw {
    /// No point is within the limits, or none can be drawn on the axis.
    #[error("no value can be drawn within these limits and on this axis")]
    Limits,
    /// No group has a mean; the text says why.
    #[error("there is no mean to draw: {0}")]
    NoMean(String),
}

/// Every text of a comparison that a picture may show, for [`Fonts::for_texts`].
pub fn texts_of<'a>(comparison: &'a Comparison, options: &'a ChartOptions) -> Vec<String> {
    let labels = comparison.runs().iter().map(|run| run.history.label());
    let rewards = comparison.runs().iter().flat_map(|run| run.quantities.iter().flatten());
    let given = [&options.title, &options.footer, &options.x_label, &options.y_label];
    let lines = options.lines.iter().filter_map(|line| line.label.as_deref());
    labels
        .chain(lines)
        .chain(rewards.map(|reward| reward.metric()))
        .chain(given.into_iter().flatten().map(String::as_str))
        .map(|t| visible(t).into_owned())
        .collect()
}

/// Which runs are among the [`STYLES`] runs with the largest spread of entropy over the steps shown.
fn with_largest_spread(runs: &[Run], (from, to): (f64, f64)) -> Vec<bool> {
    if runs.len() <= STYLES {
        return vec![true; runs.len()];
    }
    let spread = |run: &Run| {
        let shown = run.history.points().iter().filter(|p| (from..=to).contains(&p.step));
        let (low, high) = axis::range(shown.map(|p| p.entropy));
        high - low
    };
    let spreads: Vec<f64> = runs.iter().map(spread).collect();
    let mut order: Vec<usize> = (0..runs.len()).collect();
    order.sort_by(|&a, &b| spreads[b].total_cmp(&spreads[a]).then(a.cmp(&b)));
    let mut styled = vec![false; runs.len()];
    for &index in &order[..STYLES] {
        styled[index] = true;
    }
    styled
}

/// The index of the style of each run if all steps are shown; `None` for runs without a style of their own.
pub fn styles(runs: &[Run]) -> Vec<Option<usize>> {
    styles_over(runs, (f64::NEG_INFINITY, f64::INFINITY))
}

/// The index of the style of each run over the steps shown. It depends on the rank of a run among all runs of
/// the comparison, so that a run keeps its style when others are filtered out. Runs that have a style only
/// for these steps get the unused styles.
fn styles_over(runs: &[Run], steps: (f64, f64)) -> Vec<Option<usize>> {
    let rank = |(index, run): (usize, &Run)| match run.rank {
        Some(rank) if rank.of <= STYLES => rank.order,
        Some(rank) => rank.by_spread,
        None => index,
    };
    let styled = with_largest_spread(runs, steps);
    let ranks = runs.iter().enumerate().map(rank).zip(&styled);
    let mut styles: Vec<Option<usize>> =
        ranks.map(|(rank, styled)| Some(rank).filter(|rank| *styled && *rank < STYLES)).collect();
    let free: Vec<usize> = (0..STYLES).filter(|style| !styles.contains(&Some(*style))).collect();
    let without =
        styles.iter_mut().zip(&styled).filter(|(style, styled)| **styled && style.is_none());
    for ((style, _), free) in without.zip(free) {
        *style = Some(free);
    }
    styles
}

#[cfg(test)]
mod tests;
