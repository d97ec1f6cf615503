use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::super::LogNote;
use super::*;

/// What a user would see of a read, except where the file ends.
fn describe(read: Result<(&'static Format, Log), ReadError>, selector: &SeriesSelector) -> String {
    let chosen = read.and_then(|(format, log)| {
        let (step_key, purge_from_step) = (log.step_key.clone(), log.purge_from_step);
        let (series, mut notes) = log.choose(selector, format)?;
        notes.retain(|note| !matches!(note, LogNote::Cut { .. } | LogNote::Damaged { .. }));
        Ok(format!("{} {series:?} {step_key:?} {purge_from_step:?} {notes:?}", format.name))
    });
    chosen.unwrap_or_else(|error| match error {
        ReadError::NoMetric { .. } | ReadError::NoStep { .. } => format!("{error}"),
        _ => "an error".to_owned(), // its place depends on where reading began
    })
}

fn fresh(bytes: &[u8], path: &Path, selector: &SeriesSelector) -> String {
    let source = Source { reader: &mut &*bytes, path: Some(path) };
    describe(super::super::read(source, None, selector), selector)
}

fn collect_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_files(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn fixtures(names: &[&str]) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let mut found = Vec::new();
    names.iter().for_each(|name| collect_files(&root.join(name), &mut found));
    found.sort();
    found
}

/// Reads a file cut at these lengths. Returns how many reads were incremental.
fn grow(bytes: &[u8], path: &Path, cuts: &[usize], selector: &SeriesSelector) -> usize {
    let mut reader = ResumableReader::new(None, Arc::new(selector.clone()));
    let mut resumed_reads = 0;
    for &cut in cuts {
        let mut file = Cursor::new(&bytes[..cut]);
        let resumed = reader.read(&mut file, Some(path), cut as u64);
        let (resumed, fresh_read) =
            (describe(resumed, selector), fresh(&bytes[..cut], path, selector));
        assert!(
            resumed == fresh_read,
            "{} cut at {cuts:?}, {cut}:\n{resumed}
{fresh_read}",
            path.display()
        );
        resumed_reads += usize::from(reader.is_incremental());
    }
    resumed_reads
}

#[test]
fn incremental_reads_equal_a_fresh_read() {
    let formats = [
        "jsonl",
        "verl",
        "easyr1",
        "csv",
        "tensorboard",
        "wandb",
        "swanlab",
        "clearml",
        "miles",
        "awkward",
        "models",
        "compressed",
    ];
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let selector = SeriesSelector::default_keys().with_clock();
    for path in fixtures(&formats) {
        let bytes = fs::read(&path).unwrap();
        for _ in 0..if bytes.len() > 1 << 16 { 1 } else { 4 } {
            let mut cuts: Vec<usize> =
                (0..4).map(|_| random.next_u64() as usize % (bytes.len() + 1)).collect();
            cuts.push(bytes.len());
            cuts.sort_unstable();
            grow(&bytes, &path, &cuts, &selector);
        }
    }
}

#[test]
fn appended_logs_are_read_incrementally() {
    let selector = SeriesSelector::default_keys();
    for path in fixtures(&["verl", "easyr1", "tensorboard", "wandb", "swanlab", "miles"]) {
        let bytes = fs::read(&path).unwrap();
        let cuts: Vec<usize> = (1..=10).map(|i| bytes.len() * i / 10).collect();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_log = [".jsonl", ".wandb", ".swanlab"].iter().any(|end| name.ends_with(end));
        let is_sound = !path.to_string_lossy().contains("bad_");
        if is_sound && (is_log || name.contains("tfevents")) {
            let resumed_reads = grow(&bytes, &path, &cuts, &selector);
            assert!(
                resumed_reads >= 4,
                "{resumed_reads} of 10 reads were incremental in {}",
                path.display()
            );
        }
    }
}

/// A file that counts the bytes read from it.
struct Counted<'a>(Cursor<&'a [u8]>, usize);

impl Read for Counted<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.0.read(buf)?;
        self.1 += n;
        Ok(n)
    }
}

impl Seek for Counted<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn only_appended_bytes_are_parsed() {
    let row = |i: usize| format!("{{\"step\":{i},\"data\":{{\"actor/entropy\":2.5}}}}\n");
    let log: String = (0..50_000).map(row).collect();
    let (selector, before) = (SeriesSelector::default_keys(), log.len() - 500);
    let mut reader = ResumableReader::new(None, Arc::new(selector.clone()));
    reader.read(&mut Cursor::new(&log.as_bytes()[..before]), None, before as u64).unwrap();
    let mut file = Counted(Cursor::new(log.as_bytes()), 0);
    let (_, read) = reader.read(&mut file, None, log.len() as u64).unwrap();
    assert_eq!(read.series[0].points.len(), 50_000);
    // The end of what was read, four blocks of 64 KiB in turn, and the last block.
    assert!(file.1 < 7 << 16, "{} bytes were read", file.1);
}

#[test]
fn rewritten_or_truncated_file_is_read_from_start() {
    let selector = SeriesSelector::default_keys();
    let log = |entropy: f64, rows: usize| -> String {
        (1..=rows).map(|i| format!("{{\"step\":{i},\"entropy\":{entropy}}}\n")).collect()
    };
    let mut reader = ResumableReader::new(None, Arc::new(selector.clone()));
    for text in [log(2.0, 30), log(2.0, 10), log(3.0, 40), log(3.5, 40), log(1.5, 80)] {
        let path = Path::new("x.jsonl");
        let resumed = reader.read(&mut Cursor::new(text.as_bytes()), Some(path), text.len() as u64);
        assert_eq!(describe(resumed, &selector), fresh(text.as_bytes(), path, &selector));
    }
}

#[test]
fn log_overwritten_in_the_middle_shows_no_old_values() {
    let selector = SeriesSelector::default_keys();
    let path = Path::new("x.jsonl");
    let log = |rows: usize, middle: f64| -> String {
        let entropy = |i| if i == rows.min(1000) / 2 { middle } else { 2.5 };
        (1..=rows).map(|i| format!("{{\"step\":{i},\"entropy\":{:?}}}\n", entropy(i))).collect()
    };
    let read_text = |reader: &mut ResumableReader, text: &str| {
        let mut file = Cursor::new(text.as_bytes());
        describe(reader.read(&mut file, Some(path), text.len() as u64), &selector)
    };
    let mut reader = ResumableReader::new(None, Arc::new(selector.clone()));
    for (rows, middle) in [(1000, 2.0), (1001, 2.1), (5000, 2.2), (5001, 2.3)] {
        let text = log(rows, middle);
        assert_eq!(
            read_text(&mut reader, &text),
            fresh(text.as_bytes(), path, &selector),
            "{rows}"
        );
    }
    // About 600 KiB: nine blocks, of which four are compared on each read.
    let mut reader = ResumableReader::new(None, Arc::new(selector.clone()));
    read_text(&mut reader, &log(20_000, 2.0));
    let results: Vec<String> =
        (1..=3).map(|i| read_text(&mut reader, &log(20_000 + i, 2.1))).collect();
    assert_eq!(results[2], fresh(log(20_003, 2.1).as_bytes(), path, &selector));
}

#[test]
fn log_without_points_is_resumed_later() {
    let selector = SeriesSelector::default_keys();
    let text = "step,entropy\n1,2.5\n2,2.25\n";
    let path = Path::new("x.csv");
    assert_eq!(grow(text.as_bytes(), path, &[0, 5, 13, 19, 20, text.len()], &selector), 3);
}
