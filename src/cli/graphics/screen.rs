//! The size of a picture on a screen, and the bytes that show it.

use std::io::{self, IsTerminal};

use ratatui::crossterm::terminal::window_size;

use super::answers::{Answers, Pixels};
use super::{Protocol, kitty};
use crate::cli::theme::ThemeName;
use entropy_plot::{ChartOptions, line_chart_size, min_line_chart_height};

/// Columns and lines of a screen that does not say it.
const DEFAULT_SCREEN: (u16, u16) = (80, 24);
/// Width and height of a cell in pixels where they are not known; sixels of the VT340 have them.
const DEFAULT_CELL: Pixels = (10.0, 20.0);
/// Sizes of a cell in pixels that are taken for true.
const CELLS: std::ops::RangeInclusive<f64> = 3.0..=200.0;
/// Lines that are left for the command, the lines around the picture and the next prompt; and the least lines of a picture.
const RESERVED: u16 = 4;
const MIN_LINES: u16 = 8;
/// Heights in pixels of cells on a screen with one pixel per CSS pixel.
const LINE: (f64, f64) = (16.0, 20.0);
/// Pixels per inch, as in CSS.
const PX_PER_INCH: f64 = 96.0;
/// Share to which type may shrink so that panels fit on the screen.
const MIN_TYPE_SCALE: f64 = 0.7;

/// A screen that shows pictures.
#[derive(Debug, PartialEq)]
pub(in crate::cli) struct Screen {
    protocol: Protocol,
    columns: u16,
    lines: u16,
    cell: Pixels,
    limit: Option<Pixels>,
    background: ThemeName,
}

impl Screen {
    /// The screen on stdout.
    pub(super) fn new(protocol: Protocol, answers: &Answers) -> Screen {
        let window = io::stdout().is_terminal().then(|| window_size().ok()).flatten();
        let size = window.as_ref().map(|window| (window.columns, window.rows));
        let (columns, lines) = size.filter(|(c, l)| *c > 0 && *l > 0).unwrap_or(DEFAULT_SCREEN);
        let per_cell =
            |(width, height): Pixels| (width / f64::from(columns), height / f64::from(lines));
        let of_window = window.map(|window| (f64::from(window.width), f64::from(window.height)));
        let cells = [answers.cell, answers.area.map(per_cell), of_window.map(per_cell)];
        let is_true = |(width, height): &Pixels| CELLS.contains(width) && CELLS.contains(height);
        Screen {
            protocol,
            columns,
            lines,
            cell: cells.into_iter().flatten().find(is_true).unwrap_or(DEFAULT_CELL),
            limit: answers.sixel_limit.filter(|_| protocol == Protocol::Sixel),
            background: answers.background.unwrap_or_else(ThemeName::of_terminal),
        }
    }

    /// How the screen is sent a picture.
    pub(in crate::cli) fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The theme that fits the background.
    pub(in crate::cli) fn background(&self) -> ThemeName {
        self.background
    }

    /// The largest picture: as wide as the screen, and lower by a few lines.
    fn room(&self) -> Pixels {
        let lines = self.lines.saturating_sub(RESERVED).max(MIN_LINES);
        let (width, height) =
            (f64::from(self.columns) * self.cell.0, f64::from(lines) * self.cell.1);
        let (max_width, max_height) = self.limit.unwrap_or((f64::INFINITY, f64::INFINITY));
        (width.min(max_width).floor(), height.min(max_height).floor())
    }

    /// Gives a line chart with this number of panels below it the size of the screen; returns the dots per inch. A size
    /// in the options is kept, and the picture fitted to the screen as a whole.
    pub(in crate::cli) fn fit(&self, options: &mut ChartOptions, panels: usize) -> f64 {
        let (width, max_height) = self.room();
        if let Some((inches_wide, inches_high)) = options.size {
            return (width / inches_wide).min(max_height / inches_high);
        }
        let natural = line_chart_size(panels);
        let height = (width * natural.1 / natural.0).min(max_height);
        let lines = (height / self.cell.1).floor().max(1.0);
        let height = (lines * self.cell.1).floor();
        let cell = self.cell.1;
        let ratio = cell / cell.clamp(LINE.0, LINE.1);
        let ratio = match panels {
            0 => ratio,
            _ => (height / min_line_chart_height(panels)).clamp(ratio * MIN_TYPE_SCALE, ratio),
        };
        let dpi = PX_PER_INCH * ratio;
        options.size = Some((width / dpi, height / dpi));
        dpi
    }

    /// The bytes that show an encoded picture, and end its last line.
    pub(in crate::cli) fn escape(&self, picture: &[u8]) -> Vec<u8> {
        let mut bytes = match self.protocol {
            Protocol::Kitty => kitty::escape(picture, self.cells(picture)),
            Protocol::Sixel => picture.to_vec(),
        };
        bytes.push(b'\n');
        bytes
    }

    /// The columns and lines that a PNG takes.
    fn cells(&self, png: &[u8]) -> (u32, u32) {
        let number = |at: usize| {
            let bytes = png.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            f64::from(u32::from_be_bytes(bytes.unwrap_or_default()))
        };
        // The header of a PNG has its width and height at bytes 16 and 20.
        let cells = |pixels: f64, cell: f64| (pixels / cell).round().max(1.0) as u32;
        (
            cells(number(16), self.cell.0).min(u32::from(self.columns)),
            cells(number(20), self.cell.1),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn screen(columns: u16, lines: u16, cell: Pixels) -> Screen {
        let (protocol, background) = (Protocol::Kitty, ThemeName::Dark);
        Screen { protocol, columns, lines, cell, limit: None, background }
    }

    /// Width and height in pixels, and pixels per CSS pixel, of the picture on a screen.
    fn fitted(screen: &Screen, panels: usize) -> (f64, f64, f64) {
        let mut options = ChartOptions::default();
        let dpi = screen.fit(&mut options, panels);
        let (width, height) = options.size.unwrap();
        ((width * dpi).round(), (height * dpi).round(), dpi / PX_PER_INCH)
    }

    #[test]
    fn picture_is_as_wide_as_the_screen_and_leaves_lines() {
        assert_eq!(fitted(&screen(80, 24, (10.0, 20.0)), 0), (800.0, 400.0, 1.0));
        assert_eq!(fitted(&screen(120, 40, (8.0, 16.0)), 0), (960.0, 480.0, 1.0));
        // Two pixels per CSS pixel.
        assert_eq!(fitted(&screen(100, 50, (20.0, 40.0)), 0), (2000.0, 1000.0, 2.0));
        // A wide and low screen.
        assert_eq!(fitted(&screen(300, 30, (9.0, 18.0)), 0), (2700.0, 468.0, 1.0));
        // A tiny one still has a picture.
        assert_eq!(fitted(&screen(40, 10, (10.0, 20.0)), 0), (400.0, 160.0, 1.0));
    }

    #[test]
    fn panels_make_the_picture_higher_or_its_type_smaller() {
        let (_, height, ratio) = fitted(&screen(80, 60, (10.0, 20.0)), 2);
        assert!(height > 600.0 && ratio == 1.0, "{height} {ratio}");
        let (_, height, ratio) = fitted(&screen(80, 24, (10.0, 20.0)), 3);
        assert!(height == 400.0 && (0.7..1.0).contains(&ratio), "{height} {ratio}");
    }

    #[test]
    fn sixels_keep_to_the_limit_of_the_terminal() {
        let limited = Screen { limit: Some((1000.0, 1000.0)), ..screen(200, 60, (10.0, 20.0)) };
        let (width, height, _) = fitted(&limited, 0);
        assert!(width == 1000.0 && height <= 1000.0, "{width} {height}");
    }

    #[test]
    fn size_of_the_user_is_fitted_as_a_whole() {
        let mut options = ChartOptions { size: Some((3.25, 2.2)), ..ChartOptions::default() };
        let dpi = screen(80, 24, (10.0, 20.0)).fit(&mut options, 0);
        assert_eq!(options.size, Some((3.25, 2.2)));
        assert!((dpi * 2.2 - 400.0).abs() < 1e-9 && dpi * 3.25 < 800.0);
    }
}
