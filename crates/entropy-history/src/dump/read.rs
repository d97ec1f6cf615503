//! Reads dumps of single tokens, as `compute --tokens-out` and prime-rl's token export write them.
//!
//! ```text
//! {"step":40,"id":0,"prompt_token_ids":[…],"response_token_ids":[22,30],"tokens":["7","?"],
//!  "entropies":[2.475,0.642],"log_probs":[-2.593,null],"finish_reason":"length"}      one line per response
//! ```
//!
//! A log-prob of `null` is −∞. `sample` is present if prompts have several samples. `tokens` is empty if the
//! model has no tokenizer. Parquet has the same columns, one row per response, and ids as strings.
//!
//! prime-rl (`src/prime_rl/trainer/rl/token_export.py`, commit d2f82fa; schema 2 has more columns)
//! writes `token_exports/step_N/rank_R.jsonl`, one line per sequence: `token_ids` of prompt and
//! response, of which those with `loss_mask` were sampled; `entropy` and `trainer_logprobs` are at the
//! index of the sampled token, and `null` where they are not finite. It has no texts.

use std::io::{BufRead, BufReader, Read};

use super::TokenDump;
use super::error::DumpError;
use super::json_line::JsonLine;
use super::parquet_rows;
use crate::formats::{LogNote, OpenedSource, Source, describe};
use crate::framing::json::{Shape, ValueKind, shape};
use crate::text::plural;

/// Maximum length of a line in bytes; a response of a million tokens has 60 MB.
const LONGEST_LINE: u64 = 1 << 30;

/// Whether a file with this head is a JSON token dump. If the first line is longer than the head, its
/// first keys decide. (A Parquet file lists its columns at its end.)
pub fn is_token_dump(head: &[u8]) -> bool {
    let Shape::Object(keys) = shape(head) else { return false };
    let has =
        |name: &str| keys.iter().any(|(key, holds)| key == name && *holds == ValueKind::Array);
    let ours = has("response_token_ids") && has("entropies");
    let prime = has("token_ids") && has("loss_mask") && has("entropy");
    // A rollout file has these keys too, but `response` comes first.
    let is_partial_line = memchr::memchr(b'\n', head).is_none() && has("prompt_token_ids");
    let ours_partial =
        is_partial_line && !keys.iter().any(|(key, _)| key == "response" || key == "entropy");
    ours || prime || ours_partial
}

/// Reads a dump, compressed or not, and adds its responses to `dump`. Returns notes about the file.
///
/// # Errors
/// When the source has no complete response, or an invalid one; the responses before it were added.
pub fn read(source: Source<'_>, dump: &mut TokenDump) -> Result<Vec<LogNote>, DumpError> {
    let OpenedSource { head, mut reader, .. } = OpenedSource::new(source)?;
    if head.is_empty() {
        return Err(DumpError::Nothing("the file is empty"));
    }
    let mut notes = Vec::new();
    if head.starts_with(b"PAR1") {
        let mut bytes = head;
        reader.read_to_end(&mut bytes)?;
        notes.extend(reader.take_truncation().map(LogNote::CompressionCut));
        parquet_rows::read(bytes, dump)?;
        return Ok(notes);
    }
    match shape(&head) {
        Shape::Object(_) => {}
        Shape::Blank => {
            return Err(DumpError::Nothing("the file holds nothing but white space"));
        }
        _ => return Err(DumpError::Foreign(describe(&head))),
    }
    notes.extend(lines(BufReader::new(head.chain(&mut reader)), dump)?);
    notes.extend(reader.take_truncation().map(LogNote::CompressionCut));
    Ok(notes)
}

/// Reads JSON lines; the last line may be incomplete.
fn lines(mut source: impl BufRead, dump: &mut TokenDump) -> Result<Vec<LogNote>, DumpError> {
    let (mut line, mut number, mut read) = (Vec::new(), 0, 0);
    let mut without_entropy = 0;
    loop {
        line.clear();
        number += 1;
        let length = source.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)?;
        if length == 0 {
            return match read {
                0 => Err(DumpError::Nothing("the file holds nothing but white space")),
                _ => Ok(notes(None, without_entropy)),
            };
        }
        let place = |column: usize| match column {
            0 => format!("line {number}"),
            column => format!("line {number}, column {column}"),
        };
        let ends = line.ends_with(b"\n");
        if !ends && length as u64 == LONGEST_LINE {
            let what = "it is longer than 1 GiB".to_owned();
            return Err(DumpError::Response { place: place(0), what });
        }
        let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1).unwrap_or(&line);
        let text = text.trim_ascii_end();
        if text.is_empty() {
            continue;
        }
        match serde_json::from_slice::<JsonLine>(text) {
            Ok(line) => {
                let added = line.response(number).and_then(|(raw, left_out)| {
                    without_entropy += left_out;
                    dump.add(raw).map_err(|e| e.to_string())
                });
                added.map_err(|what| DumpError::Response { place: place(0), what })?;
                read += 1;
            }
            Err(error) if error.is_eof() && !ends => {
                if read == 0 {
                    return Err(DumpError::Nothing("the file ends inside its first line"));
                }
                let cut = LogNote::Cut { unit: "line", read, place: place(0) };
                return Ok(notes(Some(cut), without_entropy));
            }
            Err(error) if error.is_eof() => {
                let what = "it ends inside the object".to_owned();
                return Err(DumpError::Response { place: place(error.column()), what });
            }
            Err(error) => {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or(&text).to_owned();
                return Err(DumpError::Response { place: place(error.column()), what });
            }
        }
    }
}

fn notes(cut: Option<LogNote>, without_entropy: usize) -> Vec<LogNote> {
    let left_out = (without_entropy > 0).then(|| {
        let tokens = plural(without_entropy, "sampled token has", "sampled tokens have");
        LogNote::Odd(format!("{tokens} no finite entropy; left out"))
    });
    cut.into_iter().chain(left_out).collect()
}
