//! An offline run of W&B, `offline-run-…/run-<id>.wandb`, as `wandb sync` uploads it.
//!
//! Seven bytes of header, then a log in the manner of LevelDB: blocks of 32 KiB, the header within
//! the first; in them chunks of a CRC-32 (u32, of type and data), a length (u16), a type and the
//! data. A record is one chunk (type 1) or, over the end of a block, a first (2), middles (3) and a
//! last (4). Where no chunk header fits, the block is filled with zeros. All little-endian.
//!
//! A record is a Protocol Buffers message. Field numbers, from `wandb/proto/wandb_internal.proto`
//! of wandb 0.31.0:
//!
//! ```text
//! Record { num = 1, history = 2 | summary = 3 | run = 17 | exit = 18 | final = 20 | header = 21 | footer = 22 }
//! RunRecord { run_id = 1, project = 3, display_name = 8, start_time = 17 { seconds = 1 } }
//! HistoryRecord { item = 1 { key = 1, value_json = 16 }, step = 2 { num = 1 } }
//! SummaryRecord { update = 1 { key = 1, value_json = 16 } }
//! RunExitRecord { exit_code = 1, runtime = 2 }
//! ```
//!
//! wandb 0.31.0 itself gives each item a `nested_key` of one element and no `key`, and ends the file
//! with `exit`. Its readers take both forms; those of wandb 0.16 know only `key`, and send the exit
//! when they meet `final`. So this is the older form, which both read.

use thiserror::Error;

use super::protobuf::Message;
use super::step;
use crate::history::Point;

/// The key of the metric where the log has no name for it.
pub const METRIC: &str = "policy/entropy";

const HEADER: [u8; 7] = *b":W&B\xe1\xbe\x00"; // magic 0xbee1, version 0
const BLOCK: usize = 1 << 15;
const CHUNK_HEADER: usize = 7;

/// What W&B knows of a run besides its values.
#[derive(Debug, Clone, Copy)]
pub struct Run<'a> {
    /// Its key in the project: [`id`] makes one.
    pub id: &'a str,
    /// The name it is shown under.
    pub name: &'a str,
    /// The project it is uploaded to. W&B refuses `/`, `\`, `#`, `?`, `%` and `:` in it.
    pub project: &'a str,
    /// The key that its values get.
    pub metric: &'a str,
    /// When it started, in Unix seconds.
    pub start: u64,
}

/// A step that W&B has no number for.
#[derive(Debug, Error, PartialEq)]
#[error("step {0:?} is no integer from 0 on, as W&B's steps are")]
pub struct StepError(pub f64);

/// The whole `.wandb` file of one finished run. Each point is logged at its own step (`_step`) and,
/// as the logs tell no times, a second after the one before it (`_runtime`, `_timestamp`).
///
/// # Errors
/// The first step that is not an integer or is negative.
pub fn run_file(run: &Run<'_>, points: &[Point]) -> Result<Vec<u8>, StepError> {
    let mut log = Log::new();
    let producer = concat!("entropy-viz ", env!("CARGO_PKG_VERSION"));
    log.append(21, &Message::new().message(1, &Message::new().text(1, producer)));
    let start_time = Message::new().integer(1, run.start as i64);
    log.append(
        17,
        &Message::new()
            .text(1, run.id)
            .text(3, run.project)
            .text(8, run.name)
            .message(17, &start_time),
    );

    let mut summary = Message::new();
    for (second, point) in points.iter().enumerate() {
        let step =
            step::integer(point.step).filter(|&step| step >= 0).ok_or(StepError(point.step))?;
        let row = row(run, step, second as u64, point.entropy);
        log.append(2, &row.clone().message(2, &Message::new().integer(1, step)));
        summary = row; // the summary of a metric is its last value
    }
    let runtime = points.len().saturating_sub(1);
    log.append(3, &item(summary, "_wandb", &format!("{{\"runtime\":{runtime}}}")));
    log.append(18, &Message::new().integer(2, runtime as i64));
    log.append(20, &Message::new());
    log.append(22, &Message::new());
    Ok(log.bytes)
}

/// The values of a point, as the items of a history or the updates of a summary.
fn row(run: &Run<'_>, step: i64, runtime: u64, entropy: f64) -> Message {
    let row = item(Message::new(), "_step", &step.to_string());
    let row = item(row, "_runtime", &runtime.to_string());
    let row = item(row, "_timestamp", &(run.start + runtime).to_string());
    // Debug writes the shortest text that reads back as the same number, with an exponent if long.
    item(row, run.metric, &format!("{entropy:?}"))
}

fn item(row: Message, key: &str, json: &str) -> Message {
    row.message(1, &Message::new().text(1, key).text(16, json))
}

/// The directory that `wandb sync` expects the file in: the time, here in UTC, and the id.
pub fn directory_name(start: u64, id: &str) -> String {
    let (year, month, day) = date(start / 86_400);
    let (hour, minute, second) = (start / 3600 % 24, start / 60 % 60, start % 60);
    format!("offline-run-{year:04}{month:02}{day:02}_{hour:02}{minute:02}{second:02}-{id}")
}

/// The name of the file within its directory.
pub fn file_name(id: &str) -> String {
    format!("run-{id}.wandb")
}

/// Year, month and day of a day since 1970-01-01, in the Gregorian calendar.
///
/// After Howard Hinnant, <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>:
/// years begin in March, so that the leap day is the last, and come in eras of 400.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468; // since 0000-03-01
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// An id in W&B's form, eight of `a-z0-9`, that depends on the label and the points alone: the
/// same curve converted again is the same run, and an upload of it no second one.
///
/// It is FNV-1a (64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>) of the label, a zero byte,
/// and step and entropy of each point as little-endian doubles; then base 36, the lowest digit first.
pub fn id(label: &str, points: &[Point]) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let mut take = |bytes: &[u8]| {
        for &byte in bytes {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    take(label.as_bytes());
    take(&[0]);
    for point in points {
        take(&point.step.to_le_bytes());
        take(&point.entropy.to_le_bytes());
    }
    let mut digits = String::new();
    for _ in 0..8 {
        digits.push(char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(hash % 36) as usize]));
        hash /= 36;
    }
    digits
}

/// The file as far as it is written.
struct Log {
    bytes: Vec<u8>,
    records: i64,
}

impl Log {
    fn new() -> Log {
        Log { bytes: HEADER.to_vec(), records: 0 }
    }

    /// Adds a record of the kind that has field `kind` in `Record`; they are numbered from 1.
    fn append(&mut self, kind: u32, message: &Message) {
        self.records += 1;
        let record = Message::new().integer(1, self.records).message(kind, message);
        append_chunks(&mut self.bytes, record.bytes());
    }
}

/// Adds a record to the log in as many chunks as it takes.
fn append_chunks(log: &mut Vec<u8>, record: &[u8]) {
    let mut rest = record;
    let mut is_first = true;
    loop {
        let left = BLOCK - log.len() % BLOCK;
        if left < CHUNK_HEADER {
            log.resize(log.len() + left, 0);
            continue;
        }
        // Exactly a header left: a first chunk without data, as LevelDB and wandb write it.
        let (data, after) = rest.split_at(rest.len().min(left - CHUNK_HEADER));
        let kind = match (is_first, after.is_empty()) {
            (true, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
            (false, true) => 4,
        };
        let mut crc = crc32fast::Hasher::new();
        crc.update(&[kind]);
        crc.update(data);
        log.extend(crc.finalize().to_le_bytes());
        log.extend((data.len() as u16).to_le_bytes());
        log.push(kind);
        log.extend(data);
        if after.is_empty() {
            return;
        }
        (rest, is_first) = (after, false);
    }
}
