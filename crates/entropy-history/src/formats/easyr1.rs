//! EasyR1's `experiment_log.jsonl`: one line per step, metrics nested by the parts of their names.
//!
//! ```json
//! {"step": 1, "actor": {"entropy_loss": 1.49, "pg_loss": 0.11}, "critic": {"rewards": {"mean": 0.6}}}
//! ```
//!
//! `json.dumps` writes it, so NaN appears bare. The logger splits `actor/entropy_loss` at its slashes;
//! the reader joins the parts again. Validation logs separate rows. EasyR1 and upstream R-Zero log only
//! the surrogate `actor/entropy_loss`; forks that add the exact entropy log `policy/entropy` or
//! `actor/entropy` too. (EasyR1 b44b311, `FileLogger`.)

use std::io::Read;

use crate::formats::reader_api::{
    Confidence, Format, Growth, Head, JsonRows, MissingMetric, ReadError, SeriesBuilder,
    read_json_lines,
};
use crate::framing::json::{Shape, ValueKind};

pub(crate) const FORMAT: Format = Format {
    name: "easyr1",
    about: "EasyR1's experiment_log.jsonl",
    recognised_by: "lines of objects with a step and nested metrics",
    metrics: &["policy/entropy", "actor/entropy", "actor/entropy_loss"],
    recognise,
    read,
    growth: |_| Growth::Lines,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    let Shape::Object(keys) = &head.shape else { return Confidence::No };
    let metrics = keys.iter().filter(|(key, _)| key != "step");
    let nested =
        metrics.clone().count() > 0 && metrics.clone().all(|(_, h)| *h == ValueKind::Object);
    let other = ["data", "metrics"].iter().any(|key| head.has(key, ValueKind::Object));
    let steps = head.has("step", ValueKind::Scalar) && !other;
    if steps && nested { Confidence::Certain } else { Confidence::No }
}

fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Count);
    read_json_lines(source, JsonRows::new(builder, "step"), |rows, scanner, key| match key {
        "step" => rows.read_step_or_value(scanner, key),
        _ => rows.read_nested(scanner, key),
    })
}
