//! verl's file logger (`trainer.logger=file`): one line per step, metrics nested under `data`.
//!
//! ```json
//! {"step":1,"data":{"actor/entropy":2.85,"critic/rewards/mean":0.09}}
//! ```
//!
//! orjson writes it, so NaN is `null`. Validation before training logs a row without any `actor/` key,
//! which is normal. `actor/entropy` is measured before the update, `actor/entropy_loss` during it; both
//! are the exact token mean. (verl 0.9, `utils/tracking.py`, `FileLogger`.)

use std::io::Read;

use crate::formats::reader_api::{
    Confidence, Format, Growth, Head, JsonRows, MissingMetric, ReadError, SeriesBuilder,
    read_json_lines,
};
use crate::framing::json::ValueKind;
use crate::quantity::EntropyKind;

pub(crate) const FORMAT: Format = Format {
    name: "verl",
    about: "verl's JSON lines (trainer.logger=file)",
    recognised_by: "objects with a step and an object data",
    metrics: &["actor/entropy", "policy/entropy", "actor/entropy_loss"],
    kinds: &[("actor/entropy_loss", EntropyKind::TokenMean)],
    recognise,
    read,
    growth: |_| Growth::Lines,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    let is_verl = head.has("step", ValueKind::Scalar) && head.has("data", ValueKind::Object);
    if is_verl { Confidence::Certain } else { Confidence::No }
}

fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Count);
    read_json_lines(source, JsonRows::new(builder, "step"), |rows, scanner, key| match key {
        "step" => rows.read_step_or_value(scanner, key),
        "data" => scanner.object(|scanner, key| rows.read_value(scanner, key)),
        _ => Ok(scanner.skip()?),
    })
}
