//! Logs that are followed, and what is to be said of their runs.

use std::time::{Instant, SystemTime};

use rayon::prelude::*;

use crate::cli::hints::failure;
use crate::tui::standing::{Standing, Terms, Turn, Turns};
use entropy_history::discover::Origin;
use entropy_history::history::{Comparison, History, Run};
use entropy_history::store::{Changes, LogStore, Problem};
use entropy_shell::Failure;

/// A look's news.
#[derive(Default)]
pub(super) struct News {
    pub(super) grew: bool,
    pub(super) aged: bool,
    pub(super) problems: Vec<Problem>,
    pub(super) turns: Vec<Turn>,
    /// Something is wrong now that was not, or no longer.
    pub(super) troubles: bool,
}

impl News {
    /// Whether a frame would look another.
    pub(super) fn is_new(&self) -> bool {
        self.grew || self.aged || self.troubles || !self.turns.is_empty()
    }
}

/// Follows logs and judges their runs.
pub(super) struct Watcher<'a> {
    pub(super) store: LogStore<'a>,
    terms: Terms,
    pub(super) standings: Vec<Standing>,
    judged: Vec<History>, // of which the standings are
    turns: Turns,
    is_first: bool,
}

impl<'a> Watcher<'a> {
    pub(super) fn new(terms: Terms, store: LogStore<'a>) -> Watcher<'a> {
        Watcher {
            store,
            terms,
            standings: Vec::new(),
            judged: Vec::new(),
            turns: Turns::default(),
            is_first: true,
        }
    }

    /// Looks at the logs.
    ///
    /// # Errors
    /// At the first look, when what was named cannot be followed.
    pub(super) fn look(&mut self) -> Result<News, Failure> {
        let changes = self.store.poll(Instant::now()).map_err(failure)?;
        let Changes { updated: grew, mut problems, errors: troubles } = changes;
        let is_first = std::mem::take(&mut self.is_first);
        if is_first {
            let is_fatal = |p: &Problem| p.origin == Origin::Named && !p.may_resolve;
            if let Some(fatal) = problems.iter().position(is_fatal) {
                return Err(failure(problems.swap_remove(fatal).error));
            }
        }
        let now = SystemTime::now();
        let runs = self.store.comparison().map_or(&[][..], Comparison::runs);
        let modified = self.store.modified();
        let mut aged = false;
        if grew {
            let judge = |(i, run): (usize, &Run)| {
                let known =
                    self.judged.get(i).is_some_and(|judged| judged.is_copy_of(&run.history));
                match known {
                    true => self.standings[i].clone(),
                    false => Standing::of(run, modified[i], &self.terms, now),
                }
            };
            self.standings = match is_first {
                true => runs.par_iter().enumerate().map(judge).collect(),
                false => runs.iter().enumerate().map(judge).collect(),
            };
            self.judged = runs.iter().map(|run| run.history.clone()).collect();
        }
        for (standing, modified) in self.standings.iter_mut().zip(modified) {
            standing.tick(*modified, &self.terms, now);
            aged |= standing.stale; // for how long is shown
        }
        for (standing, unsure) in self.standings.iter_mut().zip(self.store.provisional()) {
            standing.unsure = *unsure;
        }
        let turns = self.turns.take(&self.standings);
        Ok(News { grew, aged, problems, turns, troubles })
    }
}
