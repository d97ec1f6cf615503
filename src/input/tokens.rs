//! Dumps of single tokens: what `compute --tokens-out` and prime-rl's token export write.
//!
//! ```text
//! {"step":40,"id":0,"prompt_token_ids":[…],"response_token_ids":[22,30],"tokens":["7","?"],
//!  "entropies":[2.475,0.642],"log_probs":[-2.593,null],"finish_reason":"length"}      a line a response
//! ```
//!
//! `null` is the log-prob −∞; `sample` is there where prompts have several; without a tokenizer
//! `tokens` is empty. Parquet has the same columns, a row a response, and ids as texts.
//!
//! prime-rl (`src/prime_rl/trainer/rl/token_export.py`, commit d2f82fa and schema 2 after it) writes
//! `token_exports/step_N/rank_R.jsonl`, a line a sequence: `token_ids` of prompt and response, of which
//! those with `loss_mask` were sampled, `entropy` and `trainer_logprobs`, each shifted so that it stands
//! at the token that was drawn. It has no texts.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use serde::Deserialize;
use serde::de::{self, Deserializer, Unexpected, Visitor};
use serde_json::Value;
use thiserror::Error;

use super::frame::json::{Holds, Shape, shape};
use super::parquet::quietly;
use super::{Note, Opened, Source, describe};
use crate::dump::{Dump, RawResponse, ResponseError};

/// A response of a million tokens has 60 MB; a longer line is none.
const LONGEST_LINE: u64 = 1 << 30;

/// Why a dump could not be read.
#[derive(Debug, Error)]
pub enum TokensError {
    /// The source could not be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// There is nothing in it.
    #[error("{0}")]
    Nothing(&'static str),
    /// It is another kind of file.
    #[error("it is no dump of tokens: {0}")]
    Foreign(String),
    /// A response is not what the format says.
    #[error("{place}: {what}")]
    Response {
        /// Which line, or which row.
        place: String,
        /// What is wrong with it.
        what: String,
    },
}

/// Whether a file that begins so is a dump of tokens as JSON lines. Of a first line that goes on past
/// the head, the keys up to there decide. (A Parquet file tells its columns at its end.)
pub fn is_token_dump(head: &[u8]) -> bool {
    let Shape::Object(keys) = shape(head) else { return false };
    let has = |name: &str| keys.iter().any(|(key, holds)| key == name && *holds == Holds::Array);
    let ours = has("response_token_ids") && has("entropies");
    let prime = has("token_ids") && has("loss_mask") && has("entropy");
    // Rollouts begin like this too, and have a `response` in front.
    let goes_on = memchr::memchr(b'\n', head).is_none() && has("prompt_token_ids");
    let begun = goes_on && !keys.iter().any(|(key, _)| key == "response" || key == "entropy");
    ours || prime || begun
}

/// Reads a dump into `dump`, response by response; packed files are unpacked. What is odd comes back.
///
/// # Errors
/// When the source holds no whole response, or one that is not what the format says; responses before
/// it are in `dump` then.
pub fn read(source: Source<'_>, dump: &mut Dump) -> Result<Vec<Note>, TokensError> {
    let Opened { head, mut reader, .. } = Opened::new(source)?;
    if head.is_empty() {
        return Err(TokensError::Nothing("the file is empty"));
    }
    let mut notes = Vec::new();
    if head.starts_with(b"PAR1") {
        let mut bytes = head;
        reader.read_to_end(&mut bytes)?;
        notes.extend(reader.cut().map(Note::CompressionCut));
        quietly(|| table(bytes, dump)).unwrap_or_else(|| Err(row(0, "it is damaged")))?;
        return Ok(notes);
    }
    match shape(&head) {
        Shape::Object(_) => {}
        Shape::Blank => {
            return Err(TokensError::Nothing("the file holds nothing but white space"));
        }
        _ => return Err(TokensError::Foreign(describe(&head))),
    }
    notes.extend(lines(BufReader::new(head.chain(&mut reader)), dump)?);
    notes.extend(reader.cut().map(Note::CompressionCut));
    Ok(notes)
}

/// Reads JSON lines; the last of them may be cut.
fn lines(mut source: impl BufRead, dump: &mut Dump) -> Result<Option<Note>, TokensError> {
    let (mut line, mut number, mut read) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        number += 1;
        let length = source.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return match read {
                0 => Err(TokensError::Nothing("the file holds nothing but white space")),
                _ => Ok(None),
            };
        }
        let place = |column: usize| match column {
            0 => format!("line {number}"),
            column => format!("line {number}, column {column}"),
        };
        let ends = line.ends_with(b"\n");
        if !ends && length as u64 == LONGEST_LINE {
            let what = "it is longer than 1 GiB".to_owned();
            return Err(TokensError::Response { place: place(0), what });
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line);
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(text) {
            Ok(line) => {
                let raw = line.response(number);
                let added = raw.and_then(|raw| dump.add(raw).map_err(|e| e.to_string()));
                added.map_err(|what| TokensError::Response { place: place(0), what })?;
                read += 1;
            }
            Err(error) if error.is_eof() && !ends => {
                if read == 0 {
                    return Err(TokensError::Nothing("the file ends inside its first line"));
                }
                return Ok(Some(Note::Cut { unit: "line", read, place: place(0) }));
            }
            Err(error) if error.is_eof() => {
                let what = "it ends inside the object".to_owned();
                return Err(TokensError::Response { place: place(error.column()), what });
            }
            Err(error) => {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
                return Err(TokensError::Response { place: place(error.column()), what });
            }
        }
    }
}

/// A line of either program: what it lacks is found when it is taken.
#[derive(Deserialize, Default)]
#[serde(default, expecting = "an object with a response")]
struct Line {
    step: Option<Whole>,
    id: Value,
    sample: Option<Whole>,
    prompt_token_ids: Vec<Id>,
    response_token_ids: Option<Vec<Id>>,
    tokens: Vec<String>,
    entropies: Option<Vec<Number>>,
    log_probs: Option<Vec<Option<Number>>>,
    finish_reason: Option<String>,
    // prime-rl's
    export_step: Option<Whole>,
    rank: Option<Whole>,
    export_sequence_idx: Option<Whole>,
    sample_id: Option<String>,
    token_ids: Option<Vec<Id>>,
    loss_mask: Vec<bool>,
    entropy: Option<Vec<Option<Number>>>,
    trainer_logprobs: Vec<Option<Number>>,
}

impl Line {
    fn response(self, number: usize) -> Result<RawResponse, String> {
        let step = self.export_step.or(self.step).ok_or("it has no \"step\"")?.0;
        match (self.token_ids, self.entropy) {
            (Some(tokens), Some(entropy)) => {
                let all = tokens.len();
                let entropy: Vec<f64> = entropy.into_iter().map(or_nan).collect();
                let log_probs: Vec<f64> =
                    self.trainer_logprobs.into_iter().map(or_minus_infinity).collect();
                let lists = [
                    ("loss_mask", self.loss_mask.len()),
                    ("entropy", entropy.len()),
                    ("trainer_logprobs", log_probs.len()),
                ];
                if let Some((name, found)) = lists.into_iter().find(|(_, found)| *found != all) {
                    return Err(format!("it has {all} \"token_ids\" and {found} in {name:?}"));
                }
                // A prompt comes before the first sampled token; tool answers may stand between others.
                let first = self.loss_mask.iter().position(|sampled| *sampled).unwrap_or(all);
                let sampled = |i: &usize| self.loss_mask[*i];
                let place = |whole: Option<Whole>| whole.map_or(0, |whole| whole.0);
                let sequence =
                    self.export_sequence_idx.map_or(number as u64 - 1, |sequence| sequence.0);
                Ok(RawResponse {
                    step,
                    id: self
                        .sample_id
                        .unwrap_or_else(|| format!("{}/{sequence}", place(self.rank))),
                    prompt: tokens[..first].iter().map(|id| id.0).collect(),
                    tokens: (0..all).filter(sampled).map(|i| tokens[i].0).collect(),
                    entropies: (0..all).filter(sampled).map(|i| entropy[i]).collect(),
                    log_probs: (0..all).filter(sampled).map(|i| log_probs[i]).collect(),
                    ..RawResponse::default()
                })
            }
            _ => {
                let tokens = self.response_token_ids.ok_or("it has no \"response_token_ids\"")?;
                let entropies = self.entropies.ok_or("it has no \"entropies\"")?;
                let log_probs = self.log_probs.unwrap_or_default();
                Ok(RawResponse {
                    step,
                    id: id_text(self.id),
                    sample: self.sample.map(|sample| sample.0),
                    prompt: self.prompt_token_ids.into_iter().map(|id| id.0).collect(),
                    tokens: tokens.into_iter().map(|id| id.0).collect(),
                    texts: self.tokens,
                    entropies: entropies.into_iter().map(|entropy| entropy.0).collect(),
                    log_probs: log_probs.into_iter().map(or_minus_infinity).collect(),
                    finish: self.finish_reason,
                })
            }
        }
    }
}

/// JSON has no −∞, which is the log-prob of what had no probability: `null` stands for it.
fn or_minus_infinity(log_prob: Option<Number>) -> f64 {
    log_prob.map_or(f64::NEG_INFINITY, |log_prob| log_prob.0)
}

/// prime-rl writes `null` for what is not finite; an entropy that is not is refused, where the token
/// was sampled.
fn or_nan(number: Option<Number>) -> f64 {
    number.map_or(f64::NAN, |number| number.0)
}

/// An id is shown as it was written; nothing where there is none.
fn id_text(id: Value) -> String {
    match id {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A whole number from 0.
#[derive(Clone, Copy)]
struct Whole(u64);

/// The id of a token.
#[derive(Clone, Copy)]
struct Id(u32);

/// A number.
#[derive(Clone, Copy)]
struct Number(f64);

/// Reads a number for what it is meant to be, so that an error can say it in the user's words.
struct Reads<T>(&'static str, fn(f64, Option<u64>) -> Option<T>);

impl<T> Visitor<'_> for Reads<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<T, E> {
        (self.1)(n as f64, Some(n)).ok_or_else(|| E::invalid_value(Unexpected::Unsigned(n), &self))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<T, E> {
        (self.1)(n as f64, None).ok_or_else(|| E::invalid_value(Unexpected::Signed(n), &self))
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<T, E> {
        (self.1)(n, None).ok_or_else(|| E::invalid_value(Unexpected::Float(n), &self))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Whole, D::Error> {
        from.deserialize_any(Reads("a whole number from 0", |_, whole| whole.map(Whole)))
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Id, D::Error> {
        let id = |_, whole: Option<u64>| whole.and_then(|id| u32::try_from(id).ok()).map(Id);
        from.deserialize_any(Reads("the id of a token", id))
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Number, D::Error> {
        from.deserialize_any(Reads("a number", |number, _| Some(Number(number))))
    }
}

/// The columns that are read.
const COLUMNS: [&str; 9] = [
    "step",
    "id",
    "sample",
    "prompt_token_ids",
    "response_token_ids",
    "tokens",
    "entropies",
    "log_probs",
    "finish_reason",
];

fn table(bytes: Vec<u8>, dump: &mut Dump) -> Result<(), TokensError> {
    let broken = |error: ParquetError| row(0, &super::parquet::say(error));
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
            return Err(TokensError::Foreign(format!("it has no column {needed:?}")));
        }
    }
    let projection = Type::group_type_builder(schema.name()).with_fields(fields).build();
    let mut read = 0;
    for cells in file.get_row_iter(Some(projection.map_err(broken)?)).map_err(broken)? {
        read += 1;
        let cells = cells.map_err(|error| row(read, &super::parquet::say(error)))?;
        let raw = response(&cells).map_err(|what| row(read, &what))?;
        dump.add(raw).map_err(|what: ResponseError| row(read, &what.to_string()))?;
    }
    if read == 0 {
        return Err(TokensError::Nothing("the table has no rows"));
    }
    Ok(())
}

fn row(number: usize, what: &str) -> TokensError {
    let place = if number == 0 { "the table".to_owned() } else { format!("row {number}") };
    TokensError::Response { place, what: what.to_owned() }
}

/// A row of the Parquet twin.
fn response(cells: &Row) -> Result<RawResponse, String> {
    let mut raw = RawResponse::default();
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
            ("entropies", field) => raw.entropies = list(name, field, number)?,
            ("log_probs", field) => raw.log_probs = list(name, field, log_prob)?,
            _ => return Err(odd()),
        }
    }
    Ok(raw)
}

fn list<T>(name: &str, field: &Field, take: fn(&Field) -> Option<T>) -> Result<Vec<T>, String> {
    let elements = match field {
        Field::ListInternal(list) => list.elements(),
        Field::Null => return Ok(Vec::new()),
        _ => return Err(format!("column {name:?} holds no lists")),
    };
    let taken = |(at, element)| {
        take(element).ok_or_else(|| format!("element {} of {name:?} is {}", at + 1, start(element)))
    };
    elements.iter().enumerate().map(taken).collect()
}

/// What a cell holds, as far as it fits into a message.
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

fn log_prob(field: &Field) -> Option<f64> {
    if let Field::Null = field { Some(f64::NEG_INFINITY) } else { number(field) }
}
