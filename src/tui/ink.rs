//! The colours of a terminal: all of them, 256, 16 or none, and how runs stay apart in each.
//!
//! Runs have the colours of every other picture. With 256 colours the nearest counts; 16 have names and
//! no fixed look, so runs take them in turn. Without colours a run's curve carries its mark.

use ratatui::style::{Color, Modifier, Style};

use entropy_history::stats::health::State;
use entropy_plot::theme::{Rgb, Theme};

/// How many colours a terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
    /// The 16 of every terminal.
    Named,
    /// None.
    Plain,
}

/// Colours for runs and texts on one kind of ground.
#[derive(Debug, Clone, Copy)]
pub struct Ink {
    /// What the terminal has.
    pub depth: Depth,
    /// The colours to come near to.
    pub theme: &'static Theme,
}

/// In an order that keeps neighbours apart; black, white and greys are for texts.
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

/// Marks of runs where there is no colour.
const MARKS: &[u8; 52] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Stretches of dots that are drawn and left out in turn: as the dashes of every other picture.
const DASHES: [&[usize]; 4] = [&[], &[8, 4], &[2, 3], &[10, 3, 2, 3]];
/// How these look beside a name.
const SAMPLES: [&str; 4] = ["━━", "╍╍", "┅┅", "━╍"];

impl Ink {
    /// The colour of the run at `index`.
    pub fn run(&self, index: usize) -> Style {
        match self.depth {
            Depth::Plain => Style::new(),
            Depth::Named => Style::new().fg(NAMED[index % NAMED.len()]),
            Depth::True => self.of(self.theme.style(index).line),
            Depth::Indexed => Style::new().fg(Color::Indexed(self.indexed(index))),
        }
    }

    /// The nearest of 256 that no run before has.
    fn indexed(&self, index: usize) -> u8 {
        let mut taken: Vec<u8> = Vec::new();
        for earlier in 0..=index % NAMED.len() {
            taken.push(nearest(self.theme.style(earlier).line, &taken));
        }
        taken[taken.len() - 1]
    }

    /// The logged curve behind a smoothed one.
    pub fn faint(&self, index: usize) -> Style {
        match self.depth {
            Depth::Plain | Depth::Named => self.run(index).add_modifier(Modifier::DIM),
            Depth::True | Depth::Indexed => self.of(self.theme.style(index).faint),
        }
    }

    /// Texts that are not the first to be read.
    pub fn quiet(&self) -> Style {
        match self.depth {
            Depth::Plain => Style::new(),
            Depth::Named => Style::new().add_modifier(Modifier::DIM),
            Depth::True | Depth::Indexed => self.of(self.theme.muted),
        }
    }

    /// What needs looking at.
    pub fn alarm(&self) -> Style {
        self.word(Color::Red)
    }

    /// The style of a state in words.
    pub fn state(&self, state: State, stale: bool) -> Style {
        match state {
            State::Collapsed | State::Exploded => self.word(Color::Red),
            _ if stale => self.quiet(),
            State::Falling | State::NotRecorded => self.word(Color::Yellow),
            State::Healthy => self.word(Color::Green),
            State::TooShort => self.quiet(),
        }
    }

    fn word(&self, colour: Color) -> Style {
        match self.depth {
            Depth::Plain => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new().fg(colour),
        }
    }

    fn of(&self, colour: Rgb) -> Style {
        Style::new().fg(match self.depth {
            Depth::True => Color::Rgb(colour.0, colour.1, colour.2),
            _ => Color::Indexed(nearest(colour, &[])),
        })
    }

    /// What stands for the run before its name: a piece of its line, or its mark.
    pub fn sample(&self, index: usize) -> String {
        match self.depth {
            Depth::Plain => format!("{} ", self.mark(index).unwrap_or(' ')),
            _ => SAMPLES[(index / NAMED.len()) % SAMPLES.len()].to_owned(),
        }
    }

    /// The letter that stands on the run's curve, where there is no colour.
    pub fn mark(&self, index: usize) -> Option<char> {
        let mark = char::from(MARKS[index % MARKS.len()]);
        (self.depth == Depth::Plain).then_some(mark)
    }

    /// Dots that are drawn and left out in turn; empty for a solid line.
    pub fn dash(&self, index: usize) -> &'static [usize] {
        match self.depth {
            Depth::Plain => &[],
            _ => DASHES[(index / NAMED.len()) % DASHES.len()],
        }
    }
}

/// The nearest of xterm's colours from 16 on, a cube of 6 × 6 × 6 and 24 greys, without those taken.
fn nearest(Rgb(r, g, b): Rgb, taken: &[u8]) -> u8 {
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
    let free = cube.chain(greys).filter(|(index, _)| !taken.contains(index));
    let best = free.min_by_key(|(_, colour)| squared(*colour));
    best.expect("BUG: there are colours").0
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_plot::theme::{DARK, LIGHT};

    #[test]
    fn the_nearest_of_256_is_xterms() {
        // From xterm's 256colres.h: 16 is black, 21 is 0000ff, 196 is ff0000, 244 is 808080.
        assert_eq!(nearest(Rgb(0, 0, 0), &[]), 16);
        assert_eq!(nearest(Rgb(0, 0, 255), &[]), 21);
        assert_eq!(nearest(Rgb(255, 0, 0), &[]), 196);
        assert_eq!(nearest(Rgb(0x7f, 0x80, 0x80), &[]), 244);
    }

    #[test]
    fn no_two_of_the_first_ten_runs_have_one_colour() {
        for theme in [&LIGHT, &DARK] {
            for depth in [Depth::True, Depth::Indexed, Depth::Named] {
                let ink = Ink { depth, theme };
                for i in 0..10 {
                    assert!((0..i).all(|j| ink.run(i) != ink.run(j)), "{depth:?} {i}");
                    assert_ne!(ink.dash(i), ink.dash(i + 10));
                }
            }
        }
    }

    #[test]
    fn without_colour_runs_have_marks() {
        let ink = Ink { depth: Depth::Plain, theme: &DARK };
        assert_eq!((ink.run(3), ink.mark(0), ink.mark(51)), (Style::new(), Some('A'), Some('z')));
        assert_eq!(Ink { depth: Depth::True, theme: &DARK }.mark(0), None);
    }
}
