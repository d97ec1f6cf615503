//! What happens when the state of a run changes: a command is run, with the facts in its environment.
//!
//! The command is the user's; names of runs come from files, and are never part of it. Commands run one
//! after another, so that fifty runs that end together start no fifty programs.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::label::visible;
use crate::watch::standing::Turn;

/// How long a command may go on when the watching ends because of what it was run for.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// Where the output of commands goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Output {
    /// Nowhere: the screen is taken.
    Dropped,
    /// Where the program's own errors go.
    Stderr,
}

/// Runs a command for each change.
pub(super) struct Hooks {
    command: Option<String>,
    output: Output,
    waiting: VecDeque<Turn>,
    running: Option<Child>,
}

impl Hooks {
    pub(super) fn new(command: Option<String>, output: Output) -> Hooks {
        Hooks { command, output, waiting: VecDeque::new(), running: None }
    }

    /// Takes what has changed; a run that is seen for the first time has not.
    pub(super) fn take(&mut self, turns: &[Turn]) {
        if self.command.is_some() {
            self.waiting.extend(turns.iter().filter(|turn| turn.before.is_some()).cloned());
        }
    }

    /// Starts the next command once the last has ended; what went wrong, in words.
    pub(super) fn go_on(&mut self) -> Option<String> {
        let mut problem = None;
        if let Some(child) = &mut self.running {
            match child.try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) if status.success() => {}
                Ok(Some(status)) => {
                    problem = Some(format!("the command of --exec failed: {status}"))
                }
                Err(error) => problem = Some(format!("the command of --exec is lost: {error}")),
            }
            self.running = None;
        }
        let (Some(command), Some(turn)) = (&self.command, self.waiting.pop_front()) else {
            return problem;
        };
        let output = || match self.output {
            Output::Dropped => Stdio::null(),
            Output::Stderr => Stdio::from(std::io::stderr()),
        };
        let started = Command::new("sh")
            .args(["-c", command])
            .env("ENTROPY_VIZ_RUN", visible(&turn.now.label).as_ref())
            .env("ENTROPY_VIZ_STATE", turn.now.words().replace(' ', "_"))
            .env("ENTROPY_VIZ_STEP", turn.step().to_string())
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

    /// Lets the commands of the last changes end, within bounds.
    pub(super) fn finish(&mut self) -> Vec<String> {
        let end = Instant::now() + LAST_WAIT;
        let mut problems = Vec::new();
        while Instant::now() < end {
            problems.extend(self.go_on());
            if self.running.is_none() && self.waiting.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        problems
    }
}
