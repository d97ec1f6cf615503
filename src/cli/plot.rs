//! `entropy-viz plot`: line curves, one a run.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use rayon::prelude::*;

use super::Outcome;
use super::chart::{ChartArgs, Target, stats_beside, target, write};
use super::failure::{Failure, WithHint};
use super::inputs::InputArgs;
use super::terminal::Terminal;
use crate::history::Comparison;
use crate::plot::Encoding;
use crate::stats::{Analysis, analyse};

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
        let charts = if self.with_stats { &BOTH[..] } else { &BOTH[..1] };
        draw(&comparison, &self.chart, &[encoding], charts, terminal, |_, chart| match chart {
            Chart::Curves => output.clone(),
            Chart::Stats => Target::File(stats_beside(&self.output)),
        })?;
        Ok(outcome)
    }
}

/// Both pictures.
pub(super) const BOTH: [Chart; 2] = [Chart::Curves, Chart::Stats];

/// Which of the two pictures.
#[derive(Clone, Copy)]
pub(super) enum Chart {
    Curves,
    Stats,
}

/// Draws the curves, and the statistics if asked for, side by side in each encoding, then writes
/// them: nothing is written when one of them fails. Returns the analysis of the steps shown.
pub(super) fn draw(
    comparison: &Comparison,
    args: &ChartArgs,
    encodings: &[Encoding],
    charts: &[Chart],
    terminal: &Terminal,
    target: impl Fn(Encoding, Chart) -> Target,
) -> Result<Analysis, Failure> {
    let start = Instant::now();
    let window = args.window(comparison, terminal)?;
    // Curves take all points of the runs shown: what is smoothed starts where the run does.
    let (whole, cut) = window.as_ref().map_or((comparison, comparison), |w| (&w.whole, &w.cut));
    let whole_analysis = analyse(whole);
    let cut_analysis = window.as_ref().map(|_| analyse(cut));
    let shown = cut_analysis.as_ref().unwrap_or(&whole_analysis);
    terminal.explain(|| format!("analysed in {:.1?}", start.elapsed()));

    let start = Instant::now();
    let studio = args.studio(whole, terminal)?;
    let drawn: Vec<_> = charts
        .par_iter()
        .map(|&chart| {
            let picture = match chart {
                Chart::Curves => studio.curves(whole, &whole_analysis),
                Chart::Stats => studio.bars(cut, shown),
            };
            let encode = |&encoding: &Encoding| Ok((encoding, studio.encode(&picture, encoding)?));
            let files: Result<Vec<_>, Failure> = encodings.iter().map(encode).collect();
            (chart, picture.warnings, files)
        })
        .collect();
    terminal.explain(|| format!("drawn in {:.1?}", start.elapsed()));
    let mut files = Vec::new();
    for (chart, warnings, encoded) in drawn {
        warnings.iter().for_each(|warning| terminal.warn(warning));
        files
            .extend(encoded?.into_iter().map(|(encoding, bytes)| (target(encoding, chart), bytes)));
    }
    for (target, bytes) in &files {
        write(target, bytes, terminal)?;
    }
    Ok(cut_analysis.unwrap_or(whole_analysis))
}
