//! `entropy-viz plot`: entropy curves, one line per run.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::anyhow;
use clap::Args;

use super::args::ChartArgs;
use super::chart_hints::print_hints;
use super::charts::{ChartKind, ChartRequest, draw, stats_path};
use super::inputs::InputArgs;
use super::target::Target;
use super::watch::{frame_size, frame_text, palette};
use crate::tui::run_status::{RunStatus, StatusConfig};
use crate::tui::scene::{Listing, Scene};
use crate::tui::view::View;
use entropy_history::stats::check::Rules;
use entropy_plot::StatsChart;
use entropy_shell::{CliError, Outcome, Terminal, WithHint};

/// Steps over which `--terminal` shows the change of a run, as in `watch`.
const CHANGE_OVER: f64 = 20.0;

const EXAMPLES: &str = "\
Examples:
  entropy-viz plot run.json
  entropy-viz plot q.json s.json --labels Questioner Solver --with-stats
  entropy-viz plot a=x.json b=y.json --smooth ema:0.9 --theme dark -o curves.svg
  entropy-viz plot wandb/ logs/tensorboard --x time
  entropy-viz plot run.jsonl --with reward,kl,length
  entropy-viz plot models --group 'questioner|solver' --band se
  cat run.json | entropy-viz plot - -o - --output-format pdf > run.pdf

With --from-step and --to-step, statistics are of the steps shown; states (healthy, falling,
collapsed, …) are always those of the whole run.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct PlotArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// Picture: .png, .svg, .pdf, or - for stdout.
    #[arg(short, long, value_name = "FILE", default_value = "entropy_plot.png")]
    output: PathBuf,
    /// Draw the statistics too, in <stem>_stats.<ext>.
    #[arg(long)]
    with_stats: bool,
    /// The flag of the Python script, which draws three panels of bars.
    #[arg(long = "with_stats", hide = true)]
    with_bars: bool,
    /// Draw the curves as text on stdout instead of a picture.
    #[arg(long, conflicts_with_all = ["output", "with_stats", "with_bars", "legend", "vline", "paper", "styles", "save_style"])]
    terminal: bool,
    #[command(flatten)]
    chart: ChartArgs,
}

impl PlotArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        self.chart.validate()?;
        if self.terminal {
            return self.print(terminal);
        }
        let output = Target::new(&self.output);
        let encoding = self.chart.picture.encoding(&output)?;
        let with_stats = self.with_stats || self.with_bars;
        if output == Target::Stdout && with_stats {
            return Err(anyhow!("two pictures cannot both go to stdout"))
                .hint("name a file with -o");
        }
        let aux = self.chart.with.added_to(self.chart.x_axis.aux_request());
        let aux = self.chart.groups.added_to(aux);
        let (comparison, outcome) = self.inputs.load_with(aux, terminal)?;
        let comparison = self.chart.select.choose(comparison, terminal)?;
        let (comparison, x_axis) = self.chart.x_axis.reindex(&comparison, terminal)?;
        let kinds = match with_stats {
            true => &[ChartKind::Curves, ChartKind::Stats][..],
            false => &[ChartKind::Curves],
        };
        self.chart.groups.warn_ungrouped(&comparison, " and not drawn", terminal)?;
        let request = ChartRequest {
            args: &self.chart,
            x_axis,
            kinds,
            encodings: &[encoding],
            stats_chart: self.with_bars.then_some(StatsChart::Bars),
        };
        draw(&comparison, &request, terminal, |_, kind| match kind {
            ChartKind::Curves => output.clone(),
            ChartKind::Stats => Target::File(stats_path(&self.output)),
        })?;
        print_hints(&comparison, &self.chart, terminal);
        Ok(outcome)
    }

    /// Prints the curves as text.
    fn print(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let ChartArgs { x_axis, steps, curves, health, picture, marks, .. } = &self.chart;
        if self.chart.emphasis.is_given() || self.chart.facets.is_given() {
            return Err(anyhow!(
                "--highlight, --color and --facet are for pictures, not for --terminal"
            ))
            .hint("leave them out, or choose runs with --select");
        }
        let aux = self.chart.with.added_to(x_axis.aux_request());
        let (comparison, outcome) = self.inputs.load_with(aux, terminal)?;
        let comparison = self.chart.select.choose(comparison, terminal)?;
        let (comparison, _) = x_axis.reindex(&comparison, terminal)?;
        let window = steps.window(&comparison, terminal)?;
        let comparison = window.map_or(comparison, |window| window.whole);
        let config = StatusConfig {
            rules: Rules::NONE,
            thresholds: health.thresholds(),
            stale_after: None,
            change_steps: CHANGE_OVER,
        };
        let now = SystemTime::now();
        let statuses: Vec<RunStatus> =
            comparison.runs().iter().map(|run| RunStatus::of(run, None, &config, now)).collect();
        self.chart.with.quantities(&comparison, None, terminal)?;
        let view = View::new(curves.smooth, curves.scale(), steps.limits());
        let palette = palette(picture.theme.theme, terminal);
        let scene = Scene {
            runs: comparison.runs(),
            statuses: &statuses,
            listing: &Listing::default().updated(comparison.runs(), &statuses, &view),
            quantities: &self.chart.with.in_terminal(&comparison),
            levels: &marks.levels(palette),
            view: &view,
            palette,
            change_steps: CHANGE_OVER,
            message: None,
            waiting: "",
            keys: false,
        };
        let text = frame_text(&scene, frame_size(None, None, 2), terminal);
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}
