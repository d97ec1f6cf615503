//! Styles of runs and texts for terminals with 24-bit colour, 256 colours, 16 colours or none.
//!
//! Runs have the colours of the plots. With 256 colours the nearest one is used; the 16 named colours have no fixed
//! appearance, so runs use them in turn. Without colours, a letter marks the curve of each run. Of many runs, most have no
//! place in the palette and are grey.

use ratatui::style::{Color, Modifier, Style};

use entropy_history::stats::health::State;
use entropy_plot::theme::{Rgb, Theme};

/// How many colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourDepth {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
    /// The 16 of every terminal.
    Named,
    /// No colours.
    Plain,
}

/// The styles for a terminal.
#[derive(Debug, Clone, Copy)]
pub struct Palette {
    /// The colours of the terminal.
    pub depth: ColourDepth,
    /// The theme to approximate.
    pub theme: &'static Theme,
}

/// Colours of runs, ordered so that neighbours differ clearly; black, white and greys are for texts.
const NAMED: [Color; 10] = [
    Color::LightBlue,
    Color::LightRed,
    Color::LightGreen,
    Color::LightMagenta,
    Color::LightYellow,
    Color::LightCyan,
    Color::Blue,
    Color::Red,
    Color::Green,
    Color::Magenta,
];

/// Letters for runs without colour.
const MARKS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The dash patterns of the plots: numbers of dots drawn and skipped, alternating.
const DASHES: [&[usize]; 4] = [&[], &[8, 4], &[2, 3], &[10, 3, 2, 3]];
/// Characters that resemble the dash patterns.
const SAMPLES: [&str; 4] = ["━━", "╍╍", "┅┅", "━╍"];
const GREY_SAMPLE: &str = "──";

impl Palette {
    /// The style of the curve of a run with this place in the palette; grey without one.
    pub fn curve(&self, place: Option<usize>) -> Style {
        let Some(index) = place else { return self.grey() };
        match self.depth {
            ColourDepth::Plain => Style::new(),
            ColourDepth::Named => Style::new().fg(NAMED[index % NAMED.len()]),
            ColourDepth::True => self.of(self.theme.style(index).line),
            ColourDepth::Indexed => Style::new().fg(Color::Indexed(self.indexed(index))),
        }
    }

    fn grey(&self) -> Style {
        match self.depth {
            ColourDepth::Plain => Style::new(),
            ColourDepth::Named => Style::new().fg(Color::DarkGray),
            ColourDepth::True | ColourDepth::Indexed => self.of(self.theme.unstyled),
        }
    }

    /// The style of the curve of a grey run that is selected.
    pub fn selected(&self) -> Style {
        match self.depth {
            ColourDepth::True | ColourDepth::Indexed => self.of(self.theme.text),
            ColourDepth::Named | ColourDepth::Plain => Style::new().add_modifier(Modifier::BOLD),
        }
    }

    /// The nearest of the 256 colours that no earlier run uses.
    fn indexed(&self, index: usize) -> u8 {
        let mut used: Vec<u8> = Vec::new();
        for earlier in 0..=index % NAMED.len() {
            used.push(nearest(self.theme.style(earlier).line, &used));
        }
        used[used.len() - 1]
    }

    /// The style of the logged curve behind a smoothed one.
    pub fn faint(&self, place: Option<usize>) -> Style {
        match (self.depth, place) {
            (ColourDepth::True | ColourDepth::Indexed, Some(index)) => {
                self.of(self.theme.style(index).faint)
            }
            _ => self.curve(place).add_modifier(Modifier::DIM),
        }
    }

    /// The style of secondary text.
    pub fn muted(&self) -> Style {
        match self.depth {
            ColourDepth::Plain => Style::new(),
            ColourDepth::Named => Style::new().add_modifier(Modifier::DIM),
            ColourDepth::True | ColourDepth::Indexed => self.of(self.theme.muted),
        }
    }

    /// The style of errors and warnings.
    pub fn alarm(&self) -> Style {
        self.word(Color::Red)
    }

    /// The style of the name of a state; `None` for a run without one.
    pub fn state(&self, state: Option<State>, stale: bool) -> Style {
        match state {
            Some(State::Collapsed | State::Exploded) => self.word(Color::Red),
            _ if stale => self.muted(),
            Some(State::Falling | State::NotRecorded) => self.word(Color::Yellow),
            Some(State::Healthy) => self.word(Color::Green),
            Some(State::TooShort) | None => self.muted(),
        }
    }

    fn word(&self, colour: Color) -> Style {
        match self.depth {
            ColourDepth::Plain => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new().fg(colour),
        }
    }

    fn of(&self, colour: Rgb) -> Style {
        Style::new().fg(match self.depth {
            ColourDepth::True => Color::Rgb(colour.0, colour.1, colour.2),
            _ => Color::Indexed(nearest(colour, &[])),
        })
    }

    /// The two-column legend symbol of the run: a piece of its line, or its letter.
    pub fn sample(&self, place: Option<usize>) -> String {
        match (self.depth, place) {
            (ColourDepth::Plain, place) => format!("{} ", self.mark(place).unwrap_or(' ')),
            (_, None) => GREY_SAMPLE.to_owned(),
            (_, Some(index)) => SAMPLES[(index / NAMED.len()) % SAMPLES.len()].to_owned(),
        }
    }

    /// The letter on the curve of the run; `None` with colours, and for a grey one.
    pub fn mark(&self, place: Option<usize>) -> Option<char> {
        let mark = char::from(MARKS[place? % MARKS.len()]);
        (self.depth == ColourDepth::Plain).then_some(mark)
    }

    /// The dash pattern of the run: numbers of dots drawn and skipped, alternating; empty for a solid line.
    pub fn dash(&self, place: Option<usize>) -> &'static [usize] {
        match (self.depth, place) {
            (ColourDepth::Plain, _) | (_, None) => &[],
            (_, Some(index)) => DASHES[(index / NAMED.len()) % DASHES.len()],
        }
    }
}

/// The nearest of xterm's colours from 16 on, a cube of 6 × 6 × 6 and 24 greys, except those in `used`.
fn nearest(Rgb(r, g, b): Rgb, used: &[u8]) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let squared = |a: (u8, u8, u8)| {
        let d = |a: u8, b: u8| (i32::from(a) - i32::from(b)).pow(2);
        d(a.0, r) + d(a.1, g) + d(a.2, b)
    };
    let cube = (0..216u8).map(|i| {
        let level = |n: u8| LEVELS[usize::from(n % 6)];
        (16 + i, (level(i / 36), level(i / 6), level(i)))
    });
    let greys = (0..24u8).map(|i| (232 + i, (8 + 10 * i, 8 + 10 * i, 8 + 10 * i)));
    let free = cube.chain(greys).filter(|(index, _)| !used.contains(index));
    let best = free.min_by_key(|(_, colour)| squared(*colour));
    best.expect("BUG: fewer than 240 colours are used").0
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_plot::theme::{DARK, LIGHT};

    #[test]
    fn nearest_indexed_colours_match_xterm() {
        // From xterm's 256colres.h: 16 is black, 21 is 0000ff, 196 is ff0000, 244 is 808080.
        assert_eq!(nearest(Rgb(0, 0, 0), &[]), 16);
        assert_eq!(nearest(Rgb(0, 0, 255), &[]), 21);
        assert_eq!(nearest(Rgb(255, 0, 0), &[]), 196);
        assert_eq!(nearest(Rgb(0x7f, 0x80, 0x80), &[]), 244);
    }

    #[test]
    fn first_ten_runs_have_different_colours() {
        for theme in [&LIGHT, &DARK] {
            for depth in [ColourDepth::True, ColourDepth::Indexed, ColourDepth::Named] {
                let palette = Palette { depth, theme };
                for i in 0..10 {
                    assert!(
                        (0..i).all(|j| palette.curve(Some(i)) != palette.curve(Some(j))),
                        "{depth:?} {i}"
                    );
                    assert_ne!(palette.dash(Some(i)), palette.dash(Some(i + 10)));
                }
            }
        }
    }

    #[test]
    fn runs_have_letters_without_colour() {
        let palette = Palette { depth: ColourDepth::Plain, theme: &DARK };
        assert_eq!(
            (palette.curve(Some(3)), palette.mark(Some(0)), palette.mark(Some(51))),
            (Style::new(), Some('A'), Some('z'))
        );
        assert_eq!(Palette { depth: ColourDepth::True, theme: &DARK }.mark(Some(0)), None);
    }
}
