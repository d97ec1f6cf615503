//! Charts with one row per run or pair. Their height follows from the number of rows, unless the user sets a size.

use super::canvas::{Layer, Mark};
use super::context::ChartContext;
use super::metrics::{BODY, PX_PER_INCH, PictureSize};
use super::theme::Rgb;
use super::titles::header;
use super::{ChartOptions, Picture};
use entropy_history::stats::RunStats;

/// Width in inches, unless the user sets a size.
const DEFAULT_WIDTH: f64 = 11.0;
/// Smallest height of a row in px.
const MIN_ROW: f64 = 10.0;

/// A row of the statistics of a run.
pub(super) struct BarRow<'a> {
    pub(super) name: String,
    pub(super) colour: Rgb,
    pub(super) stats: &'a RunStats,
}

impl BarRow<'_> {
    /// The difference of its largest and its smallest value.
    pub(super) fn spread(&self) -> f64 {
        self.stats.max - self.stats.min
    }
}

/// The size of a row chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowChart {
    pub(super) size: PictureSize,
    /// Smallest height of a row in px.
    pub(super) min_row: f64,
}

impl RowChart {
    /// `content_height` is the height in px that the picture needs without a footer.
    pub(super) fn new(options: &ChartOptions, content_height: f64) -> RowChart {
        let footer = if options.footer.is_some() { 20.0 } else { 0.0 };
        let px_per_inch = PictureSize::of(options).px_per_inch;
        let width = options.size.map_or(DEFAULT_WIDTH, |(width, _)| width) * px_per_inch;
        let height =
            options.size.map_or(content_height + footer, |(_, height)| height * px_per_inch);
        let size = PictureSize { width, height, px_per_inch };
        RowChart { size, min_row: MIN_ROW * px_per_inch / PX_PER_INCH }
    }

    /// Title and subtitle, the y at which the rows begin, and how many of `count` rows fit above `bottom`.
    /// If rows are left out, `note` makes the part of the subtitle that says so, which may need another line.
    pub(super) fn fit_rows(
        &self,
        chart: ChartContext<'_>,
        (title, subtitle): (&str, &[String]),
        bottom: f64,
        mut count: usize,
        note: impl Fn(usize) -> Option<String>,
    ) -> (Vec<Mark>, f64, usize) {
        loop {
            let mut parts = subtitle.to_vec();
            parts.extend(note(count));
            let pad = chart.metrics().pad;
            let ends = (pad, self.size.width - pad);
            let (marks, below) = header(chart, title, &parts, ends);
            let top = below + 24.0 + 1.2 * BODY;
            let fitting = (((bottom - top) / self.min_row) as usize).max(1);
            if fitting >= count {
                return (marks, top, count);
            }
            count = fitting;
        }
    }

    /// The finished picture; `default_title` is used unless the user sets a title.
    pub(super) fn picture(
        &self,
        chart: ChartContext<'_>,
        default_title: &str,
        layer: &str,
        marks: Vec<Mark>,
        warnings: Vec<String>,
    ) -> Picture {
        let layers = vec![Layer { name: layer.to_owned(), marks }];
        Picture { drawing: chart.drawing(self.size, default_title, layers), warnings }
    }
}
