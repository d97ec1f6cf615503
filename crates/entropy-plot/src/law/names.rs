//! The names of the runs in the picture of the law: with their equations at the ends of the curves, or in a legend.

use super::{ENTRY_HEIGHT, LawRow, SMALL};
use crate::LegendPlace;
use crate::canvas::{Anchor, Layer, Mark, TextFormat};
use crate::context::ChartContext;
use crate::fonts::Weight;
use crate::geometry::{Bounds, Xy};
use crate::legend::{LEGEND_GAP, LegendEntry, LegendGrid, MAX_NAMED_AT_END, leader, spread_labels};
use crate::metrics::BODY;
use crate::plot_area::PlotArea;
use entropy_history::label::shorten_middle;
use entropy_history::number::short;
use entropy_history::stats::law::Law;

/// Descriptions of a fit from long to short, such as `0.83 − 0.021·e^H, R² 0.91, 0.81 at H = 0`.
fn descriptions(law: &Law) -> Vec<String> {
    let (Some(curve), Some(ceiling)) = (law.curve(), law.ceiling) else {
        return vec!["no fit".to_owned()];
    };
    let sign = if curve.a < 0.0 { '+' } else { '−' };
    let r2 = law.r2.map_or(String::new(), |r2| format!(", R² {}", short(r2)));
    let ceiling = short(ceiling.estimate);
    let equation = format!("{} {sign} {}·e^H", short(curve.b), short(curve.a.abs()));
    vec![
        format!("{equation}{r2}, {ceiling} at H = 0"),
        format!("{equation}{r2}"),
        equation,
        format!("{ceiling} at H = 0"),
    ]
}

/// The names of the curves.
pub(super) enum LawNames {
    Hidden,
    /// With equations, at the ends of the curves.
    AtEnds {
        equations: Vec<String>,
        width: f64,
    },
    /// Right of the plot.
    Beside(LegendGrid),
    /// In the emptiest corner of the plot.
    Inside(LegendGrid),
}

impl LawNames {
    /// Chooses the place of the names, and shortens them to fit into a picture of this width and a plot of this height. Warns
    /// if they cannot be where the user wants them.
    pub(super) fn place(
        rows: &mut [LawRow<'_>],
        chart: ChartContext<'_>,
        (width, height): (f64, f64),
        warnings: &mut Vec<String>,
    ) -> LawNames {
        let few = rows.len() <= MAX_NAMED_AT_END;
        let fit_ends = rows.len() as f64 * ENTRY_HEIGHT <= height + ENTRY_HEIGHT;
        match chart.options.legend {
            LegendPlace::None => LawNames::Hidden,
            LegendPlace::Auto if few && fit_ends => LawNames::fit_at_ends(rows, chart, width),
            LegendPlace::Ends if fit_ends => LawNames::fit_at_ends(rows, chart, width),
            LegendPlace::Inside => LawNames::Inside(lay_out_legend(rows, chart, width, height)),
            place => {
                if place == LegendPlace::Ends {
                    let count = rows.len();
                    warnings.push(format!(
                        "{count} names do not fit at the line ends: they are in a legend"
                    ));
                }
                LawNames::Beside(lay_out_legend(rows, chart, width, height))
            }
        }
    }

    /// Shortens names and equations for the ends of the curves.
    fn fit_at_ends(rows: &mut [LawRow<'_>], chart: ChartContext<'_>, width: f64) -> LawNames {
        let max_width = 0.34 * width;
        let name_width = |t: &str| chart.fonts.width(t, BODY, Weight::SemiBold);
        let equation_width = |t: &str| chart.text_width(t, SMALL);
        let mut equations = Vec::new();
        let mut widest: f64 = 0.0;
        for row in rows {
            row.name = shorten_middle(&row.name, |t| name_width(t) <= max_width);
            let mut texts = descriptions(row.law);
            let fitting = texts.iter().position(|t| equation_width(t) <= max_width);
            let text = texts.swap_remove(fitting.unwrap_or(texts.len() - 1));
            let equation = shorten_middle(&text, |t| equation_width(t) <= max_width);
            widest = widest.max(name_width(&row.name)).max(equation_width(&equation));
            equations.push(equation);
        }
        LawNames::AtEnds { equations, width: widest }
    }

    /// The width in px right of the plot area, with the gap.
    pub(super) fn width(&self, chart: ChartContext<'_>) -> f64 {
        match self {
            // Half of the last tick label may be right of the plot area.
            LawNames::Hidden | LawNames::Inside(_) => {
                let tick = 0.5 * chart.text_width("0.000", BODY) + 2.0;
                (tick - chart.metrics().pad).max(0.0)
            }
            LawNames::AtEnds { width, .. } => width + chart.metrics().leader,
            LawNames::Beside(legend) => legend.width() + LEGEND_GAP,
        }
    }

    /// The names over `drawn`, the dots and curves of the plot.
    pub(super) fn marks(
        &self,
        rows: &[LawRow<'_>],
        drawn: &[Layer],
        area: &PlotArea,
        chart: ChartContext<'_>,
        warnings: &mut Vec<String>,
    ) -> Vec<Mark> {
        let entries = rows.iter().filter_map(|row| {
            Some(LegendEntry { name: &row.name, style: row.style?, end: row.end })
        });
        match self {
            LawNames::Hidden => Vec::new(),
            LawNames::AtEnds { equations, .. } => end_names(rows, equations, area, chart),
            LawNames::Beside(legend) => {
                legend.marks(entries.collect(), rows.len(), LegendGrid::beside(area), chart)
            }
            LawNames::Inside(legend) => {
                let covered = |bounds| points_in(drawn, bounds);
                let corner = legend.emptiest_corner(area, covered);
                if corner.covering.is_some() {
                    warnings
                        .push("the legend covers a part of the steps in every corner".to_owned());
                }
                let mut marks: Vec<Mark> = corner.ground(chart).into_iter().collect();
                marks.extend(legend.marks(entries.collect(), rows.len(), corner.origin, chart));
                marks
            }
        }
    }
}

/// How many dots and points of lines are in a box.
fn points_in(drawn: &[Layer], (left, top, right, bottom): Bounds) -> f64 {
    let is_in = |at: &&Xy| (left..=right).contains(&at.0) && (top..=bottom).contains(&at.1);
    let marks = drawn.iter().flat_map(|layer| &layer.marks);
    let points = marks.flat_map(|mark| match mark {
        Mark::Disc(at, ..) => std::slice::from_ref(at),
        Mark::Line(line, ..) => line,
        _ => &[],
    });
    points.filter(is_in).count() as f64
}

/// Chooses rows, columns and font size of a legend, and shortens the names to fit.
fn lay_out_legend(
    rows: &mut [LawRow<'_>],
    chart: ChartContext<'_>,
    width: f64,
    height: f64,
) -> LegendGrid {
    const SWATCH: f64 = 28.0;
    let listed = rows.iter().filter(|row| row.style.is_some()).count();
    let entries = listed + usize::from(rows.len() > listed);
    let mut size = BODY;
    let rows_at = |size: f64| ((height / (1.32 * size)) as usize).max(1);
    while rows_at(size) * 2 < entries && size > 10.0 {
        size -= 0.4;
    }
    let row_count = rows_at(size).min(entries);
    let columns = entries.div_ceil(row_count).min(2);
    let max_width = 0.36 * width / columns as f64 - SWATCH - 12.0;
    let text_width = |t: &str| chart.text_width(t, size);
    let mut widest = text_width(&format!("and {} more", rows.len()));
    for row in rows.iter_mut().filter(|row| row.style.is_some()) {
        row.name = shorten_middle(&row.name, |t| text_width(t) <= max_width);
        widest = widest.max(text_width(&row.name));
    }
    let column_width = SWATCH + widest + 12.0;
    let swatch = SWATCH;
    LegendGrid { rows: row_count, columns, column_width, size, swatch }
}

/// The names with their equations at the ends of the curves, pushed apart where ends are close.
fn end_names(
    rows: &[LawRow<'_>],
    equations: &[String],
    area: &PlotArea,
    chart: ChartContext<'_>,
) -> Vec<Mark> {
    let x = area.right + chart.metrics().leader;
    // A run without a curve inside the plot area has its name at the bottom.
    let label = |(row, equation)| {
        let row: &LawRow<'_> = row;
        Some((row.end.map_or(area.bottom, |end| end.1), (row, row.style?, equation)))
    };
    let labels = rows.iter().zip(equations).filter_map(label).collect();
    let (mut marks, mut names) = (Vec::new(), Vec::new());
    for (y, (row, style, equation)) in spread_labels(labels, ENTRY_HEIGHT, area) {
        if let Some(end) = row.end {
            let colour = style.line.over(chart.theme().background, 0.55);
            let colours = (colour, chart.theme().unstyled);
            marks.extend(leader(end, (x, y), area, colours));
        }
        let format = TextFormat::semi_bold(BODY, style.name);
        names.push(chart.text(&row.name, (x, y - 0.14 * BODY), Anchor::Start, format));
        let format = TextFormat::regular(SMALL, chart.theme().muted);
        names.push(chart.text(equation, (x, y + 1.1 * SMALL), Anchor::Start, format));
    }
    marks.extend(names);
    marks
}
