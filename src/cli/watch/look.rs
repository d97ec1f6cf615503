//! One frame as text, and the colours that the terminal has.

use std::io::{self, IsTerminal};

use ratatui::buffer::Buffer;
use ratatui::crossterm::terminal;
use ratatui::layout::Rect;

use crate::cli::theme::ThemeName;
use crate::tui::frame::{Scene, render};
use crate::tui::ink::{Depth, Ink};
use crate::tui::standing::Standing;
use crate::tui::text::{self, Codes};
use crate::tui::view::View;
use entropy_history::history::Run;
use entropy_plot::theme::{DARK, LIGHT};
use entropy_shell::Terminal;

/// What a frame that is printed shows.
pub(in crate::cli) struct Shown<'a> {
    pub(in crate::cli) runs: &'a [Run],
    pub(in crate::cli) standings: &'a [Standing],
    pub(in crate::cli) view: &'a View,
    pub(in crate::cli) over: f64,
}

/// One frame as lines of text.
pub(in crate::cli) fn frame(
    shown: &Shown<'_>,
    theme: Option<ThemeName>,
    (width, height): (u16, u16),
    terminal: &Terminal,
) -> String {
    let scene = Scene {
        runs: shown.runs,
        standings: shown.standings,
        view: shown.view,
        ink: ink(theme, terminal),
        over: shown.over,
        message: None,
        waiting: "",
        keys: false,
    };
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    render(&scene, area, &mut buffer);
    let codes = if terminal.colour() { Codes::Some } else { Codes::None };
    text::lines(&buffer, codes)
}

/// Columns and lines: those asked for, else the terminal's but for some lines, else 80 by 24.
pub(in crate::cli) fn size(width: Option<u16>, height: Option<u16>, spared: u16) -> (u16, u16) {
    let of_terminal = || io::stdout().is_terminal().then(terminal::size)?.ok();
    let (columns, lines) =
        of_terminal().filter(|(w, h)| *w >= 20 && *h >= 8).unwrap_or((80, 24 + spared));
    (width.unwrap_or(columns), height.unwrap_or(lines - spared))
}

/// The colours that the terminal has, on its ground as far as it says which.
pub(super) fn ink(theme: Option<ThemeName>, terminal: &Terminal) -> Ink {
    let is = |variable: &str, word: &str| {
        std::env::var(variable).is_ok_and(|value| value.to_lowercase().contains(word))
    };
    let depth = match () {
        () if !terminal.colour() => Depth::Plain,
        () if is("COLORTERM", "truecolor") || is("COLORTERM", "24bit") => Depth::True,
        () if is("TERM", "direct") => Depth::True,
        () if is("TERM", "256") => Depth::Indexed,
        () => Depth::Named,
    };
    // "15;0" is white on black; of the 16 colours 7 and 15 are the light ones.
    let ground = std::env::var("COLORFGBG").ok();
    let ground = ground.as_deref().and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok());
    let is_light = match theme {
        Some(theme) => theme == ThemeName::Light,
        None => matches!(ground, Some(7 | 15)),
    };
    Ink { depth, theme: if is_light { &LIGHT } else { &DARK } }
}
