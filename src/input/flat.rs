//! Flat JSON lines, one object a step with metrics under their whole names: prime-rl's
//! `metrics.jsonl`, and what many trainers and scripts write.
//!
//! ```json
//! {"step": 12, "time": 1795399001.5, "entropy/all/mean": 0.61, "loss/mean": 0.02}
//! ```
//!
//! Stable-Baselines3's JSON logger and others have another name for the step; the first of
//! [`STEPS`] that the first row has is taken.

use std::io::Read;

use super::book::{Book, Lacking};
use super::frame::json::{Holds, Scanner, Shape};
use super::rows::JsonRows;
use super::{Confidence, Format, Growth, Head, ReadError};

pub(super) const FORMAT: Format = Format {
    name: "jsonl",
    about: "prime-rl's metrics.jsonl, and other flat JSON lines",
    recognised_by: "lines of objects with a step and names of metrics",
    metrics: &["entropy/all/mean"],
    recognise,
    read,
    growth: |_| Growth::Lines,
};

/// What steps are called, best first.
pub(super) const STEPS: [&str; 10] = [
    "step",
    "global_step",
    "_step",
    "train/global_step",
    "trainer/global_step",
    "training/global_step",
    "training_step",
    "iteration",
    "time/total_timesteps",
    "timesteps_total",
];

fn step_key(head: &Head<'_>) -> Option<&'static str> {
    STEPS.into_iter().find(|key| head.has(key, Holds::Scalar))
}

fn recognise(head: &Head<'_>) -> Confidence {
    let (Shape::Object(keys), Some(step)) = (&head.shape, step_key(head)) else {
        return Confidence::No;
    };
    let flat = keys.iter().all(|(_, holds)| *holds == Holds::Scalar);
    let named = keys.iter().any(|(key, _)| key != step && key.contains('/'));
    match (flat, named || step != "step") {
        (true, true) => Confidence::Certain,
        (false, true) if named => Confidence::Certain,
        _ => Confidence::No, // R-Zero's rows, one a line
    }
}

fn read(head: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    book.lacking(Lacking::Counted);
    let mut scanner = Scanner::new(source)?;
    let mut rows = JsonRows::new(book, step_key(head).unwrap_or("step"));
    while scanner.peek()?.is_some() {
        rows.rows(&mut scanner, |rows, scanner| {
            scanner.object(|scanner, key| rows.read_step_or_value(scanner, key))
        })?;
    }
    Ok(())
}
