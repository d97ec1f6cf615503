//! A quantity such as the reward, which has a panel beside that of the entropy.

use entropy_history::history::{Comparison, History, Run};
use entropy_history::quantity_runs::QuantityRuns;

/// A quantity of all runs.
#[derive(Debug, Clone)]
pub struct Quantity {
    /// Its name as the user wrote it.
    pub name: String,
    /// Its name and its keys in the logs.
    pub title: String,
    /// Its values, for each run of the comparison; `None` for a run that has none.
    pub histories: Vec<Option<History>>,
}

impl Quantity {
    /// The quantity at an index of [`Run::quantities`](entropy_history::history::Run::quantities). A quantity that no run
    /// has yet is titled with its `name` alone.
    pub fn of((index, name): (usize, &str), comparison: &Comparison) -> Quantity {
        match QuantityRuns::of((index, name), comparison) {
            Some(found) => {
                let history = |run: &Option<Run>| run.as_ref().map(|run| run.history.clone());
                let histories = found.runs().iter().map(history).collect();
                Quantity { name: name.to_owned(), title: found.title(), histories }
            }
            None => {
                let histories = vec![None; comparison.runs().len()];
                Quantity { name: name.to_owned(), title: name.to_owned(), histories }
            }
        }
    }
}
