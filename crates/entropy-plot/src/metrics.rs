//! Sizes of type, margins and pixels by the size and the look of a picture. All charts share them.

use super::ChartOptions;

/// Font size in px of names, ticks and values. A picture has more pixels per inch where it must be smaller.
pub(super) const BODY: f64 = 12.6;
/// Width and height of a line chart in inches, unless the user sets a size.
pub(super) const DEFAULT_SIZE: (f64, f64) = (11.0, 5.6);
/// Pixels per inch, as in CSS.
pub(super) const PX_PER_INCH: f64 = 96.0;
/// Points per inch.
const POINTS_PER_INCH: f64 = 72.0;
/// Size in inches below which type and lines get smaller, down to the share below: a figure in one column of a
/// paper, 3.25 in wide, has type of 7 pt.
const SMALL: (f64, f64) = (5.0, 3.2);
const MIN_TYPE_SCALE: f64 = 0.75;
/// Pictures below this width or height in px have a compact header and narrow margins.
const COMPACT: (f64, f64) = (520.0, 360.0);
/// The largest share of the height that title and subtitle of a compact picture take.
const MAX_HEADER: f64 = 0.15;
/// Largest number of characters of the subtitle of a compact picture.
const MAX_SUBTITLE: usize = 60;

/// Whether a picture has a title and a subtitle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    /// Title and subtitle above the plot.
    Shown,
    /// No subtitle, and a title only if the user gives one. The y axis has a title that names the quantity.
    Hidden,
}

/// What is around the plot, and how large type and lines are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// Title and subtitle.
    pub header: Header,
    /// Size of names and ticks in points; `None` chooses by the size of the picture.
    pub type_points: Option<f64>,
    /// Factor of the widths of curves.
    pub line_scale: f64,
}

impl Default for Look {
    fn default() -> Look {
        Look { header: Header::Shown, type_points: None, line_scale: 1.0 }
    }
}

impl Look {
    /// Pixels per inch of a picture with this size in inches.
    pub(super) fn px_per_inch(&self, (width, height): (f64, f64)) -> f64 {
        match self.type_points {
            Some(points) => BODY * POINTS_PER_INCH / points,
            None => {
                let share = (width / SMALL.0).min(height / SMALL.1);
                PX_PER_INCH / share.clamp(MIN_TYPE_SCALE, 1.0)
            }
        }
    }
}

/// The size of a picture in px.
#[derive(Debug, Clone, Copy)]
pub(super) struct PictureSize {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) px_per_inch: f64,
}

impl PictureSize {
    /// The size of a picture of these options, or else the default size of line charts.
    pub(super) fn of(options: &ChartOptions) -> PictureSize {
        let inches = options.size.unwrap_or(DEFAULT_SIZE);
        let px_per_inch = options.look.px_per_inch(inches);
        PictureSize { width: inches.0 * px_per_inch, height: inches.1 * px_per_inch, px_per_inch }
    }
}

/// Font sizes and distances in px.
#[derive(Debug, Clone, Copy)]
pub(super) struct Metrics {
    /// Margin around the picture.
    pub(super) pad: f64,
    /// Margin above the title.
    pub(super) top: f64,
    /// Font size of the title.
    pub(super) title: f64,
    /// Font size of the subtitle.
    pub(super) subtitle: f64,
    /// Distance from the baseline of the title to the first line of the subtitle.
    pub(super) subtitle_gap: f64,
    /// Largest height of title and subtitle with the margin above them.
    pub(super) max_header: f64,
    /// Largest number of characters of the subtitle, which then has one line.
    pub(super) max_subtitle: Option<usize>,
    /// Distance from the header to the plot area.
    pub(super) plot_margin: f64,
    /// Distance from the plot area to the names at the line ends.
    pub(super) leader: f64,
    /// Smallest distance from the left edge of the picture to the plot area.
    pub(super) min_left: f64,
}

const FULL: Metrics = Metrics {
    pad: 20.0,
    top: 20.0,
    title: 20.0,
    subtitle: 13.3,
    subtitle_gap: 8.0,
    max_header: f64::INFINITY,
    max_subtitle: None,
    plot_margin: 26.0,
    leader: 34.0,
    min_left: 44.0,
};

impl Metrics {
    pub(super) fn of(options: &ChartOptions) -> Metrics {
        let PictureSize { width, height, .. } = PictureSize::of(options);
        // A chart of rows that chooses its own height is never compact because of it.
        let low = options.size.is_some() && height < COMPACT.1;
        let is_paper = options.look.header == Header::Hidden;
        if !is_paper && !low && width >= COMPACT.0 {
            return FULL;
        }
        Metrics {
            pad: if is_paper { 4.0 } else { 8.0 },
            top: 6.0,
            title: 13.5,
            subtitle: 11.4,
            subtitle_gap: 3.0,
            max_header: MAX_HEADER * height,
            max_subtitle: Some(MAX_SUBTITLE),
            plot_margin: 10.0,
            leader: 16.0,
            min_left: 0.0,
        }
    }

    /// Whether the picture is so small, or for a paper, that nothing may be wasted.
    pub(super) fn is_compact(&self) -> bool {
        self.max_subtitle.is_some()
    }
}
