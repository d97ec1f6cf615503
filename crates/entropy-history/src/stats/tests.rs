//! Statistics compared with SciPy, statsmodels, rliable and arch. tests/stats/make_statistics.py wrote the
//! expected values, which name the versions.

use serde_json::Value;

use super::analyse;
use super::bootstrap::*;
use super::compare::{Plan, compare};
use super::contrast::{Contrast, Statistic};
use super::group::group;
use super::health::Thresholds;
use super::two_sample::*;
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
    for case in fixture()["samples"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let (expected, test) = (&case["welch"], welch(&a, &b).unwrap());
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
    assert_eq!(welch(&[1.0], &[2.0, 3.0]), None);
    assert_eq!(welch(&[0.1 + 0.2, 0.3], &[0.3, 0.3]), None);
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
    let label = |i: usize| comparison.runs()[i].history.label();
    let first_letter = |i: usize| label(i).chars().next().map(String::from);
    let groups = if groups { group(&comparison, first_letter) } else { Vec::new() };
    let baseline = baseline.map(str::to_owned);
    compare(&comparison, &mut analysis, &Plan { groups, baseline });
    analysis
}

fn find(contrasts: &[Contrast], statistic: Statistic) -> &Contrast {
    contrasts.iter().find(|contrast| contrast.statistic == statistic).unwrap()
}

#[test]
fn pair_intervals_match_scipy() {
    for case in fixture()["pairs"].as_array().unwrap() {
        let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
        let found = compared(vec![run("a", &a), run("b", &b)], false, None).comparisons;
        for (statistic, key) in [
            (Statistic::MeanDifference, "mean"),
            (Statistic::LateDifference, "late"),
            (Statistic::AreaRatio, "ratio"),
        ] {
            let (contrast, expected) = (find(&found, statistic), &case[key]);
            let name = format!("{key} of {} steps", a.len());
            close(contrast.estimate.unwrap(), &expected[0], &name);
            let ends = [(contrast.low, &expected[1]), (contrast.high, &expected[2])];
            for (got, end) in ends {
                match got {
                    Some(got) => close(got, end, &name),
                    None => assert!(end.is_null() && contrast.note.is_some(), "{name}"),
                }
            }
        }
    }
}

#[test]
fn drifting_difference_has_only_a_late_interval() {
    let document = fixture();
    let case = &document["pairs"][6];
    let (a, b) = (numbers(&case["a"]), numbers(&case["b"]));
    let found = compared(vec![run("a", &a), run("b", &b)], false, None).comparisons;
    let mean = find(&found, Statistic::MeanDifference);
    assert_eq!((mean.low, mean.high), (None, None));
    assert!(mean.note.as_deref().unwrap().contains("drifts"), "{:?}", mean.note);
    assert!(find(&found, Statistic::LateDifference).low.is_some());
}

#[test]
fn score_intervals_match_scipy() {
    for case in fixture()["newcombe"].as_array().unwrap() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let (m, n) = (size("m"), size("n"));
        let (low, high) = improvement_interval(case["probability"].as_f64().unwrap(), m, n);
        close(low, &case["low"], "low");
        close(high, &case["high"], "high");
    }
}

#[test]
fn detectable_difference_matches_a_simulation() {
    for case in fixture()["detectable"].as_array().unwrap() {
        let size = |key: &str| case[key].as_u64().unwrap() as usize;
        let found = detectable_difference(size("m"), size("n")).unwrap();
        let expected = case["difference"].as_f64().unwrap();
        assert!((found / expected - 1.0).abs() < 0.01, "{case}: {found}");
    }
    assert_eq!(detectable_difference(1, 5), None);
}

#[test]
fn copies_of_one_log_have_no_p_value() {
    let noise = autoregressive(50, 0.5, 1);
    let runs = ["a1", "a2", "a3"].map(|label| run(label, &noise));
    let others = (0..3).map(|i| run(&format!("b{i}"), &autoregressive(50, 0.5, 10 + i)));
    let analysis = compared(runs.into_iter().chain(others).collect(), true, None);
    for contrast in &analysis.comparisons {
        assert_eq!((contrast.p, contrast.low), (None, None), "{:?}", contrast.statistic);
        let note = contrast.note.as_deref().unwrap();
        assert!(note.contains("a1 and a2 and a3 are copies of one log"), "{note}");
    }
    assert_eq!((analysis.groups[0].low, analysis.groups[1].low.is_some()), (None, true));
}

#[test]
fn run_that_limits_the_steps_of_its_group_is_named() {
    let of = |label: &str, n, seed| run(label, &autoregressive(n, 0.5, seed));
    let runs = vec![of("a1", 500, 1), of("a2", 12, 2), of("b1", 500, 3), of("b2", 500, 4)];
    let analysis = compared(runs, true, None);
    let limit = "over 12 of 500 steps: a2 has 12 and ends at step 12";
    assert_eq!(analysis.groups[0].note.as_deref(), Some(limit));
    assert_eq!((analysis.groups[0].total_steps, analysis.groups[1].note.as_deref()), (500, None));
    let mean = find(&analysis.comparisons, Statistic::MeanDifference);
    assert_eq!(mean.note.as_deref(), Some(limit));
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
    assert!(note_of(&[1.0, 2.0], &[3.0, 3.5], mean).1.contains("fewer than 20 shared steps"));
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
    assert!(none.comparisons[0].note.as_deref().unwrap().contains("no run of a was recorded"));
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
    assert_eq!((delta.estimate, delta.low), (Some(-1.0), Some(-1.0)));
    // Complete separation of 2 against 2 runs still allows a delta far from −1.
    assert!(delta.high.unwrap() > -0.3, "{:?}", delta.high);
}

#[test]
fn result_does_not_depend_on_the_number_of_threads() {
    let runs = || (0..6).map(|i| run(&format!("r{i}"), &autoregressive(300, 0.6, i))).collect();
    let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let one = alone.install(|| compared(runs(), false, None));
    let several = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
    assert_eq!(one, several.install(|| compared(runs(), false, None)));
}
