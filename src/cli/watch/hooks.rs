//! `--exec`: runs a command when the state of a run changes, with the change in its environment.
//!
//! Labels come from files and are passed only in the environment, never as a part of the command. Commands run one
//! after another, so that if fifty runs end together, fifty programs are not started at once.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::state_key::state_key;
use crate::tui::run_status::StateChange;
use entropy_history::label::visible;
use entropy_shell::plural;

/// Where the output of the commands goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HookOutput {
    /// It is discarded: the terminal shows the screen.
    Discard,
    /// To the standard error of this program.
    Stderr,
}

/// Runs the command for each state change.
pub(super) struct Hooks {
    command: Option<String>,
    output: HookOutput,
    queue: VecDeque<StateChange>,
    pub(super) running: Option<Child>,
}

impl Hooks {
    pub(super) fn new(command: Option<String>, output: HookOutput) -> Hooks {
        Hooks { command, output, queue: VecDeque::new(), running: None }
    }

    pub(super) fn enqueue(&mut self, change: &StateChange) {
        if self.command.is_some() {
            self.queue.push_back(change.clone());
        }
    }

    /// Starts the next command if none is running. Returns a message if a command failed or could not be started.
    pub(super) fn run_next(&mut self) -> Option<String> {
        let mut problem = None;
        if let Some(child) = &mut self.running {
            match child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => {
                    problem = Some(format!("the command of --exec failed: {status}"))
                }
                Err(error) => {
                    problem = Some(format!("cannot wait for the command of --exec: {error}"))
                }
            }
            self.running = None;
        }
        let (Some(command), Some(change)) = (&self.command, self.queue.pop_front()) else {
            return problem;
        };
        let output = || match self.output {
            HookOutput::Discard => Stdio::null(),
            HookOutput::Stderr => Stdio::from(std::io::stderr()),
        };
        let started = Command::new("sh")
            .args(["-c", command])
            .env("ENTROPY_VIZ_RUN", visible(&change.now.label).as_ref())
            .env("ENTROPY_VIZ_STATE", state_key(change.now.state_name()))
            .env("ENTROPY_VIZ_STEP", change.step().to_string())
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .spawn();
        match started {
            Ok(child) => self.running = Some(child),
            Err(error) => problem = Some(format!("cannot run the command of --exec: {error}")),
        }
        problem
    }

    /// Whether no command is running or queued.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_none() && self.queue.is_empty()
    }

    /// Messages about the commands that are still running or queued after `timeout`.
    pub(super) fn unfinished(&self, timeout: Duration) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(child) = &self.running {
            let seconds = timeout.as_secs();
            problems.push(format!(
                "the command of --exec did not end within {seconds} s and is still running as process {}",
                child.id()
            ));
        }
        if !self.queue.is_empty() {
            let changes = plural(self.queue.len(), "more change", "more changes");
            problems.push(format!("the command of --exec was not run for {changes}"));
        }
        problems
    }
}
