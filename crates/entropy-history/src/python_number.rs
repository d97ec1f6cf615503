//! Numbers as Python prints them, for texts that a program wrote with `print` or `str`.
//!
//! ```text
//! 0.5   '0.5'   nan   None   np.float32(0.5)   tensor(0.5, device='cuda:0')   Decimal('0.5')   array([0.5])
//! ```

/// Calls and lists nested deeper than this are not numbers.
const DEEPEST: usize = 4;

/// Parses a text that is a number as a whole. `None` and `null` give NaN. A call of a constructor has the value of
/// its first argument, a list that of its only element. Returns `None` if the text is not a number.
pub(crate) fn python_number(text: &str) -> Option<f64> {
    nested(text, DEEPEST)
}

fn nested(text: &str, deepest: usize) -> Option<f64> {
    let text = text.trim();
    let text = text.strip_prefix("!!float").map_or(text, str::trim_start); // PyYAML's
    let text = unquoted(text);
    match text.as_bytes().first()? {
        b'0'..=b'9' | b'-' | b'+' | b'.' => return text.parse().ok(),
        b'[' if deepest > 0 => {
            let element = text.strip_prefix('[')?.strip_suffix(']')?.trim_end();
            let element = element.strip_suffix(',').unwrap_or(element);
            return nested(element, deepest - 1);
        }
        _ => {}
    }
    if text == "None" || text == "null" {
        return Some(f64::NAN);
    }
    if let Some((name, arguments)) = text.strip_suffix(')').and_then(|call| call.split_once('(')) {
        let is_name = !name.is_empty()
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.'));
        let first = first_argument(arguments);
        return if is_name && deepest > 0 { nested(first, deepest - 1) } else { None };
    }
    text.parse().ok() // nan, inf, Infinity
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inside('\'').or_else(|| inside('"')).map_or(text, str::trim)
}

/// The arguments up to the first comma outside brackets.
fn first_argument(arguments: &str) -> &str {
    let mut depth = 0_usize;
    for (at, byte) in arguments.bytes().enumerate() {
        match byte {
            b'(' | b'[' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => return &arguments[..at],
            _ => {}
        }
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_as_python_prints_them() {
        let same = |text, value: f64| {
            let found = python_number(text).unwrap_or_else(|| panic!("{text}"));
            assert!(
                found.to_bits() == value.to_bits() || found.is_nan() && value.is_nan(),
                "{text}"
            );
        };
        same("0.5", 0.5);
        same("'-1.49e-08'", -1.49e-8);
        same("\"0.5\"", 0.5);
        same("np.float64(0.53)", 0.53);
        same("np.float32(inf)", f64::INFINITY);
        same("-inf", f64::NEG_INFINITY);
        same("nan", f64::NAN);
        same("None", f64::NAN);
        same(" !!float 'nan'", f64::NAN);
        same("tensor(0.5, device='cuda:0')", 0.5);
        same("tensor(1.3199, device='cuda:0', grad_fn=<MeanBackward0>)", 1.3199);
        same("tensor([0.5])", 0.5);
        same("tensor([[0.5]], dtype=torch.bfloat16)", 0.5);
        same("Decimal('1.3582')", 1.3582);
        same("array(0.5, dtype=float32)", 0.5);
        same("array([0.5])", 0.5);
        same("[0.5]", 0.5);
        same("tensor(1.)", 1.0);
    }

    #[test]
    fn other_values_are_not_numbers() {
        for text in [
            "",
            "True",
            "'1m 35s'",
            "[1, 2]",
            "[]",
            "tensor([0.5, 0.6])",
            "np.float64(",
            ")",
            "(0.5)",
            "<object object at 0x7f>",
            "<tensor of 2 values>",
            "f(f(f(f(f(f(1))))))",
            "0.5 nats",
            "1.2.3",
        ] {
            assert_eq!(python_number(text), None, "{text}");
        }
    }
}
