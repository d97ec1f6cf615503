//! The context of every chart: the user's options and the fonts.

use super::ChartOptions;
use super::canvas::{Anchor, Drawing, Layer, Mark, Text, TextFormat};
use super::fonts::{Fonts, Weight};
use super::geometry::Xy;
use super::metrics::{Metrics, PictureSize};
use super::theme::Theme;

/// The options and the fonts of a chart.
#[derive(Clone, Copy)]
pub(super) struct ChartContext<'a> {
    pub(super) options: &'a ChartOptions,
    pub(super) fonts: &'a Fonts,
}

impl ChartContext<'_> {
    pub(super) fn theme(&self) -> &'static Theme {
        self.options.theme
    }

    /// Font sizes and distances.
    pub(super) fn metrics(&self) -> Metrics {
        Metrics::of(self.options)
    }

    /// The width of a text of regular weight in px.
    pub(super) fn text_width(&self, text: &str, size: f64) -> f64 {
        self.fonts.width(text, size, Weight::Regular)
    }

    /// A text at a position on its baseline.
    pub(super) fn text(
        &self,
        text: impl Into<String>,
        at: Xy,
        anchor: Anchor,
        format: TextFormat,
    ) -> Mark {
        Mark::Text(Text::new(self.fonts, text, at, anchor, format))
    }

    /// The drawing of these layers; `default_title` is used unless the user set a title.
    pub(super) fn drawing(
        &self,
        size: PictureSize,
        default_title: &str,
        layers: Vec<Layer>,
    ) -> Drawing {
        let PictureSize { width, height, px_per_inch } = size;
        let title = self.options.title.as_deref().unwrap_or(default_title).to_owned();
        let background = self.theme().background;
        Drawing { width, height, px_per_inch, background, title, layers, on_dark: None }
    }
}
