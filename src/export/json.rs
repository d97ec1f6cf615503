//! R-Zero's `entropy_history_<run>.json`, as Python's `json.dump(rows, file, indent=2)` has it, and the
//! same rows one a line.

use serde::Serialize;

use super::step;
use crate::history::Point;

/// A row of the history.
#[derive(Serialize)]
struct Row {
    #[serde(serialize_with = "as_logged")]
    step: f64,
    entropy: f64,
}

fn as_logged<S: serde::Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    match step::integer(*value) {
        Some(integer) => serializer.serialize_i64(integer),
        None => serializer.serialize_f64(*value),
    }
}

fn row(point: &Point) -> Row {
    Row { step: point.step, entropy: point.entropy }
}

/// The whole file: an array of `{"step", "entropy"}`, without a line end, as Python leaves it.
pub fn history(points: &[Point]) -> Vec<u8> {
    let rows: Vec<Row> = points.iter().map(row).collect();
    serde_json::to_vec_pretty(&rows).expect("BUG: rows are finite numbers under fixed keys")
}

/// The whole file: one row a line, the metric under its own key.
pub fn lines(metric: &str, points: &[Point]) -> Vec<u8> {
    let mut text = Vec::new();
    for point in points {
        let step = match step::integer(point.step) {
            Some(integer) => serde_json::Value::from(integer),
            None => serde_json::Value::from(point.step),
        };
        let key = serde_json::Value::from(metric);
        let entropy = serde_json::Value::from(point.entropy);
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
