//! Lines over one x axis, in panels below each other: quantities of several scales, with bands and names at line ends.

use super::axis::{Axis, range, step_axis};
use super::canvas::{Anchor, Layer, Mark, TextFormat};
use super::context::ChartContext;
use super::fonts::{Fonts, Weight};
use super::geometry::Xy;
use super::legend::{LINE_HEIGHT, leader, spread_labels};
use super::metrics::{BODY, PX_PER_INCH, PictureSize};
use super::plot_area::{PlotArea, base_line, entropy_axis, grid, left_edge, x_ticks, y_axis_title};
use super::stroke::StrokeStyle;
use super::titles::{footer, header, title_of};
use super::{ChartOptions, Picture, ValueScale};
use entropy_history::label::{shorten_middle, visible};

/// Height in px of the name of a panel, and the gap below a panel.
const PANEL_TITLE: f64 = 1.9 * BODY;
/// The smallest font size of a name, in px at 96 px per inch.
const MIN_NAME: f64 = 7.0;
/// Free space right of the last point, as a share of the x axis.
const EDGE: f64 = 0.02;
/// Points are marked by dots if there is at least this distance in px between them.
const DOT_GAP: f64 = 14.0;

/// The numbers of a picture.
#[derive(Debug, Clone)]
pub struct Panels {
    /// Title of the picture.
    pub title: String,
    /// What it is of; added to the title if there is room.
    pub subject: String,
    /// Parts of the line below the title, the most important first; a small picture has only that.
    pub subtitle: Vec<String>,
    /// Name of the x axis.
    pub x_name: String,
    /// Where the x axis begins; `None` for the first point.
    pub x_from: Option<f64>,
    /// The panels, from the top.
    pub panels: Vec<Panel>,
}

/// A panel with its own y axis.
#[derive(Debug, Clone)]
pub struct Panel {
    /// Name of the quantity with its unit; empty if the subtitle has it.
    pub name: String,
    /// Where the value axis begins.
    pub base: AxisBase,
    /// The lines.
    pub lines: Vec<PanelLine>,
}

/// Where a linear value axis begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisBase {
    /// Where the values do; at 0 if that is near. Values below 0 are possible.
    Data,
    /// Where the values do, but not below 0: the values cannot be, though intervals may reach below.
    NotNegative,
    /// At 0, as NotNegative.
    Zero,
    /// The axis has 0 and the whole bands: which side of 0 they are on matters.
    AroundZero,
}

/// A line with a name.
#[derive(Debug, Clone)]
pub struct PanelLine {
    /// Its name.
    pub name: String,
    /// Points with increasing x.
    pub points: Vec<Xy>,
    /// x, lower and upper end of a band with increasing x; may be empty.
    pub band: Vec<(f64, f64, f64)>,
    /// How the points are joined.
    pub shape: LineShape,
    /// Index of its colour in the palette; `None` for that of its place in the panel.
    pub style: Option<usize>,
}

impl PanelLine {
    fn style(&self, index: usize) -> usize {
        self.style.unwrap_or(index)
    }
}

/// How the points of a line are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineShape {
    /// By straight lines.
    Straight,
    /// By steps: each point begins a level part, as in the outline of a histogram.
    Steps,
}

/// Draws panels; there must be at least one line with a point.
pub fn panels(data: &Panels, options: &ChartOptions, fonts: &Fonts) -> Picture {
    let chart = ChartContext { options, fonts };
    let size = PictureSize::of(options);
    let (width, height) = (size.width, size.height);
    let metrics = chart.metrics();
    let (footer_left, footer_right) = (metrics.pad, width - metrics.pad);
    let y_title = options.y_label.as_deref().map(visible);
    let title = title_of(chart, (&data.title, &data.subject), footer_right - 60.0);
    let subtitle = &data.subtitle;

    // The height of a panel decides its ticks, these the left edge, and that the header.
    let (_, below_header) = header(chart, &title, subtitle, (metrics.min_left, footer_right));
    let (footer, above_footer) = footer(chart, (footer_left, footer_right), height);
    let has_titles = data.panels.iter().any(|panel| !panel.name.is_empty());
    let panel_title = if has_titles { PANEL_TITLE } else { 0.0 };
    let margin = if has_titles { 0.4 * metrics.plot_margin } else { metrics.plot_margin };
    let bottom = above_footer - 3.0 * BODY;
    let count = data.panels.len() as f64;
    let panel_height = (bottom - below_header - margin) / count;
    let ticks = ((panel_height - panel_title) / 44.0).clamp(2.0, 8.0) as usize;
    let axes: Vec<Axis> = data.panels.iter().map(|panel| y_axis(panel, chart, ticks)).collect();
    let left = axes
        .iter()
        .map(|axis| left_edge(axis, y_title.as_deref(), chart))
        .fold(metrics.min_left, f64::max);
    let (mut title_marks, below_header) = header(chart, &title, subtitle, (left, footer_right));
    title_marks.extend(footer);
    let top = below_header + margin;
    let panel_height = (bottom - top) / count;

    let names = Names::fit(data, chart, size, panel_height - panel_title);
    let leader = if names.width > 0.0 { metrics.leader } else { 0.0 };
    let right = width - metrics.pad - names.width - leader;
    let x_axis = x_axis(data, right - left);
    let mut layers = vec![Layer { name: "title".to_owned(), marks: title_marks }];
    for (at, (panel, axis)) in data.panels.iter().zip(&axes).enumerate() {
        let panel_top = top + panel_height * at as f64;
        let is_last = at + 1 == data.panels.len();
        // Room for the lowest label of a panel above another.
        let panel_bottom = panel_top + panel_height - if is_last { 0.0 } else { 0.6 * BODY };
        let inner = (panel_top + panel_title, panel_bottom);
        let area = PlotArea::new(((left, right), &x_axis), (inner, axis, options.scale), true);
        layers.push(grid(&area, axis, chart));
        if !panel.name.is_empty() {
            let fits = |text: &str| {
                fonts.width(text, BODY, Weight::SemiBold) <= width - metrics.pad - left
            };
            let format = TextFormat::semi_bold(BODY, chart.theme().text);
            let name = shorten_middle(&visible(&panel.name), fits);
            let mark = chart.text(name, (left, panel_top + 1.05 * BODY), Anchor::Start, format);
            layers.push(Layer { name: panel.name.clone(), marks: vec![mark] });
        }
        if is_last {
            layers.push(x_ticks(&area, &x_axis, &[data.x_name.as_str()], chart));
        } else {
            layers.push(base_line(&area, chart));
        }
        if let Some(words) = &y_title {
            layers.push(y_axis_title(words, &area, chart));
        }
        layers.extend(lines(panel, &area, chart));
        layers
            .push(Layer { name: "names".to_owned(), marks: names.marks(at, panel, &area, chart) });
    }
    layers.retain(|layer| !layer.marks.is_empty());
    Picture { drawing: chart.drawing(size, &title, layers), warnings: Vec::new() }
}

/// Bands may be so much higher than the lines, as a multiple of the span of the lines or of their values: wide intervals of
/// a few values are cut off, or the lines would be level.
const MAX_BAND: f64 = 1.5;
/// Values below 0 by less than this share of the axis are drawn at 0: the axis need not go below it.
const ROUNDING: f64 = 1e-3;

fn y_axis(panel: &Panel, chart: ChartContext<'_>, ticks: usize) -> Axis {
    let options = chart.options;
    let usable = |y: &f64| y.is_finite() && (options.scale == ValueScale::Linear || *y > 0.0);
    let points = panel.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
    let (low, high) = range(points.filter(usable));
    let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
    let room = MAX_BAND * (high - low).max(0.5 * high.abs().max(low.abs()));
    let bands = panel.lines.iter().flat_map(|line| &line.band);
    let bands = bands.flat_map(|(_, low, high)| [*low, *high]).filter(usable);
    let (band_low, band_high) = range(bands);
    let room = if panel.base == AxisBase::AroundZero { f64::INFINITY } else { room };
    let low = low.min(band_low.max(low - room));
    let high = high.max(band_high.min(high + room));
    let low = if low < 0.0 && -low < ROUNDING * (high - low) { 0.0 } else { low };
    let (low, high) = match panel.base {
        _ if options.scale == ValueScale::Log => (low, high),
        AxisBase::Data => (low, high),
        AxisBase::NotNegative => (low.max(0.0), high),
        AxisBase::Zero => (0.0, high),
        AxisBase::AroundZero => (low.min(0.0), high.max(0.0)),
    };
    entropy_axis(low, high, options, ticks, chart.metrics())
}

fn x_axis(data: &Panels, width: f64) -> Axis {
    let xs = data.panels.iter().flat_map(|panel| &panel.lines).flat_map(|line| &line.points);
    let (first, last) = range(xs.map(|(x, _)| *x));
    let first = data.x_from.unwrap_or(first).min(first);
    let max_ticks = (width / 70.0).clamp(2.0, 10.0) as usize;
    let axis = step_axis(first, last, max_ticks, 0.06);
    // The last point, with its dot, is not at the edge.
    Axis { high: axis.high + EDGE * (axis.high - axis.low), ..axis }
}

/// The bands and lines of a panel.
fn lines(panel: &Panel, area: &PlotArea, chart: ChartContext<'_>) -> Vec<Layer> {
    let theme = chart.theme();
    let at = |x: f64, y: f64| (area.x.at(x), area.y.at(y).clamp(area.top, area.bottom));
    let mut layers = Vec::new();
    for (index, line) in panel.lines.iter().enumerate() {
        let mut outline: Vec<Xy> = line.band.iter().map(|(x, low, _)| at(*x, *low)).collect();
        outline.extend(line.band.iter().rev().map(|(x, _, high)| at(*x, *high)));
        if line.band.len() > 1 {
            let marks =
                vec![Mark::TranslucentRegion(outline, theme.style(line.style(index)).line, 0.18)];
            layers.push(Layer { name: format!("band of {}", line.name), marks });
        }
    }
    for (index, line) in panel.lines.iter().enumerate() {
        let style = theme.style(line.style(index));
        let mut marks = Vec::new();
        let part: Vec<Xy> =
            outline(line).iter().map(|point| position(*point, line.shape, area)).collect();
        for inside in area.clip(part) {
            match line.shape {
                LineShape::Steps => marks.push(Mark::Line(inside, 1.6, style.line)),
                LineShape::Straight => {
                    marks.extend(StrokeStyle::solid(2.0, style.line).marks(&inside))
                }
            }
        }
        if line.shape == LineShape::Straight
            && line.points.len() as f64 * DOT_GAP <= area.right - area.left + DOT_GAP
        {
            let dots = line.points.iter().map(|point| position(*point, line.shape, area));
            marks.extend(
                dots.filter(|dot| area.contains(*dot)).map(|dot| Mark::Disc(dot, 2.8, style.line)),
            );
        }
        layers.push(Layer { name: line.name.clone(), marks });
    }
    layers
}

/// The position of a point in px. What is at the edge of the area is inside, whatever the rounding; a step of 0 is at the
/// bottom of a logarithmic axis.
fn position((x, y): Xy, shape: LineShape, area: &PlotArea) -> Xy {
    const NEAR: f64 = 0.5;
    let snap = |value: f64, low: f64, high: f64| {
        if (value - low).abs() < NEAR {
            low
        } else if (value - high).abs() < NEAR {
            high
        } else {
            value
        }
    };
    let (at_x, at_y) = (area.x.at(x), area.y.at(y));
    let is_bottom = shape == LineShape::Steps && (y <= 0.0 || at_y > area.bottom);
    let at_y = if is_bottom { area.bottom } else { snap(at_y, area.top, area.bottom) };
    (snap(at_x, area.left, area.right), at_y)
}

fn outline(line: &PanelLine) -> Vec<Xy> {
    match line.shape {
        LineShape::Straight => line.points.clone(),
        LineShape::Steps => {
            let mut outline: Vec<Xy> = Vec::with_capacity(2 * line.points.len());
            for (at, (x, y)) in line.points.iter().enumerate() {
                if at > 0 {
                    outline.push((*x, outline[outline.len() - 1].1));
                }
                outline.push((*x, *y));
            }
            outline
        }
    }
}

/// The names at the ends of the lines; none if there is one line without a name.
struct Names {
    names: Vec<Vec<String>>,
    size: f64,
    width: f64,
}

impl Names {
    /// Shortens the names, and shrinks them until those of a panel fit its height.
    fn fit(
        data: &Panels,
        chart: ChartContext<'_>,
        PictureSize { width, px_per_inch, .. }: PictureSize,
        height: f64,
    ) -> Names {
        let most = data.panels.iter().map(|panel| panel.lines.len()).max().unwrap_or(0).max(1);
        let least = MIN_NAME * px_per_inch / PX_PER_INCH;
        let size = BODY.min(height / most as f64 / (LINE_HEIGHT / BODY)).max(least);
        let max_width = 0.3 * width;
        let shorten = |line: &PanelLine| {
            shorten_middle(&visible(&line.name), |text| chart.text_width(text, size) <= max_width)
        };
        let names: Vec<Vec<String>> =
            data.panels.iter().map(|panel| panel.lines.iter().map(shorten).collect()).collect();
        let widths = names.iter().flatten().map(|name| chart.text_width(name, size));
        let width = widths.fold(0.0, f64::max);
        Names { names, size, width }
    }

    fn marks(
        &self,
        panel: usize,
        data: &Panel,
        area: &PlotArea,
        chart: ChartContext<'_>,
    ) -> Vec<Mark> {
        let x = area.right + chart.metrics().leader;
        let height = self.size * LINE_HEIGHT / BODY;
        let label = |(index, (line, name)): (usize, (&PanelLine, &String))| {
            // The outlines of histograms end together at the bottom: their names are a list beside the top.
            if line.shape == LineShape::Steps {
                let y = area.top + height * (index as f64 + 0.5);
                return (!name.is_empty()).then(|| (y, (index, None, name.clone())));
            }
            let ends =
                outline(line).into_iter().rev().map(|point| position(point, line.shape, area));
            let end = ends.into_iter().find(|end| area.contains(*end));
            let y = end.map_or(area.bottom, |end| end.1);
            (!name.is_empty()).then(|| (y, (index, end, name.clone())))
        };
        let labels =
            data.lines.iter().zip(&self.names[panel]).enumerate().filter_map(label).collect();
        let (mut marks, mut names) = (Vec::new(), Vec::new());
        for (y, (index, end, name)) in spread_labels(labels, height, area) {
            let style = chart.theme().style(data.lines[index].style(index));
            match end {
                Some(end) => {
                    let colour = style.line.over(chart.theme().background, 0.55);
                    let colours = (colour, chart.theme().unstyled);
                    marks.extend(leader(end, (x, y), area, colours));
                }
                None => marks.push(Mark::Line(vec![(x - 24.0, y), (x - 6.0, y)], 2.0, style.line)),
            }
            let format = TextFormat::regular(self.size, style.name);
            names.push(chart.text(name, (x, y + 0.36 * self.size), Anchor::Start, format));
        }
        marks.extend(names);
        marks
    }
}
