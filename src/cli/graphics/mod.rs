//! `--graphics`: pictures in the terminal, by the kitty graphics protocol or as sixels.
//!
//! [`ask`] asks the terminal what it can show, [`answers`] reads its answers, and [`kitty`] wraps a PNG in the escape
//! sequences of kitty. Where neither is possible, the terminal gets text.

mod answers;
mod ask;
mod kitty;
mod screen;

use std::io::{self, IsTerminal};

use clap::ValueEnum;

pub(super) use screen::Screen;

use super::theme::ThemeName;
use answers::Answers;
use entropy_plot::Encoding;
use entropy_shell::Terminal;

/// What `--terminal` draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Graphics {
    Auto,
    Kitty,
    Sixel,
    Braille,
}

/// How a terminal is sent a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Kitty,
    Sixel,
}

/// What a chart is drawn on.
#[derive(Debug, PartialEq)]
pub(super) enum Canvas {
    /// Characters, on a background if the terminal has told it.
    Text(Option<ThemeName>),
    /// Pixels.
    Picture(Screen),
}

impl Protocol {
    /// The encoding of pictures that [`Screen::escape`] takes.
    pub(super) fn encoding(self) -> Encoding {
        match self {
            Protocol::Kitty => Encoding::Png,
            Protocol::Sixel => Encoding::Sixel,
        }
    }
}

impl Graphics {
    /// Chooses by the flag and by what the terminal says that it can show.
    pub(super) fn choose(self, terminal: &Terminal) -> Canvas {
        if self == Graphics::Braille {
            return Canvas::Text(None);
        }
        let answers = match (why_not_ask(), self) {
            (None, _) => ask::ask(),
            (Some(why), Graphics::Auto) => Err(why),
            (Some(_), _) => Ok(Answers::default()),
        };
        let answers = answers.unwrap_or_else(|why| {
            terminal.verbose(|| {
                format!("drawn as text: {why}; --graphics kitty or sixel draws a picture")
            });
            Answers::default()
        });
        let protocol = match self {
            Graphics::Kitty => Some(Protocol::Kitty),
            Graphics::Sixel => Some(Protocol::Sixel),
            _ if answers.kitty => Some(Protocol::Kitty),
            _ if answers.sixel => Some(Protocol::Sixel),
            _ => None,
        };
        match protocol {
            Some(protocol) => Canvas::Picture(Screen::new(protocol, &answers)),
            None => Canvas::Text(answers.background),
        }
    }
}

/// Why the terminal is not asked what it can show. A question to a terminal that does not understand it could be printed.
fn why_not_ask() -> Option<&'static str> {
    let is = |variable: &str, holds: &dyn Fn(&str) -> bool| {
        std::env::var_os(variable).is_some_and(|value| holds(&value.to_string_lossy()))
    };
    let is_set = |variable: &str| is(variable, &|value| !value.is_empty());
    let term =
        |names: [&str; 2]| is("TERM", &|value| names.iter().any(|name| value.starts_with(name)));
    match () {
        () if !io::stdout().is_terminal() => Some("stdout is not a terminal"),
        () if !io::stdin().is_terminal() => {
            Some("stdin is not a terminal, so the terminal cannot answer")
        }
        () if is_set("NO_COLOR") => Some("$NO_COLOR is set"),
        () if !is_set("TERM") || term(["dumb", "linux"]) => {
            Some("$TERM names no terminal with pictures")
        }
        () if is_set("TMUX") || is_set("STY") || term(["screen", "tmux"]) => {
            Some("tmux and screen do not pass pictures on")
        }
        () if is("TERM_PROGRAM", &|value| value == "Apple_Terminal") => {
            Some("this terminal shows no pictures")
        }
        () => None,
    }
}
