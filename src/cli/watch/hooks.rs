//! What happens when the state of a run changes: a command is run, with the facts in its environment.
//!
//! The command is the user's; names of runs come from files, and are never part of it. Commands run one
//! after another, so that fifty runs that end together start no fifty programs.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tui::standing::Turn;
use entropy_history::label::visible;

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

    /// Lets the commands of the last changes end, within bounds; what went wrong, and what goes on.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.finish_within(LAST_WAIT)
    }

    fn finish_within(&mut self, time: Duration) -> Vec<String> {
        let end = Instant::now() + time;
        let mut problems = Vec::new();
        while Instant::now() < end {
            problems.extend(self.go_on());
            if self.running.is_none() && self.waiting.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(child) = &self.running {
            let seconds = time.as_secs();
            problems.push(format!(
                "the command of --exec did not end within {seconds} s and goes on, as process {}",
                child.id()
            ));
        }
        match self.waiting.len() {
            0 => {}
            1 => problems.push("the command of --exec was not run for 1 more change".to_owned()),
            n => problems.push(format!("the command of --exec was not run for {n} more changes")),
        }
        problems
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::tui::standing::{Standing, Terms};
    use entropy_history::history::{History, Point, Run};
    use entropy_history::quantity::EntropyKind;
    use entropy_history::stats::health::Thresholds;

    #[test]
    fn a_command_that_goes_on_after_the_end_is_told() {
        let points = vec![Point { step: 1.0, entropy: 2.0 }];
        let (history, _) = History::from_raw("q", EntropyKind::TokenMean, points).unwrap();
        let run = Run::new(history, "q.json", "rzero", "entropy");
        let terms = Terms { thresholds: Thresholds::default(), stale: None, over: 20.0 };
        let now = Standing::of(&run, None, &terms, SystemTime::now());
        let turn = Turn { now, before: Some("healthy") };
        let mut hooks = Hooks::new(Some("exec sleep 60".to_owned()), Output::Dropped);
        hooks.take(&[turn.clone(), turn]);
        let told = hooks.finish_within(Duration::from_millis(200));
        hooks.running.take().unwrap().kill().unwrap();
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].contains("and goes on, as process "), "{told:?}");
        assert_eq!(told[1], "the command of --exec was not run for 1 more change");
    }
}
