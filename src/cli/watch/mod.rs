//! `entropy-viz watch`: training as it happens, in the terminal or a browser.

mod events;
mod hooks;
mod keys;
mod look;
mod screen;
mod serve;
mod signals;
mod watcher;

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use ratatui::crossterm::event::{Event, KeyEventKind};

use super::health::HealthArgs;
use super::hints::failure;
use super::load::format_by_name;
use super::report::REPORT_AUX;
use crate::tui::frame::span;
use crate::tui::standing::{Standing, Terms, Turn};
use crate::tui::view::View;
use entropy_history::discover::Origin;
use entropy_history::formats::Format;
use entropy_history::history::Comparison;
use entropy_history::number::{exact, short};
use entropy_history::stats::health::State;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::store::{AuxRequest, LoadOptions, LogLoader, LogStore, SearchPath};
use entropy_plot::ValueScale;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::{Failure, WithHint};
use events::Events;
use hooks::{Hooks, Output};
use keys::{Key, meaning};
pub(super) use look::{Shown, ThemeName, frame, size};
use screen::Screen;
use serve::{ServeArgs, Service};
use signals::{Display, Signals};
use watcher::{News, Watcher};

/// Signals are looked at so often.
const BLINK: Duration = Duration::from_millis(200);

const EXAMPLES: &str = "\
Examples:
  entropy-viz watch                                 every history below $STORAGE_PATH/models
  entropy-viz watch runs/ --smooth ema:0.9
  entropy-viz watch metrics.jsonl --stale 30m --exec 'notify-send \"$ENTROPY_VIZ_RUN: $ENTROPY_VIZ_STATE\"'
  entropy-viz watch wandb/ --exit-on collapse > states.txt || kill \"$TRAINER\"
  entropy-viz watch runs/ --once --width 120 --height 40
  entropy-viz watch runs/ --serve                   the page of `report`, live, at the address that is printed";

/// Shows runs while they grow.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Watch {
    /// Log files, directories, quoted globs, or LABEL=INPUT [default: $STORAGE_PATH/models].
    #[arg(value_name = "INPUT")]
    inputs: Vec<OsString>,
    /// The series to take, where a log has several: a key, or a quoted glob; may be given again for
    /// more series.
    #[arg(long, value_name = "KEY")]
    metric: Vec<String>,
    /// The format of the logs, instead of recognising it (see `entropy-viz formats`).
    #[arg(long, value_name = "NAME", value_parser = format_by_name)]
    format: Option<&'static Format>,
    /// Time between two looks at the logs, as 500ms, 1s or 1m.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = interval)]
    interval: Duration,
    /// A run is stale when nothing was appended to its log for so long, as 90s, 10m or 2h; or never.
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = silence)]
    stale: Silence,
    /// Steps over which the change of each run is told.
    #[arg(long, value_name = "STEPS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    over: u32,
    /// Smoothing to begin with: none, ema:WEIGHT, twema:WEIGHT, mean:POINTS or gaussian:STEPS.
    #[arg(long, value_name = "KIND", default_value = "none")]
    smooth: Smoothing,
    /// A logarithmic y axis to begin with.
    #[arg(long)]
    log_y: bool,
    /// Colours for a dark or a light ground [default: what the terminal says, else dark].
    #[arg(long, value_enum)]
    theme: Option<ThemeName>,
    /// Print one frame and leave; without a terminal this is the default.
    #[arg(long)]
    once: bool,
    /// Columns of the frame that is printed [default: those of the terminal, else 80].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(20..=1000))]
    width: Option<u16>,
    /// Lines of the frame that is printed [default: those of the terminal, else 24].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(3..=1000))]
    height: Option<u16>,
    /// Leave with 1 as soon as a run has collapsed or exploded; without a terminal, print a line for
    /// each change of a state until then.
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    exit_on: Vec<ExitOn>,
    /// Ring the terminal's bell when the state of a run changes.
    #[arg(long)]
    bell: bool,
    /// Run a command with sh when the state of a run changes; $ENTROPY_VIZ_RUN, $ENTROPY_VIZ_STATE and
    /// $ENTROPY_VIZ_STEP say which, what and where.
    #[arg(long, value_name = "CMD")]
    exec: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
    #[command(flatten)]
    health: HealthArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExitOn {
    /// It fell to a share of its start and stayed down.
    Collapse,
    /// It rose to a multiple of its start and stayed up.
    Explode,
}

impl ExitOn {
    fn is(self, state: State) -> bool {
        match self {
            ExitOn::Collapse => state == State::Collapsed,
            ExitOn::Explode => state == State::Exploded,
        }
    }
}

/// The silence after which a run is stale; none: never.
#[derive(Debug, Clone, Copy)]
struct Silence(Option<Duration>);

fn silence(text: &str) -> Result<Silence, String> {
    match text {
        "never" => Ok(Silence(None)),
        _ => duration(text).map(|time| Silence(Some(time))),
    }
}

fn interval(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let bounds = Duration::from_millis(50)..=Duration::from_secs(3600);
    if bounds.contains(&time) { Ok(time) } else { Err("it is from 50ms to 1h".to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    let units = [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0)];
    let parse = |(unit, seconds): &(&str, f64)| {
        let number = text.strip_suffix(unit)?.trim().parse::<f64>().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok().filter(|time| !time.is_zero())
    };
    let time = units.iter().find_map(parse);
    time.ok_or_else(|| "a time is a number over 0 with ms, s, m, h or d, as 10m".to_owned())
}

/// What ended the watching.
enum End {
    Left,
    Interrupted,
    /// A run is in a state that was to end it.
    Reached(String),
}

impl Watch {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let aux = if self.serve.is_asked() { REPORT_AUX } else { AuxRequest::default() };
        let metrics = self.metric.clone();
        let options = LoadOptions { format: self.format, metrics, aux, ..LoadOptions::default() };
        let selector = options.selector().map_err(failure)?;
        let loader = LogLoader::new(&options, &selector);
        let store = LogStore::new(self.search_paths()?, loader, self.interval);
        let dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let taken = io::stdout().is_terminal() && !dumb;
        let asked = !self.exit_on.is_empty() || self.exec.is_some() || self.bell;
        let mut service = self.serve.prepare(self, &store.paths())?;
        if self.once || (!taken && !asked && service.is_none()) {
            return self.once(store, terminal);
        }
        let watcher = Watcher::new(self.terms(), store);
        let display = if taken && service.is_none() { Display::Screen } else { Display::Lines };
        let signals = Signals::listen(display)?;
        let end = match display {
            Display::Screen => self.on_screen(watcher, &signals, terminal)?,
            Display::Lines => self.in_lines(watcher, &signals, service.as_mut(), terminal)?,
        };
        if let Some(service) = &service {
            service.end();
        }
        Ok(match end {
            End::Left => Outcome::Done,
            End::Interrupted => Outcome::Interrupted,
            End::Reached(why) => {
                terminal.info(&why);
                Outcome::Violated
            }
        })
    }

    fn search_paths(&self) -> Result<Vec<SearchPath>, Failure> {
        if !self.inputs.is_empty() {
            return Ok(self.inputs.iter().cloned().map(SearchPath::Argument).collect());
        }
        let Some(storage) = std::env::var_os("STORAGE_PATH").filter(|path| !path.is_empty()) else {
            return Err(anyhow!("no input is given, and $STORAGE_PATH is not set"))
                .hint("name a log file, a directory or a quoted glob, or export STORAGE_PATH");
        };
        let models: PathBuf = Path::new(&storage).join("models");
        if !models.is_dir() {
            let told = storage.to_string_lossy().into_owned();
            return Err(anyhow!(
                "cannot look into {}: there is no such directory; $STORAGE_PATH is {told}",
                models.display()
            ))
            .hint("entropy-viz watch INPUT");
        }
        Ok(vec![SearchPath::Models(models)])
    }

    fn terms(&self) -> Terms {
        Terms {
            thresholds: self.health.thresholds(),
            stale: self.stale.0,
            over: f64::from(self.over),
        }
    }

    fn view(&self) -> View {
        let scale = if self.log_y { ValueScale::Log } else { ValueScale::Linear };
        View::new(self.smooth, scale, (f64::NEG_INFINITY, f64::INFINITY))
    }

    /// Prints one frame.
    fn once(&self, store: LogStore<'_>, terminal: &Terminal) -> Result<Outcome, Failure> {
        let mut watcher = Watcher::new(self.terms(), store);
        let news = watcher.look()?;
        let mut outcome = Outcome::Done;
        for problem in news.problems {
            if problem.origin == Origin::Named {
                return Err(failure(problem.error));
            }
            terminal.warn(&format!("skipped: {}", problem.error));
            outcome = Outcome::Partial;
        }
        let Some(comparison) = watcher.store.comparison() else {
            return Err(anyhow!("no run with an entropy in {}", watcher.store.paths())).hint(
                "the trainer may not have logged yet; without --once a terminal waits for it",
            );
        };
        let shown = Shown {
            runs: comparison.runs(),
            standings: &watcher.standings,
            view: &self.view(),
            over: f64::from(self.over),
        };
        let size = size(self.width, self.height, 0);
        terminal.print(frame(&shown, self.theme, size, terminal).as_bytes())?;
        match self.reached(&watcher.standings) {
            Some(why) => {
                terminal.info(&why);
                Ok(Outcome::Violated)
            }
            None => Ok(outcome),
        }
    }

    /// Why to leave, if a run is in a state to leave on.
    fn reached<'s>(&self, standings: impl IntoIterator<Item = &'s Standing>) -> Option<String> {
        let is_one = |s: &&Standing| self.exit_on.iter().any(|exit| exit.is(s.state));
        let standing = standings.into_iter().find(is_one)?;
        let step =
            standing.state_step.map_or(String::new(), |s| format!(" from step {} on", exact(s)));
        Some(format!("{} {}{step}", standing.label, standing.state.words()))
    }

    /// Prints a line for each change, without a terminal or beside a page.
    fn in_lines(
        &self,
        mut watcher: Watcher<'_>,
        signals: &Signals,
        mut service: Option<&mut Service>,
        terminal: &Terminal,
    ) -> Result<End, Failure> {
        let mut hooks = Hooks::new(self.exec.clone(), Output::Stderr);
        let waiting = waiting(&watcher);
        loop {
            let start = Instant::now();
            let news = watcher.look()?;
            for problem in &news.problems {
                match problem.error.is_absence() && watcher.standings.is_empty() {
                    true => terminal.info(&waiting),
                    false => terminal.warn(&format!("{}", problem.error)),
                }
            }
            if let Some(service) = &mut service {
                service.take(news.grew);
                service.go_on(watcher.store.comparison());
                service.start(terminal)?; // once what is named has turned out to be readable
            }
            for turn in &news.turns {
                terminal.print(format!("{}\n", line(turn)).as_bytes())?;
            }
            if self.bell && news.turns.iter().any(|turn| turn.before.is_some()) {
                // Nobody may be there to hear it.
                let _ = io::stderr().write_all(b"\x07");
            }
            hooks.take(&news.turns);
            if let Some(why) = self.reached(sure(&watcher)) {
                hooks.finish().iter().for_each(|problem| terminal.warn(problem));
                return Ok(End::Reached(why));
            }
            loop {
                if signals.is_stopped() {
                    return Ok(End::Interrupted);
                }
                if let Some(problem) = hooks.go_on() {
                    terminal.warn(&problem);
                }
                if let Some(service) = &mut service {
                    service.go_on(watcher.store.comparison());
                }
                let left = self.interval.saturating_sub(start.elapsed());
                if left.is_zero() {
                    break;
                }
                std::thread::sleep(left.min(BLINK));
            }
        }
    }

    /// Takes the terminal over until the user leaves.
    fn on_screen(
        &self,
        mut watcher: Watcher<'_>,
        signals: &Signals,
        terminal: &Terminal,
    ) -> Result<End, Failure> {
        let mut news = watcher.look()?; // what is wrong at the start is said where it can be read later
        let ink = look::ink(self.theme, terminal);
        let mut hooks = Hooks::new(self.exec.clone(), Output::Dropped);
        let mut view = self.view();
        let mut message: Option<String> = None; // of commands; a key takes it away
        let mut next = Instant::now() + self.interval;
        let waiting = waiting(&watcher);
        let mut screen = Screen::take()?;
        let events = Events::listen()?;
        let mut dirty = true;
        loop {
            if self.bell && news.turns.iter().any(|turn| turn.before.is_some()) {
                screen.ring()?;
            }
            hooks.take(&news.turns);
            if let Some(problem) = hooks.go_on() {
                message = Some(problem);
                dirty = true;
            }
            dirty |= news.is_new();
            if let Some(why) = self.reached(sure(&watcher)) {
                drop(screen);
                hooks.finish().iter().for_each(|problem| terminal.warn(problem));
                return Ok(End::Reached(why));
            }
            news = News::default();

            if dirty {
                let drawn = screen.draw(|area, buffer| {
                    let runs = watcher.store.comparison().map_or(&[][..], Comparison::runs);
                    let trouble = trouble(watcher.store.errors());
                    let scene = crate::tui::frame::Scene {
                        runs,
                        standings: &watcher.standings,
                        view: &view,
                        ink,
                        over: f64::from(self.over),
                        message: message.as_deref().or(trouble.as_deref()),
                        waiting: &waiting,
                        keys: true,
                    };
                    crate::tui::frame::render(&scene, area, buffer);
                });
                if let Err(error) = drawn {
                    return if is_left(signals) { Ok(End::Interrupted) } else { Err(error.into()) };
                }
                dirty = false;
            }

            let wait = next.saturating_duration_since(Instant::now()).min(BLINK);
            if let Some(event) = events.next(wait)? {
                match event {
                    Event::Key(key) if key.kind != KeyEventKind::Release => {
                        match meaning(key, &view) {
                            Some(Key::Leave) => return Ok(End::Left),
                            Some(Key::Interrupt) => return Ok(End::Interrupted),
                            Some(Key::Suspend) => suspend(&mut screen, signals)?,
                            Some(Key::Act(act)) => {
                                let runs =
                                    watcher.store.comparison().map_or(&[][..], Comparison::runs);
                                let labels: Vec<&str> =
                                    runs.iter().map(|r| r.history.label()).collect();
                                view.act(act, &labels, span(runs));
                                message = None;
                            }
                            None => {}
                        }
                    }
                    _ => {} // a new size is drawn for below
                }
                dirty = true;
            }
            if is_left(signals) {
                return Ok(End::Interrupted);
            }
            if signals.take_suspend() {
                suspend(&mut screen, signals)?;
                dirty = true;
            }
            if signals.take_continue() {
                screen.resume()?;
                dirty = true;
            }
            if Instant::now() >= next {
                news = watcher.look()?;
                next = Instant::now() + self.interval;
            }
        }
    }
}

/// Whether a signal came to leave, or the terminal went away, which not every program is told.
fn is_left(signals: &Signals) -> bool {
    signals.is_stopped() || !io::stdout().is_terminal()
}

/// What went wrong last and still is so, and how much more is.
fn trouble(troubles: &[String]) -> Option<String> {
    let last = troubles.last()?;
    Some(match troubles.len() {
        1 => last.clone(),
        n => format!("{last} (and {} more)", n - 1),
    })
}

/// How those runs stand of which that is certain.
fn sure<'s>(watcher: &'s Watcher<'_>) -> impl Iterator<Item = &'s Standing> {
    watcher.standings.iter().filter(|standing| !standing.unsure)
}

/// What stands for the runs until there is one.
fn waiting(watcher: &Watcher<'_>) -> String {
    format!("no run yet: looking for logs in {}", watcher.store.paths())
}

#[cfg(unix)]
fn suspend(screen: &mut Screen, signals: &Signals) -> io::Result<()> {
    screen.suspend()?;
    signals.take_continue(); // the screen was taken over again already
    Ok(())
}

#[cfg(not(unix))]
fn suspend(_: &mut Screen, _: &Signals) -> io::Result<()> {
    Ok(())
}

/// What has changed, as a line.
fn line(turn: &Turn) -> String {
    let Standing { label, last, state_step, .. } = &turn.now;
    let before = turn.before.map_or(String::new(), |before| format!("{before} → "));
    let step = state_step.map_or(String::new(), |s| format!(" from step {} on", exact(s)));
    let label = entropy_history::label::visible(label);
    let (value, at) = (short(last.entropy), exact(last.step));
    format!("{label}: {before}{}{step}, {value} at step {at}", turn.now.words())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_secs(5400)));
        for bad in ["10", "m", "0s", "-1s", "nans", "1e99d", "10 minutes"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert!(interval("1ms").is_err() && interval("2h").is_err());
        assert!(silence("never").unwrap().0.is_none());
    }
}
