//! The argument of `--theme`.

use clap::ValueEnum;

/// A colour theme, named by its background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ThemeName {
    Light,
    Dark,
    Transparent,
}

impl ThemeName {
    /// The theme that fits the background of the terminal: by `$COLORFGBG`, else dark.
    pub(super) fn of_terminal() -> ThemeName {
        // "15;0" is white on black; of the 16 colours 7 and 15 are light.
        let colours = std::env::var("COLORFGBG").ok();
        let background =
            colours.as_deref().and_then(|value| value.rsplit(';').next()?.parse().ok());
        match background {
            Some(7u8 | 15) => ThemeName::Light,
            _ => ThemeName::Dark,
        }
    }
}
