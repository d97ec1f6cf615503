//! EasyR1's `experiment_log.jsonl`: one line a step, metrics nested by the parts of their names.
//!
//! ```json
//! {"step": 1, "actor": {"entropy_loss": 1.49, "pg_loss": 0.11}, "critic": {"rewards": {"mean": 0.6}}}
//! ```
//!
//! `json.dumps` writes it, so NaN stands bare. The logger splits `actor/entropy_loss` at its slashes;
//! here it goes by its whole name again. Validation logs rows of its own. The surrogate
//! `actor/entropy_loss` is all that EasyR1 and upstream R-Zero log; forks that add the exact
//! entropy log `policy/entropy` or `actor/entropy` beside it. (EasyR1 b44b311, `FileLogger`.)

use std::io::Read;

use super::book::{Book, Lacking};
use super::frame::json::{Holds, Scanner, Shape};
use super::rows::JsonRows;
use super::{Confidence, Format, Growth, Head, ReadError};

pub(super) const FORMAT: Format = Format {
    name: "easyr1",
    about: "EasyR1's experiment_log.jsonl",
    recognised_by: "lines of objects with a step and nested metrics",
    metrics: &["policy/entropy", "actor/entropy", "actor/entropy_loss"],
    recognise,
    read,
    growth: |_| Growth::Lines,
};

fn recognise(head: &Head<'_>) -> Confidence {
    let Shape::Object(keys) = &head.shape else { return Confidence::No };
    let metrics = keys.iter().filter(|(key, _)| key != "step");
    let nested = metrics.clone().count() > 0 && metrics.clone().all(|(_, h)| *h == Holds::Object);
    let steps = head.has("step", Holds::Scalar) && !head.has("data", Holds::Object);
    if steps && nested { Confidence::Certain } else { Confidence::No }
}

fn read(_: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    book.lacking(Lacking::Counted);
    let mut scanner = Scanner::new(source)?;
    let mut rows = JsonRows::new(book, "step");
    while scanner.peek()?.is_some() {
        rows.rows(&mut scanner, |rows, scanner| {
            scanner.object(|scanner, key| match key {
                "step" => rows.read_step_or_value(scanner, key),
                _ => rows.read_nested(scanner, key),
            })
        })?;
    }
    Ok(())
}
