//! Flat JSON lines, one object a step with metrics under their whole names: prime-rl's
//! `metrics.jsonl`, and what many trainers and scripts write.
//!
//! ```json
//! {"step": 12, "time": 1795399001.5, "entropy/all/mean": 0.61, "loss/mean": 0.02}
//! {"loss": 0.01, "entropy": 0.61, "global_step/max_steps": "10/400"}                      ms-swift
//! {"training_iteration": 3, "info": {"learner": {"default_policy": {"learner_stats": {…}}}}} RLlib
//! ```
//!
//! The step is the best of [`steps`] that the first row has. What is nested goes by its whole name.

use std::io::Read;

use super::book::{Book, Lacking};
use super::frame::json::{Holds, Scanner};
use super::rows::JsonRows;
use super::{Confidence, Format, Growth, Head, ReadError, steps};

pub(super) const FORMAT: Format = Format {
    name: "jsonl",
    about: "prime-rl's metrics.jsonl, RLlib's result.json, ms-swift's logging.jsonl, other JSON lines",
    recognised_by: "lines of objects with a step and names of metrics",
    metrics: &["entropy/all/mean"],
    recognise,
    read,
    growth: |_| Growth::Lines,
};

fn recognise(head: &Head<'_>) -> Confidence {
    let (keys, Some(step)) = (head.keys(), steps::of_head(head)) else { return Confidence::No };
    let has = |what: &dyn Fn(&str) -> bool| keys.iter().any(|(key, _)| *key != step && what(key));
    if steps::is_common(&step) && !has(&|key| key.to_lowercase().contains("entropy")) {
        return Confidence::No; // totals of a run, or a configuration
    }
    let nested = keys.iter().filter(|(_, holds)| *holds == Holds::Object).count();
    let flat = keys.iter().all(|(_, holds)| *holds == Holds::Scalar);
    let rows_inside = keys.iter().any(|(_, holds)| *holds == Holds::Objects);
    let named = has(&|key| key.contains('/'));
    let is_verl = step == "step" && head.has("data", Holds::Object);
    let is_easyr1 = step == "step" && nested + 1 == keys.len();
    match flat {
        _ if is_verl || is_easyr1 => Confidence::No,
        true if named || step != "step" => Confidence::Certain,
        false if named => Confidence::Certain,
        false if nested > 0 && !rows_inside => Confidence::Likely,
        _ => Confidence::No, // R-Zero's rows, one a line
    }
}

fn read(head: &Head<'_>, source: &mut dyn Read, book: &mut Book<'_>) -> Result<(), ReadError> {
    book.lacking(Lacking::Counted);
    let mut scanner = Scanner::new(source)?;
    let mut rows = match steps::of_head(head) {
        Some(step) => JsonRows::new(book, &step),
        None => JsonRows::new(book, "step"),
    };
    while scanner.peek()?.is_some() {
        rows.rows(&mut scanner, |rows, scanner| {
            scanner.object(|scanner, key| match key {
                "config" => Ok(scanner.skip()?), // RLlib's settings, in each row
                _ => rows.read_field(scanner, key),
            })
        })?;
    }
    Ok(())
}
