//! Training stages joined into one run: R-Zero trains `questioner_v1`, then `questioner_v2` from its
//! weights, and each stage counts its steps from 1.

use std::collections::BTreeMap;
use std::sync::Arc;

use thiserror::Error;

use crate::history::{AuxSeries, History, HistoryError, Point, Run, StageBoundary};
use crate::quantity::EntropyKind;

/// Why stages cannot be joined.
#[derive(Debug, Error)]
pub enum StageError {
    /// Two stages hold different kinds of entropy.
    #[error(
        "the stages of {chain:?} hold different quantities: {first} in {first_run:?}, {other} in {other_run:?}"
    )]
    MixedKinds {
        /// The label of the joined run.
        chain: String,
        /// The kind of the first stage.
        first: &'static str,
        /// The label of the first stage.
        first_run: String,
        /// Another kind.
        other: &'static str,
        /// The label of the stage that has it.
        other_run: String,
    },
    /// Two runs are the same stage.
    #[error("{first:?} and {second:?} are both stage {stage:?} of {chain:?}")]
    SameStage {
        /// The label of the joined run.
        chain: String,
        /// The name of the stage.
        stage: String,
        /// The label of the earlier run.
        first: String,
        /// The label of the later run.
        second: String,
    },
    /// The joined points are not a history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// A run that is one stage of a joined run.
struct Stage {
    chain: String,
    name: String,
    run: Run,
}

/// Joins runs that are stages: `stage` returns for a label the name of the joined run and the name of the
/// stage, or `None` for a run to keep as it is. Stages are in natural order (`2` before `10`); a joined run takes the
/// position of its first run. Returns the runs; those that were joined name in their warnings the stages that lack a
/// quantity.
///
/// # Errors
/// When two runs are the same stage, or stages of one run hold different kinds of entropy.
pub fn concat_stages(
    runs: Vec<Run>,
    stage: impl Fn(&str) -> Option<(String, String)>,
) -> Result<Vec<Run>, StageError> {
    let mut chains: Vec<Vec<Stage>> = Vec::new();
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for run in runs {
        let Some((chain, name)) = stage(run.history.label()) else {
            let chain = run.history.label().to_owned();
            chains.push(vec![Stage { chain, name: String::new(), run }]);
            continue;
        };
        let at = *named.entry(chain.clone()).or_insert(chains.len());
        let member = Stage { chain, name, run };
        match chains.get_mut(at) {
            Some(stages) => stages.push(member),
            None => chains.push(vec![member]),
        }
    }
    chains.into_iter().map(concat).collect()
}

/// Moves each stage after the one before it, at a distance of one logging interval.
fn concat(mut stages: Vec<Stage>) -> Result<Run, StageError> {
    stages.sort_by(|a, b| alphanumeric_sort::compare_str(&a.name, &b.name));
    for pair in stages.windows(2) {
        if pair[0].name == pair[1].name {
            let label = |stage: &Stage| stage.run.history.label().to_owned();
            return Err(StageError::SameStage {
                chain: pair[0].chain.clone(),
                stage: pair[0].name.clone(),
                first: label(&pair[0]),
                second: label(&pair[1]),
            });
        }
    }
    let lacking = stages_without_quantities(&stages);
    let mut stages = stages.into_iter();
    let Stage { chain, mut run, .. } = stages.next().expect("BUG: a joined run has a stage");
    if stages.len() == 0 {
        return Ok(Run { history: run.history.relabelled(chain), ..run });
    }
    let kind = run.history.kind();
    let mut points = with_gaps(&run.history);
    for Stage { name, run: next, .. } in stages {
        if next.history.kind() != kind {
            return Err(mixed_kinds(chain, &run, &next));
        }
        let start = points[points.len() - 1].step + logging_interval(run.history.points());
        let shift = Shift { first: next.history.points()[0].step, start };
        run.stages.push(StageBoundary { step: start, stage: name });
        points.extend(
            with_gaps(&next.history).into_iter().map(|p| Point { step: shift.step(p.step), ..p }),
        );
        run.repairs += next.repairs;
        let quantities = run.quantities.iter().zip(&next.quantities);
        run.quantities = quantities
            .map(|(earlier, later)| concat_quantity(earlier.as_ref(), later.as_ref(), shift))
            .collect();
        // Time continues as the steps do, without the pause between stages.
        run.clock = concat_clock(run.clock.as_ref(), next.clock.as_ref(), shift);
        // A key that changes between stages has no value for the whole.
        run.config = run.config.zip(next.config).map(|(mut config, next)| {
            Arc::make_mut(&mut config).retain_common(&next);
            config
        });
        run.source = format!("{}, {}", run.source, next.source);
        run.warnings.extend(next.warnings);
        run.history = next.history;
    }
    run.warnings.extend(lacking);
    let (history, _) = History::from_raw(chain, kind, points)?;
    Ok(Run { history, ..run })
}

/// Sentences on the stages that lack a quantity which another stage has.
fn stages_without_quantities(stages: &[Stage]) -> Vec<String> {
    let count = stages.first().map_or(0, |stage| stage.run.quantities.len());
    let of_quantity = |index: usize| {
        let series = |stage: &Stage| stage.run.quantities.get(index).cloned().flatten();
        let metric = stages.iter().find_map(series)?.metric().to_owned();
        let without = stages.iter().filter(|stage| series(stage).is_none());
        let names: Vec<&str> = without.map(|stage| stage.name.as_str()).collect();
        let rounds = if names.len() == 1 { "round" } else { "rounds" };
        let why = "its line is drawn in the other rounds";
        (!names.is_empty())
            .then(|| format!("no value of {metric:?} in {rounds} {}: {why}", names.join(", ")))
    };
    (0..count).filter_map(of_quantity).collect()
}

/// How the steps of a stage are moved: its first step with an entropy becomes `start`.
#[derive(Clone, Copy)]
struct Shift {
    first: f64,
    start: f64,
}

impl Shift {
    fn step(self, step: f64) -> f64 {
        step - self.first + self.start
    }

    /// The rows of a series with their new steps. Rows before the first entropy of the stage are dropped.
    fn rows(self, series: &AuxSeries) -> Vec<(f64, f64)> {
        let rows = series.rows().into_iter().filter(|row| row.0 >= self.first);
        rows.map(|(step, value)| (self.step(step), value)).collect()
    }
}

/// The rows of a series of the stages so far, without those at the steps of the next stage.
fn rows_before(series: Option<&AuxSeries>, start: f64) -> Vec<(f64, f64)> {
    let rows = series.map_or(Vec::new(), AuxSeries::rows);
    rows.into_iter().filter(|row| row.0 < start).collect()
}

/// Concatenates a quantity of the stages so far and of the next one. Where a stage lacks it, its line has a gap.
fn concat_quantity(
    earlier: Option<&AuxSeries>,
    later: Option<&AuxSeries>,
    shift: Shift,
) -> Option<AuxSeries> {
    let metric = earlier.or(later)?.metric();
    let mut rows = rows_before(earlier, shift.start);
    rows.extend(later.map_or(vec![(shift.start, f64::NAN)], |later| shift.rows(later)));
    AuxSeries::from_raw(metric, rows)
}

/// Concatenates the clock of the stages so far and of the next one; `None` if either lacks it, because a part would look
/// like the whole. Time continues as the steps do, without the pause between stages.
fn concat_clock(
    earlier: Option<&AuxSeries>,
    later: Option<&AuxSeries>,
    shift: Shift,
) -> Option<AuxSeries> {
    let (earlier, moved) = (earlier?, shift.rows(later?));
    let mut rows = rows_before(Some(earlier), shift.start);
    if let (Some(last), Some(first)) = (rows.last().copied(), moved.first()) {
        let end = last.1 + median_difference(rows.iter().map(|row| row.1)).unwrap_or(0.0);
        rows.extend(moved.iter().map(|row| (row.0, row.1 - first.1 + end)));
    }
    AuxSeries::from_raw(earlier.metric(), rows)
}

/// The median difference of successive values, the upper one of two; `None` for a single value.
fn median_difference(values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let mut differences: Vec<f64> =
        values.clone().skip(1).zip(values).map(|(b, a)| b - a).collect();
    let middle = differences.len() / 2;
    (!differences.is_empty()).then(|| *differences.select_nth_unstable_by(middle, f64::total_cmp).1)
}

/// The points, with a value that is not finite at each gap.
fn with_gaps(history: &History) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::with_capacity(history.points().len());
    for segment in history.segments() {
        if let Some(last) = points.last() {
            let step = f64::midpoint(last.step, segment[0].step);
            points.push(Point { step, entropy: f64::NAN });
        }
        points.extend_from_slice(segment);
    }
    points
}

/// The median difference of successive steps; 1 for a single point.
fn logging_interval(points: &[Point]) -> f64 {
    median_difference(points.iter().map(|point| point.step)).unwrap_or(1.0)
}

fn mixed_kinds(chain: String, first: &Run, other: &Run) -> StageError {
    let name = |run: &Run| -> (&'static str, String) {
        let kind: EntropyKind = run.history.kind();
        (kind.words(), run.history.label().to_owned())
    };
    let ((first, first_run), (other, other_run)) = (name(first), name(other));
    StageError::MixedKinds { chain, first, first_run, other, other_run }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Repairs;

    fn run(label: &str, steps: &[i32]) -> Run {
        let point = |&step: &i32| Point { step: f64::from(step), entropy: f64::from(step) };
        let raw = steps.iter().map(point).collect();
        let (history, repairs) = History::from_raw(label, EntropyKind::TokenMean, raw).unwrap();
        Run { repairs, ..Run::new(history, format!("{label}.json"), "rzero", "entropy") }
    }

    fn by_version(label: &str) -> Option<(String, String)> {
        label.rsplit_once("_v").map(|(name, version)| (name.to_owned(), version.to_owned()))
    }

    fn steps(run: &Run) -> Vec<f64> {
        run.history.points().iter().map(|p| p.step).collect()
    }

    #[test]
    fn stages_are_joined_in_natural_order() {
        let runs = vec![
            run("q_v10", &[1, 2]),
            run("s_v1", &[1]),
            run("q_v2", &[5, 10, 15]),
            run("x", &[7]),
        ];
        let runs = concat_stages(runs, by_version).unwrap();
        let labels: Vec<_> = runs.iter().map(|run| run.history.label()).collect();
        assert_eq!(labels, ["q", "s", "x"]);
        assert_eq!(steps(&runs[0]), [5.0, 10.0, 15.0, 20.0, 21.0]);
        assert_eq!(runs[0].stages, [StageBoundary { step: 20.0, stage: "10".to_owned() }]);
        assert_eq!(runs[0].source, "q_v2.json, q_v10.json");
        assert_eq!((steps(&runs[2]), runs[2].stages.len()), (vec![7.0], 0));
    }

    #[test]
    fn gaps_are_kept() {
        let raw = [1.0, f64::NAN, 3.0].iter().zip(1..);
        let raw = raw.map(|(&entropy, step)| Point { step: f64::from(step), entropy }).collect();
        let (history, repairs) = History::from_raw("q_v1", EntropyKind::TokenMean, raw).unwrap();
        let first = Run { history, repairs, ..run("q_v1", &[1]) };
        let runs = concat_stages(vec![first, run("q_v2", &[1])], by_version).unwrap();
        assert_eq!(runs[0].history.segments().count(), 2);
        assert_eq!(runs[0].repairs, Repairs { not_finite: 1, ..Repairs::default() });
    }

    #[test]
    fn aux_series_of_stages_are_joined() {
        let with_aux = |label, steps: &[i32], times: &[f64]| {
            let rows = |values: &[f64]| {
                steps.iter().map(|s| f64::from(*s)).zip(values.iter().copied()).collect()
            };
            let clock = AuxSeries::from_raw("_timestamp", rows(times));
            let reward = AuxSeries::from_raw("reward", rows(&vec![0.5; times.len()]));
            Run { clock, quantities: vec![reward], ..run(label, steps) }
        };
        let runs = vec![
            with_aux("q_v1", &[1, 2, 3], &[100.0, 110.0, 120.0]),
            with_aux("q_v2", &[1, 2], &[5000.0, 5007.0]),
        ];
        let runs = concat_stages(runs, by_version).unwrap();
        let clock = runs[0].clock.as_ref().unwrap();
        let expected = [(1.0, 100.0), (2.0, 110.0), (3.0, 120.0), (4.0, 130.0), (5.0, 137.0)];
        assert_eq!(clock.values(), expected);
        assert_eq!(runs[0].quantities[0].as_ref().unwrap().at(5.0), Some(0.5));
        let half = vec![with_aux("q_v1", &[1], &[1.0]), run("q_v2", &[1])];
        assert_eq!(concat_stages(half, by_version).unwrap()[0].clock, None);
    }

    #[test]
    fn quantity_that_a_stage_lacks_is_kept_in_the_others() {
        let stage = |label: &str, values: &[(f64, f64)]| {
            let kl = AuxSeries::from_raw("kl", values.to_vec());
            Run { quantities: vec![kl], ..run(label, &[1, 2]) }
        };
        let with = [(1.0, 0.1), (2.0, f64::NAN)];
        let runs = vec![stage("q_v1", &with), stage("q_v2", &[]), stage("q_v3", &with)];
        let joined = &concat_stages(runs, by_version).unwrap()[0];
        let series = joined.quantities[0].as_ref().unwrap();
        assert_eq!(series.values(), [(1.0, 0.1), (5.0, 0.1)]);
        // The line breaks at the value that is not finite, and where the second stage begins.
        assert_eq!(series.not_finite(), [2.0, 3.0, 6.0]);
        let said = "no value of \"kl\" in round 2: its line is drawn in the other rounds";
        assert_eq!(joined.warnings, [said]);
        let first_lacks = vec![stage("q_v1", &[]), stage("q_v2", &with)];
        let joined = &concat_stages(first_lacks, by_version).unwrap()[0];
        assert_eq!(joined.quantities[0].as_ref().unwrap().values(), [(3.0, 0.1)]);
    }

    #[test]
    fn rejects_stage_given_twice() {
        let runs = vec![run("q_v1", &[1]), run("q_v1", &[2])];
        let error = concat_stages(runs, by_version).unwrap_err().to_string();
        assert!(error.contains("both stage \"1\" of \"q\""), "{error}");
    }
}
