//! verl's file logger (`trainer.logger=file`): one line a step, metrics nested under `data`.
//!
//! ```json
//! {"step":1,"data":{"actor/entropy":2.85,"critic/rewards/mean":0.09}}
//! ```
//!
//! orjson writes it, so NaN is `null`. Validation before training logs a row without any `actor/`
//! key, which is no fault. `actor/entropy` is taken before the update, `actor/entropy_loss` during
//! it; both are the exact token mean. (verl 0.9, `utils/tracking.py`, `FileLogger`.)

use std::io::Read;

use super::frame::json::{Holds, Scanner, Shape};
use super::table::{Lacking, Table};
use super::{Confidence, Format, Head, Log, ReadError};

pub(super) const FORMAT: Format = Format {
    name: "verl",
    about: "verl's JSON lines (trainer.logger=file)",
    recognised_by: "objects with a step and an object data",
    metrics: &["actor/entropy", "policy/entropy", "actor/entropy_loss"],
    recognise,
    read,
};

fn recognise(head: &Head) -> Confidence {
    let Shape::Object(keys) = &head.shape else { return Confidence::No };
    let has = |key: &str, holds| keys.iter().any(|(k, h)| k == key && *h == holds);
    if has("step", Holds::Scalar) && has("data", Holds::Object) {
        Confidence::Certain
    } else {
        Confidence::No
    }
}

fn read(_: &Head, source: &mut dyn Read, metrics: &[&str]) -> Result<Log, ReadError> {
    let mut scanner = Scanner::new(source)?;
    let mut table = Table::new(metrics);
    let outcome = rows(&mut scanner, &mut table);
    table.finish(outcome, Lacking::Expected)
}

fn rows(scanner: &mut Scanner<'_>, table: &mut Table<'_>) -> Result<(), ReadError> {
    while scanner.peek()?.is_some() {
        table.rows(scanner, |table, scanner| {
            scanner.object(|scanner, key| match key {
                "step" => table.read_step_or_value(scanner, key),
                "data" => scanner.object(|scanner, key| table.read_value(scanner, key)),
                _ => Ok(scanner.skip()?),
            })
        })?;
    }
    Ok(())
}
