//! R-Zero's `entropy_history_<run>.json`, as Python's `json.dump(rows, file, indent=2)` has it, and the
//! same rows one a line.

use std::io::Write;

use super::step;
use crate::history::Point;

/// The whole file: an array of `{"step", "entropy"}`, without a line end, as Python leaves it. What is not
/// finite stands bare (`NaN`), which Python writes and reads.
pub fn history(points: &[Point]) -> Vec<u8> {
    let mut text = b"[".to_vec();
    for (i, point) in points.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let step = number(step::integer(point.step), point.step);
        let entropy = number(None, point.entropy);
        write!(text, "{comma}\n  {{\n    \"step\": {step},\n    \"entropy\": {entropy}\n  }}")
            .expect("BUG: memory takes all");
    }
    text.extend_from_slice(if points.is_empty() { b"]" } else { b"\n]" });
    text
}

/// The number in full precision: an integer as such, if it is one.
fn number(integer: Option<i64>, value: f64) -> String {
    match (integer, value) {
        (Some(integer), _) => integer.to_string(),
        (None, value) if value.is_finite() => serde_json::Value::from(value).to_string(),
        (None, value) if value.is_nan() => "NaN".to_owned(),
        (None, value) if value > 0.0 => "Infinity".to_owned(),
        _ => "-Infinity".to_owned(),
    }
}

/// The whole file: one row a line, the metric under its own key.
pub fn lines(metric: &str, points: &[Point]) -> Vec<u8> {
    let mut text = Vec::new();
    for point in points {
        let step = number(step::integer(point.step), point.step);
        let key = serde_json::Value::from(metric);
        let entropy = number(None, point.entropy);
        text.extend(format!("{{\"step\": {step}, {key}: {entropy}}}\n").bytes());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [Point; 2] =
        [Point { step: 1.0, entropy: 2.5 }, Point { step: 2.5, entropy: 0.1 }];

    #[test]
    fn the_history_is_what_python_writes() {
        // json.dumps([{"step": 1, "entropy": 2.5}, {"step": 2.5, "entropy": 0.1}], indent=2)
        let text = "[\n  {\n    \"step\": 1,\n    \"entropy\": 2.5\n  },\n  {\n    \"step\": 2.5,\n    \"entropy\": 0.1\n  }\n]";
        assert_eq!(String::from_utf8(history(&POINTS)).unwrap(), text);
    }

    #[test]
    fn a_line_holds_a_row() {
        let text =
            "{\"step\": 1, \"policy/entropy\": 2.5}\n{\"step\": 2.5, \"policy/entropy\": 0.1}\n";
        assert_eq!(String::from_utf8(lines("policy/entropy", &POINTS)).unwrap(), text);
    }
}
