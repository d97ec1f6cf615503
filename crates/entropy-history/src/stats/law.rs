//! The reward–entropy law R = −a·e^H + b (arXiv 2505.22617): a run trades entropy for reward, so its reward
//! is limited to R = b − a, the value at H = 0.
//!
//! The law is linear in e^H, so it is fitted by ordinary least squares in closed form. Successive steps of a
//! run are correlated, so the intervals come from a seeded moving-block bootstrap. Two curves that both
//! drift always fit somehow, so the law is also tested on held-out steps: it is fitted to the first third
//! of the steps, and its error on the rest is compared with that of a constant forecast.

use serde::Serialize;

use super::bootstrap::{self, Resampling, StepBlock};
use super::sample::{finite, mean};
use super::summary::{maybe_step, step};
use crate::history::{AuxSeries, Run};
use crate::quantity::EntropyKind;

/// The smallest number of pairs that gives a fit.
const MIN_PAIRS: usize = 3;
/// The smallest number of pairs that gives an interval.
const MIN_PAIRS_FOR_INTERVALS: usize = 10;
/// Largest entropy in nats for which (e^H)² does not overflow; far above any mean of token entropies.
const MAX_ENTROPY: f64 = 350.0;

/// An estimate with its 95 % interval, if there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of the interval.
    pub high: Option<f64>,
}

/// The law fitted to the first third of the pairs, and its error on the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HoldOut {
    /// Number of pairs it was fitted to.
    pub fitted_pairs: usize,
    /// Number of pairs it was tested on.
    pub tested_pairs: usize,
    /// The last step it was fitted to.
    #[serde(serialize_with = "step")]
    pub last_fitted_step: f64,
    /// Coefficient a of this fit.
    pub a: f64,
    /// Constant b of this fit.
    pub b: f64,
    /// Root mean squared error on the rest, in units of the reward.
    pub rmse: f64,
    /// Root mean squared error of a constant forecast, the mean reward of the first third.
    pub constant_rmse: f64,
    /// R² on the rest: below 0 if the mean of the rest would be a better forecast. `None` if the reward of
    /// the rest does not vary.
    pub r2: Option<f64>,
}

/// The law fitted to one run. What cannot be computed is `None`, and a note says why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Law {
    /// Label of the run.
    pub label: String,
    /// The file that it was read from.
    pub source: String,
    /// Name of the format of that file.
    pub format: &'static str,
    /// Metric key of the entropy.
    pub metric: String,
    /// Name of the kind of entropy.
    pub quantity: &'static str,
    /// Metric key of the reward.
    pub reward: String,
    /// Number of steps that have both an entropy and a reward.
    pub pairs: usize,
    /// The first of these steps.
    #[serde(serialize_with = "maybe_step")]
    pub first_step: Option<f64>,
    /// The last of these steps.
    #[serde(serialize_with = "maybe_step")]
    pub last_step: Option<f64>,
    /// Coefficient a of e^H.
    pub a: Option<Estimate>,
    /// Constant b.
    pub b: Option<Estimate>,
    /// The reward at H = 0, b − a, which limits the run.
    pub ceiling: Option<Estimate>,
    /// R²: the share of the reward's variance that the law explains. `None` if the reward does not vary.
    pub r2: Option<f64>,
    /// Root mean squared error of the fit, in units of the reward.
    pub rmse: Option<f64>,
    /// Block length of the bootstrap in pairs; `None` if there are no intervals.
    pub block_length: Option<usize>,
    /// The test on held-out steps.
    pub hold_out: Option<HoldOut>,
    /// How the numbers were computed.
    pub method: String,
    /// What must hold for the numbers to be valid.
    pub assumption: &'static str,
    /// Why numbers are missing, or what limits them.
    pub notes: Vec<String>,
}

/// What must hold for a fit to be valid.
pub const ASSUMPTION: &str = "the law was found on runs without entropy bonus and without KL control \
     (arXiv 2505.22617); the intervals assume a stationary process, and cover less than 95 % if successive \
     steps are strongly correlated";

/// The curve R = b − a·e^H.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LawCurve {
    /// Coefficient a of e^H.
    pub a: f64,
    /// Constant b.
    pub b: f64,
}

impl LawCurve {
    /// The reward at an entropy in nats.
    pub fn at(&self, entropy: f64) -> f64 {
        self.b - self.a * entropy.exp()
    }
}

impl Law {
    /// The fitted curve, if there is one.
    pub fn curve(&self) -> Option<LawCurve> {
        Some(LawCurve { a: self.a?.estimate, b: self.b?.estimate })
    }
}

impl HoldOut {
    /// The curve that was fitted to the first third.
    pub fn curve(&self) -> LawCurve {
        LawCurve { a: self.a, b: self.b }
    }
}

/// Entropy and reward of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LawPair {
    /// Training step.
    pub step: f64,
    /// Entropy in nats.
    pub entropy: f64,
    /// Reward.
    pub reward: f64,
}

const NOT_RECORDED: &str = "no fit: every entropy is 0, so it was not recorded";

/// The reward of a run: the quantity that was read with its entropy.
fn reward(run: &Run) -> Option<&AuxSeries> {
    run.quantities.first()?.as_ref()
}

/// The steps of a run that have both an entropy and a reward, in order.
pub fn pairs(run: &Run) -> Vec<LawPair> {
    let Some(reward) = reward(run) else { return Vec::new() };
    let points = run.history.points().iter();
    let pairs = points.filter_map(|p| {
        Some(LawPair { step: p.step, entropy: p.entropy, reward: reward.at(p.step)? })
    });
    pairs.collect()
}

/// Fits the law to a run with a reward.
pub fn fit(run: &Run, resampling: &Resampling) -> Law {
    let pairs = pairs(run);
    let mut law = Law {
        label: run.history.label().to_owned(),
        source: run.source.clone(),
        format: run.format,
        metric: run.metric.clone(),
        quantity: run.history.kind().name(),
        reward: reward(run).map_or(String::new(), |r| r.metric().to_owned()),
        pairs: pairs.len(),
        first_step: pairs.first().map(|p| p.step),
        last_step: pairs.last().map(|p| p.step),
        method: "least squares of the reward on e^H".to_owned(),
        assumption: ASSUMPTION,
        notes: kind_note(run.history.kind()).into_iter().map(str::to_owned).collect(),
        ..Law::default()
    };
    if let Err(why) = fill(&mut law, &pairs, resampling) {
        law.notes.push(why);
    }
    law
}

/// Fills in what can be computed. An error says why there is no fit.
fn fill(law: &mut Law, pairs: &[LawPair], resampling: &Resampling) -> Result<(), String> {
    if pairs.len() < MIN_PAIRS {
        let steps = if pairs.len() == 1 { "step has" } else { "steps have" };
        return Err(format!("no fit: {} {steps} both an entropy and a reward", pairs.len()));
    }
    if let Some(pair) = pairs.iter().find(|pair| pair.entropy > MAX_ENTROPY) {
        let entropy = pair.entropy;
        return Err(format!(
            "no fit: e^H is too large at {entropy} nats, which cannot be a mean of token entropies"
        ));
    }
    if pairs.iter().all(|pair| pair.entropy == 0.0) {
        return Err(NOT_RECORDED.to_owned());
    }
    let data = LawData::of(pairs);
    let curve = data.least_squares().ok_or("no fit: the entropy does not vary")?;
    let error = errors(&curve, &data);
    let (Some(a), Some(b), Some(ceiling), Some(rmse)) =
        (finite(curve.a), finite(curve.b), finite(curve.b - curve.a), finite(error.rmse))
    else {
        return Err("no fit: the numbers are too large".to_owned());
    };
    let alone = |estimate| Estimate { estimate, low: None, high: None };
    (law.a, law.b, law.ceiling) = (Some(alone(a)), Some(alone(b)), Some(alone(ceiling)));
    (law.r2, law.rmse) = (error.r2, Some(rmse));
    law.hold_out = hold_out(pairs);
    match error.r2 {
        None => law.notes.push("no R² and no intervals: the reward does not vary".to_owned()),
        Some(_) if pairs.len() < MIN_PAIRS_FOR_INTERVALS => {
            law.notes.push(format!("no intervals: {} pairs are too few", pairs.len()));
        }
        Some(_) => match intervals(&data, &curve, resampling) {
            Some((length, ends)) => {
                let with = |estimate, (low, high)| {
                    Some(Estimate { estimate, low: Some(low), high: Some(high) })
                };
                law.a = with(a, ends[0]);
                law.b = with(b, ends[1]);
                law.ceiling = with(ceiling, ends[2]);
                law.block_length = Some(length);
                law.method.push_str(&format!(
                    "; 95 % intervals: moving-block bootstrap of the pairs, blocks of {length} by \
                     Politis-White on the residuals, Student's t, {} resamples, seed {}",
                    resampling.resamples, resampling.seed
                ));
            }
            None => law.notes.push("no intervals: too few independent pairs".to_owned()),
        },
    }
    if law.hold_out.is_none() {
        law.notes.push("no test: the first third of the pairs has no fit of its own".to_owned());
    }
    if a < 0.0 && error.r2.is_some() {
        law.notes.push("a is below 0: reward grows with entropy, contrary to the law".to_owned());
    }
    Ok(())
}

/// Why the law may not apply to this kind of entropy.
fn kind_note(kind: EntropyKind) -> Option<&'static str> {
    match kind {
        EntropyKind::TokenMean | EntropyKind::SequenceMean | EntropyKind::ExactMean => None,
        EntropyKind::LogProbSurrogate | EntropyKind::ImportanceWeighted => Some(
            "its entropy is a surrogate, −log π of sampled tokens: it equals H only in expectation",
        ),
        EntropyKind::SequenceSum => {
            Some("its entropy is summed over a response; the law is about entropy per token")
        }
        EntropyKind::TopPMean => Some("its entropy is that of the top-p set alone"),
        EntropyKind::Renyi2Mean => Some("its entropy is of order 2; the law is about Shannon's"),
        EntropyKind::ActionDistribution => {
            Some("its entropy is that of actions; the law is about tokens")
        }
        EntropyKind::Unknown => {
            Some("it is unknown whether this is the kind of entropy that the law is about")
        }
        EntropyKind::OtherMetric => Some("the metric on the x axis is not an entropy"),
    }
}

/// The regression data: x = e^H and y = R of the pairs, with their means.
struct LawData {
    x: Vec<f64>,
    y: Vec<f64>,
    mean_x: f64,
    mean_y: f64,
}

impl LawData {
    fn of(pairs: &[LawPair]) -> LawData {
        let x: Vec<f64> = pairs.iter().map(|pair| pair.entropy.exp()).collect();
        let y: Vec<f64> = pairs.iter().map(|pair| pair.reward).collect();
        let (mean_x, mean_y) = (mean(&x), mean(&y));
        LawData { x, y, mean_x, mean_y }
    }

    fn len(&self) -> usize {
        self.x.len()
    }

    /// The sums of squared deviations of x and of y from their means; 0 if only rounding makes them vary.
    fn squares(&self) -> (f64, f64) {
        let squares = |values: &[f64], mean: f64| {
            let sum: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            let rounding = (1e-12 * mean).powi(2) * values.len() as f64;
            if sum > rounding { sum } else { 0.0 }
        };
        (squares(&self.x, self.mean_x), squares(&self.y, self.mean_y))
    }

    /// The least-squares line y = b − a·x; `None` if x does not vary.
    fn least_squares(&self) -> Option<LawCurve> {
        let (xx, yy) = self.squares();
        if xx == 0.0 {
            return None;
        }
        if yy == 0.0 {
            return Some(LawCurve { a: 0.0, b: self.mean_y });
        }
        let products = self.x.iter().zip(&self.y);
        let xy: f64 = products.map(|(x, y)| (x - self.mean_x) * (y - self.mean_y)).sum();
        let a = -xy / xx;
        Some(LawCurve { a, b: self.mean_y + a * self.mean_x })
    }

    /// The residuals of the curve.
    fn residuals(&self, curve: &LawCurve) -> Vec<f64> {
        self.x.iter().zip(&self.y).map(|(x, y)| y - (curve.b - curve.a * x)).collect()
    }
}

/// The error of a curve on some data.
struct FitErrors {
    rmse: f64,
    r2: Option<f64>,
}

fn errors(curve: &LawCurve, data: &LawData) -> FitErrors {
    let squares: f64 = data.residuals(curve).iter().map(|r| r * r).sum();
    let (_, total) = data.squares();
    let r2 = (total > 0.0).then(|| 1.0 - squares / total);
    FitErrors { rmse: (squares / data.len() as f64).sqrt(), r2: r2.and_then(finite) }
}

/// Fits the law to the first third and tests it on the rest.
fn hold_out(pairs: &[LawPair]) -> Option<HoldOut> {
    let (first, rest) = pairs.split_at(pairs.len() / 3);
    if first.len() < MIN_PAIRS {
        return None;
    }
    let fitted = LawData::of(first);
    let curve = fitted.least_squares()?;
    let tested = LawData::of(rest);
    let error = errors(&curve, &tested);
    let constant = errors(&LawCurve { a: 0.0, b: fitted.mean_y }, &tested);
    Some(HoldOut {
        fitted_pairs: first.len(),
        tested_pairs: rest.len(),
        last_fitted_step: first[first.len() - 1].step,
        a: finite(curve.a)?,
        b: finite(curve.b)?,
        rmse: finite(error.rmse)?,
        constant_rmse: finite(constant.rmse)?,
        r2: error.r2,
    })
}

/// The block length, and the intervals of a, b and b − a. `None` if more than a tenth of the resamples has
/// no fit, or if there are too few blocks.
fn intervals(
    data: &LawData,
    curve: &LawCurve,
    resampling: &Resampling,
) -> Option<(usize, [(f64, f64); 3])> {
    let n = data.len();
    let length = bootstrap::block_length(&data.residuals(curve)).ceil() as usize;
    let sums = LawSums::of(data)?;
    let mut fits = Vec::with_capacity(resampling.resamples);
    bootstrap::resample(n, length, resampling, |blocks| fits.extend(sums.fit(blocks)));
    if fits.len() < resampling.resamples - resampling.resamples / 10 {
        return None;
    }
    let ends = |of: fn(&LawCurve) -> f64| {
        let resampled = fits.iter().map(of).collect();
        bootstrap::interval(of(curve), resampled, (n, length), resampling)
    };
    Some((length, [ends(|c| c.a)?, ends(|c| c.b)?, ends(|c| c.b - c.a)?]))
}

/// Prefix sums of the centred and scaled pairs, so that the cost of a block does not depend on its length.
struct LawSums {
    of: [bootstrap::PrefixSums; 4], // u, v, u², uv
    pairs: usize,
    centre: (f64, f64),
    scale: (f64, f64),
}

impl LawSums {
    /// `None` if x or y does not vary.
    fn of(data: &LawData) -> Option<LawSums> {
        let (xx, yy) = data.squares();
        let deviation = |squares: f64| (squares / data.len() as f64).sqrt();
        let scale = (deviation(xx), deviation(yy));
        if !(scale.0 > 0.0 && scale.1 > 0.0 && scale.0.is_finite() && scale.1.is_finite()) {
            return None;
        }
        let centre = (data.mean_x, data.mean_y);
        let pairs = data.x.iter().zip(&data.y);
        let scaled: Vec<(f64, f64)> =
            pairs.map(|(x, y)| ((x - centre.0) / scale.0, (y - centre.1) / scale.1)).collect();
        let sums =
            |term: fn(&(f64, f64)) -> f64| bootstrap::PrefixSums::of(scaled.iter().map(term));
        let of = [sums(|p| p.0), sums(|p| p.1), sums(|p| p.0 * p.0), sums(|p| p.0 * p.1)];
        Some(LawSums { of, pairs: data.len(), centre, scale })
    }

    /// The line fitted to the pairs of these blocks; `None` if their entropy does not vary.
    fn fit(&self, blocks: &[StepBlock]) -> Option<LawCurve> {
        let [u, v, uu, uv] = self.of.each_ref().map(|sums| sums.over(blocks) / self.pairs as f64);
        let variance = uu - u * u;
        if variance <= 1e-12 {
            return None;
        }
        // If all rewards of a resample are equal, rounding leaves a tiny slope.
        let slope = Some((uv - u * v) / variance).filter(|s| s.abs() > 1e-12).unwrap_or(0.0);
        let a = -slope * self.scale.1 / self.scale.0;
        let middle = self.centre.1 + self.scale.1 * (v - slope * u);
        Some(LawCurve { a, b: middle + a * self.centre.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{AuxSeries, History, Point};

    fn run(kind: EntropyKind, pairs: &[(f64, f64)]) -> Run {
        let points = pairs.iter().enumerate();
        let points = points.map(|(i, p)| Point { step: i as f64, entropy: p.0 }).collect();
        let rows = pairs.iter().enumerate().map(|(i, p)| (i as f64, p.1)).collect();
        let (history, _) = History::from_raw("x", kind, points).unwrap();
        let reward = AuxSeries::from_raw("reward", rows);
        Run { quantities: vec![reward], ..Run::new(history, "x.json", "rzero", "entropy") }
    }

    fn law(pairs: &[(f64, f64)]) -> Law {
        fit(&run(EntropyKind::TokenMean, pairs), &Resampling::default())
    }

    /// Entropies that fall, and rewards by the law with a = 0.05 and b = 0.9.
    fn lawful(n: usize) -> Vec<(f64, f64)> {
        let entropy = |i: usize| 0.2 + 2.0 * (-(i as f64) / 20.0).exp();
        (0..n).map(|i| (entropy(i), 0.9 - 0.05 * entropy(i).exp())).collect()
    }

    #[test]
    fn recovers_the_constants_of_a_lawful_run() {
        let law = law(&lawful(60));
        let close = |estimate: Option<Estimate>, expected: f64| {
            let Estimate { estimate, low, high } = estimate.unwrap();
            assert!((estimate - expected).abs() < 1e-12, "{estimate} is not {expected}");
            assert!(
                (low.unwrap() - expected).abs() < 1e-9 && (high.unwrap() - expected).abs() < 1e-9
            );
        };
        close(law.a, 0.05);
        close(law.b, 0.9);
        close(law.ceiling, 0.85);
        assert!((law.r2.unwrap() - 1.0).abs() < 1e-12);
        let test = law.hold_out.unwrap();
        assert_eq!((test.fitted_pairs, test.tested_pairs, test.last_fitted_step), (20, 40, 19.0));
        assert!(test.rmse < 1e-12 && test.constant_rmse > 0.1);
        assert_eq!(law.notes, Vec::<String>::new());
    }

    #[test]
    fn intervals_are_reproducible() {
        let noisy: Vec<_> = lawful(90)
            .iter()
            .enumerate()
            .map(|(i, p)| (p.0, p.1 + 0.01 * (i as f64 * 2.3).sin()))
            .collect();
        assert_eq!(law(&noisy), law(&noisy));
    }

    #[test]
    fn missing_fit_has_a_reason() {
        let why = |pairs: &[(f64, f64)]| {
            let law = law(pairs);
            assert!(law.a.is_none() && law.r2.is_none() && law.hold_out.is_none());
            law.notes.last().unwrap().clone()
        };
        assert!(why(&[(1.0, 0.0)]).contains("1 step has both"));
        assert!(why(&[(1.0, 0.0), (2.0, 1.0)]).contains("2 steps have both"));
        assert!(why(&[(1.0, 0.0), (1.0, 1.0), (1.0, 2.0)]).contains("entropy does not vary"));
        assert!(why(&[(1.0, 0.0), (800.0, 1.0), (1.0, 2.0)]).contains("too large at 800 nats"));
        assert!(why(&[(1.0, 1e308), (2.0, -1e308), (3.0, 1e308)]).contains("too large"));
    }

    #[test]
    fn few_pairs_and_constant_reward_have_no_intervals() {
        let few = law(&lawful(9));
        assert!(few.a.unwrap().low.is_none() && few.notes[0].contains("9 pairs are too few"));
        let flat: Vec<_> = lawful(30).iter().map(|p| (p.0, 0.5)).collect();
        let flat = law(&flat);
        assert_eq!(flat.a, Some(Estimate { estimate: 0.0, low: None, high: None }));
        assert_eq!((flat.b.unwrap().estimate, flat.r2), (0.5, None));
    }

    #[test]
    fn notes_growing_reward_and_surrogate_entropy() {
        let against: Vec<_> = lawful(30).iter().map(|p| (p.0, -p.1)).collect();
        assert!(law(&against).notes[0].contains("a is below 0"));
        let surrogate = run(EntropyKind::LogProbSurrogate, &lawful(30));
        let surrogate = fit(&surrogate, &Resampling::default());
        assert!(surrogate.notes[0].contains("surrogate"));
    }
}
