//! `entropy-viz watch`: follows logs while they grow, in the terminal or a browser.

mod change_line;
mod events;
mod exit_on;
mod full_screen;
mod hooks;
mod keys;
mod notify;
mod reactions;
mod screen;
mod serve;
mod signals;
mod state_key;
mod text_frame;
mod view_command;
mod watcher;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;

use super::args::values::{StaleAfter, interval, stale_after};
use super::args::{CurveArgs, HealthArgs, LevelArgs, SeriesArgs, ThemeArgs, WithArgs};
use super::hints::cli_error;
use super::storage::storage_path;
use crate::tui::marks::{LevelLine, Reach};
use crate::tui::palette::Palette;
use crate::tui::run_status::{RunStatus, StatusConfig};
use crate::tui::scene::{Listing, Scene};
use crate::tui::view::View;
use change_line::change_line;
use entropy_history::discover::Origin;
use entropy_history::number::short;
use entropy_history::store::{LoadOptions, SearchPath, Store};
use entropy_shell::{CliError, Outcome, Terminal, WithHint};
use exit_on::{ExitArgs, broken_rule};
use full_screen::FullScreen;
use notify::NotifyArgs;
use reactions::Reactions;
use serve::{ServeArgs, Service};
use signals::{Display, Signals};
pub(super) use text_frame::{frame_size, frame_text, palette};
use watcher::Watcher;

/// How often signals are polled.
const SIGNAL_POLL: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  entropy-viz watch                                 all histories below $STORAGE_PATH/models
  entropy-viz watch runs/ --smooth ema:0.9
  entropy-viz watch runs/ --with reward,kl,length
  entropy-viz watch metrics.jsonl --stale 30m
  entropy-viz watch runs/ --exec 'notify-send \"$ENTROPY_VIZ_RUN: $ENTROPY_VIZ_STATE\"'
  ENTROPY_VIZ_NOTIFY=https://hooks.slack.com/services/… entropy-viz watch runs/
  entropy-viz watch wandb/ --exit-on collapse || { [ $? -eq 1 ] && kill \"$TRAINER\"; }
  entropy-viz watch runs/ --once --width 120 --height 40
  entropy-viz watch runs/ --serve                   live page of `report` at the printed address
  entropy-viz watch runs/ --with reward,kl --serve  with panels of other quantities";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct WatchArgs {
    /// Log files, directories, quoted globs, or LABEL=INPUT [default: $STORAGE_PATH/models].
    #[arg(value_name = "INPUT")]
    inputs: Vec<OsString>,
    #[command(flatten)]
    series: SeriesArgs,
    /// Time between two checks of the logs, e.g. 500ms or 1m.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// Time without new rows after which a run is stale, or never.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = stale_after)]
    stale: StaleAfter,
    /// Steps over which the change of each run is shown.
    #[arg(long, value_name = "STEPS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    over: u32,
    #[command(flatten)]
    theme: ThemeArgs,
    /// Print one frame and exit; the default without a terminal.
    #[arg(long)]
    once: bool,
    /// Columns of the printed frame [default: as the terminal, else 80].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=1000))]
    width: Option<u16>,
    /// Lines of the printed frame [default: as the terminal, else 24].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(3..=1000))]
    height: Option<u16>,
    /// Leave the mouse to the terminal, so that it selects text.
    #[arg(long)]
    no_mouse: bool,
    #[command(flatten)]
    exit: ExitArgs,
    /// Ring the terminal bell when the state of a run changes.
    #[arg(long)]
    bell: bool,
    /// Shell command to run when the state of a run changes.
    ///
    /// Its environment has $ENTROPY_VIZ_RUN, $ENTROPY_VIZ_STATE and $ENTROPY_VIZ_STEP.
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    #[command(flatten)]
    notify: NotifyArgs,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    curves: CurveArgs,
    #[command(flatten)]
    with: WithArgs,
    #[command(flatten)]
    levels: LevelArgs,
    #[command(flatten)]
    health: HealthArgs,
}

/// Why watching ended.
enum WatchEnd {
    Quit,
    Interrupted,
    /// A run broke a rule of `--exit-on`: the message.
    RuleBroken(String),
}

impl WatchArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let webhook = if self.once { None } else { self.notify.webhook()? };
        let options = LoadOptions {
            format: self.series.format,
            metrics: self.series.metric.clone(),
            step_key: self.series.step_key.clone(),
            aux: self.with.added_to(self.serve.aux_request()),
            ..LoadOptions::default()
        };
        let config = self.status_config()?;
        let store =
            Store::follow(self.search_paths()?, &options, self.interval).map_err(cli_error)?;
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let is_screen = io::stdout().is_terminal() && !dumb;
        let reacts =
            !config.rules.is_empty() || self.exec.is_some() || self.bell || webhook.is_some();
        let mut service = self.serve.prepare(
            self.curves.smooth,
            self.curves.log_y,
            self.health.thresholds(),
            &self.with,
            &store.paths(),
        )?;
        if self.once || (!is_screen && !reacts && service.is_none()) {
            return self.once(Watcher::new(config, store), terminal);
        }
        let watcher = Watcher::new(config, store);
        let display = if is_screen && service.is_none() { Display::Screen } else { Display::Lines };
        let signals = Signals::listen(display)?;
        let mut hooks = Reactions::start(self.exec.clone(), webhook, display, terminal)?;
        let end = match display {
            Display::Screen => {
                FullScreen::new(self, watcher, terminal)?.run(&signals, &mut hooks, terminal)
            }
            Display::Lines => {
                self.in_lines(watcher, &signals, &mut hooks, service.as_mut(), terminal)
            }
        };
        hooks.finish_messages(&signals, terminal);
        let end = end?;
        if let Some(service) = &service {
            service.close();
        }
        Ok(match end {
            WatchEnd::Quit => Outcome::Done,
            WatchEnd::Interrupted => Outcome::Interrupted,
            WatchEnd::RuleBroken(why) => {
                terminal.info(&why);
                Outcome::Violated
            }
        })
    }

    fn search_paths(&self) -> Result<Vec<SearchPath>, CliError> {
        if !self.inputs.is_empty() {
            return Ok(self.inputs.iter().cloned().map(SearchPath::Argument).collect());
        }
        let Some(storage) = storage_path() else {
            return Err(anyhow!("no input is given, and $STORAGE_PATH is not set"))
                .hint("name a log file, a directory or a quoted glob, or export STORAGE_PATH");
        };
        let models = storage.join("models");
        if !models.is_dir() {
            let (models, storage) = (models.display(), storage.display());
            let error = anyhow!("directory {models} does not exist; $STORAGE_PATH is {storage}");
            return Err(error).hint("name a log or a directory: entropy-viz watch INPUT");
        }
        Ok(vec![SearchPath::Models(models)])
    }

    /// The settings for the status of runs.
    ///
    /// # Errors
    /// When limits contradict each other, or none is given for `--exit-on bounds`.
    fn status_config(&self) -> Result<StatusConfig, CliError> {
        Ok(StatusConfig {
            thresholds: self.health.thresholds(),
            rules: self.exit.rules()?,
            stale_after: self.stale.0,
            change_steps: f64::from(self.over),
        })
    }

    fn view(&self) -> View {
        View::new(self.curves.smooth, self.curves.scale(), (f64::NEG_INFINITY, f64::INFINITY))
    }

    /// The lines at the values of `--hline`, and at the limits that runs must keep.
    ///
    /// # Errors
    /// When limits contradict each other.
    fn levels(&self, palette: Palette) -> Result<Vec<LevelLine>, CliError> {
        let rules = self.exit.rules()?;
        let limits = [("min", rules.min.map(|(value, _)| value)), ("max", rules.max)];
        let limit = |(name, value): (&str, Option<f64>)| {
            let value = value?;
            let label = format!("{name} {}", short(value));
            Some(LevelLine { value, label, style: palette.alarm(), reach: Reach::AsIs })
        };
        let mut levels = self.levels.lines(palette);
        levels.extend(limits.into_iter().filter_map(limit));
        Ok(levels)
    }

    /// Prints one frame.
    fn once(&self, mut watcher: Watcher, terminal: &Terminal) -> Result<Outcome, CliError> {
        let news = watcher.poll()?;
        let mut outcome = Outcome::Done;
        for problem in news.problems {
            if problem.origin == Origin::Named {
                return Err(cli_error(problem.error));
            }
            terminal.warn(&format!("skipped: {}", problem.error));
            outcome = Outcome::Partial;
        }
        let Some(comparison) = watcher.store.comparison() else {
            return Err(anyhow!("no run with an entropy in {}", watcher.store.paths())).hint(
                "the trainer may not have logged yet; in a terminal, `watch` without --once waits for it",
            );
        };
        self.with.quantities(comparison, None, terminal)?;
        let view = self.view();
        let palette = palette(self.theme.theme, terminal);
        let scene = Scene {
            runs: comparison.runs(),
            statuses: &watcher.statuses,
            listing: &Listing::default().updated(comparison.runs(), &watcher.statuses, &view),
            quantities: &self.with.in_terminal(comparison),
            levels: &self.levels(palette)?,
            view: &view,
            palette,
            change_steps: f64::from(self.over),
            message: None,
            waiting: "",
            keys: false,
        };
        let size = frame_size(self.width, self.height, 0);
        terminal.print(frame_text(&scene, size, terminal).as_bytes())?;
        self.exit.warn_about_runs_without_state(&watcher.statuses, terminal);
        match broken_rule(&watcher.statuses) {
            Some(why) => {
                terminal.info(&why);
                Ok(Outcome::Violated)
            }
            None => Ok(outcome),
        }
    }

    /// Prints one line per change of state. Used without a terminal, and while a page is served.
    fn in_lines(
        &self,
        mut watcher: Watcher,
        signals: &Signals,
        hooks: &mut Reactions,
        mut service: Option<&mut Service>,
        terminal: &Terminal,
    ) -> Result<WatchEnd, CliError> {
        let waiting = waiting_message(&watcher);
        loop {
            let start = Instant::now();
            let news = watcher.poll()?;
            for problem in &news.problems {
                match problem.error.is_absence() && watcher.statuses.is_empty() {
                    true => terminal.info(&waiting),
                    false => terminal.warn(&format!("{}", problem.error)),
                }
            }
            if let Some(service) = &mut service {
                service.note_growth(news.grew);
                service.publish_if_due(watcher.store.comparison());
                service.start(terminal)?; // after the first read, which fails if a named log is unreadable
            }
            for change in &news.changes {
                terminal.print(format!("{}\n", change_line(change)).as_bytes())?;
            }
            if self.bell && news.changes.iter().any(|change| change.before.is_some()) {
                // The bell is optional: a closed stderr is not an error.
                let _ = io::stderr().write_all(b"\x07");
            }
            hooks.enqueue(&news.changes);
            if let Some(why) = broken_rule(certain(&watcher)) {
                hooks.finish().iter().for_each(|problem| terminal.warn(problem));
                return Ok(WatchEnd::RuleBroken(why));
            }
            loop {
                if signals.is_stopped() {
                    return Ok(WatchEnd::Interrupted);
                }
                if let Some(problem) = hooks.run_next() {
                    terminal.warn(&problem);
                }
                if let Some(service) = &mut service {
                    service.publish_if_due(watcher.store.comparison());
                }
                let left = self.interval.saturating_sub(start.elapsed());
                if left.is_zero() {
                    break;
                }
                std::thread::sleep(left.min(SIGNAL_POLL));
            }
        }
    }
}

/// The runs whose state is not provisional.
fn certain(watcher: &Watcher) -> impl Iterator<Item = &RunStatus> {
    watcher.statuses.iter().filter(|status| !status.provisional)
}

/// The message that is shown as long as there is no run.
fn waiting_message(watcher: &Watcher) -> String {
    format!("no run yet: looking for logs in {}", watcher.store.paths())
}
