//! Rounds of training laid end to end: R-Zero trains `questioner_v1`, then `questioner_v2` from its
//! weights, and each round counts its steps from 1.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::history::{AuxSeries, History, HistoryError, Point, Run, StageBoundary};
use crate::quantity::EntropyKind;

/// Why rounds do not make a chain.
#[derive(Debug, Error)]
pub enum StageError {
    /// Two rounds hold different quantities.
    #[error(
        "the rounds of {chain:?} hold different quantities: {first} in {first_run:?}, {other} in {other_run:?}"
    )]
    MixedKinds {
        /// The chain.
        chain: String,
        /// The kind of the first round.
        first: &'static str,
        /// The first round.
        first_run: String,
        /// Another kind.
        other: &'static str,
        /// The round that has it.
        other_run: String,
    },
    /// Two runs are the same round of a chain.
    #[error("{first:?} and {second:?} are both round {round:?} of {chain:?}")]
    SameRound {
        /// The chain.
        chain: String,
        /// The round.
        round: String,
        /// The earlier run.
        first: String,
        /// The later run.
        second: String,
    },
    /// The steps laid end to end are no curve.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// A run with its place in a chain.
struct Round {
    chain: String,
    round: String,
    run: Run,
}

/// Joins the runs that `place` gives the name of a chain and a round, in the order of the rounds
/// (`2` before `10`); a chain stands where its first run stood, other runs stay as they are. Returns
/// the runs, and how many chains there are.
pub fn concat_stages(
    runs: Vec<Run>,
    place: impl Fn(&str) -> Option<(String, String)>,
) -> Result<(Vec<Run>, usize), StageError> {
    let mut chains: Vec<Vec<Round>> = Vec::new();
    let mut named: BTreeMap<String, usize> = BTreeMap::new();
    for run in runs {
        let Some((chain, round)) = place(run.history.label()) else {
            let chain = run.history.label().to_owned();
            chains.push(vec![Round { chain, round: String::new(), run }]);
            continue;
        };
        let at = *named.entry(chain.clone()).or_insert(chains.len());
        let member = Round { chain, round, run };
        match chains.get_mut(at) {
            Some(rounds) => rounds.push(member),
            None => chains.push(vec![member]),
        }
    }
    let runs = chains.into_iter().map(end_to_end);
    Ok((runs.collect::<Result<_, _>>()?, named.len()))
}

/// Moves each round behind the one before it, one logging interval on.
fn end_to_end(mut rounds: Vec<Round>) -> Result<Run, StageError> {
    rounds.sort_by(|a, b| alphanumeric_sort::compare_str(&a.round, &b.round));
    for pair in rounds.windows(2) {
        if pair[0].round == pair[1].round {
            let label = |round: &Round| round.run.history.label().to_owned();
            return Err(StageError::SameRound {
                chain: pair[0].chain.clone(),
                round: pair[0].round.clone(),
                first: label(&pair[0]),
                second: label(&pair[1]),
            });
        }
    }
    let mut rounds = rounds.into_iter();
    let Round { chain, mut run, .. } = rounds.next().expect("BUG: a chain has a round");
    if rounds.len() == 0 {
        return Ok(Run { history: run.history.relabelled(chain), ..run });
    }
    let kind = run.history.kind();
    let mut points = with_gaps(&run.history);
    for Round { round, run: next, .. } in rounds {
        if next.history.kind() != kind {
            return Err(mixed(chain, &run, &next));
        }
        let behind = points[points.len() - 1].step + interval(run.history.points());
        let first = next.history.points()[0].step;
        run.joints.push(StageBoundary { step: behind, round });
        points.extend(
            with_gaps(&next.history)
                .into_iter()
                .map(|p| Point { step: p.step - first + behind, ..p }),
        );
        run.repairs += next.repairs;
        // What was logged before the first entropy of a round, or after its last, has no place there.
        let moved = |beside: &AuxSeries| -> Vec<(f64, f64)> {
            let rows = beside.values().iter().filter(|row| row.0 >= first);
            rows.map(|(step, value)| (step - first + behind, *value)).collect()
        };
        run.reward = joined(run.reward, next.reward, behind, moved, |_, row| row.1);
        // Time goes on as the steps do, without what passed between the rounds.
        run.clock =
            joined(run.clock, next.clock, behind, moved, |(end, start), row| row.1 - start + end);
        run.source = format!("{}, {}", run.source, next.source);
        run.warnings.extend(next.warnings);
        run.history = next.history;
    }
    let (history, _) = History::from_raw(chain, kind, points)?;
    Ok(Run { history, ..run })
}

/// What stands beside a chain and its next round, which `moved` puts behind step `behind`; where one
/// has none, neither has the whole: a part would be taken for all. `value` is told which value follows
/// the last of the chain as the first of the round, and what that one is.
fn joined(
    chain: Option<AuxSeries>,
    round: Option<AuxSeries>,
    behind: f64,
    moved: impl Fn(&AuxSeries) -> Vec<(f64, f64)>,
    value: impl Fn((f64, f64), (f64, f64)) -> f64,
) -> Option<AuxSeries> {
    let (chain, moved) = (chain?, moved(&round?));
    let mut rows: Vec<(f64, f64)> =
        chain.values().iter().copied().filter(|row| row.0 < behind).collect();
    if let (Some(last), Some(first)) = (rows.last().copied(), moved.first()) {
        let end = last.1 + typical_pause(&rows);
        rows.extend(moved.iter().map(|row| (row.0, value((end, first.1), *row))));
    }
    AuxSeries::from_raw(chain.metric(), rows)
}

/// From one value to the next, as the median; 0 for a single row.
fn typical_pause(rows: &[(f64, f64)]) -> f64 {
    let mut pauses: Vec<f64> = rows.windows(2).map(|w| w[1].1 - w[0].1).collect();
    if pauses.is_empty() {
        return 0.0;
    }
    let middle = pauses.len() / 2;
    *pauses.select_nth_unstable_by(middle, f64::total_cmp).1
}

/// The points, with a value that is not finite where the line breaks.
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

/// Steps from one row to the next, as the median; 1 for a single row.
fn interval(points: &[Point]) -> f64 {
    let mut steps: Vec<f64> = points.windows(2).map(|w| w[1].step - w[0].step).collect();
    if steps.is_empty() {
        return 1.0;
    }
    let middle = steps.len() / 2;
    *steps.select_nth_unstable_by(middle, f64::total_cmp).1
}

fn mixed(chain: String, first: &Run, other: &Run) -> StageError {
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
    fn rounds_follow_each_other_in_their_order() {
        let runs = vec![
            run("q_v10", &[1, 2]),
            run("s_v1", &[1]),
            run("q_v2", &[5, 10, 15]),
            run("x", &[7]),
        ];
        let (runs, chains) = concat_stages(runs, by_version).unwrap();
        assert_eq!(chains, 2);
        let labels: Vec<_> = runs.iter().map(|run| run.history.label()).collect();
        assert_eq!(labels, ["q", "s", "x"]);
        assert_eq!(steps(&runs[0]), [5.0, 10.0, 15.0, 20.0, 21.0]);
        assert_eq!(runs[0].joints, [StageBoundary { step: 20.0, round: "10".to_owned() }]);
        assert_eq!(runs[0].source, "q_v2.json, q_v10.json");
        assert_eq!((steps(&runs[2]), runs[2].joints.len()), (vec![7.0], 0));
    }

    #[test]
    fn a_gap_stays_a_gap() {
        let raw = [1.0, f64::NAN, 3.0].iter().zip(1..);
        let raw = raw.map(|(&entropy, step)| Point { step: f64::from(step), entropy }).collect();
        let (history, repairs) = History::from_raw("q_v1", EntropyKind::TokenMean, raw).unwrap();
        let first = Run { history, repairs, ..run("q_v1", &[1]) };
        let (runs, _) = concat_stages(vec![first, run("q_v2", &[1])], by_version).unwrap();
        assert_eq!(runs[0].history.segments().count(), 2);
        assert_eq!(runs[0].repairs, Repairs { not_finite: 1, ..Repairs::default() });
    }

    #[test]
    fn what_stands_beside_rounds_goes_on_as_their_steps_do() {
        let beside = |label, steps: &[i32], times: &[f64]| {
            let rows = |values: &[f64]| {
                steps.iter().map(|s| f64::from(*s)).zip(values.iter().copied()).collect()
            };
            let clock = AuxSeries::from_raw("_timestamp", rows(times));
            let reward = AuxSeries::from_raw("reward", rows(&vec![0.5; times.len()]));
            Run { clock, reward, ..run(label, steps) }
        };
        let runs = vec![
            beside("q_v1", &[1, 2, 3], &[100.0, 110.0, 120.0]),
            beside("q_v2", &[1, 2], &[5000.0, 5007.0]),
        ];
        let (runs, _) = concat_stages(runs, by_version).unwrap();
        let clock = runs[0].clock.as_ref().unwrap();
        let wanted = [(1.0, 100.0), (2.0, 110.0), (3.0, 120.0), (4.0, 130.0), (5.0, 137.0)];
        assert_eq!(clock.values(), wanted);
        assert_eq!(runs[0].reward.as_ref().unwrap().at(5.0), Some(0.5));
        let half = vec![beside("q_v1", &[1], &[1.0]), run("q_v2", &[1])];
        assert_eq!(concat_stages(half, by_version).unwrap().0[0].clock, None);
    }

    #[test]
    fn one_round_given_twice_is_refused() {
        let runs = vec![run("q_v1", &[1]), run("q_v1", &[2])];
        let error = concat_stages(runs, by_version).unwrap_err().to_string();
        assert!(error.contains("both round \"1\" of \"q\""), "{error}");
    }
}
