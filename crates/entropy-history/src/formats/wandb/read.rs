//! Reads W&B's run files: `Record` messages in LevelDB framing.

use std::borrow::Cow;
use std::io::Read;

use crate::formats::reader_api::{
    ColumnId, Confidence, Head, LogNote, MissingMetric, ReadError, RecordReader, SeriesBuilder,
};
use crate::formats::run_file::{RunFileReader, RunRecords, check_header};
use crate::framing::json::{ScanError, Scanner, Value};
use crate::framing::protobuf::{Fields, Malformed, Wire, zigzag};

const MAGIC: &[u8] = b":W&B\xe1\xbe";

/// The training step of Hugging Face's trainers, OpenRLHF and others; `_step` counts the calls of `wandb.log`.
const GLOBAL_STEP: &str = "train/global_step";

/// Keys in every row: the time of day, and the seconds since the run began.
const CLOCKS: [&str; 2] = ["_timestamp", "_runtime"];

pub(super) fn recognise(head: &Head<'_>) -> Confidence {
    if head.bytes.starts_with(b":W&B") || head.is_named(|name| name.ends_with(".wandb")) {
        Confidence::Certain
    } else {
        Confidence::No
    }
}

pub(super) fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let mut reader = new_reader(head, builder)?;
    let damage = reader.read(source, builder)?;
    reader.finish(&damage, builder);
    Ok(())
}

pub(super) fn new_reader(
    head: &Head<'_>,
    builder: &mut SeriesBuilder<'_>,
) -> Result<Box<dyn RecordReader>, ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    check_header(head, MAGIC, 0..=1, "W&B")?;
    let mut run = RunState::default();
    for key in CLOCKS {
        run.clocks.extend(builder.clock(key).map(|column| (key, column)));
    }
    Ok(Box::new(RunFileReader::new(run, "W&B")))
}

/// What was read of the run so far.
#[derive(Default)]
struct RunState {
    step_metrics: Vec<StepMetric>,
    columns: Vec<(ColumnId, Option<usize>)>, // a series, and the index of its step metric
    clocks: Vec<(&'static str, ColumnId)>,
    without_step: usize,
    exited: bool,
    has_row: bool,
    lacks_start: bool, // a part of the file before its first row is damaged
    is_start_checked: bool,
}

/// A declaration that some keys have their own step.
struct StepMetric {
    name: String,
    prefix: Option<String>,
    step: String,
}

/// An item of a row: its key, and its value as JSON text.
type Item<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

impl RunRecords for RunState {
    fn record(&mut self, record: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
        for field in Fields::new(record) {
            match field? {
                (2, Wire::Bytes(history)) => self.row(history, builder)?,
                (12, Wire::Bytes(metric)) => self.metric(metric, builder)?,
                (17, Wire::Bytes(run)) => name(run, builder)?,
                (18, Wire::Bytes(_)) => self.exited = true,
                _ => {}
            }
        }
        Ok(())
    }

    fn after_record(&mut self, damaged_places: usize) {
        if self.has_row && !self.is_start_checked {
            (self.is_start_checked, self.lacks_start) = (true, damaged_places > 0);
        }
    }

    fn finish(&self, builder: &mut SeriesBuilder<'_>) {
        let is_selected = |column: &&(ColumnId, Option<usize>)| builder.is_selected(column.0);
        let step = self.columns.iter().filter(is_selected).find_map(|(_, metric)| *metric);
        builder.name_step(step.map_or("_step", |metric| &self.step_metrics[metric].step));
        if self.without_step > 0 {
            let rows = self.without_step;
            builder.note(LogNote::Odd(format!("{rows} values have no step and were skipped")));
        }
        if self.lacks_start && self.step_metrics.is_empty() {
            builder.note(LogNote::Odd(
                "a part before its first row is damaged: a declaration of its steps may be lost, so the steps may be wrong"
                    .to_owned(),
            ));
        }
        if !self.exited {
            builder.note(LogNote::Remark(
                "the run had not ended when the file was written".to_owned(),
            ));
        }
    }
}

impl RunState {
    fn metric(&mut self, message: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
        let (mut name, mut glob, mut step) = ("", "", "");
        for field in Fields::new(message) {
            match field? {
                (1, Wire::Bytes(text)) => name = utf8(text)?,
                (2, Wire::Bytes(text)) => glob = utf8(text)?,
                (4, Wire::Bytes(text)) => step = utf8(text)?,
                _ => {}
            }
        }
        if step.is_empty() {
            return Ok(());
        }
        // A pattern is a prefix followed by a star; other characters are literal.
        let prefix = glob.strip_suffix('*').map(str::to_owned);
        let declared = StepMetric { name: name.to_owned(), prefix, step: step.to_owned() };
        let steps: Vec<Option<String>> =
            self.columns.iter().map(|(_, metric)| self.step_name(*metric)).collect();
        self.step_metrics
            .retain(|known| known.name != declared.name || known.prefix != declared.prefix);
        self.step_metrics.push(declared);
        let columns = std::mem::take(&mut self.columns);
        for ((column, _), before) in columns.into_iter().zip(steps) {
            let metric = self.step_metric_of(builder.key(column));
            self.columns.push((column, metric));
            let now = self.step_name(metric);
            if now != before && builder.is_selected(column) {
                let (key, now) = (builder.key(column), now.unwrap_or_else(|| "_step".to_owned()));
                builder.note(LogNote::Odd(format!(
                    "the step of {key:?} was declared to be {now:?} after its first values; those use {:?}",
                    before.as_deref().unwrap_or("_step")
                )));
            }
        }
        Ok(())
    }

    fn step_name(&self, metric: Option<usize>) -> Option<String> {
        metric.map(|metric| self.step_metrics[metric].step.clone())
    }

    /// The index of the step metric of a key. A declaration by name precedes one by pattern; of
    /// patterns, the first counts.
    fn step_metric_of(&self, key: &str) -> Option<usize> {
        let by_name = self.step_metrics.iter().rposition(|m| !m.name.is_empty() && m.name == key);
        by_name.or_else(|| {
            let begins = |m: &StepMetric| m.prefix.as_ref().is_some_and(|p| key.starts_with(p));
            self.step_metrics.iter().position(begins)
        })
    }

    fn row(&mut self, message: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
        self.has_row = true;
        let mut items: Vec<Item<'_>> = Vec::with_capacity(32);
        let mut step = None;
        for field in Fields::new(message) {
            match field? {
                (1, Wire::Bytes(item)) => self::item(item, &mut items)?,
                (2, Wire::Bytes(message)) => {
                    step = Some(0.0); // a step of 0 is not written
                    for field in Fields::new(message) {
                        if let (1, Wire::Varint(number)) = field? {
                            step = Some(number as i64 as f64);
                        }
                    }
                }
                _ => {}
            }
        }
        let find = |key: &str| {
            items.iter().find(|(k, _)| **k == *key.as_bytes()).and_then(|(_, v)| number(v))
        };
        let row_step = find("_step").or(step);
        for (key, value) in &items {
            if key.starts_with(b"_") {
                continue;
            }
            let Some(column) = builder.column_of_bytes(key).map_err(|_| Malformed)? else {
                continue;
            };
            let key = utf8(key)?;
            let Some(value) = number(value) else { continue };
            let metric = match self.columns.iter().find(|(known, _)| *known == column) {
                Some((_, metric)) => *metric,
                None => {
                    let requested = builder.selector().step_key().map(str::to_owned);
                    let declared = requested.is_none().then(|| self.step_metric_of(key)).flatten();
                    let metric = declared.or_else(|| {
                        // A run without declarations still has the trainer's own count.
                        let step = match requested {
                            Some(key) => key,
                            None => find(GLOBAL_STEP).map(|_| GLOBAL_STEP.to_owned())?,
                        };
                        let name = key.to_owned();
                        self.step_metrics.push(StepMetric { name, prefix: None, step });
                        Some(self.step_metrics.len() - 1)
                    });
                    self.columns.push((column, metric));
                    metric
                }
            };
            let step = match metric.map(|metric| &self.step_metrics[metric].step) {
                Some(step) if step == key => row_step,
                Some(step) => find(step),
                None => row_step,
            };
            match step.filter(|step| step.is_finite()) {
                Some(step) => {
                    builder.push(column, step, value);
                    let is_selected = builder.is_selected(column);
                    for (key, clock) in self.clocks.iter().filter(|_| is_selected) {
                        if let Some(time) = find(key) {
                            builder.push(*clock, step, time);
                        }
                    }
                }
                None if builder.is_selected(column) => self.without_step += 1,
                None => {}
            }
        }
        Ok(())
    }
}

fn name(message: &[u8], builder: &mut SeriesBuilder<'_>) -> Result<(), Malformed> {
    let (mut id, mut display_name) = ("", "");
    for field in Fields::new(message) {
        match field? {
            (1, Wire::Bytes(text)) => id = utf8(text)?,
            (8, Wire::Bytes(text)) => display_name = utf8(text)?,
            _ => {}
        }
    }
    builder.name_run(if display_name.is_empty() { id } else { display_name });
    Ok(())
}

/// Adds an item of a row to `items`; a nested object becomes several items.
fn item<'a>(message: &'a [u8], items: &mut Vec<Item<'a>>) -> Result<(), Malformed> {
    let mut key: Cow<'a, [u8]> = Cow::Borrowed(b"");
    let mut value: Cow<'a, [u8]> = Cow::Borrowed(b"");
    let mut nested = 0;
    for field in Fields::new(message) {
        match field? {
            (1, Wire::Bytes(text)) if nested == 0 => key = Cow::Borrowed(text),
            (2, Wire::Bytes(text)) => {
                key = if nested == 0 {
                    Cow::Borrowed(text)
                } else {
                    Cow::Owned([&key[..], b".", text].concat())
                };
                nested += 1;
            }
            // Typed values, which newer versions define; no file with them is known.
            (5, Wire::Varint(number)) => {
                value = Cow::Owned(zigzag(number).to_string().into_bytes())
            }
            (6, Wire::Fixed64(bits)) => value = Cow::Owned(float_text(f64::from_bits(bits))),
            (8 | 16, Wire::Bytes(json)) => value = Cow::Borrowed(json),
            _ => {}
        }
    }
    if value.first() == Some(&b'{') {
        nested_object(utf8(&key)?, &value, items);
    } else {
        items.push((key, value));
    }
    Ok(())
}

fn float_text(value: f64) -> Vec<u8> {
    match value {
        f64::INFINITY => b"Infinity".to_vec(),
        f64::NEG_INFINITY => b"-Infinity".to_vec(),
        value => format!("{value:?}").into_bytes(),
    }
}

/// Adds the numbers of a nested object, each under its path; images and histograms contain none.
fn nested_object(key: &str, mut json: &[u8], items: &mut Vec<Item<'_>>) {
    fn walk(
        scanner: &mut Scanner<'_>,
        path: &str,
        depth: usize,
        items: &mut Vec<Item<'_>>,
    ) -> Result<(), ScanError> {
        scanner.object(|scanner, key| {
            let path = format!("{path}.{key}");
            if scanner.peek()? == Some(b'{') && depth < 32 {
                return walk(scanner, &path, depth + 1, items);
            }
            if let Value::Number(value) = scanner.value()? {
                items.push((Cow::Owned(path.into_bytes()), Cow::Owned(float_text(value))));
            }
            Ok(())
        })
    }
    if let Ok(mut scanner) = Scanner::small(&mut json) {
        let _ = walk(&mut scanner, key, 0, items); // text that is not JSON contains no numbers
    }
}

/// Parses a JSON number; W&B writes NaN and the infinities bare or in quotes.
fn number(json: &[u8]) -> Option<f64> {
    let text = json.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""));
    match text.unwrap_or(json) {
        b"NaN" => Some(f64::NAN),
        b"Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ if text.is_some() => None,
        plain => match plain.first()? {
            b'0'..=b'9' | b'-' => fast_float2::parse(plain).ok(),
            _ => None,
        },
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    std::str::from_utf8(bytes).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use crate::formats::{Source, read};
    use crate::framing::leveldb::append_record;
    use crate::framing::protobuf::Message;
    use crate::select::SeriesSelector;

    const BLOCK: usize = 1 << 15;

    /// A declaration that `train/entropy` has its own step.
    fn declaration() -> Message {
        Message::new().text(1, "train/entropy").text(4, "my/step")
    }

    fn row(step: i64) -> Message {
        let item = |key: &str, value: String| Message::new().text(1, key).text(16, &value);
        Message::new()
            .message(1, &item("train/entropy", format!("{}.5", step % 7)))
            .message(1, &item("my/step", (10 * step).to_string()))
            .message(2, &Message::new().integer(1, step))
    }

    fn file(records: &[(u32, Message)]) -> Vec<u8> {
        let mut bytes = b":W&B\xe1\xbe\x00".to_vec();
        for (number, (kind, message)) in records.iter().enumerate() {
            let record = Message::new().integer(1, number as i64 + 1).message(*kind, message);
            append_record(&mut bytes, record.bytes());
        }
        bytes
    }

    fn read_file(mut bytes: &[u8]) -> (Vec<f64>, Vec<String>) {
        let source = Source { reader: &mut bytes, path: None };
        let (_, log) = read(source, None, &SeriesSelector::default_keys()).unwrap();
        let steps = log.series[0].points.iter().map(|point| point.step).collect();
        (steps, log.notes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn step_metric_may_be_declared_again() {
        let records = [(12, declaration()), (2, row(1)), (12, declaration()), (2, row(2))];
        assert_eq!(read_file(&file(&records)).0, [10.0, 20.0]);
    }

    #[test]
    fn damage_before_the_first_row_is_a_warning_about_the_steps() {
        let padding = Message::new().text(99, &"x".repeat(2 * BLOCK));
        let rows = (1..5).map(|step| (2, row(step)));
        let records: Vec<_> =
            [(12, declaration()), (13, padding)].into_iter().chain(rows).collect();
        let mut bytes = file(&records);
        bytes[20] ^= 1;
        let (steps, notes) = read_file(&bytes);
        assert_eq!(steps.len(), 4);
        assert!(notes.iter().any(|note| note.contains("the steps may be wrong")), "{notes:?}");
    }
}
