//! Panels of other quantities below the curves of the entropy, with the same x axis and the same colours.

use super::curve::Curve;
use super::reference_lines::{DASH, dashed, ends};
use super::{line_marks, make_curves, value_range};
use crate::axis::Axis;
use crate::canvas::{Anchor, Layer, TextFormat};
use crate::context::ChartContext;
use crate::fonts::Weight;
use crate::metrics::{BODY, DEFAULT_SIZE, PictureSize};
use crate::plot_area::{PlotArea, entropy_axis, grid};
use crate::{ChartOptions, LineAxis, NothingToDraw, ValueScale};
use entropy_history::history::{Comparison, Run};
use entropy_history::label::{shorten_middle, visible};
use entropy_history::quantity_runs::QuantityRuns;

/// Height of the panel of the entropy, as a multiple of that of another panel.
const FIRST: f64 = 1.8;
/// Height in px of the name of a panel, and of the room for the lowest tick label of the panel above it.
const NAME: f64 = 1.6 * BODY;
const GAP: f64 = 1.1 * BODY;
/// Height in inches that each panel adds to a picture, unless the user sets a size.
const ADDED_HEIGHT: f64 = 1.5;
/// The smallest height in px of a panel with its name, and of all that is not a panel: title, x axis, margins.
const MIN_PANEL: f64 = 84.0;
const AROUND: f64 = 90.0;
/// Height in px between two ticks.
const TICK: f64 = 40.0;

/// A quantity to draw below the entropy.
#[derive(Debug, Clone)]
pub struct Beside {
    name: String,
    comparison: Comparison,
    options: ChartOptions,
}

impl Beside {
    /// The panel of a quantity.
    pub fn of(quantity: &QuantityRuns, options: &ChartOptions) -> Beside {
        let options = ChartOptions {
            scale: ValueScale::Linear,
            y_min: None,
            y_max: None,
            groups: options.groups.as_ref().map(|groups| groups.of_quantity(quantity)),
            ..options.clone()
        };
        Beside { name: quantity.title(), comparison: quantity.comparison(), options }
    }

    /// The name of the quantity and its keys in the logs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The runs that have the quantity, whose histories are its values.
    pub fn runs(&self) -> &[Run] {
        self.comparison.runs()
    }
}

/// Width and height in inches that a line chart with this number of panels below it chooses.
pub fn line_chart_size(panels: usize) -> (f64, f64) {
    let (width, height) = DEFAULT_SIZE;
    (width, height + ADDED_HEIGHT * panels as f64)
}

/// The smallest height in px of a line chart with this number of panels below it.
pub fn min_line_chart_height(panels: usize) -> f64 {
    AROUND + MIN_PANEL * (FIRST + panels as f64)
}

/// The size of a picture with this number of panels below the entropy, and a warning if the size of the user has no room for
/// them.
pub(super) fn size_with(
    panels: usize,
    size: PictureSize,
    is_given: bool,
) -> (PictureSize, Option<String>) {
    let inch = size.px_per_inch;
    let least = min_line_chart_height(panels);
    match (panels, is_given) {
        (0, _) => (size, None),
        (_, false) => {
            let height = size.height + ADDED_HEIGHT * panels as f64 * inch;
            (PictureSize { height, ..size }, None)
        }
        (_, true) if size.height >= least => (size, None),
        (_, true) => {
            let inches = least / inch;
            let warning = format!("the picture is {inches:.1} in high: its panels need that");
            (PictureSize { height: least, ..size }, Some(warning))
        }
    }
}

/// A panel that is laid out.
pub(super) struct BesidePanel<'a> {
    name: &'a str,
    curves: Vec<Curve<'a>>,
    options: &'a ChartOptions,
    pub(super) values: Axis,
    top: f64,
    bottom: f64,
}

/// The bottom of the panel of the entropy, which with all others is from `top` to `bottom`, and the tops and bottoms of the
/// plot areas of the others.
pub(super) fn split((top, bottom): (f64, f64), panels: usize) -> (f64, Vec<(f64, f64)>) {
    let unit = (bottom - top) / (FIRST + panels as f64);
    let first_bottom = bottom - unit * panels as f64;
    let others = (0..panels).map(|at| {
        let start = first_bottom + unit * at as f64;
        (start + GAP + NAME, start + unit)
    });
    (first_bottom, others.collect())
}

/// The panels without their places. `main` are the curves of the entropy, whose colours the same runs and groups have here;
/// runs that have no colour there have none here.
pub(super) fn panels<'a>(
    beside: &'a [Beside],
    main: &[Curve<'a>],
    steps: (f64, f64),
    height: f64,
    chart: ChartContext<'a>,
    warnings: &mut Vec<String>,
) -> Result<Vec<BesidePanel<'a>>, NothingToDraw> {
    let unit = 0.8 * height / (FIRST + beside.len() as f64);
    let ticks = ((unit - GAP - NAME) / TICK).clamp(2.0, 6.0) as usize;
    let mut panels = Vec::new();
    for beside in beside {
        let (mut curves, _, _) = make_curves(&beside.comparison, &beside.options)?;
        for curve in &mut curves {
            let same = main.iter().find(|main| main.label == curve.label);
            curve.style = same.and_then(|main| main.style);
        }
        let is_outside = |run: &&Run| {
            let points = run.history.points();
            points.iter().all(|point| !(steps.0..=steps.1).contains(&point.step))
        };
        let runs = curves.iter().flat_map(|curve| curve.runs().iter().copied());
        let outside: Vec<_> = runs.filter(is_outside).map(|r| visible(r.history.label())).collect();
        if !outside.is_empty() {
            let (name, runs) = (&beside.name, outside.join(", "));
            warnings.push(format!("{name} has no value within the steps shown of {runs}"));
        }
        let range = value_range(curves.iter(), &beside.options, steps, &mut Vec::new());
        let Some((low, high)) = range else { continue };
        let values = entropy_axis(low, high, &beside.options, ticks, chart.metrics());
        let name = &beside.name;
        let options = &beside.options;
        panels.push(BesidePanel { name, curves, options, values, top: 0.0, bottom: 0.0 });
    }
    Ok(panels)
}

impl BesidePanel<'_> {
    pub(super) fn place(&mut self, (top, bottom): (f64, f64)) {
        (self.top, self.bottom) = (top, bottom);
    }

    /// The plot area with this x axis from `left` to `right`.
    pub(super) fn area(&self, x: ((f64, f64), &Axis)) -> PlotArea {
        PlotArea::new(x, ((self.top, self.bottom), &self.values, ValueScale::Linear), true)
    }

    /// The grid, the name and the curves.
    pub(super) fn layers(&mut self, area: &PlotArea, chart: ChartContext<'_>) -> Vec<Layer> {
        let mut layers = vec![grid(area, &self.values, chart)];
        let fits =
            |text: &str| chart.fonts.width(text, BODY, Weight::SemiBold) <= area.right - area.left;
        let format = TextFormat::semi_bold(BODY, chart.theme().text);
        let name = shorten_middle(&visible(self.name), fits);
        let at = (area.left, area.top - 0.7 * BODY);
        let name = chart.text(name, at, Anchor::Start, format);
        layers.push(Layer { name: self.name.to_owned(), marks: vec![name] });
        let upright = chart.options.lines.iter().filter(|line| line.axis == LineAxis::Step);
        let ends = upright.filter_map(|line| ends(line, area));
        let marks = ends.flat_map(|ends| dashed(ends, DASH, chart.theme().muted)).collect();
        layers.push(Layer { name: "reference lines".to_owned(), marks });
        self.curves.iter_mut().for_each(|curve| curve.locate(area));
        layers.extend(line_marks::curve_layers(&self.curves, area, self.options));
        layers.retain(|layer| !layer.marks.is_empty());
        layers
    }
}
