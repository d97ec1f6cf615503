//! Which pairs are compared, and the contrasts of each: runs step by step, groups by a number a run.

use rayon::prelude::*;

use super::between::{
    FEWEST_RESAMPLED, holm, improvement_interval, mann_whitney, probability_of_improvement,
    smallest_p, welch,
};
use super::bootstrap::Resampling;
use super::contrast::{Between, Contrast, Statistic};
use super::group::{Group, GroupStats, Members, means_over, shared_steps};
use super::health::State;
use super::{Analysis, pairs};
use crate::history::{Comparison, History};

/// Up to so many runs or groups every pair is compared; above, only against a baseline.
pub const MOST_PAIRED: usize = 20;

/// What is to be compared with what.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Groups of runs; where there are any, groups are compared instead of runs.
    pub groups: Vec<Group>,
    /// The label of the run, or the name of the group, that all others are compared with. It must be
    /// one of them.
    pub baseline: Option<String>,
    /// How intervals are resampled.
    pub resampling: Resampling,
}

/// Adds comparisons and groups to the analysis of `comparison`. A run whose entropy was not recorded is in no
/// mean and no pair: zeros that nobody measured are no entropy.
pub fn compare(comparison: &Comparison, analysis: &mut Analysis, plan: &Plan) {
    let resampling = &plan.resampling;
    analysis.resampling = Some(*resampling);
    let recorded: Vec<bool> =
        analysis.runs.iter().map(|run| run.state != State::NotRecorded).collect();
    let members = plan.groups.iter().map(|group| Members::of(comparison, group, &recorded));
    let members: Vec<Members<'_>> = members.collect();
    analysis.groups = members.iter().map(|group| GroupStats::of(group, resampling)).collect();

    let names: Vec<&str> = match plan.groups[..] {
        [] => comparison.runs().iter().map(|run| run.history.label()).collect(),
        _ => plan.groups.iter().map(|group| group.name.as_str()).collect(),
    };
    let pairs = paired(&names, plan.baseline.as_deref());
    if pairs.is_empty() && names.len() > MOST_PAIRED {
        let what = if plan.groups.is_empty() { "runs" } else { "groups" };
        analysis.notes.push(format!(
            "{} {what}: above {MOST_PAIRED}, pairs are only made against a baseline",
            names.len()
        ));
    }
    let contrasts = |&(a, b): &(usize, usize)| match plan.groups[..] {
        [] => {
            let history = |i: usize| &comparison.runs()[i].history;
            let unrecorded = [a, b].into_iter().filter(|i| !recorded[*i]);
            let unrecorded: Vec<&str> = unrecorded.map(|i| history(i).label()).collect();
            pairs::contrasts(history(a), history(b), &unrecorded, resampling)
        }
        _ => between_groups(&members[a], &members[b], resampling),
    };
    analysis.comparisons = pairs.par_iter().flat_map_iter(contrasts).collect();
    adjust(&mut analysis.comparisons);
}

/// The pairs: the others against the baseline, or each with each.
fn paired(names: &[&str], baseline: Option<&str>) -> Vec<(usize, usize)> {
    let others = 0..names.len();
    if let Some(baseline) = baseline {
        let baseline = names.iter().position(|name| *name == baseline);
        let against = |b: usize| others.filter(move |a| *a != b).map(move |a| (a, b)).collect();
        return baseline.map(against).unwrap_or_default();
    }
    if names.len() > MOST_PAIRED {
        return Vec::new();
    }
    others.flat_map(|a| (a + 1..names.len()).map(move |b| (a, b))).collect()
}

const INDEPENDENT: &str = "runs are independent draws of their recipe";
const NORMAL: &str =
    "runs are independent draws of their recipe, their means normal, variances may differ";

/// The contrasts of two groups: of each run its mean over the steps that all runs of both have.
fn between_groups(a: &Members<'_>, b: &Members<'_>, resampling: &Resampling) -> Vec<Contrast> {
    let (runs_a, runs_b) = (&a.runs, &b.runs);
    let all: Vec<&History> = runs_a.iter().chain(runs_b).copied().collect();
    let steps = shared_steps(&all);
    let blank = Contrast {
        a: a.name.to_owned(),
        b: b.name.to_owned(),
        between: Between::Groups,
        statistic: Statistic::MeanDifference,
        estimate: None,
        low: None,
        high: None,
        p: None,
        p_holm: None,
        method: "Welch's t of each run's mean over the shared steps".to_owned(),
        assumption: NORMAL.to_owned(),
        note: None,
        shared_steps: steps.len(),
    };
    let refusal = match () {
        () if runs_a.is_empty() || runs_b.is_empty() => {
            Some("not compared: no run of a group was recorded, their values are all 0")
        }
        () if all.iter().any(|run| run.kind() != all[0].kind()) => {
            Some("not compared: the runs hold different quantities")
        }
        () if steps.is_empty() => Some("the runs of both groups share no step"),
        () => None,
    };
    if let Some(why) = refusal {
        return vec![Contrast { note: Some(why.to_owned()), ..blank }];
    }
    let late = &steps[steps.len() - steps.len().div_ceil(10)..];
    let difference = |statistic, steps: &[f64]| {
        let (a, b) = (means_over(runs_a, steps), means_over(runs_b, steps));
        let test = welch(&a, &b, resampling);
        let note = match () {
            () if test.is_some() => None,
            () if a.len() < 2 || b.len() < 2 => Some("a group of one run has no spread over runs"),
            () => Some("the means of the runs do not vary"),
        };
        let estimate = super::pairs::mean(&a) - super::pairs::mean(&b);
        Contrast {
            statistic,
            estimate: estimate.is_finite().then_some(estimate),
            low: test.map(|test| test.interval.0),
            high: test.map(|test| test.interval.1),
            p: test.map(|test| test.p),
            note: note.map(str::to_owned),
            ..blank.clone()
        }
    };
    let mut contrasts = vec![
        difference(Statistic::MeanDifference, &steps),
        Contrast {
            method: "Welch's t of each run's mean over the last tenth of the shared steps"
                .to_owned(),
            ..difference(Statistic::LateDifference, late)
        },
    ];
    let (a, b) = (means_over(runs_a, &steps), means_over(runs_b, &steps));
    if a.len() < 2 || b.len() < 2 {
        return contrasts;
    }
    contrasts.extend(by_rank(&a, &b, &blank, resampling));
    contrasts
}

/// What the order of the values tells: of samples of at least two.
fn by_rank(a: &[f64], b: &[f64], blank: &Contrast, resampling: &Resampling) -> [Contrast; 3] {
    let test = mann_whitney(a, b);
    let least = smallest_p(a.len(), b.len());
    let (m, n) = (a.len(), b.len());
    let improvement = probability_of_improvement(a, b);
    let interval = improvement_interval(a, b, resampling);
    let few = interval.is_none().then(|| {
        format!("fewer than {FEWEST_RESAMPLED} runs a group have no interval by resampling")
    });
    let by_resampling = "percentile bootstrap over the runs of each group".to_owned();
    let delta = |share: f64| 2.0 * share - 1.0;
    [
        Contrast {
            statistic: Statistic::MannWhitneyU,
            estimate: test.map(|(u, _)| u),
            p: test.map(|(_, p)| p),
            method: "Mann-Whitney U, two-sided, exact up to 8 runs without ties".to_owned(),
            assumption: INDEPENDENT.to_owned(),
            note: (least > 0.05)
                .then(|| format!("with {m} and {n} runs p cannot be below {least:.3}")),
            ..blank.clone()
        },
        Contrast {
            statistic: Statistic::CliffsDelta,
            estimate: Some(delta(improvement)),
            low: interval.map(|(low, _)| delta(low)),
            high: interval.map(|(_, high)| delta(high)),
            method: by_resampling.clone(),
            assumption: INDEPENDENT.to_owned(),
            note: few.clone(),
            ..blank.clone()
        },
        Contrast {
            statistic: Statistic::ProbabilityOfImprovement,
            estimate: Some(improvement),
            low: interval.map(|(low, _)| low),
            high: interval.map(|(_, high)| high),
            method: by_resampling,
            assumption: INDEPENDENT.to_owned(),
            note: few,
            ..blank.clone()
        },
    ]
}

/// Adjusts the p of each statistic by Holm for the number of its pairs.
fn adjust(contrasts: &mut [Contrast]) {
    for statistic in [Statistic::MeanDifference, Statistic::LateDifference, Statistic::MannWhitneyU]
    {
        let mut family: Vec<&mut Contrast> = contrasts
            .iter_mut()
            .filter(|contrast| contrast.statistic == statistic && contrast.p.is_some())
            .collect();
        let ps: Vec<f64> = family.iter().filter_map(|contrast| contrast.p).collect();
        for (contrast, p) in family.iter_mut().zip(holm(&ps)) {
            contrast.p_holm = Some(p);
        }
    }
}
