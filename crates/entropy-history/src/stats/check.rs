//! The rules of `check`: which of them a run keeps, breaks, or cannot be judged by.
//!
//! Bounds hold for the values as logged; what compares a run with its own start takes the smoothed
//! curve, as collapse does. A rule that cannot be applied is said, and is no violation.

use serde::{Deserialize, Serialize};

use super::RunStats;
use super::health::State;
use super::smooth::running_mean;
use super::summary::maybe_step;
use crate::history::{Point, Run};

/// What a run must keep.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Nats that the entropy must not fall below, for that many logged steps in a row.
    pub min: Option<(f64, usize)>,
    /// Nats that the entropy must not exceed.
    pub max: Option<f64>,
    /// Share of its baseline that the smoothed curve may lose.
    pub max_drop: Option<f64>,
    /// Earlier runs, by label, and the share by which the mean may be lower than theirs.
    pub baseline: Option<(Vec<Earlier>, f64)>,
}

/// A run of an earlier `stats --json`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Earlier {
    /// Its label.
    pub label: String,
    /// Its mean, if it had a finite one.
    pub mean: Option<f64>,
    /// Its state.
    pub state: State,
    /// Which entropy its values were, if the document says so.
    #[serde(default)]
    pub quantity: Option<String>,
    /// Whether its mean is of all its steps.
    #[serde(skip)]
    pub extent: Extent,
}

/// What of a run a mean is of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// A part of its steps.
    Part,
}

/// How a run fared by a rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The label of the run.
    pub run: String,
    /// The rule.
    pub rule: Rule,
    /// Kept, broken, or not to be judged.
    pub outcome: Outcome,
    /// The first step at which it was broken.
    #[serde(serialize_with = "maybe_step")]
    pub step: Option<f64>,
    /// The value there, in the unit of the bound.
    pub value: Option<f64>,
    /// The bound.
    pub bound: Option<f64>,
    /// All of that in words.
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
    /// The entropy stayed above a bound.
    MinEntropy,
    /// The entropy stayed below a bound.
    MaxEntropy,
    /// The entropy kept a share of its start.
    MaxDrop,
    /// The run is no worse than an earlier one.
    NoWorseThan,
}

impl Rule {
    /// The name of the rule, as its flag has it.
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

/// Whether a rule was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was.
    Passed,
    /// It was not.
    Violated,
    /// There is no telling.
    Skipped,
}

/// Judges a run by every rule; `stats` are those of the run.
pub fn check(run: &Run, stats: &RunStats, rules: &Rules) -> Vec<Verdict> {
    let points = run.history.points();
    let mut verdicts = vec![collapse(stats), explosion(stats)];
    verdicts.extend(rules.min.map(|bound| min_entropy(points, stats, bound)));
    verdicts.extend(rules.max.map(|bound| max_entropy(points, stats, bound)));
    verdicts.extend(rules.max_drop.map(|share| max_drop(points, stats, share)));
    if let Some((earlier, tolerance)) = &rules.baseline {
        verdicts.push(no_worse_than(stats, earlier, *tolerance));
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

fn collapse(stats: &RunStats) -> Verdict {
    match (stats.state, stats.state_step, stats.final_ratio) {
        (State::NotRecorded | State::TooShort, ..) => undecided(Rule::Collapse, stats),
        (State::Collapsed, Some(step), Some(ratio)) => {
            let share = percent(ratio);
            let message = format!("collapsed at step {step}, and ends at {share} of its start");
            Verdict {
                step: Some(step),
                value: Some(ratio),
                ..verdict(Rule::Collapse, Outcome::Violated, message)
            }
        }
        _ => verdict(Rule::Collapse, Outcome::Passed, "did not collapse"),
    }
}

fn explosion(stats: &RunStats) -> Verdict {
    match (stats.state, stats.state_step, stats.final_ratio) {
        (State::NotRecorded | State::TooShort, ..) => undecided(Rule::Explosion, stats),
        (State::Exploded, Some(step), Some(ratio)) => {
            let share = percent(ratio);
            let message = format!("exploded at step {step}, and ends at {share} of its start");
            Verdict {
                step: Some(step),
                value: Some(ratio),
                ..verdict(Rule::Explosion, Outcome::Violated, message)
            }
        }
        _ => verdict(Rule::Explosion, Outcome::Passed, "did not explode"),
    }
}

fn undecided(rule: Rule, stats: &RunStats) -> Verdict {
    let why = match stats.state {
        State::NotRecorded => "every value is 0: entropy was not recorded".to_owned(),
        _ if stats.points == 1 => "1 point is too few to tell".to_owned(),
        _ => format!("{} points are too few to tell", stats.points),
    };
    verdict(rule, Outcome::Skipped, why)
}

fn min_entropy(points: &[Point], stats: &RunStats, (bound, steps): (f64, usize)) -> Verdict {
    if stats.state == State::NotRecorded {
        return undecided(Rule::MinEntropy, stats);
    }
    let mut below = 0;
    for (i, point) in points.iter().enumerate() {
        below = if point.entropy < bound { below + 1 } else { 0 };
        if below == steps {
            let first = points[i + 1 - steps];
            let (step, value) = (first.step, first.entropy);
            let lasting =
                if steps > 1 { format!(" for {steps} logged steps") } else { String::new() };
            let nats = nats_beside(value, bound);
            let message = format!("{nats} nats at step {step} are below {bound}{lasting}");
            return violated(Rule::MinEntropy, step, value, bound, message);
        }
    }
    verdict(Rule::MinEntropy, Outcome::Passed, format!("stayed at or above {bound} nats"))
}

fn max_entropy(points: &[Point], stats: &RunStats, bound: f64) -> Verdict {
    if stats.state == State::NotRecorded {
        return undecided(Rule::MaxEntropy, stats);
    }
    match points.iter().find(|point| point.entropy > bound) {
        Some(&Point { step, entropy }) => {
            let nats = nats_beside(entropy, bound);
            let message = format!("{nats} nats at step {step} are above {bound}");
            violated(Rule::MaxEntropy, step, entropy, bound, message)
        }
        None => {
            verdict(Rule::MaxEntropy, Outcome::Passed, format!("stayed at or below {bound} nats"))
        }
    }
}

fn max_drop(points: &[Point], stats: &RunStats, share: f64) -> Verdict {
    let Some(baseline) = stats.baseline.filter(|baseline| *baseline > 0.0) else {
        return undecided(Rule::MaxDrop, stats);
    };
    let values: Vec<f64> = points.iter().map(|point| point.entropy).collect();
    let smooth = running_mean(&values, 5);
    let drops = smooth.iter().map(|value| 1.0 - value / baseline);
    match points.iter().zip(drops).find(|(_, drop)| *drop > share) {
        Some((point, drop)) => {
            let step = point.step;
            let (lost, allowed) = (percent_beside(drop, share), bound_in_percent(share));
            let message = format!(
                "the smoothed curve is {lost} under its start at step {step}, more than {allowed}"
            );
            violated(Rule::MaxDrop, step, drop, share, message)
        }
        None => {
            let message = format!("lost at most {} of its start", bound_in_percent(share));
            verdict(Rule::MaxDrop, Outcome::Passed, message)
        }
    }
}

/// Better states come first.
fn badness(state: State) -> u8 {
    match state {
        State::Healthy | State::TooShort => 0,
        State::Falling => 1,
        State::Exploded | State::Collapsed | State::NotRecorded => 2,
    }
}

fn no_worse_than(stats: &RunStats, earlier: &[Earlier], tolerance: f64) -> Verdict {
    let rule = Rule::NoWorseThan;
    let Some(before) = earlier.iter().find(|before| before.label == stats.label) else {
        return verdict(rule, Outcome::Skipped, "the baseline has no run of this label");
    };
    if matches!(stats.state, State::NotRecorded | State::TooShort) {
        return undecided(rule, stats);
    }
    let unjudged = match before.state {
        State::NotRecorded => Some("entropy was not recorded in the baseline: every value is 0"),
        State::TooShort => Some("the baseline has too few points of it to tell"),
        _ => None,
    };
    if let Some(why) = unjudged {
        return verdict(rule, Outcome::Skipped, why);
    }
    if let Some(was) = before.quantity.as_deref().filter(|was| *was != stats.quantity) {
        let message =
            format!("it holds {}, the baseline {was}: different quantities", stats.quantity);
        return verdict(rule, Outcome::Skipped, message);
    }
    if badness(stats.state) > badness(before.state) {
        let (is, was) = (stats.state.words(), before.state.words());
        return verdict(rule, Outcome::Violated, format!("is {is}, was {was} in the baseline"));
    }
    if before.extent == Extent::Part {
        let why = "the means of the baseline are of a part of the steps";
        return verdict(rule, Outcome::Skipped, why);
    }
    let (Some(mean), Some(was)) = (stats.mean, before.mean) else {
        return verdict(rule, Outcome::Skipped, "one of the means is too large to compare");
    };
    let bound = was - tolerance * was.abs();
    if mean < bound {
        let message = format!(
            "the mean is {mean:.4} nats, was {was:.4} in the baseline: more than {} lower",
            bound_in_percent(tolerance)
        );
        return Verdict {
            value: Some(mean),
            bound: Some(bound),
            ..verdict(rule, Outcome::Violated, message)
        };
    }
    verdict(rule, Outcome::Passed, format!("the mean is {mean:.4} nats, was {was:.4}"))
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// A bound with the digits that it was given with.
fn bound_in_percent(share: f64) -> String {
    format!("{} %", (1e8 * share).round() / 1e6)
}

/// A share that is beyond a bound, with as many digits as it takes to see that.
fn percent_beside(share: f64, bound: f64) -> String {
    format!("{} %", beside(100.0 * share, 100.0 * bound, 0))
}

/// Nats beyond a bound, with as many digits as it takes to see that, four at least.
fn nats_beside(nats: f64, bound: f64) -> String {
    beside(nats, bound, 4)
}

/// A number with so many decimals, or more where these would be on the wrong side of the bound, or on it.
fn beside(value: f64, bound: f64, decimals: usize) -> String {
    let rounded = (decimals..16).map(|decimals| format!("{value:.decimals$}"));
    let tells = |text: &String| {
        let shown: f64 = text.parse().unwrap_or(f64::NAN);
        let off = 1e-9 * bound.abs(); // what a bound in per cent loses on the way
        if value > bound { shown - bound > off } else { bound - shown > off }
    };
    rounded.into_iter().find(tells).unwrap_or_else(|| value.to_string())
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
    fn a_collapse_is_a_violation_without_any_bound() {
        let values: Vec<f64> = (0..100).map(|i| if i < 50 { 2.0 } else { 0.2 }).collect();
        let found = verdicts(&values, &Rules::default());
        assert_eq!(found[0], (Rule::Collapse, Outcome::Violated, Some(53.0)));
        assert_eq!(found[1], (Rule::Explosion, Outcome::Passed, None));
    }

    #[test]
    fn zeros_and_few_points_are_not_judged() {
        let skipped = |values: &[f64]| {
            verdicts(values, &Rules { min: Some((0.1, 1)), ..Rules::default() })[0].1
        };
        assert_eq!(skipped(&[0.0; 50]), Outcome::Skipped);
        assert_eq!(skipped(&[1.0; 5]), Outcome::Skipped);
    }

    #[test]
    fn a_bound_is_broken_at_its_first_step() {
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

    fn earlier() -> Earlier {
        let (label, state) = ("x".to_owned(), State::Healthy);
        Earlier { label, mean: Some(1.0), state, quantity: None, extent: Extent::Whole }
    }

    fn beside_earlier(values: &[f64], earlier: Earlier) -> Outcome {
        let rules = Rules { baseline: Some((vec![earlier], 0.1)), ..Rules::default() };
        verdicts(values, &rules)[2].1
    }

    #[test]
    fn what_was_not_recorded_or_is_too_short_is_no_worse_and_no_better() {
        let zeros = [0.0; 50];
        let unrecorded = Earlier { state: State::NotRecorded, mean: Some(0.0), ..earlier() };
        assert_eq!(beside_earlier(&zeros, earlier()), Outcome::Skipped);
        assert_eq!(beside_earlier(&zeros, unrecorded.clone()), Outcome::Skipped);
        assert_eq!(beside_earlier(&[1.0; 50], unrecorded), Outcome::Skipped);
        let short = Earlier { state: State::TooShort, ..earlier() };
        assert_eq!(beside_earlier(&[1.0; 50], short), Outcome::Skipped);
        assert_eq!(beside_earlier(&[1.0; 5], earlier()), Outcome::Skipped);
        let max = Rules { max: Some(3.0), ..Rules::default() };
        assert_eq!(verdicts(&zeros, &max)[2].1, Outcome::Skipped);
    }

    #[test]
    fn an_earlier_run_of_another_quantity_is_no_baseline() {
        let of = |quantity: &str| Earlier { quantity: Some(quantity.to_owned()), ..earlier() };
        let named = EntropyKind::TokenMean.name();
        assert_eq!(
            beside_earlier(&[0.5; 50], of(EntropyKind::LogProbSurrogate.name())),
            Outcome::Skipped
        );
        assert_eq!(beside_earlier(&[0.5; 50], of(named)), Outcome::Violated);
        assert_eq!(beside_earlier(&[1.0; 50], of(named)), Outcome::Passed);
    }

    #[test]
    fn a_value_beyond_a_bound_does_not_look_like_the_bound() {
        assert_eq!(
            (percent_beside(0.6, 0.599), bound_in_percent(0.599)),
            ("60 %".into(), "59.9 %".into())
        );
        assert_eq!(
            (percent_beside(0.75, 0.6), bound_in_percent(0.6)),
            ("75 %".into(), "60 %".into())
        );
        assert_eq!(percent_beside(0.600_004, 0.6), "60.0004 %");
        assert_eq!(bound_in_percent(0.07), "7 %");
        assert_eq!(nats_beside(0.299_999, 0.3), "0.299999");
        assert_eq!(nats_beside(0.25, 0.3), "0.2500");
        assert_eq!(nats_beside(0.3_f64.next_down(), 0.3), 0.3_f64.next_down().to_string());
    }

    #[test]
    fn an_earlier_run_is_found_by_its_label() {
        let worse = |label: &str, mean, state| {
            let mean = Some(mean);
            let earlier = Earlier { label: label.to_owned(), mean, state, ..earlier() };
            let rules = Rules { baseline: Some((vec![earlier], 0.1)), ..Rules::default() };
            verdicts(&[1.0; 20], &rules)[2].1
        };
        assert_eq!(worse("x", 1.1, State::Healthy), Outcome::Passed);
        assert_eq!(worse("x", 1.2, State::Healthy), Outcome::Violated);
        assert_eq!(worse("x", 0.5, State::Collapsed), Outcome::Passed);
        assert_eq!(worse("y", 9.0, State::Healthy), Outcome::Skipped);
    }
}
