//! Writes an offline run of W&B, `offline-run-…/run-<id>.wandb`, as `wandb sync` uploads it: a header
//! of seven bytes, then a LevelDB log ([`crate::framing::leveldb`]).
//!
//! A record is a Protocol Buffers message. Field numbers, from `wandb/proto/wandb_internal.proto` of
//! wandb 0.31.0:
//!
//! ```text
//! Record { num = 1, history = 2, summary = 3, run = 17, exit = 18, final = 20, header = 21,
//!          footer = 22 }                                                  // num and one other
//! RunRecord { run_id = 1, project = 3, display_name = 8, start_time = 17 { seconds = 1 } }
//! HistoryRecord { item = 1 { key = 1, value_json = 16 }, step = 2 { num = 1 } }
//! SummaryRecord { update = 1 { key = 1, value_json = 16 } }
//! RunExitRecord { exit_code = 1, runtime = 2 }
//! ```
//!
//! wandb 0.31.0 gives each item a `nested_key` of one element and no `key`, and ends the file with
//! `exit`. Its readers accept both forms; those of wandb 0.16 know only `key`, and send the exit when
//! they meet `final`. So this is the older form, which both read.

use jiff::SignedDuration;
use jiff::civil::date;
use thiserror::Error;

use crate::formats::integer_step::integer_step;
use crate::framing::leveldb;
use crate::framing::protobuf::Message;
use crate::history::Point;

/// The default key of the metric.
pub const METRIC: &str = "policy/entropy";

const HEADER: [u8; 7] = *b":W&B\xe1\xbe\x00"; // magic 0xbee1, version 0

/// The metadata of a run in W&B.
#[derive(Debug, Clone, Copy)]
pub struct OfflineRun<'a> {
    /// Its id in the project, made by [`id`].
    pub id: &'a str,
    /// The name that W&B displays.
    pub name: &'a str,
    /// The project it is uploaded to. W&B does not allow `/`, `\`, `#`, `?`, `%` and `:` in it.
    pub project: &'a str,
    /// The key of its values.
    pub metric: &'a str,
    /// Start time, in Unix seconds.
    pub start: u64,
}

/// A step that W&B cannot represent.
#[derive(Debug, Error, PartialEq)]
#[error("step {0:?} is not an integer from 0 on, which W&B requires")]
pub struct WandbStepError(pub f64);

/// The whole `.wandb` file of one finished run. Each point is logged at its own step (`_step`). Since
/// histories have no times, each point is dated one second after the one before it (`_runtime`,
/// `_timestamp`).
///
/// # Errors
/// The first step that is not an integer or is negative.
pub fn run_file(run: &OfflineRun<'_>, points: &[Point]) -> Result<Vec<u8>, WandbStepError> {
    let mut log = OfflineRunFile::new();
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
            integer_step(point.step).filter(|&step| step >= 0).ok_or(WandbStepError(point.step))?;
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
fn row(run: &OfflineRun<'_>, step: i64, runtime: u64, entropy: f64) -> Message {
    let row = item(Message::new(), "_step", &step.to_string());
    let row = item(row, "_runtime", &runtime.to_string());
    let row = item(row, "_timestamp", &(run.start + runtime).to_string());
    // `Debug` writes the shortest text that reads back as the same number.
    item(row, run.metric, &format!("{entropy:?}"))
}

fn item(row: Message, key: &str, json: &str) -> Message {
    row.message(1, &Message::new().text(1, key).text(16, json))
}

/// The name of the directory in which `wandb sync` expects the file: the UTC time and the id.
pub fn directory_name(start: u64, id: &str) -> String {
    // `DateTime` reaches the end of the year 9999, `Timestamp` does not.
    let since_1970 = SignedDuration::from_secs(start as i64);
    let time = date(1970, 1, 1).at(0, 0, 0, 0).saturating_add(since_1970);
    format!("offline-run-{}-{id}", time.strftime("%Y%m%d_%H%M%S"))
}

/// The name of the file within its directory.
pub fn file_name(id: &str) -> String {
    format!("run-{id}.wandb")
}

/// An id in W&B's form, eight characters of `a-z0-9`, that depends only on the label and the points. So
/// a curve that is converted and uploaded again is the same run.
///
/// It is the FNV-1a hash (64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>) of the label, a zero
/// byte, and the step and entropy of each point as little-endian doubles, as its lowest eight digits in
/// base 36, the lowest first.
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

/// The part of the file written so far.
struct OfflineRunFile {
    bytes: Vec<u8>,
    records: i64,
}

impl OfflineRunFile {
    fn new() -> OfflineRunFile {
        OfflineRunFile { bytes: HEADER.to_vec(), records: 0 }
    }

    /// Appends a record whose content has field number `kind`; records are numbered from 1.
    fn append(&mut self, kind: u32, message: &Message) {
        self.records += 1;
        let record = Message::new().integer(1, self.records).message(kind, message);
        leveldb::append_record(&mut self.bytes, record.bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::leveldb::append_record;

    const BLOCK: usize = 1 << 15;

    const RUN: OfflineRun<'_> = OfflineRun {
        id: "abcd1234",
        name: "名",
        project: "p",
        metric: METRIC,
        start: 1_700_000_000,
    };

    fn at(step: f64, entropy: f64) -> Point {
        Point { step, entropy }
    }

    /// A chunk's type and data.
    type Chunk = (u8, Vec<u8>);

    /// The chunks from byte `at` on, after checking their checksums and the padding.
    fn chunks(log: &[u8], mut at: usize) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        while at < log.len() {
            let left = BLOCK - at % BLOCK;
            if left < 7 {
                assert!(log[at..at + left].iter().all(|&byte| byte == 0));
                at += left;
                continue;
            }
            let crc = u32::from_le_bytes(log[at..at + 4].try_into().unwrap());
            let length = u16::from_le_bytes(log[at + 4..at + 6].try_into().unwrap());
            let end = at + 7 + usize::from(length);
            assert!(end <= at + left, "the chunk at {at} leaves its block");
            assert_eq!(crc32fast::hash(&log[at + 6..end]), crc);
            chunks.push((log[at + 6], log[at + 7..end].to_vec()));
            at = end;
        }
        chunks
    }

    fn records(file: &[u8]) -> Vec<Vec<u8>> {
        let mut records: Vec<Vec<u8>> = Vec::new();
        for (kind, data) in chunks(file, HEADER.len()) {
            match kind {
                1 | 2 => records.push(data),
                _ => records.last_mut().unwrap().extend(data),
            }
        }
        records
    }

    /// The chunks of `record` in a log whose block has `left` bytes left.
    fn chunks_with_left(left: usize, record: &[u8]) -> Vec<Chunk> {
        let mut log = vec![0; BLOCK - left];
        append_record(&mut log, record);
        chunks(&log, BLOCK - left)
    }

    #[test]
    fn chunk_checksum_is_crc32_of_type_and_data() {
        let mut log = Vec::new();
        append_record(&mut log, b"abc");
        // hex(zlib.crc32(b"\x01abc")) is 0x539d20a9
        assert_eq!(log, *b"\xa9\x20\x9d\x53\x03\x00\x01abc");
    }

    #[test]
    fn record_that_fits_is_one_chunk() {
        assert_eq!(chunks_with_left(10, b"abc"), [(1, b"abc".to_vec())]);
        assert_eq!(chunks_with_left(9, b"abc"), [(2, b"ab".to_vec()), (4, b"c".to_vec())]);
    }

    #[test]
    fn seven_bytes_left_give_an_empty_first_chunk() {
        assert_eq!(chunks_with_left(7, b"abc"), [(2, vec![]), (4, b"abc".to_vec())]);
    }

    #[test]
    fn fewer_than_seven_bytes_left_are_zeros() {
        for left in 1..7 {
            assert_eq!(chunks_with_left(left, b"abc"), [(1, b"abc".to_vec())]);
        }
    }

    #[test]
    fn record_can_span_three_blocks() {
        let record: Vec<u8> = (0..BLOCK + 20).map(|i| (i % 251) as u8).collect();
        let chunks = chunks_with_left(17, &record);
        let lengths: Vec<_> = chunks.iter().map(|(kind, data)| (*kind, data.len())).collect();
        assert_eq!(lengths, [(2, 10), (3, BLOCK - 7), (4, 17)]);
        assert_eq!(chunks.into_iter().flat_map(|(_, data)| data).collect::<Vec<_>>(), record);
    }

    #[test]
    fn records_equal_those_of_wandb() {
        let file = run_file(&RUN, &[at(3.0, 0.1)]).unwrap();
        assert_eq!(file[..7], *b":W&B\xe1\xbe\x00");
        // SerializeToString() of wandb_internal_pb2.Record of wandb 0.31.0, given these fields.
        let expected: [&[u8]; 6] = [
            b"\x08\x02\x8a\x01\x1b\n\x08abcd1234\x1a\x01pB\x03\xe5\x90\x8d\
              \x8a\x01\x06\x08\x80\xe2\xcf\xaa\x06",
            b"\x08\x03\x12T\n\x0b\n\x05_step\x82\x01\x013\n\x0e\n\x08_runtime\x82\x01\x010\
              \n\x19\n\n_timestamp\x82\x01\n1700000000\n\x16\n\x0epolicy/entropy\x82\x01\x030.1\
              \x12\x02\x08\x03",
            b"\x08\x04\x1aj\n\x0b\n\x05_step\x82\x01\x013\n\x0e\n\x08_runtime\x82\x01\x010\
              \n\x19\n\n_timestamp\x82\x01\n1700000000\n\x16\n\x0epolicy/entropy\x82\x01\x030.1\
              \n\x18\n\x06_wandb\x82\x01\r{\"runtime\":0}",
            b"\x08\x05\x92\x01\x00",
            b"\x08\x06\xa2\x01\x00",
            b"\x08\x07\xb2\x01\x00",
        ];
        assert_eq!(records(&file)[1..], expected);
    }

    #[test]
    fn run_without_points_has_no_history_records() {
        let file = run_file(&RUN, &[]).unwrap();
        let kinds: Vec<_> = records(&file).iter().map(|record| record[2]).collect();
        // The tags of header, run, summary, exit, final and footer (the first byte of two-byte tags).
        assert_eq!(kinds, [0xaa, 0x8a, 0x1a, 0x92, 0xa2, 0xb2]);
    }

    #[test]
    fn values_round_trip() {
        for entropy in [0.1 + 0.2, 1.0 / 3.0, 2.0, -0.0, 5e-324, 1e-7, 1.5e16, f64::MAX] {
            let row = row(&RUN, 1, 1, entropy);
            let json = row.bytes().rsplit(|&byte| byte == 0x01).next().unwrap();
            let json = str::from_utf8(&json[1..]).unwrap(); // after the tag 0x82 0x01 and a length
            let read: f64 = serde_json::from_str(json).unwrap();
            assert_eq!(read.to_bits(), entropy.to_bits(), "{json}");
        }
    }

    #[test]
    fn records_are_complete_at_any_block_boundary() {
        let points: Vec<_> = (0..400).map(|i| at(f64::from(i), 0.5)).collect();
        let mut has_empty_chunk = false;
        for length in 0..130 {
            let name = "x".repeat(length); // shifts everything after it by a byte
            let file = run_file(&OfflineRun { name: &name, ..RUN }, &points).unwrap();
            let records = records(&file);
            assert_eq!((records.len(), &records[405][..]), (406, &b"\x08\x96\x03\xb2\x01\x00"[..]));
            has_empty_chunk |= chunks(&file, 7).contains(&(2, vec![]));
        }
        assert!(has_empty_chunk, "no length of the name gives an empty chunk");
    }

    #[test]
    fn steps_are_never_rounded() {
        for step in [1.5, -1.0, -0.25, 1e19] {
            let points = [at(0.0, 1.0), at(step, 1.0)];
            assert_eq!(run_file(&RUN, &points), Err(WandbStepError(step)));
        }
        let message = "step -1.0 is not an integer from 0 on, which W&B requires";
        assert_eq!(WandbStepError(-1.0).to_string(), message);
    }

    #[test]
    fn directory_name_has_utc_time() {
        // datetime.fromtimestamp(t, UTC).strftime("%Y%m%d_%H%M%S"), around leap days and centuries
        let times = [
            (0, "19700101_000000"),
            (951_782_399, "20000228_235959"),
            (951_782_400, "20000229_000000"),
            (1_700_000_000, "20231114_221320"),
            (4_107_542_399, "21000228_235959"),
            (4_107_542_400, "21000301_000000"),
            (253_402_300_799, "99991231_235959"),
        ];
        for (start, time) in times {
            assert_eq!(directory_name(start, "abcd1234"), format!("offline-run-{time}-abcd1234"));
        }
        assert_eq!(file_name("abcd1234"), "run-abcd1234.wandb");
    }

    #[test]
    fn id_depends_on_label_and_points() {
        let points = [at(1.0, 2.5), at(2.0, 0.1)];
        // From a Python implementation of this description.
        assert_eq!(id("solver_v1", &points), "q4g0cg3x");
        assert_ne!(id("solver_v2", &points), id("solver_v1", &points));
        assert_ne!(id("solver_v1", &points[..1]), id("solver_v1", &points));
    }
}
