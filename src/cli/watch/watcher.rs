//! Polls the logs and keeps the status of each run.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use rayon::prelude::*;

use crate::cli::hints::cli_error;
use crate::tui::pace::{Pace, Writes};
use crate::tui::run_status::{ChangeDetector, RunStatus, StateChange, StatusConfig};
use entropy_history::discover::Origin;
use entropy_history::history::{History, Run};
use entropy_history::store::{Changes, Problem, Store};
use entropy_shell::CliError;

/// The result of one poll.
#[derive(Default)]
pub(super) struct Poll {
    /// Whether any run has new points.
    pub(super) grew: bool,
    /// Whether a run is stale: its displayed idle time changes.
    pub(super) aged: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) changes: Vec<StateChange>,
    /// Whether a problem has appeared or disappeared.
    pub(super) troubles: bool,
}

impl Poll {
    /// Whether the frame must be drawn again.
    pub(super) fn needs_redraw(&self) -> bool {
        self.grew || self.aged || self.troubles || !self.changes.is_empty()
    }
}

/// Follows logs and computes the status of their runs.
pub(super) struct Watcher {
    pub(super) store: Store,
    config: StatusConfig,
    pub(super) statuses: Vec<RunStatus>,
    /// The histories that `statuses` were computed from.
    histories: Vec<History>,
    detector: ChangeDetector,
    /// When the log of each run was written to, by label.
    writes: BTreeMap<String, Writes>,
    is_first: bool,
}

impl Watcher {
    pub(super) fn new(config: StatusConfig, store: Store) -> Watcher {
        Watcher {
            store,
            config,
            statuses: Vec::new(),
            histories: Vec::new(),
            detector: ChangeDetector::default(),
            writes: BTreeMap::new(),
            is_first: true,
        }
    }

    /// Reads what was appended to the logs.
    ///
    /// # Errors
    /// At the first poll, when a named input cannot be followed.
    pub(super) fn poll(&mut self) -> Result<Poll, CliError> {
        let changes = self.store.poll(Instant::now()).map_err(cli_error)?;
        let Changes { updated: grew, mut problems, errors: troubles, .. } = changes;
        let is_first = std::mem::take(&mut self.is_first);
        if is_first {
            let is_fatal = |p: &Problem| p.origin == Origin::Named && !p.may_resolve;
            if let Some(fatal) = problems.iter().position(is_fatal) {
                return Err(cli_error(problems.swap_remove(fatal).error));
            }
        }
        let now = SystemTime::now();
        let runs = self.store.runs();
        let modified = self.store.modified();
        if grew {
            let status = |(i, run): (usize, &Run)| match self.histories.get(i) {
                Some(history) if history.is_copy_of(&run.history) => self.statuses[i].clone(),
                _ => RunStatus::of(run, modified[i], &self.config, now),
            };
            self.statuses = match is_first {
                true => runs.par_iter().enumerate().map(status).collect(),
                false => runs.iter().enumerate().map(status).collect(),
            };
            for (i, run) in runs.iter().enumerate() {
                let label = run.history.label();
                let writes = self.writes.entry(label.to_owned()).or_default();
                writes.note(modified[i], run.history.last_step());
                self.statuses[i].pace = Pace::of(run, writes, self.config.change_steps);
            }
            self.histories = runs.iter().map(|run| run.history.clone()).collect();
        }
        let facts = modified.iter().zip(self.store.provisional());
        for (status, (modified, provisional)) in self.statuses.iter_mut().zip(facts) {
            status.update_idle(*modified, &self.config, now);
            status.provisional = *provisional;
        }
        let aged = self.statuses.iter().any(|status| status.stale);
        let changes = self.detector.detect(&self.statuses);
        Ok(Poll { grew, aged, problems, changes, troubles })
    }
}
