//! Reads a dump in Parquet: one row per response, with the same columns as the JSON fields.

use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};

use super::error::DumpError;
use super::{RawResponse, ResponseError, TokenDump};
use crate::framing::parquet::{catch_panics, error_text};

/// Reads a Parquet dump that is in memory.
pub(crate) fn read(bytes: Vec<u8>, dump: &mut TokenDump) -> Result<(), DumpError> {
    catch_panics(|| table(bytes, dump)).unwrap_or_else(|| Err(row(0, "it is damaged")))
}

/// The columns to read.
const COLUMNS: [&str; 10] = [
    "step",
    "id",
    "sample",
    "prompt_token_ids",
    "response_token_ids",
    "tokens",
    "entropies",
    "log_probs",
    "finish_reason",
    "response_mask",
];

fn table(bytes: Vec<u8>, dump: &mut TokenDump) -> Result<(), DumpError> {
    let broken = |error: ParquetError| row(0, &error_text(error));
    let file = SerializedFileReader::new(Bytes::from(bytes)).map_err(broken)?;
    let schema = file.metadata().file_metadata().schema();
    let fields: Vec<TypePtr> = schema
        .get_fields()
        .iter()
        .filter(|field| COLUMNS.contains(&field.name()))
        .map(Arc::clone)
        .collect();
    for needed in ["step", "response_token_ids", "entropies"] {
        if !fields.iter().any(|field| field.name() == needed) {
            return Err(DumpError::Foreign(format!("it has no column {needed:?}")));
        }
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let mut read = 0;
    for cells in file.get_row_iter(Some(projection.map_err(broken)?)).map_err(broken)? {
        read += 1;
        let cells = cells.map_err(|error| row(read, &error_text(error)))?;
        let raw = response(&cells).map_err(|what| row(read, &what))?;
        dump.add(raw).map_err(|what: ResponseError| row(read, &what.to_string()))?;
    }
    if read == 0 {
        return Err(DumpError::Nothing("the table has no rows"));
    }
    Ok(())
}

fn row(number: usize, what: &str) -> DumpError {
    let place = if number == 0 { "the table".to_owned() } else { format!("row {number}") };
    DumpError::Response { place, what: what.to_owned() }
}

/// The response in a row.
fn response(cells: &Row) -> Result<RawResponse, String> {
    let mut raw = RawResponse::default();
    let mut mask = None;
    for (name, field) in cells.get_column_iter() {
        let odd = || format!("column {name:?} holds {}", start(field));
        match (name.as_str(), field) {
            ("step", field) => raw.step = whole(field).ok_or_else(odd)?,
            ("id", Field::Null) => {}
            ("id", Field::Str(id)) => raw.id.clone_from(id),
            ("id", field) => raw.id = whole(field).ok_or_else(odd)?.to_string(),
            ("sample" | "finish_reason", Field::Null) => {}
            ("sample", field) => raw.sample = Some(whole(field).ok_or_else(odd)?),
            ("finish_reason", Field::Str(finish)) => raw.finish = Some(finish.clone()),
            ("prompt_token_ids", field) => raw.prompt = list(name, field, id)?,
            ("response_token_ids", field) => raw.tokens = list(name, field, id)?,
            ("tokens", field) => raw.texts = list(name, field, text)?,
            ("entropies", field) => raw.entropies = list(name, field, entropy)?,
            ("log_probs", field) => raw.log_probs = list(name, field, log_prob)?,
            ("response_mask", Field::Null) => {}
            ("response_mask", field) => mask = Some(list(name, field, flag)?),
            _ => return Err(odd()),
        }
    }
    raw.own_tokens(mask.as_deref())
}

fn list<T>(name: &str, field: &Field, take: fn(&Field) -> Option<T>) -> Result<Vec<T>, String> {
    let elements = match field {
        Field::ListInternal(list) => list.elements(),
        Field::Null => return Ok(Vec::new()),
        _ => return Err(format!("column {name:?} holds no lists")),
    };
    let converted = |(at, element)| {
        take(element).ok_or_else(|| format!("element {} of {name:?} is {}", at + 1, start(element)))
    };
    elements.iter().enumerate().map(converted).collect()
}

/// The value of a cell, shortened for a message.
fn start(field: &Field) -> String {
    field.to_string().chars().take(60).collect()
}

fn whole(field: &Field) -> Option<u64> {
    match *field {
        Field::Int(n) => u64::try_from(n).ok(),
        Field::Long(n) => u64::try_from(n).ok(),
        Field::UInt(n) => Some(u64::from(n)),
        Field::ULong(n) => Some(n),
        _ => None,
    }
}

fn id(field: &Field) -> Option<u32> {
    whole(field).and_then(|id| u32::try_from(id).ok())
}

fn text(field: &Field) -> Option<String> {
    if let Field::Str(text) = field { Some(text.clone()) } else { None }
}

fn number(field: &Field) -> Option<f64> {
    match *field {
        Field::Float(n) => Some(f64::from(n)),
        Field::Double(n) => Some(n),
        _ => None,
    }
}

/// An entropy; null, where the policy did not write the token, is NaN.
fn entropy(field: &Field) -> Option<f64> {
    if let Field::Null = field { Some(f64::NAN) } else { number(field) }
}

fn flag(field: &Field) -> Option<bool> {
    if let Field::Bool(flag) = *field { Some(flag) } else { None }
}

fn log_prob(field: &Field) -> Option<f64> {
    if let Field::Null = field { Some(f64::NEG_INFINITY) } else { number(field) }
}
