//! `--exit-on`: the rules that end `watch` when a run breaks them.

use anyhow::anyhow;
use clap::{Args, ValueEnum};

use crate::cli::args::BoundArgs;
use crate::tui::run_status::RunStatus;
use entropy_history::label::visible;
use entropy_history::stats::check::Rules;
use entropy_history::stats::health::State;
use entropy_shell::{CliError, Terminal, WithHint};

#[derive(Debug, Args)]
pub(super) struct ExitArgs {
    /// Exit 1 as soon as a run has one of these states, or crosses a limit.
    ///
    /// A limit such as --min-entropy counts even without `--exit-on bounds`. Errors exit 2 and interrupts 130, so a
    /// script that stops a training must test for 1. Without a terminal, prints one line per change of state until
    /// then.
    #[arg(long, value_enum, value_name = "LIST", value_delimiter = ',')]
    exit_on: Vec<ExitOn>,
    #[command(flatten)]
    bounds: BoundArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExitOn {
    /// The entropy fell below a fraction of its start and stayed there.
    Collapse,
    /// The entropy rose above a multiple of its start and stayed there.
    #[value(alias = "explosion")]
    Explode,
    /// The entropy is falling towards a collapse.
    Falling,
    /// A logged value crossed a limit: --min-entropy, --max-entropy, --max-drop or --preset.
    Bounds,
}

impl ExitArgs {
    /// The rules; none without flags.
    ///
    /// # Errors
    /// When limits contradict each other, or none is given for `--exit-on bounds`.
    pub(super) fn rules(&self) -> Result<Rules, CliError> {
        let bounds = self.bounds.rules()?;
        if self.exit_on.contains(&ExitOn::Bounds) && !self.bounds.is_given() {
            return Err(anyhow!("--exit-on bounds needs a limit"))
                .hint("give one, such as --min-entropy 0.1");
        }
        let state = |exit: &ExitOn| match exit {
            ExitOn::Collapse => Some(State::Collapsed),
            ExitOn::Explode => Some(State::Exploded),
            ExitOn::Falling => Some(State::Falling),
            ExitOn::Bounds => None,
        };
        let states = self.exit_on.iter().filter_map(state).collect();
        Ok(Rules { states, ..bounds })
    }

    /// Warns about runs that cannot have a state, so that `--exit-on` never ends for them.
    pub(super) fn warn_about_runs_without_state(
        &self,
        statuses: &[RunStatus],
        terminal: &Terminal,
    ) {
        if self.exit_on.is_empty() {
            return;
        }
        for status in statuses.iter().filter(|status| status.state.is_none()) {
            let label = visible(&status.label);
            terminal.warn(&format!("{label} has no state for --exit-on: see entropy-viz stats"));
        }
    }
}

/// The message about the first run that breaks a rule of `--exit-on`; `None` if there is none.
pub(super) fn broken_rule<'s>(statuses: impl IntoIterator<Item = &'s RunStatus>) -> Option<String> {
    let broken = |status: &RunStatus| {
        Some(format!("{}: {}", visible(&status.label), status.violation.as_ref()?))
    };
    statuses.into_iter().find_map(broken)
}
