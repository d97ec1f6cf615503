//! Reads flat JSON lines.

use std::io::Read;

use crate::formats::reader_api::{
    Confidence, Head, JsonRows, MissingMetric, ReadError, SeriesBuilder, read_json_lines,
};
use crate::formats::step_keys;
use crate::framing::json::ValueKind;

pub(crate) fn recognise(head: &Head<'_>) -> Confidence {
    let (keys, Some(step)) = (head.keys(), step_keys::of_head(head)) else { return Confidence::No };
    let has = |what: &dyn Fn(&str) -> bool| keys.iter().any(|(key, _)| *key != step && what(key));
    if step_keys::is_common(&step) && !has(&|key| key.to_lowercase().contains("entropy")) {
        return Confidence::No; // the totals of a run, or a configuration
    }
    let nested = keys.iter().filter(|(_, holds)| *holds == ValueKind::Object).count();
    let flat = keys.iter().all(|(_, holds)| *holds == ValueKind::Scalar);
    let rows_inside = keys.iter().any(|(_, holds)| *holds == ValueKind::ArrayOfObjects);
    let named = has(&|key| key.contains('/'));
    let is_verl = step == "step" && head.has("data", ValueKind::Object);
    let is_easyr1 = step == "step" && nested + 1 == keys.len();
    match flat {
        _ if is_verl || is_easyr1 => Confidence::No,
        true if named || step != "step" => Confidence::Certain,
        false if named => Confidence::Certain,
        false if nested > 0 && !rows_inside => Confidence::Likely,
        _ => Confidence::No, // R-Zero's rows as JSON lines
    }
}

pub(crate) fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Count);
    let step = step_keys::of_head(head).unwrap_or_else(|| "step".to_owned());
    read_json_lines(source, JsonRows::new(builder, &step), |rows, scanner, key| match key {
        "config" => Ok(scanner.skip()?), // RLlib repeats its configuration in each row
        _ => rows.read_field(scanner, key),
    })
}
