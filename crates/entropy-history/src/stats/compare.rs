//! Which pairs are compared, and how: runs step by step, groups by one number per run.

use std::collections::BTreeMap;

use rayon::prelude::*;
use statrs::statistics::Statistics;

use super::contrast::{Contrast, ContrastUnit, Statistic};
use super::group::{Group, GroupMembers, GroupStats, means_over, shared_steps};
use super::replicates::{copies, limit_note};
use super::sample::{finite, mean};
use super::two_sample::{
    detectable_difference, holm, improvement_interval, mann_whitney, probability_of_improvement,
    smallest_p, welch,
};
use super::{Analysis, pairs};
use crate::history::{Comparison, History};
use crate::quantity::EntropyKind;

/// Up to this many runs or groups every pair is compared; with more, only pairs with a baseline are.
pub const MAX_PAIRWISE: usize = 20;

/// Which runs or groups are compared, and how.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Groups of runs. If there are any, groups are compared instead of runs.
    pub groups: Vec<Group>,
    /// Label of the run, or name of the group, that all others are compared with. It must exist.
    pub baseline: Option<String>,
}

/// Adds comparisons and groups to the analysis of `comparison`. Runs whose entropy was not recorded are
/// left out of all means and pairs, because their zeros are not entropies.
pub fn compare(comparison: &Comparison, analysis: &mut Analysis, plan: &Plan) {
    let recorded: Vec<bool> = analysis.runs.iter().map(|run| !run.is_not_recorded()).collect();
    let members = plan.groups.iter().map(|group| GroupMembers::of(comparison, group, &recorded));
    let members: Vec<GroupMembers<'_>> = members.collect();
    analysis.groups = members.iter().map(|group| GroupStats::of(group)).collect();

    let by_group = !plan.groups.is_empty();
    let names: Vec<&str> = match by_group {
        true => plan.groups.iter().map(|group| group.name.as_str()).collect(),
        false => comparison.runs().iter().map(|run| run.history.label()).collect(),
    };
    let pairs = pairs_to_compare(&names, plan.baseline.as_deref());
    if pairs.is_empty() && names.len() > MAX_PAIRWISE {
        let (what, hint) = match by_group {
            true => ("groups", "use --baseline NAME"),
            false => ("runs", "use --baseline LABEL, --group REGEX or --group-by config.KEY"),
        };
        analysis.notes.push(format!(
            "pairwise comparisons are skipped above {MAX_PAIRWISE} {what} ({} here): {hint}",
            names.len()
        ));
    }
    let contrasts = |&(a, b): &(usize, usize)| {
        if by_group {
            return group_contrasts(&members[a], &members[b]);
        }
        let [first, second] = [a, b].map(|i| &comparison.runs()[i]);
        let is_other = first.history.kind() == EntropyKind::OtherMetric;
        if is_other && first.metric != second.metric {
            let labels = [first.history.label(), second.history.label()];
            let (a, b) = (&first.metric, &second.metric);
            let note = Some(format!("not compared: {a} and {b} are different metrics"));
            return vec![Contrast { note, ..Contrast::empty(ContrastUnit::Runs, labels, 0) }];
        }
        let history = |i: usize| &comparison.runs()[i].history;
        let unrecorded = [a, b].into_iter().filter(|i| !recorded[*i]);
        let unrecorded: Vec<&str> = unrecorded.map(|i| history(i).label()).collect();
        pairs::contrasts(history(a), history(b), &unrecorded)
    };
    analysis.comparisons = pairs.par_iter().flat_map_iter(contrasts).collect();
    adjust_p_values(&mut analysis.comparisons);
    fill_detectable(&mut analysis.comparisons, &analysis.groups);
}

/// Indices of the pairs: all others with the baseline, or without one every pair.
fn pairs_to_compare(names: &[&str], baseline: Option<&str>) -> Vec<(usize, usize)> {
    let indices = 0..names.len();
    if let Some(baseline) = baseline {
        let Some(b) = names.iter().position(|name| *name == baseline) else { return Vec::new() };
        return indices.filter(|a| *a != b).map(|a| (a, b)).collect();
    }
    if names.len() > MAX_PAIRWISE {
        return Vec::new();
    }
    indices.flat_map(|a| (a + 1..names.len()).map(move |b| (a, b))).collect()
}

const INDEPENDENT: &str = "runs are independent draws of their recipe";
const NORMAL: &str = "runs are independent draws of their recipe, with normally distributed means; variances may differ";

/// All statistics of two groups. Each run counts with its mean over the steps that all runs of both groups
/// share.
fn group_contrasts(a: &GroupMembers<'_>, b: &GroupMembers<'_>) -> Vec<Contrast> {
    let (runs_a, runs_b) = (&a.runs, &b.runs);
    let all: Vec<&History> = runs_a.iter().chain(runs_b).copied().collect();
    let steps = shared_steps(&all);
    let empty = Contrast {
        method: "Welch's t of each run's mean over the shared steps".to_owned(),
        assumption: NORMAL.to_owned(),
        ..Contrast::empty(ContrastUnit::Groups, [a.name, b.name], steps.len())
    };
    let refusal = match () {
        () if runs_a.is_empty() || runs_b.is_empty() => {
            let name = if runs_a.is_empty() { a.name } else { b.name };
            Some(format!("not compared: no run of {name} was recorded, their values are all 0"))
        }
        () if all.iter().any(|run| run.kind() != all[0].kind()) => {
            Some("not compared: the runs hold different quantities".to_owned())
        }
        () if steps.is_empty() => Some("the runs of both groups share no step".to_owned()),
        () => None,
    };
    if refusal.is_some() {
        return vec![Contrast { note: refusal, ..empty }];
    }
    let copies = copies(&all);
    let limits = limit_note(&all, steps.len());
    let noted = |why: Option<String>| {
        let notes: Vec<String> = limits.iter().cloned().chain(why).collect();
        (!notes.is_empty()).then(|| notes.join("; "))
    };
    let difference = |statistic, (a, b): (&[f64], &[f64])| {
        let test = welch(a, b).filter(|_| copies.is_none());
        let why = match &copies {
            _ if test.is_some() => None,
            Some(copies) => Some(format!("no interval and no p: {copies}")),
            None if a.len() < 2 || b.len() < 2 => {
                Some("a group of one run has no spread over runs".to_owned())
            }
            None => Some("the means of the runs do not vary".to_owned()),
        };
        Contrast {
            statistic,
            estimate: finite(mean(a) - mean(b)),
            low: test.map(|test| test.interval.0),
            high: test.map(|test| test.interval.1),
            p: test.map(|test| test.p),
            note: noted(why),
            ..empty.clone()
        }
    };
    let late = &steps[steps.len() - steps.len().div_ceil(10)..];
    let (late_a, late_b) = (means_over(runs_a, late), means_over(runs_b, late));
    let (a, b) = (means_over(runs_a, &steps), means_over(runs_b, &steps));
    let mut contrasts = vec![
        difference(Statistic::MeanDifference, (&a, &b)),
        Contrast {
            method: "Welch's t of each run's mean over the last tenth of the shared steps"
                .to_owned(),
            ..difference(Statistic::LateDifference, (&late_a, &late_b))
        },
    ];
    if a.len() >= 2 && b.len() >= 2 {
        contrasts.extend(order_contrasts(&a, &b, &empty, copies.as_deref()));
    }
    contrasts
}

/// Means of runs that differ by less than this share are equal.
const TIE: f64 = 1e-12;

/// The statistics that only depend on the order of the values, for samples of at least two values. Copies of one
/// log have neither p-value nor interval; `copies` names them.
fn order_contrasts(a: &[f64], b: &[f64], empty: &Contrast, copies: Option<&str>) -> [Contrast; 3] {
    let (m, n) = (a.len(), b.len());
    // Means of equal values in another order differ by rounding, and are ties.
    let largest = a.iter().chain(b).abs_max();
    let rounded = |values: &[f64]| -> Vec<f64> {
        let unit = largest * TIE;
        values.iter().map(|v| if unit > 0.0 { (v / unit).round() * unit } else { *v }).collect()
    };
    let (a, b) = (&rounded(a)[..], &rounded(b)[..]);
    let test = mann_whitney(a, b);
    let min_p = smallest_p(m, n);
    let refusal = copies.map(|copies| format!("no p: {copies}"));
    let rank_test = Contrast {
        statistic: Statistic::MannWhitneyU,
        estimate: test.map(|(u, _)| u),
        p: test.map(|(_, p)| p).filter(|_| copies.is_none()),
        method: "Mann-Whitney U, two-sided, exact by permutation up to 8 runs".to_owned(),
        assumption: INDEPENDENT.to_owned(),
        note: refusal.or_else(|| {
            (min_p > 0.05).then(|| format!("with {m} and {n} runs p cannot be below {min_p:.3}"))
        }),
        ..empty.clone()
    };
    let probability = probability_of_improvement(a, b);
    let interval = copies.is_none().then(|| improvement_interval(probability, m, n));
    let improvement = Contrast {
        statistic: Statistic::ProbabilityOfImprovement,
        estimate: Some(probability),
        low: interval.map(|(low, _)| low),
        high: interval.map(|(_, high)| high),
        method: "Newcombe's score interval over the runs of each group".to_owned(),
        assumption: INDEPENDENT.to_owned(),
        note: copies.map(|copies| format!("no interval: {copies}")),
        ..empty.clone()
    };
    let delta = |probability: Option<f64>| probability.map(|p| 2.0 * p - 1.0);
    let cliffs_delta = Contrast {
        statistic: Statistic::CliffsDelta,
        estimate: delta(improvement.estimate),
        low: delta(improvement.low),
        high: delta(improvement.high),
        ..improvement.clone()
    };
    [rank_test, cliffs_delta, improvement]
}

/// Fills in which differences of groups can be detected, once per pair of sizes, because it takes milliseconds.
fn fill_detectable(contrasts: &mut [Contrast], groups: &[GroupStats]) {
    let size = |name: &str| groups.iter().find(|group| group.name == name).map(|g| g.runs.len());
    let mut known: BTreeMap<(usize, usize), Option<f64>> = BTreeMap::new();
    let tested = [Statistic::MeanDifference, Statistic::LateDifference];
    for contrast in contrasts.iter_mut().filter(|c| tested.contains(&c.statistic)) {
        let (Some(m), Some(n), Some(_)) = (size(&contrast.a), size(&contrast.b), contrast.p) else {
            continue; // runs, or groups without a test
        };
        let sizes = (m.min(n), m.max(n));
        contrast.detectable_sd =
            *known.entry(sizes).or_insert_with(|| detectable_difference(sizes.0, sizes.1));
    }
}

/// Adjusts the p-values of each statistic by Holm for the number of its pairs.
fn adjust_p_values(contrasts: &mut [Contrast]) {
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
