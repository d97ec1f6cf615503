//! Reads dumps of tokens: JSON lines, compressed or not, and Parquet.
//!
//! ```text
//! {"step":40,"id":0,"prompt_token_ids":[…],"response_token_ids":[22,30],"tokens":["7","?"],
//!  "entropies":[2.475,0.642],"log_probs":[-2.593,null],"dump":{"reward":1,"generation_logprobs":[-2.6,-0.1]}}
//! ```
//!
//! The names of the columns are in `names.rs`. A row that is not a response is counted by reason.

mod cells;
mod error;
mod join_texts;
mod json_lines;
mod layout;
mod log_probs;
mod own_tokens;
mod parquet;
mod parquet_column;
mod row;
mod row_values;
mod shared_file;

use std::io::Read;
use std::path::Path;

use entropy_history::formats::{Decompressed, LogNote, Source};
use entropy_history::text::plural;

pub use error::ReadError;

use crate::columns::Columns;
use crate::table::TokenTable;

/// Bytes of a file by which its format is recognised.
const HEAD: u64 = 4096;

/// Reads a dump and adds its responses to the last source of `table`. Returns notes about the file.
///
/// `name` is put before the places of rows that are left out.
///
/// # Errors
/// When the file cannot be read, is something else, or has no response. The table is then as before, but for numbers that
/// were rounded because of its size.
pub fn read(
    source: Source<'_>,
    name: &str,
    columns: &Columns,
    table: &mut TokenTable,
) -> Result<Vec<LogNote>, ReadError> {
    let step = source.path.and_then(step_of_path);
    let path = source.path;
    let mut reader = Decompressed::new(source.reader)?;
    let mut head = Vec::new();
    (&mut reader).take(HEAD).read_to_end(&mut head)?;
    if head.is_empty() {
        return Err(ReadError::Nothing("the file is empty"));
    }
    let mark = table.mark();
    let left_out_before = std::mem::take(&mut table.left_out);
    let responses = table.responses.len();
    let (segments, worst) = (table.segments.len(), table.worst.len());
    let mut notes = Vec::new();
    let rows = if head.starts_with(b"PAR1") {
        match path.filter(|_| !reader.is_compressed()) {
            Some(path) => parquet::read_file(path, columns, step, table),
            None => {
                let mut bytes = head;
                reader.read_to_end(&mut bytes)?;
                parquet::read_bytes(bytes, columns, step, table)
            }
        }
    } else {
        lines(&mut reader, head, columns, step, table, &mut notes)
    };
    notes.extend(reader.take_truncation().map(LogNote::CompressionCut));
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            table.roll_back(mark);
            return Err(error);
        }
    };
    let left_out = std::mem::replace(&mut table.left_out, left_out_before);
    if table.responses.len() == responses {
        table.roll_back(mark);
        let first = left_out.iter().map(|(_, left_out)| left_out.first.clone()).next();
        return Err(ReadError::NoResponse {
            rows: plural(rows, "row", "rows"),
            first: first.unwrap_or_else(|| "it has no rows".to_owned()),
        });
    }
    join_texts::join_texts(table, segments, worst);
    table.left_out.append(left_out.below(name));
    Ok(notes)
}

/// Reads JSON lines; returns how many rows there are.
fn lines(
    reader: &mut Decompressed<'_>,
    head: Vec<u8>,
    columns: &Columns,
    step: Option<u64>,
    table: &mut TokenTable,
    notes: &mut Vec<LogNote>,
) -> Result<usize, ReadError> {
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head).trim_ascii_start();
    match text.first() {
        Some(b'{') => {}
        None if head.len() < HEAD as usize => {
            return Err(ReadError::Nothing("the file holds nothing but white space"));
        }
        _ => {
            let start: String = String::from_utf8_lossy(text).chars().take(20).collect();
            return Err(ReadError::Foreign(format!("it begins with {:?}", start.trim_end())));
        }
    }
    let read = json_lines::read(head.as_slice().chain(reader), columns, step, table)?;
    if let Some(line) = read.cut_line {
        if read.rows == 0 {
            return Err(ReadError::Nothing("the file ends inside its first line"));
        }
        let place = format!("line {line}");
        notes.push(LogNote::Cut { unit: "line", read: read.rows, place });
    }
    Ok(read.rows)
}

/// The step in the name of a file or of its directory: `train_data_step12.jsonl`, `12.jsonl`, `rollout_12.jsonl.gz`,
/// `step_12/rank_0.jsonl`. Only used where rows have none.
fn step_of_path(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let stem = name.split('.').next()?;
    let number = |text: &str| text.parse::<u64>().ok();
    let after_word = |text: &str| {
        let words = ["step", "rollout", "iter", "completions"];
        let found = words.iter().find_map(|word| Some(&text[text.rfind(word)? + word.len()..]))?;
        number(found.trim_start_matches(['_', '-']))
    };
    let directory = || after_word(path.parent()?.file_name()?.to_str()?);
    number(stem).or_else(|| after_word(stem)).or_else(directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_is_in_the_name_of_the_file_or_its_directory() {
        for (path, step) in [
            ("logs/train_data_step12.jsonl", Some(12)),
            ("12.jsonl", Some(12)),
            ("rollout_7.jsonl.gz", Some(7)),
            ("token_exports/step_40/rank_0.jsonl", Some(40)),
            ("completions_00010.parquet", Some(10)),
            ("tokens.jsonl", None),
            ("runs2/tokens-v3.jsonl", None),
        ] {
            assert_eq!(step_of_path(Path::new(path)), step, "{path}");
        }
    }
}
