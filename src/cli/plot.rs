//! `entropy-viz plot`: line curves, one a run.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::Outcome;
use super::chart::{ChartArgs, Target, stats_beside, target, window, write};
use super::failure::{Failure, WithHint};
use super::inputs::InputArgs;
use super::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  entropy-viz plot run.json
  entropy-viz plot q.json s.json --labels Questioner Solver --with-stats
  entropy-viz plot a=x.json b=y.json --smooth ema:0.9 --theme dark -o curves.svg
  cat run.json | entropy-viz plot - -o - --output-format pdf > run.pdf";

/// Draws line curves.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Plot {
    #[command(flatten)]
    inputs: InputArgs,
    /// The picture to write: .png, .svg or .pdf, or - for stdout.
    #[arg(short, long, value_name = "FILE", default_value = "entropy_plot.png")]
    output: PathBuf,
    /// Draw the statistics too, as `<stem>_stats.<ext>`.
    #[arg(long, alias = "with_stats")]
    with_stats: bool,
    #[command(flatten)]
    chart: ChartArgs,
}

impl Plot {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        self.chart.check()?;
        let output = target(&self.output);
        let encoding = self.chart.encoding(&output)?;
        if output == Target::Stdout && self.with_stats {
            return Err(anyhow!("two pictures do not go to stdout")).hint("name a file with -o");
        }
        let (comparison, outcome) = self.inputs.load(terminal)?;
        draw(&comparison, &self.chart, &[encoding], self.with_stats, terminal, |_, chart| {
            match chart {
                Chart::Curves => output.clone(),
                Chart::Stats => Target::File(stats_beside(&self.output)),
            }
        })?;
        Ok(outcome)
    }
}

/// Which of the two pictures.
#[derive(Clone, Copy)]
pub(super) enum Chart {
    Curves,
    Stats,
}

/// Draws the curves, and the statistics if asked for, side by side in each encoding, then writes
/// them: nothing is written when one of them fails.
pub(super) fn draw(
    comparison: &crate::history::Comparison,
    chart: &ChartArgs,
    encodings: &[crate::plot::Encoding],
    with_stats: bool,
    terminal: &Terminal,
    target: impl Fn(crate::plot::Encoding, Chart) -> Target,
) -> Result<(), Failure> {
    let (cut, analysis) = window(comparison, chart.steps(), terminal)?;
    let studio = chart.studio(comparison, terminal)?;
    let cut_studio = chart.studio(&cut, terminal)?;
    let encode_all = |studio: &super::chart::Studio<'_>, picture: &crate::plot::Picture| {
        let encode = |e: &crate::plot::Encoding| Ok((*e, studio.encode(picture, *e)?));
        encodings.iter().map(encode).collect::<Result<Vec<_>, Failure>>()
    };
    let ((curves, curve_files), stats) = rayon::join(
        || {
            let picture = studio.curves();
            let files = encode_all(&studio, &picture);
            (picture, files)
        },
        || {
            with_stats.then(|| {
                let picture = cut_studio.bars(&analysis);
                let files = encode_all(&cut_studio, &picture);
                (picture, files)
            })
        },
    );
    let mut files = Vec::new();
    for warning in &curves.warnings {
        terminal.warn(warning);
    }
    files.extend(curve_files?.into_iter().map(|(e, bytes)| (target(e, Chart::Curves), bytes)));
    if let Some((picture, stats_files)) = stats {
        for warning in &picture.warnings {
            terminal.warn(warning);
        }
        files.extend(stats_files?.into_iter().map(|(e, bytes)| (target(e, Chart::Stats), bytes)));
    }
    for (target, bytes) in &files {
        write(target, bytes, terminal)?;
    }
    Ok(())
}
