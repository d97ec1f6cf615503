//! Smoothing of a curve for the eye. Input values are finite; gaps were taken out at the door.

use std::fmt;
use std::str::FromStr;

/// How a curve is smoothed.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Smoothing {
    /// Not at all.
    #[default]
    None,
    /// Exponential moving average of that weight in `[0, 1)`, debiased as TensorBoard does.
    Ema(f64),
}

impl Smoothing {
    /// The smoothed values, as many as given.
    pub fn apply(self, values: &[f64]) -> Vec<f64> {
        match self {
            Smoothing::None => values.to_vec(),
            Smoothing::Ema(weight) => ema(values, weight),
        }
    }
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Smoothing::None => write!(f, "none"),
            Smoothing::Ema(weight) => write!(f, "EMA {weight}"),
        }
    }
}

impl FromStr for Smoothing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (kind, amount) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "none" if amount.is_empty() => Ok(Smoothing::None),
            "ema" => match amount.parse::<f64>() {
                Ok(weight) if (0.0..1.0).contains(&weight) => Ok(Smoothing::Ema(weight)),
                _ => Err("ema takes a weight from 0 up to, not including, 1, as in ema:0.9".into()),
            },
            _ => Err("known are none and ema:WEIGHT, as in ema:0.9".into()),
        }
    }
}

/// TensorBoard's smoothing (`tensorboard/webapp/widgets/line_chart_v2/.../data_transformer`):
/// `last = w·last + (1−w)·y`, divided by `1 − w^n`; a constant series is left alone.
fn ema(values: &[f64], weight: f64) -> Vec<f64> {
    if values.iter().all(|v| *v == values[0]) {
        return values.to_vec();
    }
    let mut last = 0.0;
    let mut remaining = 1.0; // w^n
    let smooth = |&value: &f64| {
        last = weight * last + (1.0 - weight) * value;
        remaining *= weight;
        last / (1.0 - remaining)
    };
    values.iter().map(smooth).collect()
}

/// Centred running mean of `width` (odd) values; narrower towards both ends, where it stays centred.
pub fn running_mean(values: &[f64], width: usize) -> Vec<f64> {
    let n = values.len();
    let mean_around = |i: usize| {
        let reach = (width / 2).min(i).min(n - 1 - i);
        let around = &values[i - reach..=i + reach];
        around.iter().sum::<f64>() / around.len() as f64
    };
    (0..n).map(mean_around).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ema_is_tensorboards() {
        // pandas 2.2: Series([2.0, 4.0, 1.0, 3.0]).ewm(alpha=0.2, adjust=True).mean(), which is
        // TensorBoard's debiased average of weight 0.8.
        let wanted = [2.0, 3.111111111111111, 2.2459016393442623, 2.501355013550136];
        for (got, wanted) in ema(&[2.0, 4.0, 1.0, 3.0], 0.8).iter().zip(wanted) {
            assert!((got - wanted).abs() < 1e-12, "{got} is not {wanted}");
        }
        assert_eq!(ema(&[0.1; 5], 0.9), [0.1; 5]);
        assert_eq!(ema(&[1.0, 2.0], 0.0), [1.0, 2.0]);
    }

    #[test]
    fn the_running_mean_stays_centred_at_the_ends() {
        let mean = running_mean(&[1.0, 5.0, 0.0, 2.0, 2.0, 6.0], 5);
        assert_eq!(mean, [1.0, 2.0, 2.0, 3.0, 10.0 / 3.0, 6.0]);
    }

    #[test]
    fn a_smoothing_that_is_not_known_is_refused() {
        for text in ["ema", "ema:1", "ema:x", "none:1", "gaussian:3", ""] {
            assert!(text.parse::<Smoothing>().is_err(), "{text}");
        }
        assert_eq!("ema:0.9".parse(), Ok(Smoothing::Ema(0.9)));
    }
}
