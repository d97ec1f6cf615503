//! `--metric` and `--format`: which series of a log is read, and how.

use anyhow::anyhow;
use clap::Args;

use entropy_history::formats::{self, Format, SeriesSelector};
use entropy_shell::{CliError, WithHint};

#[derive(Debug, Args)]
pub(in crate::cli) struct SeriesArgs {
    /// Metric key or quoted glob; repeatable [default: the best-known key].
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) metric: Vec<String>,
    /// Key of the steps [default: the best-known key].
    #[arg(long, value_name = "KEY", hide_short_help = true)]
    pub(in crate::cli) step_key: Option<String>,
    /// Log format, see `entropy-viz formats` [default: detected].
    #[arg(long, value_name = "NAME", value_parser = format_by_name)]
    pub(in crate::cli) format: Option<&'static Format>,
}

/// A selector of the series with these keys or globs; of the best-known keys if there are none.
///
/// # Errors
/// When one is not a glob pattern.
pub(in crate::cli) fn series_selector(metrics: &[String]) -> Result<SeriesSelector, CliError> {
    SeriesSelector::metrics(metrics)
        .map_err(|(text, why)| anyhow!("--metric {text:?} is not a glob pattern: {why}"))
        .hint("put * ? or [ in brackets, e.g. [*], to match the character itself")
}

fn format_by_name(name: &str) -> Result<&'static Format, String> {
    let names = || formats::FORMATS.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    formats::by_name(name).ok_or_else(|| format!("known formats are {}", names()))
}
