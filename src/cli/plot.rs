//! `entropy-viz plot`: line curves, one a run.

use std::path::PathBuf;
use std::time::{Instant, SystemTime};

use anyhow::anyhow;
use clap::Args;

use super::chart::{ChartArgs, Target, stats_beside, target, write};
use super::groups::{BandArgs, GroupArgs};
use super::health::HealthArgs;
use super::inputs::InputArgs;
use super::watch::{Shown, frame, size};
use super::x_axis::XAxisArgs;
use crate::tui::standing::{Standing, Terms};
use entropy_history::history::Comparison;
use entropy_history::stats::{Analysis, analyse, analyse_window};
use entropy_history::x_axis::XAxis;
use entropy_plot::{Encoding, Picture};
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::{Failure, WithHint};

/// Steps over which `--terminal` tells the change, as `watch` does.
const CHANGE_OVER: f64 = 20.0;

const EXAMPLES: &str = "\
Examples:
  entropy-viz plot run.json
  entropy-viz plot q.json s.json --labels Questioner Solver --with-stats
  entropy-viz plot a=x.json b=y.json --smooth ema:0.9 --theme dark -o curves.svg
  entropy-viz plot wandb/ logs/tensorboard --x time
  entropy-viz plot models --group 'questioner|solver' --band se
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
    /// Draw the curves as text on stdout, and write no picture.
    #[arg(long, conflicts_with_all = ["output", "with_stats"])]
    terminal: bool,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    chart: ChartArgs,
    #[command(flatten)]
    across: XAxisArgs,
    #[command(flatten)]
    groups: GroupArgs,
    #[command(flatten)]
    bands: BandArgs,
}

impl Plot {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        self.chart.check()?;
        if self.terminal {
            return self.print(terminal);
        }
        let output = target(&self.output);
        let encoding = self.chart.encoding(&output)?;
        if output == Target::Stdout && self.with_stats {
            return Err(anyhow!("two pictures do not go to stdout")).hint("name a file with -o");
        }
        let (comparison, outcome) = self.inputs.load_with(self.across.aux_request(), terminal)?;
        let (comparison, across) = self.across.reindex(&comparison, terminal)?;
        let charts = if self.with_stats { Charts::Both } else { Charts::Curves };
        self.groups.tell_ungrouped(&comparison, " and not drawn", terminal)?;
        let looks = Looks {
            chart: &self.chart,
            health: &self.health,
            across,
            groups: &self.groups,
            bands: &self.bands,
        };
        draw(&comparison, &looks, &[encoding], charts, terminal, |_, chart| match chart {
            Chart::Curves => output.clone(),
            Chart::Stats => Target::File(stats_beside(&self.output)),
        })?;
        Ok(outcome)
    }

    /// Draws the curves as text.
    fn print(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let (comparison, outcome) = self.inputs.load_with(self.across.aux_request(), terminal)?;
        let (comparison, _) = self.across.reindex(&comparison, terminal)?;
        let window = self.chart.window(&comparison, terminal)?;
        let comparison = window.map_or(comparison, |window| window.whole);
        let terms = Terms { thresholds: self.health.thresholds(), stale: None, over: CHANGE_OVER };
        let now = SystemTime::now();
        let standings: Vec<Standing> =
            comparison.runs().iter().map(|run| Standing::of(run, None, &terms, now)).collect();
        let shown = Shown {
            runs: comparison.runs(),
            standings: &standings,
            view: &self.chart.view(),
            over: CHANGE_OVER,
        };
        let text = frame(&shown, self.chart.theme_if_given(), size(None, None, 2), terminal);
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}

/// How pictures are drawn.
pub(super) struct Looks<'a> {
    pub(super) chart: &'a ChartArgs,
    pub(super) health: &'a HealthArgs,
    pub(super) across: XAxis,
    pub(super) groups: &'a GroupArgs,
    pub(super) bands: &'a BandArgs,
}

/// What is drawn.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Charts {
    Curves,
    Both,
}

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
    looks: &Looks<'_>,
    encodings: &[Encoding],
    charts: Charts,
    terminal: &Terminal,
    target: impl Fn(Encoding, Chart) -> Target,
) -> Result<Analysis, Failure> {
    let start = Instant::now();
    let &Looks { chart, health, across, groups, bands } = looks;
    let window = chart.window(comparison, terminal)?;
    // Curves take all points of the runs shown: what is smoothed starts where the run does.
    let (whole, cut) = window.as_ref().map_or((comparison, comparison), |w| (&w.whole, &w.cut));
    let grouped = groups.grouped(Some(bands), whole)?;
    let studio = chart.studio_across(whole, across, terminal)?.with_groups(grouped);
    let (curves, (whole_analysis, cut_analysis)) = rayon::join(
        || studio.curves(whole),
        || {
            let thresholds = health.thresholds();
            let cut = window.as_ref().map(|window| analyse_window(window, &thresholds));
            (analyse(whole, &thresholds), cut)
        },
    );
    let curves = curves?;
    let shown = cut_analysis.as_ref().unwrap_or(&whole_analysis);
    terminal.verbose(|| format!("analysed and laid out in {:.1?}", start.elapsed()));

    let start = Instant::now();
    let encode_all = |picture: Picture| {
        let encode = |&encoding: &Encoding| Ok((encoding, studio.encode(&picture, encoding)?));
        let files: Result<Vec<_>, Failure> = encodings.iter().map(encode).collect();
        (picture.warnings, files)
    };
    let (curves, stats) = rayon::join(
        || encode_all(curves.picture(&whole_analysis)),
        || (charts == Charts::Both).then(|| encode_all(studio.bars(cut, shown))),
    );
    let drawn = [(Chart::Curves, Some(curves)), (Chart::Stats, stats)];
    terminal.verbose(|| format!("drawn in {:.1?}", start.elapsed()));
    let mut files = Vec::new();
    for (chart, (warnings, encoded)) in drawn.into_iter().filter_map(|(c, d)| Some((c, d?))) {
        warnings.iter().for_each(|warning| terminal.warn(warning));
        files
            .extend(encoded?.into_iter().map(|(encoding, bytes)| (target(encoding, chart), bytes)));
    }
    for (target, bytes) in &files {
        write(target, bytes, terminal)?;
    }
    Ok(cut_analysis.unwrap_or(whole_analysis))
}
