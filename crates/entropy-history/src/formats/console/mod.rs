//! Console logs (`slurm-123.out`, `nohup.out`), often the only output that a dead job leaves.
//!
//! Rows of several shapes are read; warnings, tracebacks and other text between them are ignored:
//!
//! ```text
//! (TaskRunner pid=7) step:12 - actor/entropy:np.float64(0.53) - actor/lr:1e-06    verl
//! {'loss': '0.01', 'entropy': '2.31', 'epoch': '0.04'}                            Hugging Face, TRL
//! Step 12                                                                         EasyR1, R-Zero:
//! actor:                                                                          YAML that ends with
//!   entropy_loss: 0.53                                                            an empty line
//! Global step 12: {'entropy_loss': 0.53}              OpenRLHF, slime, Trinity, and SkyRL on several lines
//! 10:00:01 SUCCESS Step 12 | Loss 0.01 | Entropy 0.53                             prime-rl
//! step: 12  loss/entropy/mean: 0.53                                               torchtitan
//! |    entropy_loss | -1.34 |                                                     tables
//! ```
//!
//! The first row with an entropy, wherever it is in the log, decides which shape is read. A line may hold
//! several rows, or a row behind other text; a row may be broken over several lines.
//!
//! verl up to 0.4 and EasyR1 print three decimals, transformers 5 four digits, so a curve from a
//! console is coarser than one from a file. Rows of Hugging Face have no step: see [`progress_steps`].
//! Two trainings in one log are two runs: a step that starts over begins another curve. (verl 0.4 and
//! 0.9 `LocalLogger`, EasyR1 46c6c21 `ConsoleLogger`, transformers 4.57 and 5.23 `ProgressCallback`.)

mod broken_lines;
mod complete_rows;
mod config;
mod dict;
mod fields;
mod label;
mod line_patterns;
mod live;
mod open_row;
mod parser;
mod progress_steps;
mod row_ends;
mod rows;
mod segments;
mod table;
#[cfg(test)]
mod tests;
mod trainer_row;
mod verl_row;

use std::borrow::Cow;
use std::io::Read;

use memchr::{memchr, memmem};

pub(crate) use live::{LiveConsole, LiveRow};
use parser::ConsoleParser;
use rows::Shape;
use segments::segments;

use crate::formats::reader_api::{
    Confidence, Format, Head, LogNote, MissingMetric, ReadError, SeriesBuilder,
};
use crate::quantity::EntropyKind;
use crate::select::SeriesSelector;

pub(crate) const VERL: Format = Format {
    name: "verl-console",
    about: "what verl prints (slurm-*.out, nohup.out)",
    recognised_by: "lines with step:12 - key:value - …",
    metrics: &["actor/entropy", "policy/entropy", "actor/entropy_loss"],
    kinds: &[("actor/entropy_loss", EntropyKind::TokenMean)],
    is_console: true,
    recognise: |head| recognise(head, &VERL),
    read: read_into,
    config: config::config,
    ..Format::DEFAULTS
};

pub(crate) const EASYR1: Format = Format {
    name: "easyr1-console",
    about: "what EasyR1 and R-Zero print",
    recognised_by: "lines of Step 12, then nested values",
    metrics: &["policy/entropy", "actor/entropy", "actor/entropy_loss"],
    is_console: true,
    recognise: |head| recognise(head, &EASYR1),
    read: read_into,
    config: config::config,
    ..Format::DEFAULTS
};

pub(crate) const HUGGING_FACE: Format = Format {
    name: "trainer-console",
    about: "what TRL and other Hugging Face trainers print",
    recognised_by: "lines with {'loss': …, 'epoch': …}",
    metrics: &["entropy", "train/entropy"],
    is_console: true,
    recognise: |head| recognise(head, &HUGGING_FACE),
    read: read_into,
    config: config::config,
    ..Format::DEFAULTS
};

pub(crate) const OTHER: Format = Format {
    name: "console",
    about: "what OpenRLHF, slime, ROLL, prime-rl, SkyRL and other trainers print",
    recognised_by: "dictionaries, fields or tables with a step and an entropy",
    metrics: &[
        "entropy",
        "critic/entropy/mean",
        "policy/policy_entropy",
        "train/entropy_loss",
        "loss/entropy/mean",
        "ppo_actor/update/entropy/avg",
        "optim/entropy",
        "entropy_loss",
        "actor/entropy",
        "actor/entropy_loss",
    ],
    // Trinity logs the exact entropy under a key of EasyR1.
    kinds: &[
        ("actor/entropy_loss", EntropyKind::TokenMean),
        ("entropy_loss", EntropyKind::ExactMean),
        ("loss/entropy/mean", EntropyKind::TokenMean),
        ("ppo_actor/update/entropy/avg", EntropyKind::TokenMean),
    ],
    is_console: true,
    recognise: |head| recognise(head, &OTHER),
    read: read_into,
    config: config::config,
    ..Format::DEFAULTS
};

impl Shape {
    /// The format of a log with rows of this shape. Each trainer whose keys mean something else has its own.
    pub(crate) fn format(self) -> &'static Format {
        match self {
            Shape::Verl => &VERL,
            Shape::Yaml => &EASYR1,
            Shape::HuggingFace => &HUGGING_FACE,
            _ => &OTHER,
        }
    }
}

/// The shape of the first row in the head of a log.
fn shape_of(head: &[u8]) -> Option<Shape> {
    let mut console = ConsoleParser::default();
    segments(&mut &*head, |segment| console.take(&segment)).ok()?;
    console.finish();
    console.shape()
}

/// A head with a row is a console log of its format; a head without one may be the start of any of them.
fn recognise(head: &Head<'_>, own: &Format) -> Confidence {
    let shape = match may_be_text(head) {
        true => shape_of(head.bytes),
        false => match behind_json(head).and_then(shape_of) {
            None => return Confidence::No,
            shape => shape,
        },
    };
    match shape.map(Shape::format) {
        Some(format) if format.name == own.name => Confidence::Likely,
        Some(_) => Confidence::No,
        None => is_noise(head),
    }
}

/// Whether a text without a row may be the start of a console log.
fn is_noise(head: &Head<'_>) -> Confidence {
    // What trainers and launchers print, and few other texts contain.
    const TRACES: [&str; 6] = ["\x1b[", "%|", " pid=", "WARNING", "Warning: ", "Traceback (most"];
    let delimiters = |line: &[u8]| line.iter().filter(|b| matches!(b, b',' | b'\t')).count();
    let mut lines = head.bytes.split(|b| *b == b'\n').map(delimiters);
    let is_table = lines.next().is_some_and(|n| n > 0 && lines.next() == Some(n));
    let is_named = head.is_named(|name| name.ends_with(".log") || name.ends_with(".out"));
    let has_trace = || TRACES.iter().any(|t| memmem::find(head.bytes, t.as_bytes()).is_some());
    match () {
        () if is_named => Confidence::Maybe,
        () if !is_table && has_trace() => Confidence::Maybe,
        () => Confidence::No,
    }
}

/// The lines behind a JSON object at the start, such as the configuration of a run. `None` if rows of JSON,
/// which are other formats', are among them.
fn behind_json<'h>(head: &Head<'h>) -> Option<&'h [u8]> {
    let is_object = matches!(head.shape, crate::framing::json::Shape::Object(_));
    if !is_object || memchr(0, head.bytes).is_some() {
        return None;
    }
    let mut start = 0;
    for line in head.bytes.split_inclusive(|b| *b == b'\n') {
        if !matches!(line.first(), Some(b'{' | b'}' | b'"' | b']' | b' ' | b'\t' | b'\n' | b'\r')) {
            let lines = &head.bytes[start..];
            return memmem::find(lines, b"\n{\"").is_none().then_some(lines);
        }
        start += line.len();
    }
    None
}

/// Whether a head may be that of a console log: text, and no JSON.
pub(crate) fn may_be_text(head: &Head<'_>) -> bool {
    let is_json = head.shape != crate::framing::json::Shape::NotJson;
    let is_utf16 = head.bytes.starts_with(b"\xff\xfe") || head.bytes.starts_with(b"\xfe\xff");
    !is_json && !is_utf16 && memchr(0, head.bytes).is_none()
}

/// The rows of a console log whose format was found while it was read.
pub(crate) struct FoundConsole<'w> {
    pub(crate) format: &'static Format,
    pub(crate) builder: SeriesBuilder<'w>,
    pub(crate) outcome: Result<(), ReadError>,
}

/// Reads a console log of any trainer, wherever its first row is. `None` if it has no row.
pub(crate) fn read<'w>(
    source: &mut dyn Read,
    selector: &'w SeriesSelector,
) -> Result<Option<FoundConsole<'w>>, ReadError> {
    let mut found: Option<(&'static Format, SeriesBuilder<'w>)> = None;
    let mut reading = Reading::default();
    let mut add = |reading: &mut Reading| {
        if let Some(shape) = reading.console.shape() {
            let format = shape.format();
            let (_, builder) = found.get_or_insert_with(|| {
                let builder = SeriesBuilder::new(Cow::Borrowed(selector), format.metrics);
                (format, builder)
            });
            reading.add_rows(builder);
        }
    };
    let too_long = segments(source, |segment| {
        reading.console.take(&segment);
        add(&mut reading);
    })?;
    reading.console.finish();
    add(&mut reading);
    Ok(found.map(|(format, mut builder)| {
        let outcome = reading.end(&mut builder, too_long);
        FoundConsole { format, builder, outcome }
    }))
}

/// The name of a training after the first one of a log, whose number is 0.
fn training_name(training: usize) -> String {
    format!("training {}", training + 1)
}

fn read_into(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    let mut reading = Reading::default();
    let too_long = segments(source, |segment| {
        reading.console.take(&segment);
        reading.add_rows(builder);
    })?;
    reading.console.finish();
    reading.add_rows(builder);
    reading.end(builder, too_long)
}

/// The state of reading a console log into a builder.
#[derive(Default)]
struct Reading {
    console: ConsoleParser,
    rows: usize,
    training: usize,
    /// Whether a row has a number under a selected key.
    has_number: bool,
    /// A selected key with values that are not numbers, and how many.
    not_numbers: Option<(String, usize)>,
}

impl Reading {
    fn add_rows(&mut self, builder: &mut SeriesBuilder<'_>) {
        for row in self.console.take_rows() {
            if row.training != self.training {
                self.training = row.training;
                builder.enter_run(&training_name(row.training));
            }
            builder.set_step(row.step);
            for (key, value) in &row.values {
                match value {
                    Some(value) => {
                        builder.set_value(key, *value);
                        self.has_number |= !self.has_number && builder.is_metric(key);
                    }
                    None if builder.is_metric(key) => {
                        builder.column(key); // it counts as a key of the log
                        self.not_numbers.get_or_insert_with(|| (key.clone(), 0)).1 += 1;
                    }
                    None => builder.set_not_a_number(key),
                }
            }
            builder.end_row();
            self.rows += 1;
        }
    }

    fn end(self, builder: &mut SeriesBuilder<'_>, too_long: usize) -> Result<(), ReadError> {
        builder.missing_metric(MissingMetric::Count);
        if let Some(steps) = self.console.total_steps() {
            builder.set_total_steps(steps);
        }
        builder.notes(self.console.notes(self.rows, too_long));
        let Some((key, count)) = self.not_numbers else { return Ok(()) };
        if !self.has_number {
            let what = format!("none of its {count} values is a number");
            return Err(ReadError::Record { place: format!("{key:?}"), what });
        }
        let what = match count {
            1 => format!("1 value of {key:?} is not a number and was skipped"),
            _ => format!("{count} values of {key:?} are not numbers and were skipped"),
        };
        builder.note(LogNote::Odd(what));
        Ok(())
    }
}
