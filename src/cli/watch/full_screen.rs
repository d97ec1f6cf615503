//! The runs on the full screen of the terminal.

use std::io::{self, IsTerminal};
use std::time::Instant;

use ratatui::crossterm::event::{Event, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::events::Events;
use super::exit_on::broken_rule;
use super::keys::{Key, key_action};
use super::reactions::Reactions;
use super::screen::{Mouse, Screen};
use super::signals::Signals;
use super::text_frame::palette;
use super::view_command::view_command;
use super::watcher::{Poll, Watcher};
use super::{SIGNAL_POLL, WatchArgs, WatchEnd, certain, waiting_message};
use crate::tui::frame::{Layout, render};
use crate::tui::marks::LevelLine;
use crate::tui::mouse::{Gesture, mouse_action};
use crate::tui::palette::Palette;
use crate::tui::quantity::Quantity;
use crate::tui::scene::{Listing, Message, Scene, nearest_step, span};
use crate::tui::view::{View, ViewAction};
use entropy_history::history::{Comparison, Run};
use entropy_shell::{CliError, Terminal};

/// The screen and what it shows.
pub(super) struct FullScreen<'a> {
    args: &'a WatchArgs,
    watcher: Watcher,
    palette: Palette,
    levels: Vec<LevelLine>,
    view: View,
    listing: Listing,
    quantities: Vec<Quantity>,
    /// Of the last frame.
    layout: Layout,
    /// Of `--exec` and `--notify`; cleared by a key.
    problem: Option<String>,
    /// The answer to a key; cleared by the next one.
    note: Option<String>,
    /// The command that draws the view, once the user asked for it.
    command: Option<String>,
    waiting: String,
}

/// What an event leads to.
enum Next {
    Draw,
    /// Nothing changed on the screen.
    Wait,
    Suspend,
    End(WatchEnd),
}

impl<'a> FullScreen<'a> {
    pub(super) fn new(
        args: &'a WatchArgs,
        watcher: Watcher,
        terminal: &Terminal,
    ) -> Result<FullScreen<'a>, CliError> {
        let palette = palette(args.theme.theme, terminal);
        Ok(FullScreen {
            palette,
            levels: args.levels(palette)?,
            view: args.view(),
            listing: Listing::default(),
            quantities: Vec::new(),
            layout: Layout::default(),
            problem: None,
            note: None,
            command: None,
            waiting: waiting_message(&watcher),
            args,
            watcher,
        })
    }

    /// Shows the runs until the user quits. Prints the command of the view if the user asked for it.
    pub(super) fn run(
        mut self,
        signals: &Signals,
        hooks: &mut Reactions,
        terminal: &Terminal,
    ) -> Result<WatchEnd, CliError> {
        let first = self.watcher.poll()?; // before the screen, so that an error stays visible
        let mouse = if self.args.no_mouse { Mouse::Free } else { Mouse::Captured };
        let screen = Screen::enter(mouse)?;
        let end = self.follow(first, screen, signals, hooks)?;
        if matches!(end, WatchEnd::RuleBroken(_)) {
            hooks.finish().iter().for_each(|problem| terminal.warn(problem));
        }
        if let Some(command) = &self.command {
            terminal.print(format!("{command}\n").as_bytes())?;
        }
        Ok(end)
    }

    /// Draws, polls and handles events until the end.
    fn follow(
        &mut self,
        mut news: Poll,
        mut screen: Screen,
        signals: &Signals,
        hooks: &mut Reactions,
    ) -> Result<WatchEnd, CliError> {
        let mut next_poll = Instant::now() + self.args.interval;
        let events = Events::listen()?;
        let mut dirty = true;
        loop {
            dirty |= self.take(std::mem::take(&mut news), &mut screen, hooks)?;
            if let Some(why) = broken_rule(certain(&self.watcher)) {
                return Ok(WatchEnd::RuleBroken(why));
            }
            if std::mem::take(&mut dirty)
                && let Err(error) = self.draw(&mut screen)
            {
                let is_over = must_stop(signals);
                return if is_over { Ok(WatchEnd::Interrupted) } else { Err(error.into()) };
            }
            let wait = next_poll.saturating_duration_since(Instant::now()).min(SIGNAL_POLL);
            if let Some(event) = events.next(wait)? {
                match self.handle(event) {
                    Next::Draw => dirty = true,
                    Next::Wait => {}
                    Next::Suspend => suspend(&mut screen, signals).map(|()| dirty = true)?,
                    Next::End(end) => return Ok(end),
                }
            }
            if must_stop(signals) {
                return Ok(WatchEnd::Interrupted);
            }
            if signals.take_suspend() {
                suspend(&mut screen, signals)?;
                dirty = true;
            }
            if signals.take_continue() {
                screen.resume()?;
                dirty = true;
            }
            if Instant::now() >= next_poll {
                news = self.watcher.poll()?;
                next_poll = Instant::now() + self.args.interval;
            }
        }
    }

    /// Takes the result of a poll; returns whether the screen must be drawn again.
    fn take(
        &mut self,
        news: Poll,
        screen: &mut Screen,
        hooks: &mut Reactions,
    ) -> Result<bool, CliError> {
        if self.args.bell && news.changes.iter().any(|change| change.before.is_some()) {
            screen.ring()?;
        }
        hooks.enqueue(&news.changes);
        if news.grew {
            let comparison = self.watcher.store.comparison();
            self.quantities =
                comparison.map_or(Vec::new(), |runs| self.args.with.in_terminal(runs));
        }
        let problem = hooks.run_next();
        let has_problem = problem.is_some();
        self.problem = problem.or(self.problem.take());
        Ok(news.needs_redraw() || has_problem)
    }

    fn runs(&self) -> &[Run] {
        self.watcher.store.comparison().map_or(&[][..], Comparison::runs)
    }

    fn draw(&mut self, screen: &mut Screen) -> io::Result<()> {
        self.listing = self.listing.updated(self.runs(), &self.watcher.statuses, &self.view);
        let trouble = latest_problem(self.watcher.store.errors());
        let problem = self.problem.as_deref().map(Message::Problem);
        let note = self.note.as_deref().map(Message::Note);
        let scene = Scene {
            runs: self.runs(),
            statuses: &self.watcher.statuses,
            listing: &self.listing,
            quantities: &self.quantities,
            levels: &self.levels,
            view: &self.view,
            palette: self.palette,
            change_steps: f64::from(self.args.over),
            message: problem.or(note).or(trouble.as_deref().map(Message::Problem)),
            waiting: &self.waiting,
            keys: true,
        };
        let mut layout = Layout::default();
        screen.draw(|area, buffer| layout = render(&scene, area, buffer))?;
        self.layout = layout;
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Next {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                match key_action(key, &self.view) {
                    Some(Key::Quit) => Next::End(WatchEnd::Quit),
                    Some(Key::Interrupt) => Next::End(WatchEnd::Interrupted),
                    Some(Key::Suspend) => Next::Suspend,
                    Some(Key::Write) => {
                        let has_inputs = !self.args.inputs.is_empty();
                        self.command =
                            view_command(&self.view, &self.listing, self.runs(), has_inputs);
                        self.note.clone_from(&self.command);
                        Next::Draw
                    }
                    Some(Key::View(action)) => self.apply(action),
                    None => Next::Draw,
                }
            }
            Event::Mouse(event) if !self.view.help => self.handle_mouse(event),
            Event::Resize(..) => Next::Draw,
            _ => Next::Wait,
        }
    }

    fn handle_mouse(&mut self, event: MouseEvent) -> Next {
        let gesture = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => Gesture::Click,
            MouseEventKind::ScrollUp => Gesture::WheelUp,
            MouseEventKind::ScrollDown => Gesture::WheelDown,
            _ => return Next::Wait,
        };
        let at = Position { x: event.column, y: event.row };
        match mouse_action(gesture, at, &self.layout) {
            Some(ViewAction::PointAt(step)) => match nearest_step(self.runs(), &self.view, step) {
                Some(step) => self.apply(ViewAction::PointAt(step)),
                None => Next::Wait,
            },
            Some(action) => self.apply(action),
            None => Next::Wait,
        }
    }

    fn apply(&mut self, action: ViewAction) -> Next {
        let runs = self.watcher.store.comparison().map_or(&[][..], Comparison::runs);
        self.view.apply(action, &self.listing.labels(runs), span(runs));
        (self.problem, self.note) = (None, None);
        Next::Draw
    }
}

/// Whether a signal asked to stop, or the terminal was closed, which does not always send a signal.
fn must_stop(signals: &Signals) -> bool {
    signals.is_stopped() || !io::stdout().is_terminal()
}

/// The latest of the current problems, and the number of the others.
fn latest_problem(troubles: &[String]) -> Option<String> {
    let last = troubles.last()?;
    Some(match troubles.len() {
        1 => last.clone(),
        n => format!("{last} (and {} more)", n - 1),
    })
}

#[cfg(unix)]
fn suspend(screen: &mut Screen, signals: &Signals) -> io::Result<()> {
    screen.suspend()?;
    signals.take_continue(); // the screen was restored already
    Ok(())
}

#[cfg(not(unix))]
fn suspend(_: &mut Screen, _: &Signals) -> io::Result<()> {
    Ok(())
}
