//! The reward–entropy law, R = −a·e^H + b (arXiv 2505.22617): a run buys reward with entropy, and what it
//! can buy ends where the entropy does, at R = b − a.
//!
//! The law is linear in e^H, so it is fitted by ordinary least squares, in closed form. Successive steps of
//! a run are alike, so the intervals come from a bootstrap of blocks of steps, seeded; and since two curves
//! that both drift always fit somehow, what counts is the test: the law fitted to the first third of the
//! steps, told how far it is off on the rest, beside a forecast that knows nothing.

use serde::Serialize;

use super::bootstrap::{self, Block, Resampling};
use super::summary::{finite, maybe_step, step};
use crate::history::Run;
use crate::quantity::EntropyKind;

/// Fewer pairs than this make no line.
const FEWEST_PAIRS: usize = 3;
/// Fewer pairs than this make no interval.
const FEWEST_FOR_INTERVALS: usize = 10;
/// Entropies beyond this have no e^H that could be squared; no mean of token entropies comes near.
const LARGEST_ENTROPY: f64 = 350.0;

/// A number with its 95 % interval, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The estimate.
    pub estimate: f64,
    /// Lower end of the interval.
    pub low: Option<f64>,
    /// Upper end of it.
    pub high: Option<f64>,
}

/// The law fitted to the first third of the pairs, and how far it is off on the rest.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HoldOut {
    /// Pairs it was fitted to.
    pub fitted_pairs: usize,
    /// Pairs it was tested on.
    pub tested_pairs: usize,
    /// The last step that it was fitted to.
    #[serde(serialize_with = "step")]
    pub last_fitted_step: f64,
    /// a of that fit.
    pub a: f64,
    /// b of that fit.
    pub b: f64,
    /// Root of the mean squared error on the rest, in units of the reward.
    pub rmse: f64,
    /// The same of a forecast that nothing changes: the mean reward of the first third.
    pub constant_rmse: f64,
    /// Share of the rest's variance that the fit foresaw; below 0 if the rest's mean would have been
    /// closer. `None` if the reward of the rest does not vary.
    pub r2: Option<f64>,
}

/// What `law` says of a run. What cannot be computed is `None`, and a note says why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Law {
    /// Its name.
    pub label: String,
    /// The file it was read from.
    pub source: String,
    /// The format of that file.
    pub format: &'static str,
    /// The key of the entropy.
    pub metric: String,
    /// Which entropy that is.
    pub quantity: &'static str,
    /// The key of the reward.
    pub reward: String,
    /// Steps with both.
    pub pairs: usize,
    /// The first of them.
    #[serde(serialize_with = "maybe_step")]
    pub first_step: Option<f64>,
    /// The last of them.
    #[serde(serialize_with = "maybe_step")]
    pub last_step: Option<f64>,
    /// What e^H costs.
    pub a: Option<Estimate>,
    /// The reward that e^H is taken from.
    pub b: Option<Estimate>,
    /// The reward at H = 0, b − a: what the run would end at.
    pub ceiling: Option<Estimate>,
    /// Share of the reward's variance that the law explains; `None` if the reward does not vary.
    pub r2: Option<f64>,
    /// Root of the mean squared error of the fit, in units of the reward.
    pub rmse: Option<f64>,
    /// Pairs in a block of the bootstrap; `None` where there are no intervals.
    pub block_length: Option<usize>,
    /// The test on the rest.
    pub hold_out: Option<HoldOut>,
    /// How the numbers were computed.
    pub method: String,
    /// What must hold for them to mean what they say.
    pub assumption: &'static str,
    /// Why a number is missing, or what limits it.
    pub notes: Vec<String>,
}

/// What must hold for a fit to mean what it says.
pub const ASSUMPTION: &str = "the law was found on runs without entropy bonus and without KL control \
     (arXiv 2505.22617); the intervals take successive steps as draws of one steady process, and cover \
     less than 95 % where they are strongly correlated";

/// The curve R = b − a·e^H.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Curve {
    /// What e^H costs.
    pub a: f64,
    /// The reward that it is taken from.
    pub b: f64,
}

impl Curve {
    /// The reward at an entropy, in nats.
    pub fn at(&self, entropy: f64) -> f64 {
        self.b - self.a * entropy.exp()
    }
}

impl Law {
    /// The fitted curve, if there is one.
    pub fn curve(&self) -> Option<Curve> {
        Some(Curve { a: self.a?.estimate, b: self.b?.estimate })
    }
}

impl HoldOut {
    /// The curve fitted to the first third.
    pub fn curve(&self) -> Curve {
        Curve { a: self.a, b: self.b }
    }
}

/// Entropy in nats and reward of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// Training step.
    pub step: f64,
    /// Entropy.
    pub entropy: f64,
    /// Reward.
    pub reward: f64,
}

const NOT_RECORDED: &str = "no fit: every entropy is 0, as where it was not recorded";

/// The steps of a run that have both an entropy and a reward, in order.
pub fn pairs(run: &Run) -> Vec<Pair> {
    let Some(reward) = &run.reward else { return Vec::new() };
    let points = run.history.points().iter();
    let pairs = points.filter_map(|p| {
        Some(Pair { step: p.step, entropy: p.entropy, reward: reward.at(p.step)? })
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
        reward: run.reward.as_ref().map_or(String::new(), |r| r.metric().to_owned()),
        pairs: pairs.len(),
        first_step: pairs.first().map(|p| p.step),
        last_step: pairs.last().map(|p| p.step),
        a: None,
        b: None,
        ceiling: None,
        r2: None,
        rmse: None,
        block_length: None,
        hold_out: None,
        method: "least squares of the reward on e^H".to_owned(),
        assumption: ASSUMPTION,
        notes: kind_note(run.history.kind()).into_iter().map(str::to_owned).collect(),
    };
    if let Err(why) = fill(&mut law, &pairs, resampling) {
        law.notes.push(why);
    }
    law
}

/// Computes what can be computed; an error says why there is no fit.
fn fill(law: &mut Law, pairs: &[Pair], resampling: &Resampling) -> Result<(), String> {
    if pairs.len() < FEWEST_PAIRS {
        let steps = if pairs.len() == 1 { "step has" } else { "steps have" };
        return Err(format!("no fit: {} {steps} both an entropy and a reward", pairs.len()));
    }
    if let Some(pair) = pairs.iter().find(|pair| pair.entropy > LARGEST_ENTROPY) {
        let entropy = pair.entropy;
        return Err(format!(
            "no fit: e^H of {entropy} nats is out of reach; no mean of token entropies is"
        ));
    }
    if pairs.iter().all(|pair| pair.entropy == 0.0) {
        return Err(NOT_RECORDED.to_owned());
    }
    let data = Data::of(pairs);
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
        Some(_) if pairs.len() < FEWEST_FOR_INTERVALS => {
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
            None => law
                .notes
                .push("no intervals: too few pairs that do not depend on each other".to_owned()),
        },
    }
    if law.hold_out.is_none() {
        law.notes.push("no test: the first third of the pairs has no fit of its own".to_owned());
    }
    if a < 0.0 && error.r2.is_some() {
        law.notes.push(
            "a is below 0: reward grows with entropy, which is not what the law says".to_owned(),
        );
    }
    Ok(())
}

/// What the law cannot say of such an entropy.
fn kind_note(kind: EntropyKind) -> Option<&'static str> {
    match kind {
        EntropyKind::TokenMean | EntropyKind::SequenceMean | EntropyKind::ExactMean => None,
        EntropyKind::LogProbSurrogate | EntropyKind::ImportanceWeighted => Some(
            "its entropy is a surrogate, −log π of sampled tokens: it is H in expectation only",
        ),
        EntropyKind::SequenceSum => {
            Some("its entropy is summed over a response; the law is about a token's")
        }
        EntropyKind::ActionDistribution => {
            Some("its entropy is of actions; the law is about tokens")
        }
        EntropyKind::Unknown => {
            Some("whether this is the entropy that the law is about is not known")
        }
    }
}

/// e^H and R of the pairs, with their means.
struct Data {
    x: Vec<f64>,
    y: Vec<f64>,
    mean_x: f64,
    mean_y: f64,
}

impl Data {
    fn of(pairs: &[Pair]) -> Data {
        let x: Vec<f64> = pairs.iter().map(|pair| pair.entropy.exp()).collect();
        let y: Vec<f64> = pairs.iter().map(|pair| pair.reward).collect();
        let (mean_x, mean_y) = (mean(&x), mean(&y));
        Data { x, y, mean_x, mean_y }
    }

    fn len(&self) -> usize {
        self.x.len()
    }

    /// Sums of squares about the means, of x and of y; 0 for what varies by rounding only.
    fn squares(&self) -> (f64, f64) {
        let squares = |values: &[f64], mean: f64| {
            let sum: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
            let rounding = (1e-12 * mean).powi(2) * values.len() as f64;
            if sum > rounding { sum } else { 0.0 }
        };
        (squares(&self.x, self.mean_x), squares(&self.y, self.mean_y))
    }

    /// The line y = b − a·x with the least squares; `None` if x does not vary.
    fn least_squares(&self) -> Option<Curve> {
        let (xx, yy) = self.squares();
        if xx == 0.0 {
            return None;
        }
        if yy == 0.0 {
            return Some(Curve { a: 0.0, b: self.mean_y });
        }
        let products = self.x.iter().zip(&self.y);
        let xy: f64 = products.map(|(x, y)| (x - self.mean_x) * (y - self.mean_y)).sum();
        let a = -xy / xx;
        Some(Curve { a, b: self.mean_y + a * self.mean_x })
    }

    /// What the curve leaves unexplained.
    fn residuals(&self, curve: &Curve) -> Vec<f64> {
        self.x.iter().zip(&self.y).map(|(x, y)| y - (curve.b - curve.a * x)).collect()
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// How far a curve is off.
struct Errors {
    rmse: f64,
    r2: Option<f64>,
}

fn errors(curve: &Curve, data: &Data) -> Errors {
    let squares: f64 = data.residuals(curve).iter().map(|r| r * r).sum();
    let (_, total) = data.squares();
    let r2 = (total > 0.0).then(|| 1.0 - squares / total);
    Errors { rmse: (squares / data.len() as f64).sqrt(), r2: r2.and_then(finite) }
}

/// The law fitted to the first third, and tested on the rest.
fn hold_out(pairs: &[Pair]) -> Option<HoldOut> {
    let (first, rest) = pairs.split_at(pairs.len() / 3);
    if first.len() < FEWEST_PAIRS {
        return None;
    }
    let fitted = Data::of(first);
    let curve = fitted.least_squares()?;
    let tested = Data::of(rest);
    let error = errors(&curve, &tested);
    let constant = errors(&Curve { a: 0.0, b: fitted.mean_y }, &tested);
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

/// The length of the blocks, and the intervals of a, b and b − a; `None` when over a tenth of the resamples
/// has no fit, or too few blocks make up the pairs.
fn intervals(
    data: &Data,
    curve: &Curve,
    resampling: &Resampling,
) -> Option<(usize, [(f64, f64); 3])> {
    let n = data.len();
    let length = bootstrap::block_length(&data.residuals(curve)).ceil() as usize;
    let sums = Sums::of(data)?;
    let mut fits = Vec::with_capacity(resampling.resamples);
    bootstrap::resample(n, length, resampling, |blocks| fits.extend(sums.fit(blocks)));
    if fits.len() < resampling.resamples - resampling.resamples / 10 {
        return None;
    }
    let ends = |of: fn(&Curve) -> f64| {
        let resampled = fits.iter().map(of).collect();
        bootstrap::interval(of(curve), resampled, (n, length), resampling)
    };
    Some((length, [ends(|c| c.a)?, ends(|c| c.b)?, ends(|c| c.b - c.a)?]))
}

/// Running sums of the pairs, centred and scaled, so that a block of any length costs the same.
struct Sums {
    of: [bootstrap::Sums; 4], // u, v, u², uv
    pairs: usize,
    centre: (f64, f64),
    scale: (f64, f64),
}

impl Sums {
    /// `None` if x or y does not vary.
    fn of(data: &Data) -> Option<Sums> {
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
        let sums = |term: fn(&(f64, f64)) -> f64| bootstrap::Sums::of(scaled.iter().map(term));
        let of = [sums(|p| p.0), sums(|p| p.1), sums(|p| p.0 * p.0), sums(|p| p.0 * p.1)];
        Some(Sums { of, pairs: data.len(), centre, scale })
    }

    /// The line through the pairs of these blocks; `None` if their entropy does not vary.
    fn fit(&self, blocks: &[Block]) -> Option<Curve> {
        let [u, v, uu, uv] = self.of.each_ref().map(|sums| sums.over(blocks) / self.pairs as f64);
        let variance = uu - u * u;
        if variance <= 1e-12 {
            return None;
        }
        // What rounding leaves of a resample whose rewards are all one is no slope.
        let slope = Some((uv - u * v) / variance).filter(|s| s.abs() > 1e-12).unwrap_or(0.0);
        let a = -slope * self.scale.1 / self.scale.0;
        let middle = self.centre.1 + self.scale.1 * (v - slope * u);
        Some(Curve { a, b: middle + a * self.centre.0 })
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
        Run { reward, ..Run::new(history, "x.json", "rzero", "entropy") }
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
    fn a_run_that_obeys_the_law_gives_its_constants() {
        let law = law(&lawful(60));
        let close = |estimate: Option<Estimate>, wanted: f64| {
            let Estimate { estimate, low, high } = estimate.unwrap();
            assert!((estimate - wanted).abs() < 1e-12, "{estimate} is not {wanted}");
            assert!((low.unwrap() - wanted).abs() < 1e-9 && (high.unwrap() - wanted).abs() < 1e-9);
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
    fn the_same_pairs_give_the_same_intervals() {
        let noisy: Vec<_> = lawful(90)
            .iter()
            .enumerate()
            .map(|(i, p)| (p.0, p.1 + 0.01 * (i as f64 * 2.3).sin()))
            .collect();
        assert_eq!(law(&noisy), law(&noisy));
    }

    #[test]
    fn what_has_no_fit_says_why() {
        let why = |pairs: &[(f64, f64)]| {
            let law = law(pairs);
            assert!(law.a.is_none() && law.r2.is_none() && law.hold_out.is_none());
            law.notes.last().unwrap().clone()
        };
        assert!(why(&[(1.0, 0.0)]).contains("1 step has both"));
        assert!(why(&[(1.0, 0.0), (2.0, 1.0)]).contains("2 steps have both"));
        assert!(why(&[(1.0, 0.0), (1.0, 1.0), (1.0, 2.0)]).contains("entropy does not vary"));
        assert!(why(&[(1.0, 0.0), (800.0, 1.0), (1.0, 2.0)]).contains("out of reach"));
        assert!(why(&[(1.0, 1e308), (2.0, -1e308), (3.0, 1e308)]).contains("too large"));
    }

    #[test]
    fn few_pairs_and_a_constant_reward_have_no_intervals() {
        let few = law(&lawful(9));
        assert!(few.a.unwrap().low.is_none() && few.notes[0].contains("9 pairs are too few"));
        let flat: Vec<_> = lawful(30).iter().map(|p| (p.0, 0.5)).collect();
        let flat = law(&flat);
        assert_eq!(flat.a, Some(Estimate { estimate: 0.0, low: None, high: None }));
        assert_eq!((flat.b.unwrap().estimate, flat.r2), (0.5, None));
    }

    #[test]
    fn a_reward_that_grows_with_entropy_and_a_surrogate_are_told() {
        let against: Vec<_> = lawful(30).iter().map(|p| (p.0, -p.1)).collect();
        assert!(law(&against).notes[0].contains("a is below 0"));
        let surrogate = run(EntropyKind::LogProbSurrogate, &lawful(30));
        let surrogate = fit(&surrogate, &Resampling::default());
        assert!(surrogate.notes[0].contains("surrogate"));
    }
}
