//! Which runs have a colour, and which one. The rule is that of pictures: all of up to 12 runs have one; of more, up to
//! eight, and the others are grey.
//!
//! While runs grow, others may become the highest and lowest. A run that still has a colour keeps it.

use std::collections::BTreeMap;

use super::run_status::RunStatus;
use entropy_history::history::Run;
use entropy_plot::{Emphasis, RunColours};

/// The places in the palette of runs, by label. A run without one is grey.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunStyles(BTreeMap<String, usize>);

impl RunStyles {
    /// Chooses for the runs for which `is_shown` holds. `self` is the choice so far.
    pub fn updated(
        &self,
        runs: &[Run],
        statuses: &[RunStatus],
        is_shown: impl Fn(&str) -> bool,
    ) -> RunStyles {
        let has_many = !RunColours::names_all(runs.len());
        let is_counted = |run: &Run| !has_many || is_shown(run.history.label());
        let (counted, states): (Vec<Run>, Vec<_>) = runs
            .iter()
            .zip(statuses)
            .filter(|(run, _)| is_counted(run))
            .map(|(run, status)| (run.clone(), (status.state, status.state_step)))
            .unzip();
        let chosen = RunColours::by_state(&counted, &states, &Emphasis::default());
        let labels = counted.iter().map(|run| run.history.label());
        let named =
            labels.filter_map(|label| Some((label.to_owned(), chosen.palette_index(label)?)));
        let named: BTreeMap<String, usize> = named.collect();
        if has_many { self.kept_for(named.into_keys().collect()) } else { RunStyles(named) }
    }

    /// The places of the runs with these labels: those that they had, else the first free ones.
    fn kept_for(&self, labels: Vec<String>) -> RunStyles {
        let (known, new): (Vec<String>, Vec<String>) =
            labels.into_iter().partition(|label| self.0.contains_key(label));
        let mut places: BTreeMap<String, usize> =
            known.into_iter().filter_map(|label| Some((label.clone(), self.of(&label)?))).collect();
        for label in new {
            let free = (0..).find(|place| places.values().all(|taken| taken != place));
            places.extend(free.map(|place| (label, place)));
        }
        RunStyles(places)
    }

    /// The place of a run in the palette; `None` for a grey one.
    pub fn of(&self, label: &str) -> Option<usize> {
        self.0.get(label).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn styles(places: &[(&str, usize)]) -> RunStyles {
        RunStyles(places.iter().map(|(label, place)| ((*label).to_owned(), *place)).collect())
    }

    #[test]
    fn run_keeps_its_colour_when_another_one_gets_one() {
        let before = styles(&[("a", 0), ("b", 1), ("c", 2)]);
        let after = before.kept_for(["b", "c", "d"].map(str::to_owned).to_vec());
        assert_eq!(after, styles(&[("b", 1), ("c", 2), ("d", 0)]));
    }
}
