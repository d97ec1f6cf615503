//! Which entropies and log-probs are missing, and which values no policy has.

/// How far an entropy may be below 0, and a log-prob above 0: so much comes from rounding in sums of 32-bit floats.
const ROUNDING: f64 = 1e-4;

/// Stands for null: a NaN that no program writes, because −∞ is a log-prob and another NaN is an error.
pub(crate) const NULL: f64 = f64::from_bits(0x7ff8_006e_756c_6c00);

/// Whether a value stands for null.
pub(crate) fn is_null(value: f64) -> bool {
    value.to_bits() == NULL.to_bits()
}

/// Whether a scored log-prob is an error: NaN or +∞, but not null.
pub(crate) fn is_error(log_prob: f64) -> bool {
    log_prob == f64::INFINITY || log_prob.is_nan() && !is_null(log_prob)
}

/// Whether an entropy is below 0 by more than rounding.
pub(crate) fn is_below(entropy: f64) -> bool {
    entropy < -ROUNDING
}

/// Whether a log-prob is above 0 by more than rounding.
pub(crate) fn is_above(log_prob: f64) -> bool {
    log_prob > ROUNDING
}
