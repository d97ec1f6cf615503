//! `entropy-viz plot`: entropy curves, one line per run.

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::anyhow;
use clap::Args;

use super::args::ChartArgs;
use super::chart_hints::print_hints;
use super::charts::{ChartKind, ChartRequest, draw, stats_path};
use super::graphics::{Canvas, Graphics, Screen};
use super::inputs::InputArgs;
use super::target::Target;
use super::theme::ThemeName;
use super::watch::{frame_size, frame_text, palette};
use crate::tui::run_status::{RunStatus, StatusConfig};
use crate::tui::scene::{Listing, Scene};
use crate::tui::view::View;
use entropy_history::stats::check::Rules;
use entropy_plot::{Encoding, StatsChart};
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
  entropy-viz plot runs --terminal
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
    /// Draw the curves in the terminal instead of a file.
    #[arg(long, conflicts_with_all = ["output", "with_stats", "with_bars", "save_style", "output_format", "outline_text", "dpi"])]
    terminal: bool,
    /// What --terminal draws: auto, kitty, sixel or braille.
    ///
    /// kitty and sixel: the picture, in terminals that show it. braille: text. auto: asks the terminal what it can show; without
    /// a terminal, in tmux and screen, and with NO_COLOR, braille.
    #[arg(
        long,
        value_name = "HOW",
        value_enum,
        default_value_t = Graphics::Auto,
        hide_possible_values = true,
        requires = "terminal"
    )]
    graphics: Graphics,
    #[command(flatten)]
    chart: ChartArgs,
}

/// Which pictures to draw.
struct Pictures<'a> {
    kinds: &'a [ChartKind],
    encoding: Encoding,
    /// The screen that they are fitted to; `None` for files.
    screen: Option<&'a Screen>,
}

impl PlotArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        self.chart.validate()?;
        if self.terminal {
            return match self.graphics.choose(terminal) {
                Canvas::Picture(screen) => self.show(&screen, terminal),
                Canvas::Text(background) => self.print(background, terminal),
            };
        }
        let output = Target::new(&self.output);
        let encoding = self.chart.picture.encoding(&output)?;
        let with_stats = self.with_stats || self.with_bars;
        if output == Target::Stdout && with_stats {
            return Err(anyhow!("two pictures cannot both go to stdout"))
                .hint("name a file with -o");
        }
        let kinds = match with_stats {
            true => &[ChartKind::Curves, ChartKind::Stats][..],
            false => &[ChartKind::Curves],
        };
        let pictures = Pictures { kinds, encoding, screen: None };
        self.draw(&pictures, terminal, |kind, bytes| match kind {
            ChartKind::Curves => output.write(bytes, terminal),
            ChartKind::Stats => Target::File(stats_path(&self.output)).write(bytes, terminal),
        })
    }

    /// Draws the curves as a picture in the terminal.
    fn show(&self, screen: &Screen, terminal: &Terminal) -> Result<Outcome, CliError> {
        let encoding = screen.protocol().encoding();
        let pictures = Pictures { kinds: &[ChartKind::Curves], encoding, screen: Some(screen) };
        self.draw(&pictures, terminal, |_, bytes| terminal.print(&screen.escape(bytes)))
    }

    /// Loads the runs, and draws pictures of them.
    fn draw(
        &self,
        pictures: &Pictures<'_>,
        terminal: &Terminal,
        write: impl Fn(ChartKind, &[u8]) -> Result<(), CliError>,
    ) -> Result<Outcome, CliError> {
        let aux = self.chart.with.added_to(self.chart.x_axis.aux_request());
        let aux = self.chart.groups.added_to(aux);
        let (comparison, outcome) = self.inputs.load_with(aux, terminal)?;
        let comparison = self.chart.select.choose(comparison, terminal)?;
        let (comparison, x_axis) = self.chart.x_axis.reindex(&comparison, terminal)?;
        self.chart.groups.warn_ungrouped(&comparison, " and not drawn", terminal)?;
        let request = ChartRequest {
            args: &self.chart,
            x_axis,
            kinds: pictures.kinds,
            encodings: &[pictures.encoding],
            stats_chart: self.with_bars.then_some(StatsChart::Bars),
            screen: pictures.screen,
        };
        draw(&comparison, &request, terminal, |_, kind, bytes| write(kind, bytes))?;
        print_hints(&comparison, &self.chart, terminal);
        Ok(outcome)
    }

    /// Reports flags that text cannot show.
    ///
    /// # Errors
    /// When the text would not show what they ask for.
    fn check_text(&self, terminal: &Terminal) -> Result<(), CliError> {
        let (needed, rest) = self.chart.only_for_pictures();
        if !needed.is_empty() {
            let flags = needed.join(", ");
            return Err(anyhow!("cannot draw text with {flags}: only pictures show this")).hint(
                "--graphics kitty or sixel draws a picture in a terminal that shows it, and -o FILE writes one",
            );
        }
        if !rest.is_empty() {
            terminal.warn(&format!("drawn as text, without {}", rest.join(", ")));
        }
        Ok(())
    }

    /// Prints the curves as text, on a background that the terminal may have told.
    fn print(
        &self,
        background: Option<ThemeName>,
        terminal: &Terminal,
    ) -> Result<Outcome, CliError> {
        let ChartArgs { x_axis, steps, curves, health, picture, marks, .. } = &self.chart;
        self.check_text(terminal)?;
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
        let palette = palette(picture.theme.theme.or(background), terminal);
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
