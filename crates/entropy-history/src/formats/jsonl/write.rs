//! Writes JSON lines with a step and one metric.

use crate::formats::integer_step::integer_step;
use crate::framing::json::number_text;
use crate::history::Point;

/// The whole file: one line per point, the metric under its own key.
pub fn lines(metric: &str, points: &[Point]) -> Vec<u8> {
    let mut text = Vec::new();
    for point in points {
        let step = number_text(integer_step(point.step), point.step);
        let key = serde_json::Value::from(metric);
        let entropy = number_text(None, point.entropy);
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
    fn each_line_holds_one_point() {
        let text =
            "{\"step\": 1, \"policy/entropy\": 2.5}\n{\"step\": 2.5, \"policy/entropy\": 0.1}\n";
        assert_eq!(String::from_utf8(lines("policy/entropy", &POINTS)).unwrap(), text);
    }
}
