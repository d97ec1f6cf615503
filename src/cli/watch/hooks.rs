//! `--exec`: runs a command when the state of a run changes, with the change in its environment.
//!
//! Labels come from files and are passed only in the environment, never as a part of the command. Commands run one
//! after another, so that if fifty runs end together, fifty programs are not started at once.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tui::run_status::StateChange;
use entropy_history::label::visible;
use entropy_shell::plural;

/// How long `watch` waits for the last commands before it ends.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

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
    running: Option<Child>,
}

impl Hooks {
    pub(super) fn new(command: Option<String>, output: HookOutput) -> Hooks {
        Hooks { command, output, queue: VecDeque::new(), running: None }
    }

    /// Adds state changes to the queue, except those of new runs.
    pub(super) fn enqueue(&mut self, changes: &[StateChange]) {
        if self.command.is_some() {
            self.queue.extend(changes.iter().filter(|change| change.before.is_some()).cloned());
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
            .env("ENTROPY_VIZ_STATE", change.now.state_name().replace(' ', "_"))
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

    /// Runs the commands of all queued changes, for at most [`FINISH_TIMEOUT`]. Returns messages about failed,
    /// still running and omitted commands.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.finish_within(FINISH_TIMEOUT)
    }

    fn finish_within(&mut self, timeout: Duration) -> Vec<String> {
        let end = Instant::now() + timeout;
        let mut problems = Vec::new();
        while Instant::now() < end {
            problems.extend(self.run_next());
            if self.running.is_none() && self.queue.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
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

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::tui::run_status::{RunStatus, StatusConfig};
    use entropy_history::history::{History, Point, Run};
    use entropy_history::quantity::EntropyKind;
    use entropy_history::stats::check::Rules;
    use entropy_history::stats::health::Thresholds;

    #[test]
    fn command_that_is_still_running_at_the_end_is_reported() {
        let points = vec![Point { step: 1.0, entropy: 2.0 }];
        let (history, _) = History::from_raw("q", EntropyKind::TokenMean, points).unwrap();
        let run = Run::new(history, "q.json", "rzero", "entropy");
        let thresholds = Thresholds::default();
        let rules = Rules::NONE;
        let config = StatusConfig { thresholds, rules, stale_after: None, change_steps: 20.0 };
        let now = RunStatus::of(&run, None, &config, SystemTime::now());
        let change = StateChange { now, before: Some("healthy") };
        let mut hooks = Hooks::new(Some("exec sleep 60".to_owned()), HookOutput::Discard);
        hooks.enqueue(&[change.clone(), change]);
        let problems = hooks.finish_within(Duration::from_millis(200));
        hooks.running.take().unwrap().kill().unwrap();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("and is still running as process "), "{problems:?}");
        assert_eq!(problems[1], "the command of --exec was not run for 1 more change");
    }
}
