//! Writes R-Zero's `entropy_history_<run>.json`, as Python's `json.dump(rows, file, indent=2)` formats
//! it, but as valid JSON: an entropy that is not finite is null.

use std::io::Write;

use crate::formats::integer_step::integer_step;
use crate::framing::json::number_text;
use crate::history::Point;

/// The whole file: an array of `{"step", "entropy"}` without a final line break, as Python writes it.
/// A value that is not finite is null, which readers take as a missing value.
pub fn history_file(points: &[Point]) -> Vec<u8> {
    let mut text = b"[".to_vec();
    for (i, point) in points.iter().enumerate() {
        let comma = if i > 0 { "," } else { "" };
        let step = number_text(integer_step(point.step), point.step);
        let entropy = number_text(None, point.entropy);
        write!(text, "{comma}\n  {{\n    \"step\": {step},\n    \"entropy\": {entropy}\n  }}")
            .expect("BUG: writing to memory cannot fail");
    }
    text.extend_from_slice(if points.is_empty() { b"]" } else { b"\n]" });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const POINTS: [Point; 2] =
        [Point { step: 1.0, entropy: 2.5 }, Point { step: 2.5, entropy: 0.1 }];

    #[test]
    fn history_file_equals_output_of_python() {
        // json.dumps([{"step": 1, "entropy": 2.5}, {"step": 2.5, "entropy": 0.1}], indent=2)
        let text = "[\n  {\n    \"step\": 1,\n    \"entropy\": 2.5\n  },\n  {\n    \"step\": 2.5,\n    \"entropy\": 0.1\n  }\n]";
        assert_eq!(String::from_utf8(history_file(&POINTS)).unwrap(), text);
    }
}
