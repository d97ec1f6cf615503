//! Numbers as text for people: the only place that formats them.

/// A step with all its digits, and a typographic minus sign.
pub fn exact(step: f64) -> String {
    typographic(shortest(step))
}

/// The shortest text that parses to the same number. Below 1e-5 and from 1e21 on, it has an exponent.
pub fn shortest(value: f64) -> String {
    if value != 0.0 && !(1e-5..1e21).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// Replaces hyphens by typographic minus signs.
pub fn typographic(text: String) -> String {
    text.replace('-', "−")
}

/// A share in per cent with all its digits: `59.9 %` for 0.599.
pub fn percent(share: f64) -> String {
    format!("{} %", (1e8 * share).round() / 1e6)
}

/// A value that violates a bound, with at least `decimals` decimals, and with more where rounding would put
/// it on the bound or on the other side.
pub fn fixed_beyond(value: f64, bound: f64, decimals: usize) -> String {
    let rounded = (decimals..16).map(|decimals| format!("{value:.decimals$}"));
    let is_beyond = |text: &String| {
        let shown: f64 = text.parse().unwrap_or(f64::NAN);
        let margin = 1e-9 * bound.abs(); // rounding errors of a bound in per cent
        if value > bound { shown - bound > margin } else { bound - shown > margin }
    };
    rounded.into_iter().find(is_beyond).unwrap_or_else(|| value.to_string())
}

/// A value for a chart: three significant digits below 1, two decimals from 1 to 100.
pub fn short(value: f64) -> String {
    let magnitude = value.abs();
    let text = match magnitude {
        0.0 => "0".to_owned(),
        1e6.. | ..1e-4 => format!("{value:.2e}"),
        1000.0.. => format!("{value:.0}"),
        100.0.. => format!("{value:.1}"),
        0.9995.. => format!("{value:.2}"),
        _ => format!("{:.*}", (2.0 - magnitude.log10().floor()) as usize, value),
    };
    typographic(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_beyond_a_bound_does_not_look_like_the_bound() {
        assert_eq!((fixed_beyond(60.0, 59.9, 0), percent(0.599)), ("60".into(), "59.9 %".into()));
        assert_eq!((fixed_beyond(75.0, 60.0, 0), percent(0.6)), ("75".into(), "60 %".into()));
        assert_eq!(fixed_beyond(60.0004, 60.0, 0), "60.0004");
        assert_eq!(percent(0.07), "7 %");
        assert_eq!(fixed_beyond(0.299_999, 0.3, 4), "0.299999");
        assert_eq!(fixed_beyond(0.25, 0.3, 4), "0.2500");
        let next = 0.3_f64.next_down();
        assert_eq!(fixed_beyond(next, 0.3, 4), next.to_string());
    }

    #[test]
    fn short_values_keep_three_digits() {
        let cases = [2.563042, 0.323983, 0.001753, 123.456, 0.0, -0.5, 12.0, 1e16, 0.99999];
        let expected =
            ["2.56", "0.324", "0.00175", "123.5", "0", "−0.500", "12.00", "1.00e16", "1.00"];
        assert_eq!(cases.map(short), expected);
    }
}
