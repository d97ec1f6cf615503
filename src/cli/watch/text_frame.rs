//! One frame as text, and the palette for the terminal.

use std::io::{self, IsTerminal};

use ratatui::buffer::Buffer;
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;

use crate::cli::theme::ThemeName;
use crate::tui::ansi::{self, Escapes};
use crate::tui::frame::render;
use crate::tui::palette::{ColourDepth, Palette};
use crate::tui::scene::Scene;
use entropy_plot::theme::{DARK, LIGHT};
use entropy_shell::Terminal;

/// A frame as lines of text.
pub(in crate::cli) fn frame_text(
    scene: &Scene<'_>,
    (width, height): (u16, u16),
    terminal: &Terminal,
) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    render(scene, area, &mut buffer);
    let escapes = if terminal.colour() { Escapes::Ansi } else { Escapes::None };
    ansi::lines(&buffer, escapes)
}

/// Columns and lines of a frame: as given; else those of the terminal, less `reserved` lines; else 80 by 24.
pub(in crate::cli) fn frame_size(
    width: Option<u16>,
    height: Option<u16>,
    reserved: u16,
) -> (u16, u16) {
    let of_terminal = || io::stdout().is_terminal().then(terminal::size)?.ok();
    let (columns, lines) =
        of_terminal().filter(|(w, h)| *w >= 20 && *h >= 8).unwrap_or((80, 24 + reserved));
    (width.unwrap_or(columns), height.unwrap_or(lines - reserved))
}

/// The palette for the colour depth of the terminal. A theme without a background, or none, is that of the terminal.
pub(in crate::cli) fn palette(theme: Option<ThemeName>, terminal: &Terminal) -> Palette {
    let contains = |variable: &str, word: &str| {
        std::env::var(variable).is_ok_and(|value| value.to_lowercase().contains(word))
    };
    let true_colour = contains("COLORTERM", "truecolor")
        || contains("COLORTERM", "24bit")
        || contains("TERM", "direct");
    let depth = match terminal.colour() {
        false => ColourDepth::Plain,
        true if true_colour => ColourDepth::True,
        true if contains("TERM", "256") => ColourDepth::Indexed,
        true => ColourDepth::Named,
    };
    let named = theme.filter(|theme| *theme != ThemeName::Transparent);
    let is_light = named.unwrap_or_else(ThemeName::of_terminal) == ThemeName::Light;
    Palette { depth, theme: if is_light { &LIGHT } else { &DARK } }
}
