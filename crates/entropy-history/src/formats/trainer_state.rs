//! Hugging Face's `trainer_state.json`, which TRL, Axolotl, unsloth and ms-swift write too; the rows
//! are in `log_history`.
//!
//! ```json
//! {"global_step": 120, "log_history": [{"entropy": 2.37, "epoch": 0.01, "step": 1}, …], "max_steps": 400}
//! ```
//!
//! Evaluation logs rows with `eval_` keys, and the last row of a finished run has only totals. The file
//! is written with each checkpoint, and a resumed run continues it. (transformers 5.23,
//! `TrainerState.save_to_json`.)

use std::io::Read;

use crate::formats::reader_api::{
    Confidence, Format, Head, JsonRows, MissingMetric, ReadError, SeriesBuilder, nothing_follows,
};
use crate::framing::json::{Scanner, Value, ValueKind};

pub(crate) const FORMAT: Format = Format {
    name: "trainer_state",
    about: "trainer_state.json of TRL and other Hugging Face trainers",
    recognised_by: "an object with log_history",
    metrics: &["entropy", "train/entropy"],
    recognise,
    read,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    if head.has("log_history", ValueKind::ArrayOfObjects)
        || head.has("log_history", ValueKind::Array)
    {
        Confidence::Certain
    } else {
        Confidence::No
    }
}

fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Count);
    let mut scanner = Scanner::new(source)?;
    let mut rows = JsonRows::new(builder, "step");
    scanner.object::<ReadError>(|scanner, key| {
        if key == "max_steps" {
            if let Value::Number(steps) = scanner.value()? {
                rows.set_total_steps(steps);
            }
            return Ok(());
        }
        if key != "log_history" {
            return Ok(scanner.skip()?);
        }
        let comma = scanner.array::<ReadError>(|scanner| {
            rows.rows(scanner, |rows, scanner| {
                scanner.object(|scanner, key| rows.read_step_or_value(scanner, key))
            })
        })?;
        rows.end_array(comma);
        Ok(())
    })?;
    nothing_follows(&mut scanner)
}
