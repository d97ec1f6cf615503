//! Axes: tick positions, tick labels, and scales from values to px.

use entropy_history::number::{exact, shortest, typographic};

use super::ValueScale;

/// A linear or logarithmic scale from values to px.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    // A function instead of a flag: with a flag, the compiler computes logarithms for linear scales too.
    transform: fn(f64) -> f64,
}

impl Scale {
    /// Maps the values `low..high` to the px `from..to`, which may decrease, as on a y axis.
    pub fn new((low, high): (f64, f64), (from, to): (f64, f64), scale: ValueScale) -> Scale {
        let transform = match scale {
            ValueScale::Linear => std::convert::identity,
            ValueScale::Log => f64::log10,
        };
        Scale { low: transform(low), high: transform(high), from, to, transform }
    }

    /// The position of a value in px; not finite for a value without a logarithm on a logarithmic scale.
    #[inline]
    pub fn at(&self, value: f64) -> f64 {
        let share = ((self.transform)(value) - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }
}

/// A logarithmic axis ends at the next tick if that is within this share of the span of its values;
/// otherwise it ends at the margin below.
const NEAR: f64 = 0.12;
const MARGIN: f64 = 0.04;
/// The smallest share of a linear axis that its values cover, if the ends are free.
pub(super) const MIN_USED: f64 = 0.74;
/// Ticks of a logarithmic axis within a decade.
const FINE: [f64; 8] = [1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0];

/// Values are clamped to this magnitude, so that spans do not overflow.
const LARGEST: f64 = 1e300;

/// The smallest and the largest value; (∞, −∞) if there are none.
pub(super) fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// An axis: its limits, its ticks and their labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// Smallest value of the axis.
    pub low: f64,
    /// Largest value of the axis.
    pub high: f64,
    /// Values and their labels, by increasing value.
    pub ticks: Vec<(f64, String)>,
}

/// The smallest step of 1, 2 or 5 times a power of ten that divides `span` into at most `max_ticks` intervals.
fn round_step(span: f64, max_ticks: usize) -> f64 {
    let rough = span / max_ticks.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    // The tolerance keeps a rounding error from choosing the next larger step.
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().find(|m| m * power >= rough * (1.0 - 1e-9));
    round.unwrap_or(10.0) * power
}

/// A linear axis for values from `low` to `high` with about `max_ticks` ticks at most. An end that is not
/// `fixed` by the user is moved out to a round number.
pub fn value_axis(low: f64, high: f64, fixed: (bool, bool), max_ticks: usize) -> Axis {
    let (low, high) = (low.clamp(-LARGEST, LARGEST), high.clamp(-LARGEST, LARGEST));
    let step = round_step(high - low, max_ticks);
    let first = if fixed.0 { (low / step).ceil() } else { (low / step).floor() };
    let last = if fixed.1 { (high / step).floor() } else { (high / step).ceil() };
    let format = formatter(step, (first * step).abs().max((last * step).abs()));
    let ticks = multiples(first, last, step).map(|v| (v, format(v))).collect();
    let low = if fixed.0 { low } else { first * step };
    let high = if fixed.1 { high } else { last * step };
    Axis { low, high, ticks }
}

/// [`value_axis`] whose free ends are not at a tick, but shortly beyond the values, where the tick would leave too
/// much of the axis empty: the values from `low` to `high` are to cover the share `min_used`, if that is possible.
/// It has more than `max_ticks` intervals if there would be fewer than two ticks, which do not show the scale.
pub(super) fn close_axis(
    limits: (f64, f64),
    fixed: (bool, bool),
    max_ticks: usize,
    min_used: f64,
) -> Axis {
    let axis = |more| closed(limits, fixed, max_ticks + more, min_used);
    (0..4).map(axis).find(|axis| axis.ticks.len() >= 2).unwrap_or_else(|| axis(0))
}

fn closed((low, high): (f64, f64), fixed: (bool, bool), max_ticks: usize, min_used: f64) -> Axis {
    let axis = value_axis(low, high, fixed, max_ticks);
    let margin = MARGIN * (high - low);
    let near_low = if low == 0.0 { 0.0 } else { low - margin };
    let near_high = if high == 0.0 { 0.0 } else { high + margin };
    let lows = if fixed.0 { [axis.low; 2] } else { [axis.low, near_low.max(axis.low)] };
    let highs = if fixed.1 { [axis.high; 2] } else { [axis.high, near_high.min(axis.high)] };
    let pairs = lows.iter().flat_map(|low| highs.map(|high| (*low, high)));
    let used = |(from, to): &(f64, f64)| (high - low) / (to - from);
    let enough = pairs.clone().find(|pair| used(pair) >= min_used);
    let (low, high) = enough.unwrap_or((lows[1], highs[1]));
    let inside = |(value, _): &(f64, String)| (low..=high).contains(value);
    Axis { low, high, ticks: axis.ticks.into_iter().filter(inside).collect() }
}

/// A logarithmic axis. Ticks are at powers of ten, with 2 and 5 between them over few decades, and finer if
/// there would be fewer than three. An end that is not `fixed` by the user is at the next tick if that is
/// near, or else shortly beyond the values: a decade without data would waste height.
pub fn log_axis(low: f64, high: f64, fixed: (bool, bool)) -> Axis {
    let mantissas: &[f64] = if (high / low).log10() > 3.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let (from, to) = (low.log10().floor() as i32 - 1, high.log10().ceil() as i32 + 1);
    let stride = ((to - from) / 8).max(1) as usize;
    let power = |e: i32| mantissas.iter().map(move |m| decimal(*m, e));
    let round: Vec<f64> = (from..=to).step_by(stride).flat_map(power).collect();
    let span = high.log10() - low.log10();
    let near = |tick: &&f64, end: f64| (*tick / end).log10().abs() <= NEAR * span;
    let below = round.iter().rfind(|v| **v <= low).filter(|tick| near(tick, low));
    let above = round.iter().find(|v| **v >= high).filter(|tick| near(tick, high));
    let margin = 10f64.powf(MARGIN * span);
    let below = below.copied().unwrap_or(low / margin);
    let above = above.copied().unwrap_or(high * margin);
    let low = if fixed.0 || below <= 0.0 { low } else { below };
    let high = if fixed.1 || !above.is_finite() { high } else { above };
    let mut inside: Vec<f64> = round.into_iter().filter(|v| (low..=high).contains(v)).collect();
    if inside.len() < 3 && high < 10.0 * low {
        let decades = (from..=to).flat_map(|e| FINE.map(|m| decimal(m, e)));
        inside = decades.filter(|v| (low..=high).contains(v)).collect();
    }
    if inside.len() < 3 && high < 10.0 * low {
        return value_axis(low, high, (true, true), 6);
    }
    let text = |v: f64| if (1e-4..1e6).contains(&v) { shortest(v) } else { format!("{v:e}") };
    Axis { low, high, ticks: inside.into_iter().map(|v| (v, text(v))).collect() }
}

/// The number nearest to `mantissa` · 10^`exponent`. A product with an inexact power of ten would be printed
/// with all its digits.
fn decimal(mantissa: f64, exponent: i32) -> f64 {
    let text = format!("{mantissa}e{exponent}");
    text.parse().unwrap_or_else(|_| mantissa * 10f64.powi(exponent))
}

/// An axis of training steps from `first` to `last`, with a tick at `first`. Ticks closer to it than
/// `min_gap`, a share of the axis, are left out.
pub fn step_axis(first: f64, last: f64, max_ticks: usize, min_gap: f64) -> Axis {
    if first == last {
        let ticks = vec![(first, exact(first))];
        return Axis { low: first - 1.0, high: last + 1.0, ticks };
    }
    let span = last - first;
    let mut step = round_step(span, max_ticks);
    if first.fract() == 0.0 && last.fract() == 0.0 {
        step = step.max(1.0);
    }
    let largest = first.abs().max(last.abs());
    let format = formatter(step, largest);
    let mut ticks = vec![(first, first_step(first, unit(step, largest)))];
    let inner = multiples((first / step).ceil(), (last / step).floor(), step);
    ticks.extend(inner.filter(|v| v - first > min_gap * span).map(|v| (v, format(v))));
    Axis { low: first, high: last, ticks }
}

/// The label of the first step with all its digits, in the unit of the other ticks unless that is longer.
fn first_step(step: f64, (unit, suffix): (f64, &str)) -> String {
    let whole = exact(step);
    if unit <= 1.0 || step.abs() < unit {
        return whole;
    }
    let in_unit = exact(step / unit) + suffix;
    if in_unit.chars().count() <= whole.chars().count() { in_unit } else { whole }
}

fn multiples(first: f64, last: f64, step: f64) -> impl Iterator<Item = f64> {
    // At most 65 ticks: the count is meaningless if the step is far smaller than the numbers.
    let count = (last - first).clamp(0.0, 64.0) as usize + 1;
    (0..count).map(move |i| (first + i as f64) * step)
}

/// The unit of the ticks of an axis, and its suffix; 0 for ticks in scientific notation.
fn unit(step: f64, largest: f64) -> (f64, &'static str) {
    match largest {
        _ if step < 1e-4 || largest >= 1e12 => (0.0, ""),
        _ if largest >= 1e9 && step >= 1e7 => (1e9, "G"),
        _ if largest >= 1e6 && step >= 1e4 => (1e6, "M"),
        _ if largest >= 1e4 && step >= 1e2 => (1e3, "k"),
        _ => (1.0, ""),
    }
}

/// Formats the ticks of one axis, all with the same decimals and unit.
fn formatter(step: f64, largest: f64) -> impl Fn(f64) -> String {
    let decimals = move |unit: f64| (-(step / unit).log10().floor()).max(0.0) as usize;
    let (unit, suffix) = unit(step, largest);
    move |value: f64| {
        if value == 0.0 {
            return if step < 1.0 && unit == 1.0 {
                format!("{:.*}", decimals(1.0), 0.0)
            } else {
                "0".into()
            };
        }
        if unit == 0.0 {
            let digits = (largest.log10().floor() - step.log10().floor()).clamp(0.0, 15.0);
            return typographic(format!("{:.*e}", digits as usize, value));
        }
        typographic(format!("{:.*}{suffix}", decimals(unit), value / unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn powers_of_ten_have_short_labels() {
        for exponent in -300..300 {
            let low = 10f64.powi(exponent);
            for text in texts(&log_axis(low, low * 500.0, (false, false))) {
                assert!(text.len() <= 6, "{text}");
            }
        }
    }

    #[test]
    fn values_get_round_ticks_with_equal_decimals() {
        let axis = value_axis(0.0, 3.84, (false, false), 8);
        assert_eq!(texts(&axis), ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5", "3.0", "3.5", "4.0"]);
        assert_eq!((axis.low, axis.high), (0.0, 4.0));
        let axis = value_axis(-0.75, 0.25, (false, false), 6);
        assert_eq!(texts(&axis), ["−0.8", "−0.6", "−0.4", "−0.2", "0.0", "0.2", "0.4"]);
        assert_eq!(texts(&value_axis(0.0, 4.2, (false, false), 5)), ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn close_axis_has_two_ticks() {
        for max_ticks in 1..6 {
            for (low, high) in [(-0.22, 0.25), (-0.02, 0.99), (0.3, 0.49), (-7.0, 2.0)] {
                let axis = close_axis((low, high), (false, false), max_ticks, MIN_USED);
                assert!(axis.ticks.len() >= 2, "{low} {high} {max_ticks}: {axis:?}");
                assert!(axis.ticks.len() <= max_ticks.max(3) + 2, "{axis:?}");
            }
        }
    }

    #[test]
    fn fixed_limits_are_kept() {
        let axis = value_axis(0.3, 1.7, (true, true), 5);
        assert_eq!((axis.low, axis.high), (0.3, 1.7));
        assert_eq!(texts(&axis), ["0.5", "1.0", "1.5"]);
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let axis = value_axis(-f64::MAX, f64::MAX, (false, false), 6);
        assert!(axis.high.is_finite() && axis.ticks.iter().all(|(v, _)| v.is_finite()));
        let axis = value_axis(0.0, 5e-324, (false, false), 6);
        assert!(axis.ticks.len() < 70);
    }

    #[test]
    fn step_axis_begins_with_the_first_step_and_uses_suffixes() {
        assert_eq!(
            texts(&step_axis(1.0, 120.0, 7, 0.05)),
            ["1", "20", "40", "60", "80", "100", "120"]
        );
        assert_eq!(texts(&step_axis(21.0, 40.0, 5, 0.1)), ["21", "25", "30", "35", "40"]);
        assert_eq!(texts(&step_axis(1.0, 10_000.0, 5, 0.05)), ["1", "2k", "4k", "6k", "8k", "10k"]);
        let ticks = step_axis(1e6, 1e8, 5, 0.05);
        assert_eq!(texts(&ticks), ["1M", "20M", "40M", "60M", "80M", "100M"]);
        assert_eq!(texts(&step_axis(12_500.0, 60_000.0, 3, 0.05)), ["12.5k", "20k", "40k", "60k"]);
        // The first step keeps its digits.
        assert_eq!(texts(&step_axis(123_457.0, 600_000.0, 2, 0.05))[0], "123457");
        assert_eq!(texts(&step_axis(0.0, 100.0, 5, 0.05)), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(&step_axis(1.0, 3.0, 8, 0.05)), ["1", "2", "3"]);
        assert_eq!(texts(&step_axis(7.0, 7.0, 8, 0.05)), ["7"]);
    }

    #[test]
    fn log_axis_has_round_ticks() {
        assert_eq!(
            texts(&log_axis(0.03, 3.0, (false, false))),
            ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]
        );
        assert_eq!(
            texts(&log_axis(0.012, 2.1, (false, false))),
            ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]
        );
        assert_eq!(
            texts(&log_axis(0.62, 2.9, (false, false))),
            ["0.6", "0.8", "1", "1.5", "2", "3"]
        );
        for (low, high) in
            [(0.03, 3.0), (0.9, 2.9), (1.2, 1.8), (3e-7, 2.0), (1.0, 1.0001), (1e-300, 1e300)]
        {
            let axis = log_axis(low, high, (false, false));
            let share = (high.log10() - low.log10()) / (axis.high.log10() - axis.low.log10());
            assert!(share > 0.75 && axis.low <= low && high <= axis.high, "{low} {high}: {axis:?}");
            assert!(axis.ticks.len() >= 3, "{axis:?}");
        }
        let scale = Scale::new((0.01, 100.0), (100.0, 0.0), ValueScale::Log);
        assert!((scale.at(1.0) - 50.0).abs() < 1e-9);
    }
}
