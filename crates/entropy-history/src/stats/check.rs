//! The rules of `check`, and whether a run passes or violates each of them; some cannot be applied to a run.
//!
//! Bounds apply to the logged values. Rules that compare a run with its own start use the level, the median of
//! five points, like the states. A rule that cannot be applied is reported as skipped, not as violated.

use serde::{Deserialize, Serialize};

use super::health::{State, levels, state_words};
use super::summary::{RunStats, maybe_step};
use crate::history::{Point, Run};
use crate::number::{fixed_beyond, percent, short};

/// The limits that a run must keep.
#[derive(Debug, Clone)]
pub struct Rules {
    /// States that a run must not have: some of collapsed, exploded and falling.
    pub states: Vec<State>,
    /// Lower bound in nats, and for how many logged steps in a row the entropy must be below it to violate
    /// the rule.
    pub min: Option<(f64, usize)>,
    /// Upper bound in nats.
    pub max: Option<f64>,
    /// Largest allowed drop of the level below the run's start, as a share of the start.
    pub max_drop: Option<f64>,
    /// Runs of a baseline document, and the share by which a mean may be lower than theirs.
    pub baseline: Option<(Vec<BaselineRun>, f64)>,
}

impl Rules {
    /// No rules.
    pub const NONE: Rules =
        Rules { states: Vec::new(), min: None, max: None, max_drop: None, baseline: None };

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        let Rules { states, min, max, max_drop, baseline } = self;
        states.is_empty()
            && min.is_none()
            && max.is_none()
            && max_drop.is_none()
            && baseline.is_none()
    }
}

impl Default for Rules {
    /// That a run neither collapsed nor exploded.
    fn default() -> Rules {
        Rules { states: vec![State::Collapsed, State::Exploded], ..Rules::NONE }
    }
}

/// A run in a baseline document, which an earlier `stats --json` wrote.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct BaselineRun {
    /// Label of the run.
    pub label: String,
    /// Mean entropy in nats; `None` if it was not finite.
    pub mean: Option<f64>,
    /// State of the run, if it has one.
    pub state: Option<State>,
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
    /// The entropy is not falling towards a collapse.
    Falling,
    /// The entropy stayed at or above a bound.
    MinEntropy,
    /// The entropy stayed at or below a bound.
    MaxEntropy,
    /// The level kept a share of the start.
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
            Rule::Falling => "falling",
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
    let mut verdicts: Vec<Verdict> =
        rules.states.iter().map(|state| state_rule(run, stats, *state)).collect();
    verdicts.extend(rules.min.map(|bound| min_entropy(run, stats, bound)));
    verdicts.extend(rules.max.map(|bound| max_entropy(run, stats, bound)));
    verdicts.extend(rules.max_drop.map(|share| max_drop(run, stats, share)));
    if let Some((baseline_runs, tolerance)) = &rules.baseline {
        verdicts.push(no_worse_than(run, stats, baseline_runs, *tolerance));
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

/// A drop beyond its limit by no more than this is rounding.
const ROUNDING: f64 = 1e-12;

/// The rule that a run must not be in the state `forbidden`.
fn state_rule(run: &Run, stats: &RunStats, forbidden: State) -> Verdict {
    let (rule, passed) = match forbidden {
        State::Exploded => (Rule::Explosion, "did not explode"),
        State::Falling => (Rule::Falling, "is not falling"),
        _ => (Rule::Collapse, "did not collapse"),
    };
    let (Some(state), Some(ratio)) = (stats.state, stats.final_ratio) else {
        return undecided(rule, run, stats);
    };
    if state != forbidden {
        return verdict(rule, Outcome::Passed, passed);
    }
    let percent = 100.0 * ratio;
    let share = if percent < 1.0 { short(percent) } else { format!("{percent:.0}") };
    let message = match (stats.state_step, stats.slope) {
        (Some(step), _) => {
            format!("{} at step {step}, its level is now {share} % of its start", state.words())
        }
        (None, slope) => format!(
            "falling by {} nats per step, its level is now {share} % of its start",
            short(slope.unwrap_or(0.0).abs())
        ),
    };
    let violation = verdict(rule, Outcome::Violated, message);
    Verdict { step: stats.state_step, value: Some(ratio), ..violation }
}

/// A rule that compares a run with its own start, for a run without a start.
fn undecided(rule: Rule, run: &Run, stats: &RunStats) -> Verdict {
    let reason = match stats.state {
        Some(State::NotRecorded) => "every value is 0: entropy was not recorded".to_owned(),
        Some(_) if stats.points == 1 => "1 point is too few to judge the run".to_owned(),
        Some(_) => format!("{} points are too few to judge the run", stats.points),
        None => match stats.start {
            Some(start) => format!("the run starts at {} nats, not above 0", short(start)),
            None => format!("{} is not an entropy", run.metric),
        },
    };
    verdict(rule, Outcome::Skipped, reason)
}

fn min_entropy(run: &Run, stats: &RunStats, (bound, steps): (f64, usize)) -> Verdict {
    if stats.is_not_recorded() {
        return undecided(Rule::MinEntropy, run, stats);
    }
    let points = run.history.points();
    let mut below = 0;
    for (i, point) in points.iter().enumerate() {
        below = if point.entropy < bound { below + 1 } else { 0 };
        if below == steps {
            let Point { step, entropy } = points[i + 1 - steps];
            let nats = fixed_beyond(entropy, bound, 4);
            let message = match steps {
                1 => format!("{nats} nats at step {step}, below the limit {bound}"),
                _ => format!(
                    "below {bound} nats for {steps} logged steps in a row, from step {step} on ({nats} there)"
                ),
            };
            return violated(Rule::MinEntropy, step, entropy, bound, message);
        }
    }
    let message = match steps {
        1 => format!("stayed at or above {bound} nats"),
        _ => format!("was not below {bound} nats for {steps} logged steps in a row"),
    };
    verdict(Rule::MinEntropy, Outcome::Passed, message)
}

fn max_entropy(run: &Run, stats: &RunStats, bound: f64) -> Verdict {
    if stats.is_not_recorded() {
        return undecided(Rule::MaxEntropy, run, stats);
    }
    let points = run.history.points();
    let Some(&Point { step, entropy }) = points.iter().find(|point| point.entropy > bound) else {
        let message = format!("stayed at or below {bound} nats");
        return verdict(Rule::MaxEntropy, Outcome::Passed, message);
    };
    let nats = fixed_beyond(entropy, bound, 4);
    let message = format!("{nats} nats at step {step}, above the limit {bound}");
    violated(Rule::MaxEntropy, step, entropy, bound, message)
}

fn max_drop(run: &Run, stats: &RunStats, share: f64) -> Verdict {
    let Some(start) = stats.start.filter(|start| *start > 0.0) else {
        return undecided(Rule::MaxDrop, run, stats);
    };
    let points = run.history.points();
    let values: Vec<f64> = points.iter().map(|point| point.entropy).collect();
    let levels: Vec<f64> = levels(&values).collect();
    let points = &points[points.len() - levels.len()..];
    let drops = levels.iter().map(|level| 1.0 - level / start);
    let allowed = percent(share);
    let Some((point, drop)) = points.iter().zip(drops).find(|(_, drop)| *drop > share + ROUNDING)
    else {
        let message = format!("dropped at most {allowed} below its start");
        return verdict(Rule::MaxDrop, Outcome::Passed, message);
    };
    let (step, lost) = (point.step, fixed_beyond(100.0 * drop, 100.0 * share, 0));
    let message =
        format!("the level is {lost} % below its start at step {step}, more than {allowed}");
    violated(Rule::MaxDrop, step, drop, share, message)
}

/// Whether a state is a failure. Falling is not: it is a forecast.
fn has_failed(state: Option<State>) -> bool {
    matches!(state, Some(State::Exploded | State::Collapsed))
}

fn no_worse_than(
    run: &Run,
    stats: &RunStats,
    baseline_runs: &[BaselineRun],
    tolerance: f64,
) -> Verdict {
    let rule = Rule::NoWorseThan;
    let skipped = |reason: &str| verdict(rule, Outcome::Skipped, reason);
    let Some(before) = baseline_runs.iter().find(|before| before.label == stats.label) else {
        return skipped("the baseline has no run of this label");
    };
    if matches!(stats.state, Some(State::NotRecorded | State::TooShort)) {
        return undecided(rule, run, stats);
    }
    match before.state {
        Some(State::NotRecorded) => {
            return skipped("entropy was not recorded in the baseline: every value is 0");
        }
        Some(State::TooShort) => return skipped("the run has too few points in the baseline"),
        _ => {}
    }
    if let Some(was) = before.quantity.as_deref().filter(|was| *was != stats.quantity) {
        let is = stats.quantity;
        return skipped(&format!("different quantities: {is} here, {was} in the baseline"));
    }
    if has_failed(stats.state) && !has_failed(before.state) {
        let (is, was) = (stats.state_words(), state_words(before.state));
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
        assert_eq!(found[0], (Rule::Collapse, Outcome::Violated, Some(57.0)));
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
        // The median of steps 11 to 15 is the first one that is low.
        let drop = Rules { max_drop: Some(0.4), ..Rules::default() };
        assert_eq!(at(drop), (Rule::MaxDrop, Outcome::Violated, Some(15.0)));
    }

    fn baseline_run() -> BaselineRun {
        let (label, state) = ("x".to_owned(), Some(State::Healthy));
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
            BaselineRun { state: Some(State::NotRecorded), mean: Some(0.0), ..baseline_run() };
        assert_eq!(against_baseline(&zeros, baseline_run()), Outcome::Skipped);
        assert_eq!(against_baseline(&zeros, unrecorded.clone()), Outcome::Skipped);
        assert_eq!(against_baseline(&[1.0; 50], unrecorded), Outcome::Skipped);
        let short = BaselineRun { state: Some(State::TooShort), ..baseline_run() };
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
            let (mean, state) = (Some(mean), Some(state));
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
