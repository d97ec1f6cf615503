//! What `watch` does about state changes besides showing them: the command of `--exec` and the message of `--notify`.

use std::time::{Duration, Instant};

use super::hooks::{HookOutput, Hooks};
use super::notify::{Notifier, Webhook};
use super::signals::{Display, Signals};
use crate::tui::run_status::StateChange;
use entropy_shell::{CliError, Terminal};

/// How long `watch` waits for the last commands and messages before it ends.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);
/// How often it looks whether they have ended.
const FINISH_POLL: Duration = Duration::from_millis(10);

/// Runs the command and sends the message for each state change.
pub(super) struct Reactions {
    hooks: Hooks,
    notifier: Option<Notifier>,
}

impl Reactions {
    /// Starts the thread that sends messages, if there is a webhook.
    ///
    /// # Errors
    /// As [`Notifier::start`].
    pub(super) fn start(
        command: Option<String>,
        webhook: Option<Webhook>,
        display: Display,
        terminal: &Terminal,
    ) -> Result<Reactions, CliError> {
        let output = match display {
            Display::Screen => HookOutput::Discard,
            Display::Lines => HookOutput::Stderr,
        };
        let notifier = webhook.map(|webhook| Notifier::start(webhook, terminal)).transpose()?;
        Ok(Reactions { hooks: Hooks::new(command, output), notifier })
    }

    /// Adds state changes to the queues, except those of new runs.
    pub(super) fn enqueue(&mut self, changes: &[StateChange]) {
        for change in changes.iter().filter(|change| change.before.is_some()) {
            self.hooks.enqueue(change);
            if let Some(notifier) = &mut self.notifier {
                notifier.enqueue(change);
            }
        }
    }

    /// Starts the next command if none is running. Returns a message if a command failed or a message was not sent.
    pub(super) fn run_next(&mut self) -> Option<String> {
        self.hooks.run_next().or_else(|| self.notifier.as_mut()?.next_problem())
    }

    /// Waits until the commands and messages of all changes have ended, for at most [`FINISH_TIMEOUT`]. Returns
    /// messages about those that failed or are left.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.finish_within(FINISH_TIMEOUT)
    }

    fn finish_within(&mut self, timeout: Duration) -> Vec<String> {
        let end = Instant::now() + timeout;
        let mut problems = Vec::new();
        while Instant::now() < end {
            problems.extend(self.run_next());
            if self.hooks.is_idle() && self.notifier.as_ref().is_none_or(Notifier::is_idle) {
                break;
            }
            std::thread::sleep(FINISH_POLL);
        }
        problems.extend(self.hooks.unfinished(timeout));
        problems.extend(self.notifier.take().and_then(|notifier| notifier.unsent()));
        problems
    }

    /// Waits for the messages, but not for the commands, when the user ended `watch`. Another signal ends the wait.
    /// Does nothing after [`finish`](Reactions::finish).
    pub(super) fn finish_messages(&mut self, signals: &Signals, terminal: &Terminal) {
        let Some(mut notifier) = self.notifier.take() else { return };
        let end = Instant::now() + FINISH_TIMEOUT;
        signals.take_stop(); // the one that ended `watch`
        if !notifier.is_idle() {
            terminal.info(&format!("waiting for {}; Ctrl-C ends this", notifier.name()));
        }
        while Instant::now() < end && !signals.is_stopped() {
            if let Some(problem) = notifier.next_problem() {
                terminal.warn(&problem);
            } else if notifier.is_idle() {
                return;
            } else {
                std::thread::sleep(FINISH_POLL);
            }
        }
        if let Some(problem) = notifier.unsent() {
            terminal.warn(&problem);
        }
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
        let command = "exec sleep 60".to_owned();
        let hooks = Hooks::new(Some(command), HookOutput::Discard);
        let mut reactions = Reactions { hooks, notifier: None };
        reactions.enqueue(&[change.clone(), change]);
        let problems = reactions.finish_within(Duration::from_millis(200));
        reactions.hooks.running.take().unwrap().kill().unwrap();
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].contains("and is still running as process "), "{problems:?}");
        assert_eq!(problems[1], "the command of --exec was not run for 1 more change");
    }
}
