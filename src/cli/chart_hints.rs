//! Flags that would make a picture of these runs clearer.

use super::args::ChartArgs;
use super::invocation::quoted;
use entropy_history::history::{Comparison, History};
use entropy_history::label::group_pattern;
use entropy_history::stats::smooth::Smoothing;
use entropy_shell::Terminal;

/// The smallest number of runs for which groups are suggested. Of fewer runs, all have names.
const MANY_RUNS: usize = 13;
/// Curves with fewer points are not called noisy.
const MIN_POINTS: usize = 50;
/// A curve is noisy if the sum of its ups and downs is larger than its range by this factor.
const NOISY: f64 = 8.0;

/// Prints hints about the chart of these runs, if there are any.
pub(super) fn print_hints(comparison: &Comparison, args: &ChartArgs, terminal: &Terminal) {
    let runs = comparison.runs();
    if runs.len() >= MANY_RUNS && !args.groups.is_given() {
        let labels: Vec<&str> = runs.iter().map(|run| run.history.label()).collect();
        if let Some(pattern) = group_pattern(&labels) {
            let pattern = quoted(&pattern);
            terminal
                .info(&format!("hint: --group {pattern} draws the mean of each group of seeds"));
        }
    }
    let noisy = runs.iter().filter(|run| is_noisy(&run.history)).count();
    if args.curves.smooth == Smoothing::None && 2 * noisy > runs.len() {
        terminal.info("hint: the curves are noisy; --smooth ema:0.9 draws a smooth line over them");
    }
}

fn is_noisy(history: &History) -> bool {
    let points = history.points();
    let values = || points.iter().map(|point| point.entropy);
    let range = values().fold(f64::MIN, f64::max) - values().fold(f64::MAX, f64::min);
    let travel: f64 = points.windows(2).map(|w| (w[1].entropy - w[0].entropy).abs()).sum();
    points.len() >= MIN_POINTS && travel > NOISY * range
}

#[cfg(test)]
mod tests {
    use super::*;
    use entropy_history::history::Point;
    use entropy_history::quantity::EntropyKind;

    #[test]
    fn curves_that_go_up_and_down_are_noisy() {
        let noisy = |value: fn(f64) -> f64| {
            let points = (1..=100).map(|step| {
                let step = f64::from(step);
                Point { step, entropy: value(step) }
            });
            is_noisy(&History::from_raw("x", EntropyKind::TokenMean, points.collect()).unwrap().0)
        };
        assert!(noisy(|step| 2.0 + (step % 2.0)));
        assert!(!noisy(|step| 2.0 / step));
        assert!(!noisy(|step| 2.0 + (step / 20.0).sin()));
        assert!(!noisy(|_| 1.0));
    }
}
