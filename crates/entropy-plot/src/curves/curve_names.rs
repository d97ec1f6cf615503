//! The names of curves: at the line ends, or in a legend that is laid out to fit.

use super::curve::Curve;
use super::room::Room;
use crate::canvas::{Anchor, Layer, Mark, Text, TextFormat};
use crate::context::ChartContext;
use crate::fonts::Weight;
use crate::geometry::Xy;
use crate::legend::{
    LINE_HEIGHT, LegendCorner, LegendEntry, LegendGrid, SWATCH_MARGIN, ends_early, leader,
    spread_labels,
};
use crate::metrics::BODY;
use crate::plot_area::PlotArea;
use crate::theme::Style;

/// Width in px of a line sample in a legend, with the gap to the name.
const SWATCH: f64 = 26.0;
const MAX_COLUMNS: usize = 3;
/// Largest share of the width of a picture that names at line ends take. Type is larger against a small picture.
const SHARE: f64 = 0.3;
const COMPACT_SHARE: f64 = 0.36;
/// In px: the smallest type of a legend, and the smallest width of a name in one of several columns.
const MIN_TYPE: f64 = 9.4;
const MIN_NAME: f64 = 60.0;
/// Pictures below this width in px leave a larger share of it to the lines.
const NARROW: f64 = 620.0;

/// Shortens the names for the line ends in a picture of this width, and returns the x at which the plot area
/// ends to leave room for them.
pub(super) fn fit_end_names(curves: &mut [Curve<'_>], chart: ChartContext<'_>, width: f64) -> f64 {
    let name_width = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold);
    let share = if chart.metrics().is_compact() { COMPACT_SHARE } else { SHARE };
    let mut widest: f64 = 0.0;
    for curve in curves.iter_mut().filter(|curve| curve.style.is_some()) {
        curve.fit_name(|t| name_width(t) <= share * width);
        widest = widest.max(name_width(&curve.name));
    }
    width - chart.metrics().pad - widest - chart.metrics().leader
}

/// Names at the line ends with thin leaders, pushed apart where ends are close, `distance` px right of the plot area.
pub(super) fn end_names(
    curves: &[Curve<'_>],
    room: &mut Room,
    distance: f64,
    chart: ChartContext<'_>,
) -> Layer {
    let area = &{ room.area };
    let x = area.right + distance;
    let (mut marks, mut names) = (Vec::new(), Vec::new());
    let mut labels = Vec::new();
    let limit = chart.options.steps.1;
    for curve in curves {
        let Some(style) = curve.style else { continue };
        let beyond = curve.last_value(limit).and_then(|value| Beyond::of(value, area));
        match (beyond, curve.end()) {
            (Some(beyond), _) => {
                labels.push((beyond.edge(area), (curve, style, End::Beyond(beyond))))
            }
            (None, None) => labels.push((area.bottom, (curve, style, End::None))),
            (None, Some(end)) => match name_at_end(curve, style, end, room, chart) {
                Some(name) => names.push(Mark::Text(name)),
                None => labels.push((end.1, (curve, style, End::At(end)))),
            },
        }
    }
    let colours =
        |style: Style| (style.line.over(chart.theme().background, 0.55), chart.theme().unstyled);
    for (y, (curve, style, end)) in spread_labels(labels, LINE_HEIGHT, area) {
        match end {
            End::At(end) => {
                marks.extend(leader(end, (x, y), area, colours(style)));
                if ends_early(end, area) {
                    room.take_line([end, (area.right, end.1)]);
                }
            }
            End::Beyond(beyond) => marks.push(beyond.arrow((x - 9.0, y), style)),
            End::None => {}
        }
        let at = (x, y + 0.36 * BODY);
        let format = TextFormat::semi_bold(BODY, style.name);
        names.push(chart.text(&curve.name, at, Anchor::Start, format));
    }
    marks.extend(names);
    Layer { name: "names".to_owned(), marks }
}

/// Where a line ends.
enum End {
    At(Xy),
    /// Beyond a limit of the value axis.
    Beyond(Beyond),
    /// Nowhere: none of it is inside the plot.
    None,
}

/// The side of the plot beyond which a value is.
#[derive(Clone, Copy)]
enum Beyond {
    Above,
    Below,
}

impl Beyond {
    fn of(value: f64, area: &PlotArea) -> Option<Beyond> {
        const NEAR: f64 = 0.5;
        let y = area.y.at(value);
        match () {
            () if y < area.top - NEAR => Some(Beyond::Above),
            // A value without a logarithm has no position.
            () if y <= area.bottom + NEAR => None,
            () => Some(Beyond::Below),
        }
    }

    fn edge(self, area: &PlotArea) -> f64 {
        match self {
            Beyond::Above => area.top,
            Beyond::Below => area.bottom,
        }
    }

    /// An arrow head at `at` that points beyond the plot.
    fn arrow(self, (x, y): Xy, style: Style) -> Mark {
        let up = match self {
            Beyond::Above => -1.0,
            Beyond::Below => 1.0,
        };
        let tip = (x, y + 5.0 * up);
        Mark::Region(vec![tip, (x + 4.5, y - 3.0 * up), (x - 4.5, y - 3.0 * up)], style.line)
    }
}

/// The name right of the end of a line that ends early, if there is room. Its room is taken.
fn name_at_end(
    curve: &Curve<'_>,
    style: Style,
    end: Xy,
    room: &mut Room,
    chart: ChartContext<'_>,
) -> Option<Text> {
    // A dashed line needs a sample before its name.
    if !ends_early(end, &room.area) || !style.dash.is_empty() {
        return None;
    }
    let format = TextFormat::semi_bold(BODY, style.name);
    let shifts = [0.0, -0.5, 0.5, -0.9, 0.9].map(|lines| lines * LINE_HEIGHT);
    let texts = shifts.map(|shift| {
        let at = (end.0 + 6.0, end.1 + shift + 0.36 * BODY);
        Text::new(chart.fonts, curve.name.as_str(), at, Anchor::Start, format)
    });
    let around = |text: &Text| {
        let (left, top, right, bottom) = text.bounds();
        (left, top - 1.0, right + 3.0, bottom + 1.0)
    };
    let text = texts.into_iter().find(|text| room.is_free(around(text)))?;
    room.take(around(&text));
    Some(text)
}

/// Chooses rows, columns and font size of a legend: the largest size at which all names fit unshortened, else one at
/// which all names fit shortened.
pub(super) fn lay_out_legend(
    curves: &mut [Curve<'_>],
    chart: ChartContext<'_>,
    width: f64,
    height: f64,
) -> LegendGrid {
    let named = curves.iter().filter(|c| c.style.is_some()).count();
    let rest = curves.len() - named;
    let entries = named + usize::from(rest > 0);
    let more = format!("and {} more", curves.len());
    let share = if width < NARROW { 0.35 } else { 0.42 };
    let margin = SWATCH + SWATCH_MARGIN;
    let rows_at = |size: f64| ((height / (1.32 * size)) as usize).max(1);
    let columns_at = |size: f64| entries.div_ceil(rows_at(size));
    let text_width = |t: &str, size: f64| chart.text_width(t, size);
    // Widths are proportional to the size.
    let names = curves.iter().filter(|c| c.style.is_some());
    let rest_width = if rest > 0 { text_width(&more, 1.0) } else { 0.0 };
    let widest = names.map(|c| text_width(&c.full_name(), 1.0)).fold(rest_width, f64::max);

    let sizes = || (0..).map(|i| BODY - 0.4 * f64::from(i)).take_while(|size| *size >= MIN_TYPE);
    let all_fit = |size: &f64| {
        let columns = columns_at(*size);
        columns <= MAX_COLUMNS
            && widest * size <= 0.26 * width
            && columns as f64 * (margin + widest * size) <= share * width
    };
    let max_columns = (share * width / (margin + MIN_NAME)).clamp(1.0, MAX_COLUMNS as f64) as usize;
    let all_listed = |size: &f64| columns_at(*size) <= max_columns;
    let size = sizes().find(all_fit).or_else(|| sizes().find(all_listed)).unwrap_or(MIN_TYPE);
    let rows = rows_at(size).min(entries);
    let columns = match all_fit(&size) {
        true => columns_at(size),
        false => columns_at(size).min(max_columns),
    };

    let name_width = (share * width / columns as f64 - margin).min(0.26 * width);
    let all_listed = rest == 0 && entries <= rows * columns;
    let mut widest = if all_listed { 0.0 } else { text_width(&more, size) };
    for curve in curves.iter_mut().filter(|c| c.style.is_some()) {
        curve.fit_name(|t| text_width(t, size) <= name_width);
        widest = widest.max(text_width(&curve.name, size));
    }
    LegendGrid { rows, columns, column_width: margin + widest, size, swatch: SWATCH }
}

/// The layer of a legend that [`lay_out_legend`] chose: in a corner of the plot, else right of it.
pub(super) fn legend_layer(
    legend: &LegendGrid,
    curves: &[Curve<'_>],
    corner: Option<&LegendCorner>,
    area: &PlotArea,
    chart: ChartContext<'_>,
) -> Layer {
    let entries = curves.iter().filter_map(|curve| {
        Some(LegendEntry { name: &curve.name, style: curve.style?, end: curve.end() })
    });
    let mut marks: Vec<Mark> = corner.and_then(|corner| corner.ground(chart)).into_iter().collect();
    let origin = corner.map_or(LegendGrid::beside(area), |corner| corner.origin);
    marks.extend(legend.marks(entries.collect(), curves.len(), origin, chart));
    Layer { name: "legend".to_owned(), marks }
}
