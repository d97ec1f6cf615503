//! Numbers, intervals and lists as parts of sentences.

use crate::cli::tokens::cells::{fixed, number};
use entropy_tokens::Interval;

/// An entropy in nats: two decimals, three below 0.1.
pub(super) fn nats(value: f64) -> String {
    match value.abs() {
        0.1.. => fixed(value, 2),
        _ => number(value),
    }
}

/// A difference with its sign.
pub(super) fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", nats(value)) } else { nats(value) }
}

/// The ends of an interval in brackets, after a space; nothing without them.
pub(super) fn range(interval: &Interval, text: impl Fn(f64) -> String) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!(" [{}, {}]", text(low), text(high)),
        _ => String::new(),
    }
}

/// A share in whole per cent.
pub(super) fn percent(share: f64) -> String {
    fixed(100.0 * share, 0)
}

/// A share with its interval, in whole per cent.
pub(super) fn share(interval: &Interval) -> String {
    format!("{} %{}", percent(interval.value), range(interval, percent))
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn joined(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_signed() {
        assert_eq!(
            (nats(2.0914), nats(0.0312), signed(-1.6), signed(0.5)),
            ("2.09".into(), "0.031".into(), "−1.60".into(), "+0.50".into())
        );
        let interval = Interval { value: 0.714, low: Some(0.6), high: Some(0.8) };
        assert_eq!(share(&interval), "71 % [60, 80]");
        assert_eq!(joined(&["a".into(), "b".into(), "c".into()]), "a, b and c");
    }
}
