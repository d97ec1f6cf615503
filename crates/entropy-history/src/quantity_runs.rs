//! Another quantity of the runs of a comparison, as histories that can be drawn like the entropy.

use crate::history::{Comparison, History, Point, Run};
use crate::quantity::EntropyKind;
use crate::quantity_names::named;

/// A quantity that is drawn below the entropy.
#[derive(Debug, Clone)]
pub struct QuantityRuns {
    name: String,
    keys: Vec<String>,
    runs: Vec<Option<Run>>,
}

impl QuantityRuns {
    /// The quantity at an index of [`Run::quantities`], as `name`; `None` if no run of the comparison has it.
    pub fn of((index, name): (usize, &str), comparison: &Comparison) -> Option<QuantityRuns> {
        let runs = comparison.runs().iter().map(|run| quantity_of(run, index));
        let runs: Vec<Option<Run>> = runs.collect();
        let mut keys: Vec<String> =
            runs.iter().flatten().map(|run: &Run| run.metric.clone()).collect();
        keys.sort_unstable();
        keys.dedup();
        (!keys.is_empty()).then(|| QuantityRuns { name: name.to_owned(), keys, runs })
    }

    /// The name that the user gave.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The keys under which the runs log it.
    pub fn keys(&self) -> String {
        self.keys.join(" | ")
    }

    /// The name with the keys, or the keys alone if the name says no more.
    pub fn title(&self) -> String {
        let is_key = self.name.contains(['*', '?', '[']) || self.keys == [self.name.as_str()];
        if is_key { self.keys() } else { format!("{} · {}", self.name, self.keys()) }
    }

    /// The unit of its values, if it is known.
    pub fn unit(&self) -> Option<&'static str> {
        named(&self.name)?.unit
    }

    /// For each run of the comparison one whose history holds the quantity; `None` for a run without it.
    pub fn runs(&self) -> &[Option<Run>] {
        &self.runs
    }

    /// The runs that have it.
    pub fn comparison(&self) -> Comparison {
        let runs = self.runs.iter().flatten().cloned().collect();
        Comparison::new(runs)
            .expect("BUG: at least one run has the quantity, and labels are unique")
    }

    /// The labels of the runs of the same comparison that lack it.
    pub fn labels_without<'c>(&self, comparison: &'c Comparison) -> Vec<&'c str> {
        let runs = comparison.runs().iter().zip(&self.runs);
        runs.filter(|(_, own)| own.is_none()).map(|(run, _)| run.history.label()).collect()
    }

    /// The members of a group that have it, as indices among the runs that have it.
    pub fn members(&self, group: &[usize]) -> Vec<usize> {
        let has = |index: &&usize| self.runs[**index].is_some();
        let place = |index: &usize| self.runs[..*index].iter().flatten().count();
        group.iter().filter(has).map(place).collect()
    }
}

/// The run with the quantity as its history.
fn quantity_of(run: &Run, index: usize) -> Option<Run> {
    let series = run.quantities.get(index)?.as_ref()?;
    let rows = series.rows().into_iter();
    let points = rows.map(|(step, entropy)| Point { step, entropy }).collect();
    let kind = EntropyKind::OtherMetric;
    let (history, repairs) = History::from_raw(run.history.label(), kind, points).ok()?;
    Some(Run { history, repairs, metric: series.metric().to_owned(), ..run.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::AuxSeries;

    fn run(label: &str, key: &str, rows: &[(f64, f64)]) -> Run {
        let point = Point { step: 1.0, entropy: 2.0 };
        let (history, _) = History::from_raw(label, EntropyKind::TokenMean, vec![point]).unwrap();
        let quantities = vec![AuxSeries::from_raw(key, rows.to_vec())];
        Run { quantities, ..Run::new(history, "x.jsonl", "verl", "entropy") }
    }

    #[test]
    fn quantity_is_a_history_with_gaps_and_names_what_lacks_it() {
        let rows = [(1.0, 0.1), (2.0, f64::INFINITY), (3.0, 0.3)];
        let runs =
            vec![run("a", "kl", &rows), run("b", "kl", &[]), run("c", "actor/kl_loss", &rows)];
        let comparison = Comparison::new(runs).unwrap();
        let kl = QuantityRuns::of((0, "kl"), &comparison).unwrap();
        assert_eq!((kl.title().as_str(), kl.unit()), ("kl · actor/kl_loss | kl", Some("nats")));
        assert_eq!(kl.labels_without(&comparison), ["b"]);
        assert_eq!(kl.members(&[1, 2]), [1]);
        let history = &kl.runs()[0].as_ref().unwrap().history;
        assert_eq!((history.points().len(), history.segments().count()), (2, 2));
        assert!(QuantityRuns::of((1, "lr"), &comparison).is_none());
    }
}
