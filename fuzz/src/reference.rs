//! A second implementation of the JSON formats, with serde_json and the whole text in memory: slow, simple, independent.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::checks::{Outcome, bits};
use crate::history::Point;
use crate::formats::ReadError;
use crate::framing::json::ScanError;

/// The keys that are compared.
pub const KEYS: [&str; 3] = ["entropy", "actor/entropy", "Value"];

/// From 2^53 on, integer steps need a special check.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A JSON value; objects keep the order and repetition of keys.
#[derive(Debug, Clone, PartialEq)]
enum Json {
    Null,
    Number(f64),
    Other,
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        struct AnyJson;
        impl<'de> Visitor<'de> for AnyJson {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }
            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }
            fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
                Ok(Json::Other)
            }
            fn visit_str<E>(self, _: &str) -> Result<Json, E> {
                Ok(Json::Other)
            }
            fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
                Ok(Json::Number(number as f64))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
                Ok(Json::Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
                Ok(Json::Number(number))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Json::Object(pairs))
            }
        }
        deserializer.deserialize_any(AnyJson)
    }
}

/// The values of a row by key; of a repeated key the last one counts.
type Row = Vec<(String, Json)>;

/// Checks that a text that serde_json accepts is not rejected as invalid JSON, and that the points equal those
/// of its rows. Texts that serde_json rejects, and extensions that only the formats
/// accept, are skipped.
pub fn agrees(text: &[u8], format: &str, outcome: &Outcome) {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let values = serde_json::Deserializer::from_slice(text).into_iter::<Json>();
    let Ok(values) = values.collect::<Result<Vec<Json>, _>>() else { return };
    let Some(rows) = rows(format, values) else { return };
    let steps = rows.iter().flatten().filter(|(key, _)| key == "step");
    if steps.clone().any(|(_, step)| matches!(step, Json::Number(n) if n.abs() >= EXACT)) {
        return;
    }
    let log = match outcome {
        Ok((_, log)) => Some(log),
        Err(ReadError::CutFirstRow(_)) => return,
        Err(ReadError::Scan(ScanError::Syntax { what, .. })) if !what.contains("nested deeper") => {
            panic!("serde_json takes what is refused: {what}")
        }
        Err(ReadError::Row { .. } | ReadError::Scan(_)) => return,
        Err(_) => None,
    };
    let last =
        |row: &Row, key: &str| row.iter().rev().find(|(k, _)| k == key).map(|(_, v)| v.clone());
    for key in KEYS {
        let mut points = Vec::new();
        for row in &rows {
            let step = match last(row, "step") {
                Some(Json::Number(step)) => step,
                Some(Json::Other) => return, // a string may hold a number
                Some(other) => panic!("the step is {other:?} and was taken for a number"),
                None => continue,
            };
            let entropy = match last(row, key) {
                Some(Json::Number(number)) => number,
                Some(Json::Null) => f64::NAN,
                Some(Json::Other) => return,
                Some(other) => panic!("{key} is {other:?} and was taken for a number"),
                None => continue,
            };
            points.push(Point { step, entropy });
        }
        let series = log.and_then(|log| log.series.iter().find(|series| series.metric == key));
        let read = series.map_or(&[][..], |series| &series.points);
        assert!(bits(read) == bits(&points), "{key}: read {read:?}, in the text {points:?}");
    }
}

fn objects(values: Vec<Json>) -> Option<Vec<Row>> {
    let row = |value| if let Json::Object(pairs) = value { Some(pairs) } else { None };
    values.into_iter().map(row).collect()
}

/// The array, if it is the only value.
fn array(values: Vec<Json>) -> Option<Vec<Json>> {
    match <[Json; 1]>::try_from(values).ok()? {
        [Json::Array(items)] => Some(items),
        _ => None,
    }
}

fn rows(format: &str, values: Vec<Json>) -> Option<Vec<Row>> {
    match (format, values.first()?) {
        ("rzero", Json::Array(_)) => objects(array(values)?),
        ("rzero" | "jsonl", Json::Object(first)) => {
            let step = first.iter().find(|(key, _)| key == "step");
            match step {
                Some((_, Json::Null | Json::Number(_) | Json::Other)) => objects(values),
                _ => None,
            }
        }
        ("verl", Json::Object(_)) => objects(values)?.into_iter().map(verl).collect(),
        ("easyr1", Json::Object(_)) => objects(values)?.into_iter().map(easyr1).collect(),
        ("trainer_state", Json::Object(_)) => {
            let [Json::Object(state)] = <[Json; 1]>::try_from(values).ok()? else { return None };
            let mut rows = Vec::new();
            for (key, value) in state {
                match value {
                    Json::Array(items) if key == "log_history" => rows.extend(objects(items)?),
                    _ if key == "log_history" => return None,
                    _ => {}
                }
            }
            Some(rows)
        }
        ("tensorboard-json", Json::Array(_)) => {
            let triple = |item| {
                let Json::Array(triple) = item else { return None };
                let [_, step, value] = <[Json; 3]>::try_from(triple).ok()?;
                Some(vec![("step".to_owned(), step), ("Value".to_owned(), value)])
            };
            array(values)?.into_iter().map(triple).collect()
        }
        _ => None,
    }
}

fn verl(row: Row) -> Option<Row> {
    let mut flat = Vec::new();
    for (key, value) in row {
        match (key.as_str(), value) {
            ("step", value) => flat.push((key, value)),
            ("data", Json::Object(data)) => {
                flat.extend(data.into_iter().filter(|(key, _)| key != "step"));
            }
            ("data", _) => return None,
            _ => {}
        }
    }
    Some(flat)
}

fn easyr1(row: Row) -> Option<Row> {
    fn walk(path: &str, key: &str, value: Json, depth: usize, flat: &mut Row) -> Option<()> {
        let full = if path.is_empty() { key.to_owned() } else { format!("{path}/{key}") };
        match value {
            Json::Object(_) if depth == 32 => return None,
            Json::Object(pairs) => {
                for (key, value) in pairs {
                    walk(&full, &key, value, depth + 1, flat)?;
                }
            }
            value if full != "step" => flat.push((full, value)),
            _ => {}
        }
        Some(())
    }
    let mut flat = Vec::new();
    for (key, value) in row {
        match key.as_str() {
            "step" => flat.push((key, value)),
            _ => walk("", &key, value, 0, &mut flat)?,
        }
    }
    Some(flat)
}
