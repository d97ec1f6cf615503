//! Line charts: entropy over training steps, one curve per run or per group of runs, named at its end or in a
//! legend next to the plot.

use rayon::prelude::*;

mod annotations;
mod bands;
mod beside;
mod curve;
mod curve_names;
mod density;
mod facets;
mod line_marks;
mod reference_lines;
mod room;
mod rounds;

pub use beside::{Beside, line_chart_size, min_line_chart_height};
use curve::{Curve, CurveSource, smoothed};
use reference_lines::reference_lines;
use room::Room;

use super::axis::{range, step_axis};
use super::canvas::{Drawing, Layer};
use super::context::ChartContext;
use super::fonts::Fonts;
use super::legend::{LEGEND_GAP, LINE_HEIGHT, MAX_NAMED_AT_END};
use super::metrics::{BODY, PictureSize};
use super::plot_area::{
    PlotArea, base_line, entropy_axis, grid, left_edge, tick_count, x_tick_count, x_ticks,
    y_axis_title,
};
use super::theme::{STYLES, Style};
use super::titles::{ShortNames, alike, footer, header, quantity, y_title};
use super::{ChartOptions, LegendPlace, LineAxis, NothingToDraw, Picture, ValueScale};
use entropy_history::history::{Comparison, History, Run};
use entropy_history::label::visible;
use entropy_history::number::{exact, short};
use entropy_history::stats::health::State;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::stats::{Analysis, RunStats};
use entropy_history::text::plural;

/// A line chart without annotations. Laying it out does not need the analysis of its runs, so both can be done
/// in parallel.
pub struct Curves<'a> {
    curves: Vec<Curve<'a>>,
    room: Room,
    chart: ChartContext<'a>,
    drawing: Drawing,
    warnings: Vec<String>,
    /// Of a transparent picture, the chart on a dark ground.
    on_dark: Option<Box<Curves<'a>>>,
}

impl<'a> Curves<'a> {
    /// Lays the chart out.
    ///
    /// # Errors
    /// If there is nothing to draw within the limits of `options`.
    pub fn new(
        comparison: &'a Comparison,
        options: &'a ChartOptions,
        fonts: &'a Fonts,
    ) -> Result<Curves<'a>, NothingToDraw> {
        Curves::above(&[], comparison, options, fonts)
    }

    /// Lays the chart out above a panel for each of these quantities. A chart with facets has no such panels.
    ///
    /// # Errors
    /// As [`Curves::new`].
    pub fn above(
        beside: &'a [Beside],
        comparison: &'a Comparison,
        options: &'a ChartOptions,
        fonts: &'a Fonts,
    ) -> Result<Curves<'a>, NothingToDraw> {
        let chart = ChartContext { options, fonts };
        match &options.facets {
            Some(facets) => facets::lay_out(comparison, facets, chart),
            None => lay_out(comparison, beside, chart),
        }
    }

    /// Makes the picture transparent. `dark` has the same runs and options, and the colours on a dark ground.
    pub fn with_dark(self, dark: Curves<'a>) -> Curves<'a> {
        Curves { on_dark: Some(Box::new(dark)), ..self }
    }

    /// The picture with annotated collapses and explosions; `analysis` must be that of the same comparison.
    pub fn picture(mut self, analysis: &Analysis) -> Picture {
        // Events of single runs say little about the mean of a group.
        if self.chart.options.groups.is_none() && named(&self.curves) <= MAX_NAMED_AT_END {
            let (curves, chart) = (&self.curves, self.chart);
            let threshold = annotations::threshold(curves, analysis, &mut self.room, chart);
            // Behind the curves.
            threshold.into_iter().for_each(|layer| self.drawing.layers.insert(0, layer));
            if let Some((layers, warnings)) =
                annotations::annotations(curves, analysis, self.room, chart)
            {
                self.drawing.layers.extend(layers);
                // Before what is said of single runs, of which there may be many.
                self.warnings.splice(..0, warnings);
            }
        }
        if self.chart.options.facets.is_some() {
            self.warnings.splice(..0, unmarked(analysis));
        }
        self.drawing.on_dark = self.on_dark.map(|dark| Box::new(dark.picture(analysis).drawing));
        Picture { drawing: self.drawing, warnings: self.warnings }
    }
}

/// The warning that panels do not mark collapses and explosions; `None` if there are none.
fn unmarked(analysis: &Analysis) -> Option<String> {
    let changed =
        |stats: &&RunStats| matches!(stats.state, Some(State::Collapsed | State::Exploded));
    let count = analysis.runs.iter().filter(changed).count();
    let runs = plural(count, "run", "runs");
    let words =
        format!("{runs} collapsed or exploded; panels do not mark where, `stats` lists the steps");
    (count > 0).then_some(words)
}

/// The share of the width and of the height below which the plot area is too small to read.
const MIN_SHARE: f64 = 0.25;

fn lay_out<'a>(
    comparison: &'a Comparison,
    beside: &'a [Beside],
    chart: ChartContext<'a>,
) -> Result<Curves<'a>, NothingToDraw> {
    let options = chart.options;
    let size = PictureSize::of(options);
    let (size, too_low) = beside::size_with(beside.len(), size, options.size.is_some());
    let (width, height) = (size.width, size.height);
    let (mut curves, names, mut warnings) = make_curves(comparison, options)?;
    warnings.extend(too_low);

    // The value axis comes first, because the width of its labels sets the left edge.
    let steps = step_range(curves.iter(), options);
    let (low, high) =
        value_range(curves.iter(), options, steps, &mut warnings).ok_or(NothingToDraw::Limits)?;
    let metrics = chart.metrics();
    let mut panels = beside::panels(beside, &curves, steps, height, chart, &mut warnings)?;
    let ticks = match panels.len() {
        0 => tick_count(height, metrics),
        count => tick_count(beside::split((0.0, height), count).0, metrics),
    };
    let values = entropy_axis(low, high, options, ticks, metrics);
    let y_title = y_title(comparison, options);
    let axes = panels.iter().map(|panel| &panel.values).chain([&values]);
    let left = axes.map(|axis| left_edge(axis, y_title.as_deref(), chart)).fold(0.0, f64::max);

    let counts = (named(&curves), curves.len());
    let range = cut((low, high), options);
    let subtitle =
        subtitle(comparison, (&curves, counts), options, names.note(), values.low, range);
    let title = default_title(comparison, &curves, options);
    let (footer, above_footer) = footer(chart, (left, width - metrics.pad), height);
    let (mut title_marks, below_header) =
        header(chart, &title, &subtitle, (left, width - metrics.pad));
    title_marks.extend(footer);
    let top = below_header + metrics.plot_margin;
    let lowest = above_footer - 3.0 * BODY;
    let (bottom, places) = match panels.len() {
        0 => (lowest, Vec::new()),
        count => beside::split((top, lowest), count),
    };
    panels.iter_mut().zip(places).for_each(|(panel, place)| panel.place(place));

    let names_that_fit = (bottom - top + LINE_HEIGHT) / LINE_HEIGHT;
    let fit_ends = named(&curves) as f64 <= names_that_fit;
    let legend_place = match options.legend {
        LegendPlace::Auto if fit_ends && named(&curves) <= MAX_NAMED_AT_END => LegendPlace::Ends,
        LegendPlace::Auto => LegendPlace::Right,
        LegendPlace::Ends if !fit_ends => {
            let count = named(&curves);
            warnings
                .push(format!("{count} names do not fit at the line ends: they are in a legend"));
            LegendPlace::Right
        }
        place => place,
    };
    let legend = matches!(legend_place, LegendPlace::Right | LegendPlace::Inside)
        .then(|| curve_names::lay_out_legend(&mut curves, chart, width, bottom - top));
    // Half of the last tick label may be right of the plot area.
    let last_tick = 0.5 * chart.text_width(&exact(steps.1), BODY) + 2.0;
    let right = match (&legend, legend_place) {
        (Some(legend), LegendPlace::Right) => width - metrics.pad - legend.width() - LEGEND_GAP,
        (_, LegendPlace::Ends) => curve_names::fit_end_names(&mut curves, chart, width),
        _ => width - metrics.pad.max(last_tick),
    };

    let in_colour = || curves.iter().filter(|curve| curve.style.is_some());
    if legend_place != LegendPlace::None {
        warnings.extend(alike(in_colour().map(|curve| curve.name.as_str())));
    }
    warnings.extend(same_colour(in_colour()));
    if right - left < MIN_SHARE * width || lowest - top < MIN_SHARE * height {
        warnings.push(
            "the picture is too small for its names and type: its lines have little room"
                .to_owned(),
        );
    }
    let max_ticks = x_tick_count(right - left, metrics);
    let first_width = chart.text_width(&exact(steps.0), BODY);
    let min_gap = (0.5 * first_width + 24.0) / (right - left);
    let x_axis = step_axis(steps.0, steps.1, max_ticks, min_gap);
    let beyond_axis = options.y_min.is_none() && low < values.low
        || options.y_max.is_none() && high > values.high;
    if beyond_axis {
        warnings.push("values beyond 1e300 are cut off".to_owned());
    }
    let clips = options.y_min.is_some()
        || options.y_max.is_some()
        || options.steps.0.is_finite()
        || options.steps.1.is_finite()
        || options.scale == ValueScale::Log
        || beyond_axis;
    let y = ((top, bottom), &values, options.scale);
    let area = PlotArea::new(((left, right), &x_axis), y, clips);
    let x_names = [options.x_axis.title(), options.x_axis.noun()];
    let areas: Vec<PlotArea> =
        panels.iter().map(|panel| panel.area(((left, right), &x_axis))).collect();
    let mut layers = vec![
        grid(&area, &values, chart),
        x_ticks(areas.last().unwrap_or(&area), &x_axis, &x_names, chart),
        Layer { name: "title".to_owned(), marks: title_marks },
    ];
    let above_others = std::iter::once(&area).chain(&areas).take(areas.len());
    layers.extend(above_others.map(|area| base_line(area, chart)));
    layers.extend(y_title.map(|words| y_axis_title(&words, &area, chart)));
    curves.par_iter_mut().for_each(|curve| curve.locate(&area));
    if options.scale == ValueScale::Log {
        // A curve that cannot be drawn gets no name.
        for curve in curves.iter_mut().filter(|curve| !curve.has_logarithm(steps)) {
            curve.style = None;
            let label = visible(curve.label);
            warnings.push(format!("{label} has no positive value to draw and is left out"));
        }
    }
    let curve_layers = line_marks::curve_layers(&curves, &area, options);
    let mut room = Room::new(&curves, area);
    let names = match (&legend, legend_place) {
        (Some(legend), LegendPlace::Inside) => {
            let corner = legend.emptiest_corner(&area, |bounds| room.covered(bounds));
            room.take(corner.bounds);
            if corner.covering.is_some() {
                warnings.push("the legend covers a part of the curves in every corner".to_owned());
            }
            Some(curve_names::legend_layer(legend, &curves, Some(&corner), &area, chart))
        }
        (Some(legend), _) => Some(curve_names::legend_layer(legend, &curves, None, &area, chart)),
        (None, LegendPlace::None) => None,
        (None, _) => Some(curve_names::end_names(&curves, &mut room, metrics.leader, chart)),
    };
    let mut reference = reference_lines(&mut room, chart);
    warnings.append(&mut reference.warnings);
    let (rules, rounds, no_room) = rounds::marks(&curves, &mut room, chart);
    reference.lines.extend(rules);
    reference.labels.extend(rounds);
    warnings.extend(no_room);
    let [lines, labels] = reference.layers();
    layers.extend(lines);
    layers.extend(curve_layers);
    layers
        .extend(panels.iter_mut().zip(&areas).flat_map(|(panel, area)| panel.layers(area, chart)));
    layers.extend(names);
    layers.extend(labels);
    let drawing = chart.drawing(size, &title, layers);
    Ok(Curves { curves, room, chart, drawing, warnings, on_dark: None })
}

/// A warning if two lines look the same.
fn same_colour<'c>(curves: impl Iterator<Item = &'c Curve<'c>>) -> Option<String> {
    let mut seen: Vec<(Style, &str)> = Vec::new();
    for curve in curves {
        let style = curve.style?;
        let same = seen.iter().find(|(s, _)| s.line == style.line && s.dash == style.dash);
        if let Some((_, first)) = same {
            let (first, second) = (visible(first), visible(curve.label));
            return Some(format!("lines share a colour, such as those of {first} and {second}"));
        }
        seen.push((style, curve.label));
    }
    None
}

/// The curves without their points in px, their short names, and warnings.
fn make_curves<'a>(
    comparison: &'a Comparison,
    options: &'a ChartOptions,
) -> Result<(Vec<Curve<'a>>, ShortNames, Vec<String>), NothingToDraw> {
    let runs = comparison.runs();
    let theme = options.theme;
    let Some(grouped) = &options.groups else {
        let width = width_in_steps(runs.iter());
        let names = ShortNames::of(runs.iter().map(|run| run.history.label()));
        let colours = options.run_colours(runs);
        let curves = runs.iter().zip(names.names()).map(|(run, name)| Curve {
            source: CurveSource::Run {
                run,
                smoothed: smoothed(&run.history, options.smoothing, width),
            },
            label: run.history.label(),
            name: name.clone(),
            count: String::new(),
            style: colours.style(run.history.label(), theme),
            parts: Vec::new(),
        });
        return Ok((curves.collect(), names, Vec::new()));
    };
    let members = grouped.groups.iter().flat_map(|group| &group.members);
    let width = width_in_steps(members.map(|i| &runs[*i]));
    let names = ShortNames::of(grouped.groups.iter().map(|group| group.name.as_str()));
    let (means, warnings) = bands::group_means(comparison, grouped, options, width);
    let has_no_mean = |source: &CurveSource<'_>| match source {
        CurveSource::Run { .. } => false,
        CurveSource::Group { members, segments } => bands::has_no_mean(members, segments),
    };
    if means.iter().all(has_no_mean) {
        return Err(NothingToDraw::NoMean(warnings.first().cloned().unwrap_or_default()));
    }
    let means = means.into_iter().zip(&grouped.groups).zip(names.names()).enumerate();
    let curves = means.map(|(index, ((source, group), name))| Curve {
        source,
        label: &group.name,
        name: name.clone(),
        count: format!(", n = {}", group.members.len()),
        style: (index < STYLES).then(|| theme.style(index)),
        parts: Vec::new(),
    });
    Ok((curves.collect(), names, warnings))
}

/// How many curves have a colour and a name.
fn named<'c, 'a: 'c>(curves: impl IntoIterator<Item = &'c Curve<'a>>) -> usize {
    curves.into_iter().filter(|curve| curve.style.is_some()).count()
}

/// The number of steps from the first step of any run to the last step of any run.
fn width_in_steps<'a>(runs: impl Iterator<Item = &'a Run>) -> f64 {
    let (first, last) = range(runs.flat_map(step_ends));
    last - first
}

/// The first and the last step of a run.
fn step_ends(run: &Run) -> [f64; 2] {
    let points = run.history.points();
    [points[0].step, points[points.len() - 1].step]
}

fn default_title(comparison: &Comparison, curves: &[Curve<'_>], options: &ChartOptions) -> String {
    let subject = comparison.subject();
    match curves {
        [curve] => format!("{subject} of {}", visible(curve.label)),
        _ if options.groups.is_some() => format!("{subject} by group"),
        _ => format!("{subject} by run"),
    }
}

/// The parts of the subtitle. `low` is the lower end of the value axis. The two counts are those of the named lines and of all
/// lines.
fn subtitle(
    comparison: &Comparison,
    (curves, (named, count)): (&[Curve<'_>], (usize, usize)),
    options: &ChartOptions,
    names_note: Option<String>,
    low: f64,
    cut: Option<String>,
) -> Vec<String> {
    let mut parts: Vec<String> = quantity(comparison, options).into_iter().collect();
    if let Some(grouped) = &options.groups {
        parts.extend(bands::subtitle_parts(curves, grouped, options));
    } else if options.smoothing != Smoothing::None {
        parts
            .push(format!("line: {}, faint: as logged", options.smoothing_name(options.smoothing)));
    }
    if options.scale == ValueScale::Log {
        parts.push("logarithmic scale".to_owned());
    } else if low > 0.0 {
        parts.push("axis does not start at 0".to_owned());
    }
    parts.extend(cut);
    parts.extend(names_note);
    if named < count {
        parts.push(match options.groups {
            Some(_) => format!("{count} groups, the first {STYLES} in colour"),
            None => format!("{named} of {count} runs named; grey: the others"),
        });
    }
    parts
}

/// Says which values the user's limits cut off.
fn cut((low, high): (f64, f64), options: &ChartOptions) -> Option<String> {
    let below = options.y_min.filter(|min| low < *min).map(|min| format!("below {}", short(min)));
    let above = options.y_max.filter(|max| high > *max).map(|max| format!("above {}", short(max)));
    let cuts: Vec<String> = below.into_iter().chain(above).collect();
    (!cuts.is_empty()).then(|| format!("cut {}", cuts.join(" and ")))
}

/// The first and the last step shown.
fn step_range<'c, 'a: 'c>(
    curves: impl Iterator<Item = &'c Curve<'a>>,
    options: &ChartOptions,
) -> (f64, f64) {
    let ends = curves.flat_map(Curve::runs).flat_map(|run| step_ends(run));
    let (first, last) = range(ends);
    let first = if options.steps.0.is_finite() { options.steps.0 } else { first };
    let last = if options.steps.1.is_finite() { options.steps.1 } else { last };
    (first, last.max(first))
}

/// The entropies of a history within a range of steps.
fn entropies(history: &History, (from, to): (f64, f64)) -> impl Iterator<Item = f64> {
    history.points().iter().filter(move |p| from <= p.step && p.step <= to).map(|p| p.entropy)
}

/// The smallest and the largest value to draw within the steps shown; `None` if there is none.
fn value_range<'c, 'a: 'c>(
    curves: impl Iterator<Item = &'c Curve<'a>> + Clone,
    options: &ChartOptions,
    steps: (f64, f64),
    warnings: &mut Vec<String>,
) -> Option<(f64, f64)> {
    let log = options.scale == ValueScale::Log;
    let drawable = |value: &f64| !log || *value > 0.0;
    let logged =
        || curves.clone().flat_map(Curve::runs).flat_map(|run| entropies(&run.history, steps));
    let smoothed = curves.clone().filter(|curve| curve.is_smoothed()).filter_map(Curve::shown);
    let smoothed = smoothed.flat_map(|history| entropies(history, steps));
    let (mut low, mut high) = range(logged().chain(smoothed).filter(drawable));
    let not_positive = logged().filter(|value| !drawable(value)).count();
    // Entropies are not negative, so a band that reaches below 0 does not extend the axis.
    let floor = if low >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
    let ends = || curves.clone().flat_map(|curve| curve.band_ends(steps));
    for end in ends().filter(drawable) {
        (low, high) = (low.min(end.max(floor)), high.max(end));
    }
    // An axis without a limit reaches to the lines of the user.
    let lines = options.lines.iter().filter(|line| line.axis == LineAxis::Value);
    let (lowest, highest) = range(lines.map(|line| line.at).filter(drawable));
    if low <= high && lowest <= highest {
        (low, high) = (low.min(lowest), high.max(highest));
    }
    if !ends().all(|end| drawable(&end)) {
        warnings.push("a band that reaches 0 or less ends at the bottom of the axis".to_owned());
    }
    if not_positive > 0 {
        let values = if not_positive == 1 { "value is" } else { "values are" };
        warnings.push(format!(
            "{not_positive} {values} not positive and cannot be drawn on a logarithmic axis"
        ));
    }
    (low <= high).then_some((low, high))
}
