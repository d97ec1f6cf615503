//! A quantity such as the reward, which has a panel beside that of the entropy.

use entropy_history::history::{Comparison, History};
use entropy_plot::{Beside, ChartOptions};

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
        let runs = comparison.runs();
        let found = Beside::of((index, name), comparison, &ChartOptions::default());
        let Some(found) = found else {
            let (title, name) = (name.to_owned(), name.to_owned());
            return Quantity { name, title, histories: vec![None; runs.len()] };
        };
        let mut with_values = found.runs().iter().map(|run| &run.history).peekable();
        let history = |run: &entropy_history::history::Run| {
            with_values.next_if(|history| history.label() == run.history.label()).cloned()
        };
        let (title, name) = (found.name().to_owned(), name.to_owned());
        Quantity { name, title, histories: runs.iter().map(history).collect() }
    }
}
