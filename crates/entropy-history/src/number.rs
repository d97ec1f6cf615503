//! Numbers as text: the one place that decides how a value is written for people.

/// A step as logged: all its digits.
pub fn exact(step: f64) -> String {
    typographic(shortest(step))
}

/// The shortest text that reads back as the same number, with an exponent only where zeros would pile up.
pub fn shortest(value: f64) -> String {
    if value != 0.0 && !(1e-5..1e21).contains(&value.abs()) {
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// A true minus sign.
pub fn typographic(text: String) -> String {
    text.replace('-', "−")
}

/// A value as it stands on a chart: three significant digits, two decimals from 1 on.
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
    fn short_values_keep_three_digits() {
        let cases = [2.563042, 0.323983, 0.001753, 123.456, 0.0, -0.5, 12.0, 1e16, 0.99999];
        let wanted =
            ["2.56", "0.324", "0.00175", "123.5", "0", "−0.500", "12.00", "1.00e16", "1.00"];
        assert_eq!(cases.map(short), wanted);
    }
}
