//! The argument of `--theme`.

use clap::ValueEnum;

/// A colour theme, named by its background.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ThemeName {
    Light,
    Dark,
    Transparent,
}
