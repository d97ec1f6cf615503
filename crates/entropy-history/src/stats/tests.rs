//! Statistics compared with SciPy, statsmodels, rliable and arch. tests/stats/make_statistics.py wrote the
//! expected values, which name the versions.

use serde_json::Value;

use super::analyse;
use super::bootstrap::*;
use super::compare::{Plan, compare};
use super::contrast::{Contrast, Statistic};
use super::group::group;
use super::group_tests::*;
use super::health::Thresholds;
use crate::history::{Comparison, History, Point, Run};
use crate::quantity::EntropyKind;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../../../../tests/fixtures/expected/statistics.json"))
        .unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(got: f64, expected: &Value, name: &str) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (got - expected).abs() <= 1e-9 * expected.abs().max(1e-3),
        "{name}: {got} is not {expected}"
    );
}

#[test]
fn block_length_matches_arch() {
    for case in fixture()["blocks"].as_array().unwrap() {
        let length = block_length(&numbers(&case["values"]));
        let expected = case["length"].as_f64().unwrap().max(1.0);
        assert!((length - expected).abs() < 1e-9, "{}: {length} is not {expected}", case["name"]);
    }
}

#[test]
fn spread_of_resampled_means_matches_arch() {
    for case in fixture()["blocks"].as_array().unwrap() {
        let values = numbers(&case["values"]);
        let length = block_length(&values).ceil() as usize;
        let sums = PrefixSums::of(values.iter().copied());
        let many = Resampling { resamples: 20_000, ..Resampling::default() };
        let mut means = Vec::new();
        resample(values.len(), length, &many, |blocks| {
            means.push(sums.over(blocks) / values.len() as f64);
        });
        let centre = means.iter().sum::<f64>() / means.len() as f64;
        let spread = means.iter().map(|m| (m - centre).powi(2)).sum::<f64>() / means.len() as f64;
        let (spread, expected) = (spread.sqrt(), case["standard_error"].as_f64().unwrap());
        // One standard deviation of the difference of two samples of 20,000 is 0.7 %. Like this crate, arch
        // draws whole blocks and cuts the last one.
        assert!(
            (spread / expected - 1.0).abs() < 0.03,
            "{}: {spread} is not {expected}",
            case["name"]
        );
    }
}

#[test]
fn two_sample_tests_match_scipy() {
    let resampling = Resampling::default();
    for case in fixture()["samples"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let (expected, test) = (&case["welch"], welch(&a, &b, &resampling).unwrap());
        close(test.difference, &expected["difference"], "difference");
        close(test.p, &expected["p"], "Welch's p");
        close(test.degrees, &expected["degrees"], "degrees of freedom");
        close(test.interval.0, &expected["low"], "low");
        close(test.interval.1, &expected["high"], "high");
        let (u, p) = mann_whitney(&a, &b).unwrap();
        close(u, &case["mann_whitney"]["u"], "U");
        close(p, &case["mann_whitney"]["p"], "Mann-Whitney's p");
        let improvement = probability_of_improvement(&a, &b);
        close(improvement, &case["probability_of_improvement"], "probability of improvement");
        close(interquartile_mean(&a), &case["iqm"], "IQM");
    }
    let holm_case = &fixture()["holm"];
    for (got, expected) in
        holm(&numbers(&holm_case["p"])).iter().zip(numbers(&holm_case["adjusted"]))
    {
        assert!((got - expected).abs() < 1e-12);
    }
}

#[test]
fn smallest_p_is_that_of_samples_without_overlap() {
    for (m, n) in [(2, 2), (3, 4), (4, 3), (5, 5)] {
        let a: Vec<f64> = (0..m).map(|i| i as f64).collect();
        let b: Vec<f64> = (0..n).map(|i| 100.0 + i as f64).collect();
        let (_, p) = mann_whitney(&a, &b).unwrap();
        assert!((p - smallest_p(m, n)).abs() < 1e-12, "{m}, {n}: {p}");
    }
}

#[test]
fn samples_without_spread_have_no_test() {
    let resampling = Resampling::default();
    assert_eq!(welch(&[1.0], &[2.0, 3.0], &resampling), None);
    assert_eq!(welch(&[0.1 + 0.2, 0.3], &[0.3, 0.3], &resampling), None);
}

/// An AR(1) series with coefficient `phi` and normal noise (Box–Muller).
fn autoregressive(n: usize, phi: f64, seed: u64) -> Vec<f64> {
    let mut generator = Resampling { seed, ..Resampling::default() }.generator();
    let mut uniform = || (below(&mut generator, 1 << 30) as f64 + 0.5) / f64::from(1 << 30);
    let mut normal = || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos();
    let mut last = 0.0;
    let mut series: Vec<f64> = Vec::new();
    for _ in 0..n + 200 {
        last = phi * last + normal();
        series.push(last);
    }
    series.split_off(200)
}

fn run(label: &str, values: &[f64]) -> Run {
    let points = (1..).zip(values).map(|(step, &entropy)| Point { step: f64::from(step), entropy });
    let (history, _) = History::from_raw(label, EntropyKind::TokenMean, points.collect()).unwrap();
    Run::new(history, format!("{label}.json"), "rzero", "entropy")
}

fn compared(runs: Vec<Run>, groups: bool, baseline: Option<&str>) -> super::Analysis {
    let comparison = Comparison::new(runs).unwrap();
    let mut analysis = analyse(&comparison, &Thresholds::default());
    let first_letter = |label: &str| label.chars().next().map(String::from);
    let groups = if groups { group(&comparison, first_letter) } else { Vec::new() };
    let baseline = baseline.map(str::to_owned);
    compare(&comparison, &mut analysis, &Plan { groups, baseline, ..Plan::default() });
    analysis
}

fn find(contrasts: &[Contrast], statistic: Statistic) -> &Contrast {
    contrasts.iter().find(|contrast| contrast.statistic == statistic).unwrap()
}

#[test]
fn interval_coverage_is_as_documented() {
    // The module documents 73 to 94 %; a hundred trials estimate the coverage within 10 %.
    for (n, phi, least) in [(120, 0.0, 85), (120, 0.8, 75), (1000, 0.9, 80)] {
        let trend: Vec<f64> = (0..n).map(|i| 3.0 * (-(i as f64) / 40.0).exp()).collect();
        let covered = (0..100).filter(|trial| {
            let noise = autoregressive(n, phi, 1000 + trial);
            let a: Vec<f64> = trend.iter().zip(&noise).map(|(t, e)| t + 0.5 + e).collect();
            let analysis = compared(vec![run("a", &a), run("b", &trend)], false, None);
            let mean = find(&analysis.comparisons, Statistic::MeanDifference);
            mean.low.unwrap() <= 0.5 && 0.5 <= mean.high.unwrap()
        });
        let covered = covered.count();
        assert!((least..=100).contains(&covered), "n = {n}, φ = {phi}: {covered} of 100");
    }
}

#[test]
fn shared_trend_is_not_noise() {
    let trend = |i: usize| 3.0 * (-(i as f64) / 30.0).exp();
    let a: Vec<f64> = (0..200).map(|i| trend(i) + 0.4 + 0.01 * (i as f64).sin()).collect();
    let b: Vec<f64> = (0..200).map(trend).collect();
    let analysis = compared(vec![run("a", &a), run("b", &b)], false, None);
    let mean = find(&analysis.comparisons, Statistic::MeanDifference);
    assert!((mean.estimate.unwrap() - 0.4).abs() < 1e-3);
    assert!(mean.high.unwrap() - mean.low.unwrap() < 0.01);
    assert_eq!((mean.p, mean.shared_steps), (None, 200));
    let ratio = find(&analysis.comparisons, Statistic::AreaRatio);
    // NumPy: trapezoid of a over trapezoid of b.
    let area = |v: &[f64]| v.windows(2).map(|w| (w[0] + w[1]) / 2.0).sum::<f64>();
    assert!((ratio.estimate.unwrap() - area(&a) / area(&b)).abs() < 1e-12);
    assert_eq!(find(&analysis.comparisons, Statistic::SeparationStep).estimate, Some(1.0));
}

#[test]
fn separation_is_the_last_crossing_of_the_smoothed_curves() {
    let a = [1.0; 60];
    let b: Vec<f64> = (0..60).map(|i| if i < 30 { 1.5 } else { 0.5 }).collect();
    let analysis = compared(vec![run("a", &a), run("b", &b)], false, None);
    // The running mean of 5 of b at step 31 (index 30) is (2 × 1.5 + 3 × 0.5) / 5 = 0.9 < 1.
    assert_eq!(find(&analysis.comparisons, Statistic::SeparationStep).estimate, Some(31.0));
}

#[test]
fn missing_statistics_have_a_reason() {
    let note_of = |a: &[f64], b: &[f64], statistic| {
        let analysis = compared(vec![run("a", a), run("b", b)], false, None);
        let contrast = find(&analysis.comparisons, statistic).clone();
        assert!(contrast.low.is_none() && contrast.p.is_none());
        (contrast.estimate, contrast.note.unwrap())
    };
    let mean = Statistic::MeanDifference;
    assert_eq!(note_of(&[1.0], &[3.0], mean).0, Some(-2.0));
    assert!(note_of(&[1.0, 2.0], &[3.0, 3.5], mean).1.contains("fewer than 10 shared steps"));
    assert!(note_of(&[1.0; 50], &[3.0; 50], mean).1.contains("does not vary"));
    let signs: Vec<f64> = (0..50).map(|i| if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
    assert!(note_of(&signs, &signs, Statistic::AreaRatio).1.contains("not positive"));
    assert!(note_of(&[1.0; 50], &[1.0; 50], Statistic::SeparationStep).1.contains("together"));
    let mut far = run("b", &[1.0; 3]);
    let points = vec![Point { step: 100.0, entropy: 1.0 }];
    far.history = History::from_raw("b", EntropyKind::TokenMean, points.clone()).unwrap().0;
    let analysis = compared(vec![run("a", &[1.0; 3]), far.clone()], false, None);
    assert_eq!(analysis.comparisons.len(), 1);
    assert_eq!(analysis.comparisons[0].note.as_deref(), Some("the runs share no step"));
    far.history = History::from_raw("b", EntropyKind::LogProbSurrogate, points).unwrap().0;
    let analysis = compared(vec![run("a", &[1.0; 3]), far], false, None);
    assert!(analysis.comparisons[0].note.as_deref().unwrap().contains("different quantities"));
}

#[test]
fn unrecorded_runs_are_not_compared() {
    let runs = || vec![run("a1", &[1.0; 50]), run("a2", &[0.0; 50]), run("b1", &[3.0; 50])];
    let pairs = compared(runs(), false, None).comparisons;
    let note_of = |a: &str, b: &str| {
        let of: Vec<&Contrast> = pairs.iter().filter(|c| c.a == a && c.b == b).collect();
        (of.len(), of[0].estimate, of[0].note.clone().unwrap_or_default())
    };
    for pair in [("a1", "a2"), ("a2", "b1")] {
        let (lines, estimate, note) = note_of(pair.0, pair.1);
        assert_eq!((lines, estimate), (1, None));
        assert!(note.contains("a2 was not recorded"), "{note}");
    }
    assert_eq!(note_of("a1", "b1").1, Some(-2.0));

    let grouped = compared(runs(), true, None);
    let group = &grouped.groups[0];
    assert_eq!((&group.runs, &group.left_out), (&vec!["a1".into()], &vec!["a2".into()]));
    assert_eq!(group.mean, Some(1.0));
    assert!(group.note.as_deref().unwrap().contains("left out: a2 was not recorded"));
    assert_eq!(find(&grouped.comparisons, Statistic::MeanDifference).estimate, Some(-2.0));

    let none = compared(vec![run("a1", &[0.0; 50]), run("b1", &[3.0; 50])], true, None);
    assert_eq!((none.groups[0].mean, none.comparisons.len()), (None, 1));
    assert!(none.groups[0].note.as_deref().unwrap().contains("no mean: a1 was not recorded"));
    assert_eq!(none.comparisons[0].estimate, None);
    assert!(
        none.comparisons[0].note.as_deref().unwrap().contains("no run of a group was recorded")
    );
}

#[test]
fn difference_that_varies_only_by_rounding_has_no_interval() {
    let trend: Vec<f64> = (0..200).map(|i| 3.0 * (-(i as f64) / 30.0).exp()).collect();
    let above: Vec<f64> = trend.iter().map(|v| v + 1.0).collect();
    let single =
        |values: &[f64]| -> Vec<f64> { values.iter().map(|v| f64::from(*v as f32)).collect() };
    let differences =
        |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<_>>();
    assert!(
        differences(&trend, &above).iter().any(|d| *d != -1.0),
        "the differences contain rounding errors"
    );
    for (a, b) in [(trend.clone(), above.clone()), (single(&trend), single(&above))] {
        let pairs = compared(vec![run("a", &a), run("b", &b)], false, None).comparisons;
        for statistic in [Statistic::MeanDifference, Statistic::LateDifference] {
            let contrast = find(&pairs, statistic);
            assert!((contrast.estimate.unwrap() + 1.0).abs() < 1e-6);
            assert_eq!((contrast.low, contrast.high), (None, None));
            assert!(contrast.note.as_deref().unwrap().contains("does not vary"));
        }
    }
    let same = compared(vec![run("a", &trend), run("b", &single(&trend))], false, None);
    let separation = find(&same.comparisons, Statistic::SeparationStep);
    assert!(separation.note.as_deref().unwrap().contains("end together"));
}

#[test]
fn above_twenty_runs_pairs_need_a_baseline() {
    let runs = |n: usize| (0..n).map(|i| run(&format!("run{i}"), &[1.0, 2.0])).collect::<Vec<_>>();
    let pairs = |analysis: &super::Analysis| {
        let means = analysis.comparisons.iter();
        means.filter(|c| c.statistic == Statistic::MeanDifference).count()
    };
    assert_eq!(pairs(&compared(runs(20), false, None)), 190);
    let many = compared(runs(21), false, None);
    assert_eq!((pairs(&many), many.notes.len()), (0, 1));
    let against = compared(runs(21), false, Some("run3"));
    assert_eq!(pairs(&against), 20);
    assert!(against.comparisons.iter().all(|c| c.b == "run3" && c.a != "run3"));
}

#[test]
fn groups_are_compared_by_one_number_per_run() {
    // The runs have unequal lengths: the means are over the shared steps 1 to 3.
    let runs = vec![
        run("a1", &[1.0, 2.0, 3.0, 100.0]),
        run("a2", &[2.0, 3.0, 4.0]),
        run("b1", &[5.0, 5.0, 5.0]),
        run("b2", &[6.0, 7.0, 8.0, -50.0]),
    ];
    let analysis = compared(runs, true, None);
    let names: Vec<&str> = analysis.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!((analysis.groups[0].mean, analysis.groups[0].shared_steps), (Some(2.5), 3));
    // scipy 1.17: ttest_ind([2, 3], [5, 7], equal_var=False).pvalue.
    let mean = find(&analysis.comparisons, Statistic::MeanDifference);
    assert_eq!(mean.estimate, Some(-3.5));
    assert!((mean.p.unwrap() - 0.12904783554828334).abs() < 1e-9);
    assert_eq!(mean.p, mean.p_holm);
    let rank = find(&analysis.comparisons, Statistic::MannWhitneyU);
    assert_eq!((rank.estimate, rank.p.map(|p| (p * 3.0).round())), (Some(0.0), Some(1.0)));
    assert_eq!(mann_whitney(&[1.0; 3], &[1.0; 3]).map(|(_, p)| p), Some(1.0));
    assert!(rank.note.as_deref().unwrap().contains("cannot be below 0.333"));
    let delta = find(&analysis.comparisons, Statistic::CliffsDelta);
    assert_eq!((delta.estimate, delta.low), (Some(-1.0), None));
}

#[test]
fn result_does_not_depend_on_the_number_of_threads() {
    let runs = || (0..6).map(|i| run(&format!("r{i}"), &autoregressive(300, 0.6, i))).collect();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let one = alone.install(|| compared(runs(), false, None));
    let several = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    assert_eq!(one, several.install(|| compared(runs(), false, None)));
}

#[test]
fn long_series_is_averaged_before_resampling() {
    let n = 50_000;
    let noise = autoregressive(n, 0.9, 3);
    let analysis = compared(vec![run("a", &noise), run("b", &vec![1.0; n])], false, None);
    let mean = find(&analysis.comparisons, Statistic::MeanDifference);
    // The standard error of the mean of an AR(1): σ / (1 − φ) / √n = 0.0447.
    let half = (mean.high.unwrap() - mean.low.unwrap()) / 2.0;
    assert!((half / (1.96 * 0.0447) - 1.0).abs() < 0.25, "{half}");
}
