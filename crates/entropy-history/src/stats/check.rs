//! The rules of `check`, and whether a run passes or violates each of them; some cannot be applied to a run.
//!
//! Bounds apply to the logged values. Rules that compare a run with its own start use the smoothed curve,
//! like the collapse state. A rule that cannot be applied is reported as skipped, not as violated.

use serde::{Deserialize, Serialize};

use super::health::State;
use super::smooth::running_mean;
use super::summary::{RunStats, maybe_step};
use crate::history::{Point, Run};
use crate::number::{fixed_beyond, percent};

/// The limits that a run must keep.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Lower bound in nats, and for how many logged steps in a row the entropy must be below it to violate
    /// the rule.
    pub min: Option<(f64, usize)>,
    /// Upper bound in nats.
    pub max: Option<f64>,
    /// Largest allowed drop of the smoothed curve below the run's start, as a share of the start.
    pub max_drop: Option<f64>,
    /// Runs of a baseline document, and the share by which a mean may be lower than theirs.
    pub baseline: Option<(Vec<BaselineRun>, f64)>,
}

/// A run in a baseline document, which an earlier `stats --json` wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BaselineRun {
    /// Label of the run.
    pub label: String,
    /// Mean entropy in nats; `None` if it was not finite.
    pub mean: Option<f64>,
    /// State of the run.
    pub state: State,
    /// Which kind of entropy its values are; `None` if the document does not say.
    #[serde(default)]
    pub quantity: Option<String>,
    /// Which steps the mean covers.
    #[serde(skip)]
    pub coverage: MeanCoverage,
}

/// Which steps of a run a mean covers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum MeanCoverage {
    /// All steps.
    #[default]
    WholeRun,
    /// A range of the steps.
    StepRange,
}

/// The result of one rule for one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// Label of the run.
    pub run: String,
    /// The rule.
    pub rule: Rule,
    /// Whether the run passed.
    pub outcome: Outcome,
    /// The first step that violates the rule.
    #[serde(serialize_with = "maybe_step")]
    pub step: Option<f64>,
    /// The value that violates the rule, in the unit of the bound.
    pub value: Option<f64>,
    /// The bound.
    pub bound: Option<f64>,
    /// The result in words.
    pub message: String,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The run did not collapse.
    Collapse,
    /// The run did not explode.
    Explosion,
    /// The entropy stayed at or above a bound.
    MinEntropy,
    /// The entropy stayed at or below a bound.
    MaxEntropy,
    /// The smoothed curve kept a share of its start.
    MaxDrop,
    /// The run is no worse than the baseline run of the same label.
    NoWorseThan,
}

impl Rule {
    /// The name of the rule, as in its flag.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Collapse => "collapse",
            Rule::Explosion => "explosion",
            Rule::MinEntropy => "min-entropy",
            Rule::MaxEntropy => "max-entropy",
            Rule::MaxDrop => "max-drop",
            Rule::NoWorseThan => "no-worse-than",
        }
    }
}

/// The outcome of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The run keeps the rule.
    Passed,
    /// The run breaks the rule.
    Violated,
    /// The rule cannot be applied to the run.
    Skipped,
}

/// Checks a run against every rule; `stats` are the statistics of the same run.
pub fn check(run: &Run, stats: &RunStats, rules: &Rules) -> Vec<Verdict> {
    let points = run.history.points();
    let collapse = state_rule(stats, Rule::Collapse, State::Collapsed, "did not collapse");
    let explosion = state_rule(stats, Rule::Explosion, State::Exploded, "did not explode");
    let mut verdicts = vec![collapse, explosion];
    verdicts.extend(rules.min.map(|bound| min_entropy(points, stats, bound)));
    verdicts.extend(rules.max.map(|bound| max_entropy(points, stats, bound)));
    verdicts.extend(rules.max_drop.map(|share| max_drop(points, stats, share)));
    if let Some((baseline_runs, tolerance)) = &rules.baseline {
        verdicts.push(no_worse_than(stats, baseline_runs, *tolerance));
    }
    for verdict in &mut verdicts {
        run.history.label().clone_into(&mut verdict.run);
    }
    verdicts
}

fn verdict(rule: Rule, outcome: Outcome, message: impl Into<String>) -> Verdict {
    let (run, message) = (String::new(), message.into());
    Verdict { run, rule, outcome, step: None, value: None, bound: None, message }
}

fn violated(rule: Rule, step: f64, value: f64, bound: f64, message: String) -> Verdict {
    let (step, value, bound) = (Some(step), Some(value), Some(bound));
    Verdict { step, value, bound, ..verdict(rule, Outcome::Violated, message) }
}

/// The rule that a run must not be in the state `forbidden`.
fn state_rule(stats: &RunStats, rule: Rule, forbidden: State, passed: &str) -> Verdict {
    match (stats.state, stats.state_step, stats.final_ratio) {
        (State::NotRecorded | State::TooShort, ..) => undecided(rule, stats),
        (state, Some(step), Some(ratio)) if state == forbidden => {
            let (state, share) = (state.words(), 100.0 * ratio);
            let message = format!("{state} at step {step}, and ends at {share:.0} % of its start");
            let violation = verdict(rule, Outcome::Violated, message);
            Verdict { step: Some(step), value: Some(ratio), ..violation }
        }
        _ => verdict(rule, Outcome::Passed, passed),
    }
}

fn undecided(rule: Rule, stats: &RunStats) -> Verdict {
    let reason = match stats.state {
        State::NotRecorded => "every value is 0: entropy was not recorded".to_owned(),
        _ if stats.points == 1 => "1 point is too few to judge the run".to_owned(),
        _ => format!("{} points are too few to judge the run", stats.points),
    };
    verdict(rule, Outcome::Skipped, reason)
}

fn min_entropy(points: &[Point], stats: &RunStats, (bound, steps): (f64, usize)) -> Verdict {
    if stats.state == State::NotRecorded {
        return undecided(Rule::MinEntropy, stats);
    }
    let mut below = 0;
    for (i, point) in points.iter().enumerate() {
        below = if point.entropy < bound { below + 1 } else { 0 };
        if below == steps {
            let Point { step, entropy } = points[i + 1 - steps];
            let duration =
                if steps > 1 { format!(" for {steps} logged steps") } else { String::new() };
            let nats = fixed_beyond(entropy, bound, 4);
            let message = format!("{nats} nats at step {step} are below {bound}{duration}");
            return violated(Rule::MinEntropy, step, entropy, bound, message);
        }
    }
    verdict(Rule::MinEntropy, Outcome::Passed, format!("stayed at or above {bound} nats"))
}

fn max_entropy(points: &[Point], stats: &RunStats, bound: f64) -> Verdict {
    if stats.state == State::NotRecorded {
        return undecided(Rule::MaxEntropy, stats);
    }
    let Some(&Point { step, entropy }) = points.iter().find(|point| point.entropy > bound) else {
        let message = format!("stayed at or below {bound} nats");
        return verdict(Rule::MaxEntropy, Outcome::Passed, message);
    };
    let nats = fixed_beyond(entropy, bound, 4);
    let message = format!("{nats} nats at step {step} are above {bound}");
    violated(Rule::MaxEntropy, step, entropy, bound, message)
}

fn max_drop(points: &[Point], stats: &RunStats, share: f64) -> Verdict {
    let Some(baseline) = stats.baseline.filter(|baseline| *baseline > 0.0) else {
        return undecided(Rule::MaxDrop, stats);
    };
    let values: Vec<f64> = points.iter().map(|point| point.entropy).collect();
    let smooth = running_mean(&values, 5);
    let drops = smooth.iter().map(|value| 1.0 - value / baseline);
    let allowed = percent(share);
    let Some((point, drop)) = points.iter().zip(drops).find(|(_, drop)| *drop > share) else {
        let message = format!("dropped at most {allowed} below its start");
        return verdict(Rule::MaxDrop, Outcome::Passed, message);
    };
    let (step, lost) = (point.step, fixed_beyond(100.0 * drop, 100.0 * share, 0));
    let message = format!(
        "the smoothed curve is {lost} % below its start at step {step}, more than {allowed}"
    );
    violated(Rule::MaxDrop, step, drop, share, message)
}

/// A rank of states, larger if worse.
fn badness(state: State) -> u8 {
    match state {
        State::Healthy | State::TooShort => 0,
        State::Falling => 1,
        State::Exploded | State::Collapsed | State::NotRecorded => 2,
    }
}

fn no_worse_than(stats: &RunStats, baseline_runs: &[BaselineRun], tolerance: f64) -> Verdict {
    let rule = Rule::NoWorseThan;
    let skipped = |reason: &str| verdict(rule, Outcome::Skipped, reason);
    let Some(before) = baseline_runs.iter().find(|before| before.label == stats.label) else {
        return skipped("the baseline has no run of this label");
    };
    if matches!(stats.state, State::NotRecorded | State::TooShort) {
        return undecided(rule, stats);
    }
    match before.state {
        State::NotRecorded => {
            return skipped("entropy was not recorded in the baseline: every value is 0");
        }
        State::TooShort => return skipped("the run has too few points in the baseline"),
        _ => {}
    }
    if let Some(was) = before.quantity.as_deref().filter(|was| *was != stats.quantity) {
        let is = stats.quantity;
        return skipped(&format!("different quantities: {is} here, {was} in the baseline"));
    }
    if badness(stats.state) > badness(before.state) {
        let (is, was) = (stats.state.words(), before.state.words());
        return verdict(rule, Outcome::Violated, format!("is {is}, was {was} in the baseline"));
    }
    if before.coverage == MeanCoverage::StepRange {
        return skipped("the means of the baseline cover only part of the steps");
    }
    let (Some(mean), Some(was)) = (stats.mean, before.mean) else {
        return skipped("one of the means is too large to compare");
    };
    let bound = was - tolerance * was.abs();
    if mean < bound {
        let allowed = percent(tolerance);
        let message = format!(
            "the mean is {mean:.4} nats, was {was:.4} in the baseline: more than {allowed} lower"
        );
        let violation = verdict(rule, Outcome::Violated, message);
        return Verdict { value: Some(mean), bound: Some(bound), ..violation };
    }
    verdict(rule, Outcome::Passed, format!("the mean is {mean:.4} nats, was {was:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::History;
    use crate::quantity::EntropyKind;
    use crate::stats::health::Thresholds;

    fn verdicts(values: &[f64], rules: &Rules) -> Vec<(Rule, Outcome, Option<f64>)> {
        let points = (1..).zip(values);
        let points = points.map(|(step, &entropy)| Point { step: f64::from(step), entropy });
        let (history, _) =
            History::from_raw("x", EntropyKind::TokenMean, points.collect()).unwrap();
        let run = Run::new(history, "x.json", "rzero", "entropy");
        let stats = RunStats::of(&run, &Thresholds::default());
        check(&run, &stats, rules).iter().map(|v| (v.rule, v.outcome, v.step)).collect()
    }

    #[test]
    fn collapse_is_a_violation_without_any_bound() {
        let values: Vec<f64> = (0..100).map(|i| if i < 50 { 2.0 } else { 0.2 }).collect();
        let found = verdicts(&values, &Rules::default());
        assert_eq!(found[0], (Rule::Collapse, Outcome::Violated, Some(53.0)));
        assert_eq!(found[1], (Rule::Explosion, Outcome::Passed, None));
    }

    #[test]
    fn zeros_and_few_points_are_skipped() {
        let skipped = |values: &[f64]| {
            verdicts(values, &Rules { min: Some((0.1, 1)), ..Rules::default() })[0].1
        };
        assert_eq!(skipped(&[0.0; 50]), Outcome::Skipped);
        assert_eq!(skipped(&[1.0; 5]), Outcome::Skipped);
    }

    #[test]
    fn violation_reports_the_first_step() {
        let mut values = [1.0; 20];
        values[7] = 0.4;
        values[12..15].fill(0.3);
        let at = |rules| verdicts(&values, &rules)[2];
        let min = |steps| Rules { min: Some((0.5, steps)), ..Rules::default() };
        assert_eq!(at(min(1)), (Rule::MinEntropy, Outcome::Violated, Some(8.0)));
        assert_eq!(at(min(3)), (Rule::MinEntropy, Outcome::Violated, Some(13.0)));
        assert_eq!(at(min(4)).1, Outcome::Passed);
        let max = Rules { max: Some(0.9), ..Rules::default() };
        assert_eq!(at(max), (Rule::MaxEntropy, Outcome::Violated, Some(1.0)));
        // The mean of steps 11 to 15 is (2 × 1 + 3 × 0.3) / 5 = 0.58.
        let drop = Rules { max_drop: Some(0.4), ..Rules::default() };
        assert_eq!(at(drop), (Rule::MaxDrop, Outcome::Violated, Some(13.0)));
    }

    fn baseline_run() -> BaselineRun {
        let (label, state) = ("x".to_owned(), State::Healthy);
        BaselineRun {
            label,
            mean: Some(1.0),
            state,
            quantity: None,
            coverage: MeanCoverage::WholeRun,
        }
    }

    fn against_baseline(values: &[f64], baseline_run: BaselineRun) -> Outcome {
        let rules = Rules { baseline: Some((vec![baseline_run], 0.1)), ..Rules::default() };
        verdicts(values, &rules)[2].1
    }

    #[test]
    fn unrecorded_and_short_runs_are_not_compared_with_the_baseline() {
        let zeros = [0.0; 50];
        let unrecorded =
            BaselineRun { state: State::NotRecorded, mean: Some(0.0), ..baseline_run() };
        assert_eq!(against_baseline(&zeros, baseline_run()), Outcome::Skipped);
        assert_eq!(against_baseline(&zeros, unrecorded.clone()), Outcome::Skipped);
        assert_eq!(against_baseline(&[1.0; 50], unrecorded), Outcome::Skipped);
        let short = BaselineRun { state: State::TooShort, ..baseline_run() };
        assert_eq!(against_baseline(&[1.0; 50], short), Outcome::Skipped);
        assert_eq!(against_baseline(&[1.0; 5], baseline_run()), Outcome::Skipped);
        let max = Rules { max: Some(3.0), ..Rules::default() };
        assert_eq!(verdicts(&zeros, &max)[2].1, Outcome::Skipped);
    }

    #[test]
    fn baseline_of_another_quantity_is_skipped() {
        let of =
            |quantity: &str| BaselineRun { quantity: Some(quantity.to_owned()), ..baseline_run() };
        let named = EntropyKind::TokenMean.name();
        assert_eq!(
            against_baseline(&[0.5; 50], of(EntropyKind::LogProbSurrogate.name())),
            Outcome::Skipped
        );
        assert_eq!(against_baseline(&[0.5; 50], of(named)), Outcome::Violated);
        assert_eq!(against_baseline(&[1.0; 50], of(named)), Outcome::Passed);
    }

    #[test]
    fn baseline_run_is_found_by_label() {
        let worse = |label: &str, mean, state| {
            let mean = Some(mean);
            let baseline_run =
                BaselineRun { label: label.to_owned(), mean, state, ..baseline_run() };
            let rules = Rules { baseline: Some((vec![baseline_run], 0.1)), ..Rules::default() };
            verdicts(&[1.0; 20], &rules)[2].1
        };
        assert_eq!(worse("x", 1.1, State::Healthy), Outcome::Passed);
        assert_eq!(worse("x", 1.2, State::Healthy), Outcome::Violated);
        assert_eq!(worse("x", 0.5, State::Collapsed), Outcome::Passed);
        assert_eq!(worse("y", 9.0, State::Healthy), Outcome::Skipped);
    }
}
