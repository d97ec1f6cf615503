//! Padding before the tested content, because the first 64 KiB of a log always come at once.

use crate::frames::{WANDB, append_chunks, proto, tfrecord};

/// How many bytes recognition looks at.
pub const HEAD: usize = 1 << 16;

/// A text in a JSON format, after a long row or key that is skipped.
pub fn json(text: &[u8], format: &str) -> Vec<u8> {
    let pad = "x".repeat(HEAD);
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    let (before, text) = match (format, text.split_first()) {
        ("tensorboard-json", Some((b'[', rest))) => (format!("[[\"{pad}\", 0, 0],"), rest),
        ("rzero", Some((b'[', rest))) => (format!("[{{\"step\": 0, \"pad\": \"{pad}\"}},"), rest),
        ("trainer_state", Some((b'{', rest))) => (format!("{{\"pad\": \"{pad}\","), rest),
        _ => (format!("{{\"step\": 0, \"data\": {{}}, \"pad\": \"{pad}\"}}\n"), text),
    };
    [before.as_bytes(), text].concat()
}

/// A table with a long empty row below its header.
pub fn csv(text: &[u8]) -> Vec<u8> {
    let header = text.iter().position(|b| *b == b'\n').map_or(text.len(), |at| at + 1);
    let blank = [" ".repeat(HEAD).as_bytes(), b"\n"].concat();
    [&text[..header], &blank, &text[header..]].concat()
}

/// Lines after a long line without content.
pub fn lines(text: &[u8]) -> Vec<u8> {
    ["#".repeat(HEAD).as_bytes(), b"\n", text].concat()
}

/// An event file after a long record without values.
pub fn tfrecords(file: &[u8]) -> Vec<u8> {
    let mut event = Vec::new();
    proto::bytes(&mut event, 3, &vec![b'x'; HEAD]);
    [&tfrecord(&event)[..], file].concat()
}

/// A run file after a record without values that fills two blocks.
pub fn wandb(file: &[u8]) -> Vec<u8> {
    const CHUNK: usize = 7; // the header of one
    let mut padded = WANDB.to_vec();
    let mut record = Vec::new();
    proto::bytes(&mut record, 30, &vec![b'x'; HEAD - WANDB.len() - 2 * CHUNK - 5]);
    append_chunks(&mut padded, &record);
    assert_eq!(padded.len(), HEAD);
    append_chunks(&mut padded, &[]); // as long as the header, so that blocks end where they did
    padded.extend(file.get(WANDB.len()..).unwrap_or_default());
    padded
}
