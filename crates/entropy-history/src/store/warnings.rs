//! Warnings about the values of a run.

use crate::history::{AuxSeries, Run};
use crate::quantity::EntropyKind;
use crate::quantity::Sign;
use crate::text::plural;

/// Sentences on what was repaired in a run, and on values that look wrong and were kept.
pub(super) fn data_warnings(run: &Run, vocabulary: u32) -> Vec<String> {
    let mut warnings = Vec::new();
    let repairs = run.repairs;
    if run.sign == Sign::Flipped {
        warnings.push(format!(
            "{:?} holds −H, as Stable-Baselines3 logs it; the sign was flipped",
            run.metric
        ));
    }
    if repairs.not_finite > 0 {
        let what = plural(repairs.not_finite, "value is", "values are");
        warnings.push(format!("{what} not finite; the line breaks there"));
    }
    if repairs.relogged > 0 {
        let what = plural(repairs.relogged, "row was", "rows were");
        warnings.push(format!("{what} logged again for the same step; the later one counts"));
    }
    // A resumed run also returns to earlier steps; the warning above covers that.
    if repairs.reordered > 0 && repairs.relogged == 0 {
        let what = plural(repairs.reordered, "row stands", "rows stand");
        warnings.push(format!("{what} behind a later step; rows were sorted by step"));
    }
    let points = run.history.points();
    let negative = points.iter().filter(|p| p.entropy < 0.0).count();
    if negative > 0 && run.history.kind() != EntropyKind::OtherMetric {
        let what = plural(negative, "value is", "values are");
        warnings.push(format!("{what} below 0, which the entropy of a token cannot be"));
    }
    if let Some(ceiling) = run.history.kind().ceiling(f64::from(vocabulary)) {
        let above = points.iter().filter(|p| p.entropy > ceiling).count();
        if above > 0 {
            let what = plural(above, "value is", "values are");
            warnings.push(format!(
                "{what} above {ceiling:.2}, the largest possible for a vocabulary of {vocabulary} (its logarithm)"
            ));
        }
    }
    if points.iter().all(|p| p.entropy == 0.0) {
        warnings.push("every value is 0: entropy was not recorded".to_owned());
    }
    warnings.extend(run.quantities.iter().flatten().filter_map(quantity_warning));
    // A run that logs every 5 steps starts at step 5, or at 10 if nothing is trained before; one that logs every
    // step and starts at 21 lacks its start.
    if let [first, second, ..] = points
        && first.step > 1.0
        && first.step > 2.0 * (second.step - first.step)
    {
        let step = crate::number::exact(first.step);
        warnings.push(format!(
            "starts at step {step}: states compare with that step, not with the start of training"
        ));
    }
    warnings
}

/// A sentence on the values of another quantity that are not finite, if there are any.
fn quantity_warning(series: &AuxSeries) -> Option<String> {
    let count = series.not_finite().len();
    let what = plural(count, "value", "values");
    let is = if count == 1 { "is" } else { "are" };
    (count > 0).then(|| format!("{what} of {:?} {is} not finite and left out", series.metric()))
}
