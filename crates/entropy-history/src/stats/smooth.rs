//! Smoothing of curves for display. Input values are finite. A smoothed curve has the same gaps as the
//! logged curve.
//!
//! `ema` is TensorBoard's moving average: `last = w·last + (1−w)·y`, shown as `last / (1 − w^n)`. `twema` is
//! the time-weighted average of W&B's manual: `last = last·v^Δ + y`, `norm = norm·v^Δ + 1`, shown as
//! `last / norm`, where `v = min(√w, 0.999)` and Δ is the distance to the previous point in thousandths of
//! the chart's width. W&B does not publish that factor of 1,000; it is our choice. `mean` is a centred
//! running mean over points, and `gaussian` a mean weighted by `exp(−Δ²/2σ²)` with Δ in steps.

use std::fmt;
use std::str::FromStr;

use rayon::prelude::*;

use super::sample::mean;
use crate::history::Point;

/// How a curve is smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Smoothing {
    /// No smoothing.
    #[default]
    None,
    /// Exponential moving average with a weight in `[0, 1)`, debiased as in TensorBoard.
    Ema(f64),
    /// W&B's time-weighted moving average with a weight in `[0, 1]`.
    Twema(f64),
    /// Centred running mean over an odd number of points.
    Mean(usize),
    /// Mean with Gaussian weights, with σ in steps.
    Gaussian(f64),
}

impl Smoothing {
    /// The smoothed values, one per point. `width` is the width of the chart in steps, from the first step
    /// of any run to the last step of any run; only the time-weighted average uses it.
    ///
    /// ```
    /// use entropy_history::{Point, Smoothing};
    ///
    /// let points = [3.0, 2.0, 1.0].map(|entropy| Point { step: 4.0 - entropy, entropy });
    /// assert_eq!(Smoothing::Mean(3).apply(&points, 3.0)[1], 2.0);
    /// ```
    pub fn apply(self, points: &[Point], width: f64) -> Vec<f64> {
        let values = || points.iter().map(|p| p.entropy).collect::<Vec<f64>>();
        match self {
            Smoothing::None => values(),
            Smoothing::Ema(weight) => ema(&values(), weight),
            Smoothing::Twema(weight) => twema(points, weight, width),
            Smoothing::Mean(points) => running_mean(&values(), points),
            Smoothing::Gaussian(sigma) => gaussian(points, sigma),
        }
    }
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Smoothing::None => write!(f, "none"),
            Smoothing::Ema(weight) => write!(f, "EMA {weight}"),
            Smoothing::Twema(weight) => write!(f, "time-weighted EMA {weight}"),
            Smoothing::Mean(points) => write!(f, "mean of {points} points"),
            Smoothing::Gaussian(sigma) => write!(f, "Gaussian of {sigma} steps"),
        }
    }
}

impl FromStr for Smoothing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, amount) = text.split_once(':').unwrap_or((text, ""));
        let points = amount.parse::<usize>().ok().filter(|points| points % 2 == 1);
        if let ("mean", Some(points)) = (kind, points) {
            return Ok(Smoothing::Mean(points));
        }
        let expected = match (kind, amount.parse::<f64>()) {
            ("none", _) if amount.is_empty() => return Ok(Smoothing::None),
            ("ema", Ok(weight)) if (0.0..1.0).contains(&weight) => {
                return Ok(Smoothing::Ema(weight));
            }
            ("twema", Ok(weight)) if (0.0..=1.0).contains(&weight) => {
                return Ok(Smoothing::Twema(weight));
            }
            ("gaussian", Ok(sigma)) if sigma > 0.0 && sigma.is_finite() => {
                return Ok(Smoothing::Gaussian(sigma));
            }
            ("ema", _) => "ema takes a weight from 0 up to, not including, 1, as in ema:0.9",
            ("twema", _) => "twema takes a weight from 0 to 1, as in twema:0.9",
            ("mean", _) => "mean takes an odd number of points, as in mean:5",
            ("gaussian", _) => "gaussian takes a width in steps above 0, as in gaussian:3",
            _ => {
                "expected none, ema:WEIGHT, twema:WEIGHT, mean:POINTS or gaussian:STEPS, as in ema:0.9"
            }
        };
        Err(expected.to_owned())
    }
}

/// TensorBoard's smoothing (`tensorboard/webapp/widgets/line_chart_v2/data_transformer.ts` at
/// 412c86e, `classicSmoothing`); a constant series stays unchanged.
fn ema(values: &[f64], weight: f64) -> Vec<f64> {
    if values.iter().all(|v| *v == values[0]) {
        return values.to_vec();
    }
    let mut last = 0.0;
    let smooth = |(i, &value): (usize, &f64)| {
        last = weight * last + (1.0 - weight) * value;
        last / (1.0 - weight.powf((i + 1) as f64))
    };
    values.iter().enumerate().map(smooth).collect()
}

fn twema(points: &[Point], weight: f64, width: f64) -> Vec<f64> {
    let weight = weight.sqrt().min(0.999);
    let (mut last, mut norm) = (0.0, 0.0);
    let mut before = points[0].step;
    let smooth = |point: &Point| {
        let distance = if width > 0.0 { (point.step - before) / width * 1000.0 } else { 0.0 };
        let decay = weight.powf(distance);
        before = point.step;
        last = last * decay + point.entropy;
        norm = norm * decay + 1.0;
        last / norm
    };
    points.iter().map(smooth).collect()
}

/// Centred running mean over `width` values, an odd number. Towards both ends the window narrows and stays
/// centred.
pub fn running_mean(values: &[f64], width: usize) -> Vec<f64> {
    let n = values.len();
    let mean_around = |i: usize| {
        let reach = (width / 2).min(i).min(n - 1 - i);
        mean(&values[i - reach..=i + reach])
    };
    // Waking another thread for less work than this costs more than it saves.
    let min_len = (200_000 / width.max(1)).max(1000);
    (0..n).into_par_iter().with_min_len(min_len).map(mean_around).collect()
}

/// Neighbouring points, replaced by their mean.
struct PointBin {
    step: f64,
    entropy: f64,
    points: f64,
}

/// Mean with Gaussian weights. Weights end at 4 σ, as in SciPy's `gaussian_filter1d`; near the ends of the
/// curve the window is cut. Points closer together than σ/64 are replaced by their mean, which bounds the
/// cost of a wide window and changes weights by at most 1 in 10,000.
fn gaussian(points: &[Point], sigma: f64) -> Vec<f64> {
    let mut bins: Vec<PointBin> = Vec::new();
    let mut start = f64::NEG_INFINITY;
    for &Point { step, entropy } in points {
        match bins.last_mut() {
            Some(bin) if step - start < sigma / 64.0 => {
                bin.points += 1.0;
                bin.step += (step - bin.step) / bin.points;
                bin.entropy += (entropy - bin.entropy) / bin.points;
            }
            _ => {
                start = step;
                bins.push(PointBin { step, entropy, points: 1.0 });
            }
        }
    }
    let mean_around = |point: &Point| {
        let from = bins.partition_point(|bin| bin.step < point.step - 4.0 * sigma);
        let near = bins[from..].iter().take_while(|bin| bin.step <= point.step + 4.0 * sigma);
        let (mut sum, mut weights) = (0.0, 0.0);
        for bin in near {
            let distance = (bin.step - point.step) / sigma;
            let weight = bin.points * (-0.5 * distance * distance).exp();
            sum += weight * bin.entropy;
            weights += weight;
        }
        sum / weights
    };
    points.par_iter().with_min_len(1000).map(mean_around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f64]) -> Vec<Point> {
        let point = |(i, &entropy): (usize, &f64)| Point { step: i as f64, entropy };
        values.iter().enumerate().map(point).collect()
    }

    fn close(got: &[f64], expected: &[f64]) {
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
        }
    }

    #[test]
    fn ema_matches_tensorboard() {
        // pandas 2.2: Series([2.0, 4.0, 1.0, 3.0]).ewm(alpha=0.2, adjust=True).mean(), which is
        // TensorBoard's debiased average of weight 0.8.
        let expected = [2.0, 3.111111111111111, 2.2459016393442623, 2.501355013550136];
        close(&ema(&[2.0, 4.0, 1.0, 3.0], 0.8), &expected);
        assert_eq!(ema(&[0.1; 5], 0.9), [0.1; 5]);
        assert_eq!(ema(&[1.0, 2.0], 0.0), [1.0, 2.0]);
    }

    #[test]
    fn twema_weights_by_distance_not_by_count() {
        // v = √0.25 = 0.5; a width of 1,000 steps makes the distance the steps: weights 0.5^3 and 1.
        let points = [Point { step: 0.0, entropy: 1.0 }, Point { step: 3.0, entropy: 10.0 }];
        close(&twema(&points, 0.25, 1000.0), &[1.0, (0.125 + 10.0) / 1.125]);
        assert_eq!(twema(&points[..1], 0.25, 0.0), [1.0]);
        assert_eq!(twema(&points, 0.0, 1000.0), [1.0, 10.0]);
    }

    #[test]
    fn running_mean_stays_centred_at_the_ends() {
        let mean = running_mean(&[1.0, 5.0, 0.0, 2.0, 2.0, 6.0], 5);
        assert_eq!(mean, [1.0, 2.0, 2.0, 3.0, 10.0 / 3.0, 6.0]);
    }

    #[test]
    fn gaussian_keeps_a_constant_and_weighs_by_steps() {
        close(&gaussian(&points(&[2.5; 9]), 3.0), &[2.5; 9]);
        let w = (-0.5f64).exp();
        let pair = [Point { step: 0.0, entropy: 0.0 }, Point { step: 10.0, entropy: 1.0 }];
        close(&gaussian(&pair, 10.0), &[w / (1.0 + w), 1.0 / (1.0 + w)]);
        assert_eq!(gaussian(&pair, 1e-300), [0.0, 1.0]);
        assert_eq!(gaussian(&pair, 1e300), [0.5, 0.5]);
    }

    #[test]
    fn wide_gaussian_in_bins_matches_the_exact_one() {
        let wave = |i: usize| Point { step: i as f64, entropy: (i as f64 / 300.0).sin() };
        let points: Vec<Point> = (0..4000).map(wave).collect();
        let smooth = gaussian(&points, 250.0); // bins of 4 points
        // The transfer of a Gaussian at that frequency, exp(−(σω)²/2), away from the ends.
        let transfer = (-0.5 * (250.0f64 / 300.0).powi(2)).exp();
        for i in (1000..3000).step_by(100) {
            assert!((smooth[i] - transfer * points[i].entropy).abs() < 2e-4, "at {i}");
        }
    }

    #[test]
    fn rejects_unknown_smoothing() {
        let bad = "ema ema:1 ema:x none:1 twema:1.1 twema:nan mean:4 mean:0 mean:-3 gaussian:0 \
                   gaussian:inf gaussian magic:3";
        for text in bad.split(' ').chain([""]) {
            assert!(text.parse::<Smoothing>().is_err(), "{text}");
        }
        assert_eq!("ema:0.9".parse(), Ok(Smoothing::Ema(0.9)));
        assert_eq!("twema:1".parse(), Ok(Smoothing::Twema(1.0)));
        assert_eq!("mean:5".parse(), Ok(Smoothing::Mean(5)));
        assert_eq!("gaussian:2.5".parse(), Ok(Smoothing::Gaussian(2.5)));
    }
}
