//! Recognises a text that looks like the log of a training, in a format that is not known.
//!
//! Such a text has rows that differ only in their numbers, of which one counts up evenly and another has a
//! fraction: `epoch 1 | ret 0.10 | H 1.3554`. Messages of other programs may repeat too, but the only numbers
//! that count up in them are times.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Number of bytes that are looked at.
const HEAD_BYTES: u64 = 1 << 16;
/// Number of rows that must have one layout.
const ROWS: usize = 3;
/// Number of rows of one layout that are compared.
const ROWS_COMPARED: usize = 50;

/// Whether a file looks like rows of numbers that were logged during a training.
pub fn looks_like_rows(path: &Path) -> bool {
    let mut head = Vec::new();
    let Ok(file) = File::open(path) else { return false };
    if file.take(HEAD_BYTES).read_to_end(&mut head).is_err() || head.contains(&0) {
        return false;
    }
    has_rows(&String::from_utf8_lossy(&head))
}

fn has_rows(text: &str) -> bool {
    let mut layouts: HashMap<String, Vec<Vec<&str>>> = HashMap::new();
    for line in text.split(['\n', '\r']) {
        let (layout, numbers) = split_numbers(line);
        if numbers.len() < 2 || numbers.iter().all(|number| !number.contains('.')) {
            continue;
        }
        let rows = layouts.entry(layout).or_default();
        if rows.len() < ROWS_COMPARED {
            rows.push(numbers);
        }
    }
    layouts.into_values().any(|rows| {
        let columns = rows.iter().map(Vec::len).min().unwrap_or(0);
        rows.len() >= ROWS && (0..columns).any(|column| counts_up(&rows, column))
    })
}

/// Whether a column holds integers that grow by the same amount in each row.
fn counts_up(rows: &[Vec<&str>], column: usize) -> bool {
    let values: Option<Vec<u64>> = rows.iter().map(|row| row[column].parse().ok()).collect();
    let Some(values) = values else { return false };
    let Some(stride) = values[1].checked_sub(values[0]).filter(|&stride| stride > 0) else {
        return false;
    };
    values.windows(2).all(|pair| pair[0].checked_add(stride) == Some(pair[1]))
}

/// The text of a line with `#` for each number, and the numbers. Digits in dates, times, versions and names are
/// not numbers, and become `%`.
fn split_numbers(line: &str) -> (String, Vec<&str>) {
    let bytes = line.as_bytes();
    let (mut layout, mut numbers) = (String::new(), Vec::new());
    let (mut at, mut copied) = (0, 0);
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E');
        let mut end = at;
        while end < bytes.len()
            && (is_part(bytes[end])
                || matches!(bytes[end], b'-' | b'+') && matches!(bytes[end - 1], b'e' | b'E'))
        {
            end += 1;
        }
        let before = at.checked_sub(1).map(|i| bytes[i]);
        let digit_before_colon = at >= 2 && bytes[at - 1] == b':' && bytes[at - 2].is_ascii_digit();
        let is_separate = !digit_before_colon
            && before
                .is_none_or(|b| !b.is_ascii_alphanumeric() && !matches!(b, b'_' | b'/' | b'.'))
            && !(before == Some(b'-') && at >= 2 && bytes[at - 2].is_ascii_alphanumeric())
            && bytes.get(end).is_none_or(|&b| {
                !b.is_ascii_alphanumeric() && !matches!(b, b':' | b'-' | b'_' | b'/')
            });
        layout.push_str(&line[copied..at]);
        if is_separate && line[at..end].parse::<f64>().is_ok() {
            layout.push('#');
            numbers.push(&line[at..end]);
        } else {
            layout.push('%');
        }
        (at, copied) = (end, end);
    }
    layout.push_str(&line[copied..]);
    (layout, numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_with_a_counter_and_a_fraction_look_like_a_log() {
        let rows = |row: fn(u32) -> String| (1..9).map(row).collect::<Vec<_>>().join("\n");
        assert!(has_rows(&rows(|i| format!("epoch {i} | ret 0.{i} | H 1.{i}554 | lr 3e-4"))));
        assert!(has_rows(&rows(|i| format!("{{\"it\": {i}, \"H\": 1.{i}}}"))));
        assert!(has_rows(&rows(|i| format!("[10:0{i}:00] it={} H=1.{i}", i * 10))));
        assert!(!has_rows(&rows(|i| format!(
            "INFO 04-02 10:01:0{i} engine.py:331] throughput: {}.5 tokens/s",
            i * i
        ))));
        assert!(!has_rows(&rows(|i| format!("worker-{i} loaded layer{i}.weight in 0.5 s"))));
        assert!(!has_rows(&rows(|i| format!("step {i} of 8"))));
        assert!(!has_rows("epoch 1 | H 1.5\nepoch 2 | H 1.4"));
    }
}
