//! Console logs (`slurm-123.out`, `nohup.out`), often the only output that a dead job leaves.
//!
//! Three kinds of rows are recognised; warnings, progress bars and other text between them are ignored:
//!
//! ```text
//! (TaskRunner pid=7) step:12 - actor/entropy:np.float64(0.53) - actor/lr:1e-06    verl
//! {'loss': '0.01', 'entropy': '2.31', 'epoch': '0.04'}                            Hugging Face, TRL
//! Step 12                                                                         EasyR1, R-Zero:
//! actor:                                                                          YAML that ends with
//!   entropy_loss: 0.53                                                            an empty line
//! ```
//!
//! verl up to 0.4 and EasyR1 print three decimals, transformers 5 four digits, so a curve from a
//! console is coarser than one from a file. Rows of Hugging Face have no step: see [`progress_steps`].
//! Two trainings in one log are two runs: a step that starts over begins another curve. (verl 0.4 and
//! 0.9 `LocalLogger`, EasyR1 46c6c21 `ConsoleLogger`, transformers 4.57 and 5.23 `ProgressCallback`.)

mod line_patterns;
mod progress_steps;
mod segments;

use std::io::Read;
use std::sync::LazyLock;

use memchr::memchr;
use memchr::memmem::{self, Finder};

use line_patterns::{
    ProgressBar, TrainerRow, Values, YamlBlock, split_prefix, verl_row, without_ansi,
};
use progress_steps::{ProgressSteps, RowWithStep};
use segments::{Segment, segments};

use crate::formats::reader_api::{
    Confidence, Format, Head, LogNote, MissingMetric, ReadError, SeriesBuilder,
};
use crate::quantity::EntropyKind;

pub(crate) const VERL: Format = Format {
    name: "verl-console",
    about: "what verl prints (slurm-*.out, nohup.out)",
    recognised_by: "lines with step:12 - key:value - …",
    metrics: &["actor/entropy", "policy/entropy", "actor/entropy_loss"],
    kinds: &[("actor/entropy_loss", EntropyKind::TokenMean)],
    is_console: true,
    recognise: |head| recognise(head, Dialect::Verl),
    read,
    ..Format::DEFAULTS
};

pub(crate) const EASYR1: Format = Format {
    name: "easyr1-console",
    about: "what EasyR1 and R-Zero print",
    recognised_by: "lines of Step 12, then nested values",
    metrics: &["policy/entropy", "actor/entropy", "actor/entropy_loss"],
    is_console: true,
    recognise: |head| recognise(head, Dialect::EasyR1),
    read,
    ..Format::DEFAULTS
};

pub(crate) const HUGGING_FACE: Format = Format {
    name: "trainer-console",
    about: "what TRL and other Hugging Face trainers print",
    recognised_by: "lines with {'loss': …, 'epoch': …}",
    metrics: &["entropy", "train/entropy"],
    is_console: true,
    recognise: |head| recognise(head, Dialect::HuggingFace),
    read,
    ..Format::DEFAULTS
};

/// The trainer that printed the rows. Each is a format, because a key may mean different quantities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Verl,
    EasyR1,
    HuggingFace,
}

/// The dialect of the first row in the head of a log.
fn dialect(head: &[u8]) -> Option<Dialect> {
    let mut console = ConsoleParser::default();
    segments(&mut &*head, |segment| console.take(&segment)).ok()?;
    console.dialect
}

/// A head with a row is a console log of its dialect; a head without one may be the start of any of
/// them.
fn recognise(head: &Head<'_>, own: Dialect) -> Confidence {
    match dialect(head.bytes) {
        Some(dialect) if dialect == own && memchr(0, head.bytes).is_none() => Confidence::Likely,
        Some(_) => Confidence::No,
        None => is_noise(head.bytes),
    }
}

/// Whether a text without a row may be the start of a console log.
fn is_noise(head: &[u8]) -> Confidence {
    // What trainers and launchers print, and few other texts contain.
    const TRACES: [&str; 6] = ["\x1b[", "%|", " pid=", "WARNING", "Warning: ", "Traceback (most"];
    let delimiters = |line: &[u8]| line.iter().filter(|b| matches!(b, b',' | b'\t')).count();
    let mut lines = head.split(|b| *b == b'\n').map(delimiters);
    let is_table = lines.next().is_some_and(|n| n > 0 && lines.next() == Some(n));
    let is_json = matches!(head.trim_ascii_start().first(), Some(b'{' | b'['));
    match () {
        () if memchr(0, head).is_some() => Confidence::No,
        () if is_table || is_json => Confidence::No,
        () if TRACES.iter().any(|t| memmem::find(head, t.as_bytes()).is_some()) => {
            Confidence::Maybe
        }
        () => Confidence::No,
    }
}

fn read(
    _: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Count);
    let mut console = ConsoleParser::default();
    let (mut rows, mut training) = (0, 0);
    let too_long = segments(source, |segment| {
        console.take(&segment);
        for row in console.rows.drain(..) {
            if row.training != training {
                training = row.training;
                builder.enter_run(&format!("training {}", training + 1));
            }
            builder.set_step(row.step);
            for (key, value) in &row.values {
                builder.set_value(key, *value);
            }
            builder.end_row();
            rows += 1;
        }
    })?;
    for note in console.notes(rows, too_long) {
        builder.note(note);
    }
    Ok(())
}

/// Whether a segment may contain a row or a bar: a quick test that few segments pass.
fn may_matter(text: &[u8]) -> bool {
    static MARKS: LazyLock<[Finder<'_>; 4]> =
        LazyLock::new(|| ["step:", "Step ", "{'", "%|"].map(Finder::new));
    MARKS.iter().any(|mark| mark.find(text).is_some())
}

/// A complete row with its step.
#[derive(Debug, PartialEq)]
struct ConsoleRow {
    training: usize,
    step: f64,
    values: Values,
}

/// The state of parsing a console log.
#[derive(Default)]
struct ConsoleParser {
    rows: Vec<ConsoleRow>, // parsed, but not yet added to the builder
    dialect: Option<Dialect>,
    progress: ProgressSteps,
    block: Option<YamlBlock>,
    training: usize,
    begins: usize,             // the line where the last training begins
    steps: Option<(f64, f64)>, // the first and the last step of this training
    lines: usize,
    ends_inside: bool,
}

impl ConsoleParser {
    fn take(&mut self, segment: &Segment<'_>) {
        if segment.is_wipe() {
            self.progress.wipe();
        } else if self.block.is_some() || may_matter(segment.text) {
            self.look_at(segment);
        }
        self.lines += usize::from(segment.after == Some(b'\n'));
    }

    fn look_at(&mut self, segment: &Segment<'_>) {
        let mut text = segment.text;
        if let Some((bar, behind)) = ProgressBar::read(text) {
            self.progress.draw(bar);
            self.take_rows();
            text = behind;
        }
        let text = String::from_utf8_lossy(text);
        let text = without_ansi(&text);
        let (prefix, text) = split_prefix(&text);
        if segment.is_line() && self.continue_block(prefix, text) {
            return;
        }
        if let Some((step, values)) = verl_row(text) {
            match segment.after {
                Some(_) => self.push(Dialect::Verl, step, values),
                None => self.ends_inside = true, // its last value may be incomplete
            }
        } else if let Some(row) = TrainerRow::read(text) {
            self.dialect.get_or_insert(Dialect::HuggingFace);
            self.progress.row(row);
            self.take_rows();
        } else if segment.is_line() {
            self.block = YamlBlock::begin(prefix, text);
        } else if segment.after.is_none() {
            self.ends_inside |= text.starts_with("step:") || text.starts_with("{'");
        }
    }

    /// Whether the line belongs to the current YAML block, which ends at the first line that does not.
    fn continue_block(&mut self, prefix: &str, line: &str) -> bool {
        let Some(block) = &mut self.block else { return false };
        if block.prefix != prefix {
            return false; // Ray mixes the lines of its processes
        }
        if block.take(line) {
            return true;
        }
        if let Some((step, values)) = self.block.take().and_then(YamlBlock::end) {
            self.push(Dialect::EasyR1, step, values);
        }
        false
    }

    fn take_rows(&mut self) {
        while let Some(RowWithStep { step, values, starts_new_training }) = self.progress.next_row()
        {
            if starts_new_training && self.steps.is_some() {
                self.begin_training();
            }
            self.push(Dialect::HuggingFace, step, values);
        }
    }

    /// Adds a row. A step below the previous one comes from a resumed run, which returns to its
    /// checkpoint; a step that returns to the first one begins another training.
    fn push(&mut self, dialect: Dialect, step: f64, values: Values) {
        if self.steps.is_some_and(|(first, last)| step <= first && step < last) {
            self.begin_training();
        }
        self.dialect.get_or_insert(dialect);
        self.steps = Some((self.steps.map_or(step, |(first, _)| first), step));
        self.rows.push(ConsoleRow { training: self.training, step, values });
    }

    fn begin_training(&mut self) {
        self.training += 1;
        self.begins = self.lines + 1;
        self.steps = None;
    }

    fn notes(&self, rows: usize, too_long: usize) -> Vec<LogNote> {
        let mut notes = Vec::new();
        if self.ends_inside || self.block.is_some() || self.progress.is_waiting() {
            notes.push(LogNote::Cut {
                unit: "row",
                read: rows,
                place: format!("line {}", self.lines + 1),
            });
        }
        if self.progress.numbered {
            notes.push(LogNote::RowsNumbered);
        }
        let mut odd = |what: String| notes.push(LogNote::Odd(what));
        if self.training > 0 {
            let (n, line) = (self.training + 1, self.begins);
            odd(format!("it holds {n} trainings; the last begins at line {line}"));
        }
        if self.progress.is_unmatched() {
            odd("its progress bar was redrawn more often than rows were printed; steps may be too small".to_owned());
        }
        if self.progress.lost > 0 {
            odd(format!("rows whose step was never shown were skipped: {}", self.progress.lost));
        }
        if too_long > 0 {
            odd(format!("lines longer than 1 MiB were skipped: {too_long}"));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(log: &str) -> Vec<(usize, f64, String)> {
        let mut console = ConsoleParser::default();
        segments(&mut log.as_bytes(), |segment| console.take(&segment)).unwrap();
        let show = |row: ConsoleRow| {
            let values: Vec<_> = row.values.iter().map(|(k, v)| format!("{k}={v}")).collect();
            (row.training, row.step, values.join(" "))
        };
        console.rows.into_iter().map(show).collect()
    }

    fn row(training: usize, step: f64, values: &str) -> (usize, f64, String) {
        (training, step, values.to_owned())
    }

    #[test]
    fn row_follows_prefix_or_bar_but_not_text() {
        let log = "\x1b[36m(TaskRunner pid=7)\x1b[0m step:1 - a/b:2.5\n\
                   \rTraining:  5%|#| 1/20 [0:02]step:2 - a/b:3\n\
                   then step:3 - a/b:4\n(TaskRunner pid=7) [answer] {'epoch': 1}\n";
        assert_eq!(rows(log), [row(0, 1.0, "a/b=2.5"), row(0, 2.0, "a/b=3")]);
    }

    #[test]
    fn last_row_is_read_only_if_complete() {
        assert_eq!(rows("step:1 - a:0.53\nstep:2 - a:0.5"), [row(0, 1.0, "a=0.53")]);
        assert_eq!(rows("{'epoch': 0.5, 'a': '1'}"), [row(0, 1.0, "epoch=0.5 a=1")]);
        assert_eq!(rows("Step 1\na:\n  b: 2\n"), []);
        assert_eq!(rows("Step 1\na:\n  b: 2\n\n"), [row(0, 1.0, "a/b=2")]);
    }

    #[test]
    fn text_with_numbered_steps_is_not_a_row() {
        assert_eq!(rows("Step 1\nSum: 5\n\nStep 2\n  x: 1\n\nStep 3: y\n"), []);
    }

    #[test]
    fn step_restart_begins_another_training() {
        let log =
            |steps: &[u32]| steps.iter().map(|s| format!("step:{s} - a:{s}\n")).collect::<String>();
        let trainings = |steps| rows(&log(steps)).iter().map(|row| row.0).collect::<Vec<_>>();
        assert_eq!(trainings(&[0, 1, 2, 3, 2, 3, 4]), [0; 7]);
        assert_eq!(trainings(&[1, 2, 3, 1, 2, 1]), [0, 0, 0, 1, 1, 2]);
    }

    /// From <https://github.com/modelscope/ms-swift>, whose rows contain their step.
    #[test]
    fn ms_swift_writes_the_step_into_the_row() {
        let log = "Train:  31%|###| 5/16 [05:28<11:41]\n\
                   {'a': 2.1, 'epoch': 0.3, 'global_step/max_steps': '5/16', 'time': '5m 28s'}\n\
                   {'eval_a': 2, 'epoch': 0.3, 'global_step/max_steps': '5/16'}\n";
        assert_eq!(rows(log), [row(0, 5.0, "a=2.1 epoch=0.3")]);
    }

    #[test]
    fn other_formats_and_prose_are_not_claimed() {
        let claims = |text: &str| {
            let head = Head::new(text.as_bytes(), None);
            let formats = [VERL, EASYR1, HUGGING_FACE].map(|format| (format.recognise)(&head));
            formats.into_iter().max().unwrap()
        };
        for text in [
            "{\"step\":1,\"data\":{\"actor/entropy\":2.8}}\n{\"step\":2}\n",
            "[{'step': 1, 'entropy': 2.3}]",
            "{'step': 1, 'entropy': 2.3}",
            "Step,Name: WARNING\n1,2.5\n2,2.4\n",
            "In step 3 the entropy falls.\n\nIt rises again in step 4: see below.\n",
            "WARNING\n\0\n",
            "",
        ] {
            assert_eq!(claims(text), Confidence::No, "{text}");
        }
        assert_eq!(claims("WARNING: no GPU\nstarting\n"), Confidence::Maybe);
        assert_eq!(claims("WARNING: no GPU\nstep:1 - a:2\n"), Confidence::Likely);
    }

    #[test]
    fn dialect_decides_the_kind_of_a_key() {
        assert_eq!(dialect(b"step:1 - actor/entropy_loss:2\n"), Some(Dialect::Verl));
        assert_eq!(dialect(b"Step 1\nactor:\n  entropy_loss: 2\n\n"), Some(Dialect::EasyR1));
        assert_eq!(dialect(b"{'entropy': 2, 'epoch': 1}\n"), Some(Dialect::HuggingFace));
    }
}
