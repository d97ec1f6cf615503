//! miles' `events/events.jsonl`: one line per call of its logger, metrics and steps under `metrics`.
//!
//! ```json
//! {"metrics": {"train/step": 12, "train/entropy_loss": 0.61}, "timestamp": 1795399001.5, "source": "train"}
//! {"metrics": {"rollout/step": 12, "rollout/raw_reward": 0.4}, "timestamp": 1795399002.5, "source": "rollout"}
//! ```
//!
//! Each kind of row has its own step, so the step of a row is that of its most specific counter:
//! `step`, then `train/step`, `rollout/step` and others that end in `/step`. Other programs put the step
//! beside `metrics`. (miles, the fork of slime by
//! radixark: its event logger.)

use std::io::Read;

use crate::formats::reader_api::{
    Confidence, Format, Growth, Head, JsonRows, MissingMetric, ReadError, SeriesBuilder,
    read_json_lines,
};
use crate::framing::json::ValueKind;

pub(crate) const FORMAT: Format = Format {
    name: "miles",
    about: "miles' events.jsonl, and other lines with metrics in an object",
    recognised_by: "lines of objects with an object metrics",
    metrics: &["train/entropy_loss", "rollout/entropy"],
    recognise,
    read,
    growth: |_| Growth::Lines,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    if head.has("metrics", ValueKind::Object) { Confidence::Certain } else { Confidence::No }
}

/// How well a key counts the steps of a row, smaller is better; `None` for other keys.
fn rank(key: &str) -> Option<usize> {
    match key {
        "step" => Some(0),
        "train/step" => Some(1),
        "rollout/step" => Some(2),
        key if key.ends_with("/step") => Some(3),
        key if key.ends_with("global_step") => Some(4),
        _ => None,
    }
}

fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Count);
    let rows = JsonRows::new(builder, "step");
    read_json_lines(source, rows, |rows, scanner, key| match key {
        "metrics" if scanner.peek()? == Some(b'{') => {
            let mut best = None;
            scanner.object(|scanner, key| match rank(key) {
                Some(rank) if best.is_none_or(|best| rank < best) => {
                    best = Some(rank);
                    rows.read_step(scanner, key)
                }
                _ if scanner.peek()? == Some(b'{') => rows.read_nested(scanner, key),
                _ => rows.read_value(scanner, key),
            })
        }
        "step" | "global_step" | "iteration" => rows.read_step(scanner, key),
        _ => rows.read_value(scanner, key),
    })
}

#[cfg(test)]
mod tests {
    use crate::formats::{SeriesSelector, Source};

    fn points(text: &str, metric: &str) -> Vec<(f64, f64)> {
        let source = Source { reader: &mut text.as_bytes(), path: None };
        let selector = SeriesSelector::metrics(&[metric.to_owned()]).unwrap();
        let (format, log) = crate::formats::read(source, None, &selector).unwrap();
        assert_eq!(format.name, "miles");
        log.series[0].points.iter().map(|point| (point.step, point.entropy)).collect()
    }

    #[test]
    fn each_kind_of_row_has_its_own_step() {
        let mut text = String::new();
        for step in 0..40 {
            text += &format!(
                "{{\"metrics\": {{\"rollout/entropy\": 1.5, \"rollout/step\": {step}}}, \"source\": \"a\"}}\n"
            );
            for update in [2 * step, 2 * step + 1] {
                text += &format!(
                    "{{\"metrics\": {{\"rollout/step\": 7, \"train/step\": {update}, \
                     \"train/entropy_loss\": 0.{update}}}, \"timestamp\": 1.5, \"source\": \"b\"}}\n"
                );
            }
        }
        let train: Vec<_> =
            (0..80).map(|i| (f64::from(i), format!("0.{i}").parse().unwrap())).collect();
        assert_eq!(points(&text, "train/entropy_loss"), train);
        let rollout: Vec<_> = (0..40).map(|i| (f64::from(i), 1.5)).collect();
        assert_eq!(points(&text, "rollout/entropy"), rollout);
    }

    #[test]
    fn step_beside_the_metrics_counts() {
        let row = |step: u32| {
            format!(
                "{{\"step\": {step}, \"metrics\": {{\"critic\": {{\"entropy/mean\": 0.5}}}}}}\n"
            )
        };
        let text: String = (1..4).map(row).collect();
        assert_eq!(points(&text, "critic/entropy/mean"), [(1.0, 0.5), (2.0, 0.5), (3.0, 0.5)]);
    }

    #[test]
    fn most_specific_step_counts_in_any_order() {
        let rows = [
            r#"{"metrics": {"train/step": 3, "eval/step": 9, "train/entropy_loss": 0.5}}"#,
            r#"{"metrics": {"eval/step": 9, "train/entropy_loss": 0.25, "train/step": 4}}"#,
            r#"{"metrics": null, "event": "saved"}"#,
        ];
        assert_eq!(points(&rows.join("\n"), "train/entropy_loss"), [(3.0, 0.5), (4.0, 0.25)]);
    }
}
