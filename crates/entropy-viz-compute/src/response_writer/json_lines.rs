//! Finds and copies the rows of JSON lines. Only one line is in memory at a time.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::ops::Range;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::stored::{StoredError, StoredRows};

/// Maximum length of a line in bytes; a response of a million tokens has 60 MB.
const LONGEST_LINE: u64 = 1 << 30;

/// The keys that tell a row of compute from other lines.
#[derive(Deserialize)]
struct RowKeys {
    step: u64,
    settings: Option<String>,
    #[serde(rename = "response_token_ids")]
    _response: IgnoredAny,
}

/// Finds the rows of a file.
pub(super) fn index(file: File) -> Result<StoredRows, StoredError> {
    let mut rows = StoredRows::new(file.try_clone()?);
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut line, mut number, mut start) = (Vec::new(), 0, 0);
    loop {
        line.clear();
        number += 1;
        let length = reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line)? as u64;
        if length == 0 {
            return Ok(rows);
        }
        let place = start..start + length;
        start += length;
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Ok(row) = serde_json::from_slice::<RowKeys>(&line) else {
            return Err(StoredError::Foreign(format!("line {number} was not written by compute")));
        };
        rows.add(row.step, row.settings, place);
    }
}

/// Copies lines of a file; each of them gets an end.
pub(super) fn copy(mut file: &File, places: &[Range<u64>], to: &mut impl Write) -> io::Result<()> {
    for place in places {
        let length = place.end - place.start;
        file.seek(SeekFrom::Start(place.end - 1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        file.seek(SeekFrom::Start(place.start))?;
        if io::copy(&mut file.take(length), to)? != length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if last != *b"\n" {
            to.write_all(b"\n")?;
        }
    }
    Ok(())
}
