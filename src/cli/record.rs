//! `entropy-viz record`: writes steps from stdin to a history file that is complete at all times.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;

use super::args::series_selector;
use super::hints::cli_error;
use super::storage::storage_path;
use super::target::cannot_write;
use entropy_history::formats::{self, SeriesSelector, Source};
use entropy_history::number::exact;
use entropy_history::record::{LineReader, Recording, TakenLine};
use entropy_history::store::LoadError;
use entropy_shell::output::write_atomically;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, io_message, plural};

/// The shortest time between two writes of the file; a crash loses at most the steps of this time.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Lines buffered from stdin; a faster writer is blocked.
const BUFFERED_LINES: usize = 4096;

/// The longest accepted line in bytes; a longer one is not the output of a trainer.
const LONGEST_LINE: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  python train.py | entropy-viz record --run solver_v1
  tail -f metrics.jsonl | entropy-viz record --run solver_v1 --metric actor/entropy
  echo 12 0.53 | entropy-viz record --run solver_v1

A line is a JSON object with the metric, a step and a value, or what a trainer prints. Other lines are
skipped. docs/recording.md has a callback for Python trainers.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct RecordArgs {
    /// Name of the run.
    ///
    /// The file is MODELS/NAME/entropy_history_NAME.json.
    #[arg(long, value_name = "NAME", value_parser = plain_name)]
    run: String,
    /// Metric key of JSON lines [default: the best-known key].
    #[arg(long, value_name = "KEY")]
    metric: Option<String>,
    /// Directory of models [default: $STORAGE_PATH/models].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// Parses the name of a run, which must be a valid directory name.
fn plain_name(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty()
        && text != "."
        && text != ".."
        && !text.contains(['/', '\\'])
        && !text.contains(char::is_control);
    is_plain
        .then(|| text.to_owned())
        .ok_or_else(|| "the name of a run must be a valid directory name".to_owned())
}

/// An event of the recorder.
enum RecordEvent {
    /// A line, and whether it has an end.
    Line(Vec<u8>, bool),
    TooLong,
    ReadError(io::Error),
    EndOfInput,
    /// Check whether the user stopped the recorder.
    Wake,
}

/// Why recording ended.
enum RecordEnd {
    EndOfInput,
    Interrupted,
    ReadError(io::Error),
    TooLong,
}

/// What was recorded and skipped.
#[derive(Default)]
struct Counts {
    /// Rows that could not be read.
    rejected: usize,
    /// Lines of other programs.
    foreign: usize,
    /// Rows with another entropy, such as that of an evaluation.
    other_keys: usize,
    lines: usize,
}

impl RecordArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let models = self.models()?;
        let directory = models.join(&self.run);
        let path = directory.join(format!("entropy_history_{}.json", self.run));
        let selector = series_selector(self.metric.as_slice())?;
        let is_new = !directory.exists();
        std::fs::create_dir_all(&directory)
            .map_err(|e| anyhow!("cannot create {}: {}", directory.display(), io_message(&e)))
            .hint("check the directory and its permissions")?;
        let _lock = lock(&directory)?;
        let mut recording = resume(&path, terminal)?;

        let (events, inbox) = sync_channel(BUFFERED_LINES);
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, wake) = (Arc::clone(&stopped), events.clone());
        ctrlc::set_handler(move || {
            stop.store(true, Ordering::SeqCst);
            // A full channel wakes the receiver anyway.
            let _ = wake.try_send(RecordEvent::Wake);
        })
        .map_err(|e| anyhow!("cannot handle signals: {e}"))?;
        std::thread::spawn(move || read_lines(&events));
        let input = StdinLines { inbox, stopped, selector: &selector };
        let known = recording.steps();
        let (counts, end) = record(&mut recording, &path, &input, terminal);

        if recording.steps() == 0 {
            // An empty file would not be a valid history.
            if is_new {
                let _ = std::fs::remove_dir(&directory); // fails if it is not empty
            }
            match end {
                RecordEnd::Interrupted => return Ok(Outcome::Interrupted),
                RecordEnd::ReadError(error) => return Err(read_error(&error)),
                RecordEnd::TooLong => return Err(too_long(&counts)),
                RecordEnd::EndOfInput => {}
            }
            let lines = plural(counts.lines, "line", "lines");
            return Err(anyhow!("nothing was recorded: stdin had {lines} and no row")).hint(format!(
                "a row is a step and a value, a JSON object, or what a trainer prints; {} was not written",
                path.display()
            ));
        }
        write_atomically(&path, &recording.to_json()).map_err(|e| cannot_write(&path, &e))?;
        terminal.print(format!("{}\n", path.display()).as_bytes())?;
        let mut closing = format!("{} recorded", plural(recording.steps(), "step", "steps"));
        if known > 0 {
            closing.push_str(&format!(", {} of them new", recording.steps() - known));
        }
        if counts.foreign > 0 {
            let lines =
                plural(counts.foreign, "line without a row was", "lines without a row were");
            closing.push_str(&format!("; {lines} skipped"));
        }
        if counts.other_keys > 0 {
            let rows = plural(counts.other_keys, "row", "rows");
            closing.push_str(&format!("; {rows} with another entropy skipped"));
        }
        terminal.info(&closing);
        match (end, counts.rejected) {
            (RecordEnd::ReadError(error), _) => Err(read_error(&error)),
            (RecordEnd::TooLong, _) => Err(too_long(&counts)),
            (RecordEnd::Interrupted, _) => Ok(Outcome::Interrupted),
            (RecordEnd::EndOfInput, 0) => Ok(Outcome::Done),
            (RecordEnd::EndOfInput, _) => Ok(Outcome::Partial),
        }
    }

    fn models(&self) -> Result<PathBuf, CliError> {
        let models = self.models.clone().or_else(|| Some(storage_path()?.join("models")));
        models
            .ok_or_else(|| anyhow!("no directory of models is given, and $STORAGE_PATH is not set"))
            .hint("add --models DIR, or export STORAGE_PATH")
    }
}

fn read_error(error: &io::Error) -> CliError {
    anyhow!("cannot read stdin: {}; earlier steps are recorded", io_message(error)).into()
}

fn too_long(counts: &Counts) -> CliError {
    let line = counts.lines + 1;
    anyhow!("cannot read stdin: line {line} has no end within 1 MiB; earlier steps are recorded")
        .into()
}

/// Locks the run against a second recorder, which would overwrite the rows of the first. `None` where the file
/// system has no locks.
///
/// # Errors
/// When another recorder has the lock.
fn lock(directory: &Path) -> Result<Option<File>, CliError> {
    if !cfg!(unix) {
        return Ok(None); // a directory cannot be opened as a file
    }
    let file = File::open(directory)
        .map_err(|e| anyhow!("cannot open {}: {}", directory.display(), io_message(&e)))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(anyhow!(
            "cannot record into {}: another recorder is running there",
            directory.display()
        ))
        .hint("give the run another --run NAME, or stop the other"),
        // Some network file systems have no locks.
        Err(std::fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// The recording with the rows that the file already has.
///
/// # Errors
/// When the file is not a history that `record` can extend.
fn resume(path: &Path, terminal: &Terminal) -> Result<Recording, CliError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recording::default()),
        Err(error) => {
            return Err(anyhow!("cannot read {}: {}", path.display(), io_message(&error)).into());
        }
    };
    let name = path.display().to_string();
    let selector =
        SeriesSelector::metrics(&["entropy".to_owned()]).expect("BUG: it is a plain key");
    let selector = selector.with_all_series();
    let source = Source { reader: &mut file, path: Some(path) };
    let hint = "the file was not changed; move it away to start a new recording";
    let failed = |error| CliError {
        hint: Some(hint.to_owned()),
        ..cli_error(LoadError::Read { log: name.clone(), error })
    };
    let (format, log) = formats::read(source, None, &selector).map_err(failed)?;
    let mut more = log.all_series.iter().map(|(_, key, _)| key).filter(|key| *key != "entropy");
    if let Some(key) = more.next() {
        let why = format!("its rows also have {key:?}, which `record` would drop");
        return Err(anyhow!("cannot extend {name}: {why}")).hint(hint);
    }
    let (series, notes) = log.choose(&selector, format).map_err(failed)?;
    for note in notes.iter().filter(|note| note.is_warning()) {
        terminal.warn(&format!("{name}: {note}"));
    }
    let rows = series.into_iter().next().map(|series| series.points).unwrap_or_default();
    let recording = Recording::resume(rows);
    if let Some(step) = recording.last_step() {
        let steps = plural(recording.steps(), "step is", "steps are");
        terminal.info(&format!("resuming: {steps} already recorded, up to step {}", exact(step)));
    }
    Ok(recording)
}

fn read_lines(events: &SyncSender<RecordEvent>) {
    let mut stdin = io::stdin().lock();
    loop {
        let mut line = Vec::new();
        let read = (&mut stdin).take(LONGEST_LINE).read_until(b'\n', &mut line);
        let is_complete = line.pop_if(|byte| *byte == b'\n').is_some();
        let event = match read {
            Err(error) => RecordEvent::ReadError(error),
            Ok(0) => RecordEvent::EndOfInput,
            Ok(read) if !is_complete && read as u64 == LONGEST_LINE => RecordEvent::TooLong,
            Ok(_) => RecordEvent::Line(line, is_complete),
        };
        let is_last = !matches!(event, RecordEvent::Line(..));
        if events.send(event).is_err() || is_last {
            return; // the send fails if the program is ending
        }
    }
}

/// The lines of stdin.
struct StdinLines<'a> {
    inbox: Receiver<RecordEvent>,
    stopped: Arc<AtomicBool>,
    selector: &'a SeriesSelector,
}

/// Records lines until the end, writing the file at most once per interval. Returns what was skipped, and why
/// recording ended.
fn record(
    recording: &mut Recording,
    path: &Path,
    input: &StdinLines<'_>,
    terminal: &Terminal,
) -> (Counts, RecordEnd) {
    let mut counts = Counts::default();
    let mut reader = LineReader::new(input.selector, recording.last_step());
    let mut due: Option<Instant> = None; // when new rows have to be written
    let mut next = Instant::now();
    let mut left = BUFFERED_LINES; // after a stop, only lines that were read before it are recorded
    let end = loop {
        let is_stopped = input.stopped.load(Ordering::SeqCst);
        let wait = match due {
            _ if is_stopped => Duration::ZERO,
            Some(due) => due.saturating_duration_since(Instant::now()),
            None => Duration::from_secs(3600),
        };
        let event = match input.inbox.recv_timeout(wait) {
            Ok(_) if is_stopped && left == 0 => break RecordEnd::Interrupted,
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) if is_stopped => break RecordEnd::Interrupted,
            Err(RecvTimeoutError::Timeout) => RecordEvent::Wake,
            Err(RecvTimeoutError::Disconnected) => RecordEvent::EndOfInput,
        };
        match event {
            RecordEvent::Line(line, is_complete) => {
                counts.lines += 1;
                let found = reader.take(&line, is_complete, recording.last_step());
                if !found.rows.is_empty() {
                    due.get_or_insert(next);
                }
                counts.add(found, recording, terminal);
            }
            RecordEvent::ReadError(error) => break RecordEnd::ReadError(error),
            RecordEvent::TooLong => break RecordEnd::TooLong,
            RecordEvent::EndOfInput => break RecordEnd::EndOfInput,
            RecordEvent::Wake => {}
        }
        left -= usize::from(is_stopped);
        if due.is_some_and(|due| due <= Instant::now()) {
            // A full disk may have space again in a second; at the end it is an error.
            match write_atomically(path, &recording.to_json()) {
                Ok(()) => due = None,
                Err(error) => {
                    terminal.warn(&format!("{:#}; trying again", cannot_write(path, &error).error));
                    due = Some(Instant::now() + WRITE_INTERVAL);
                }
            }
            next = Instant::now() + WRITE_INTERVAL;
        }
    };
    let rest = reader.finish(recording.last_step());
    counts.add(rest, recording, terminal);
    (counts, end)
}

impl Counts {
    /// Records the rows of a line and counts what is wrong with it.
    fn add(&mut self, found: TakenLine, recording: &mut Recording, terminal: &Terminal) {
        if let Some((before, now)) = found.better_key {
            recording.start_over();
            terminal.warn(&format!(
                "stdin, line {}: {now:?} is recorded from here on, and what was recorded of {before:?} is dropped: it is another series",
                self.lines
            ));
        }
        found.rows.into_iter().for_each(|row| recording.take(row));
        self.other_keys += found.other_keys;
        self.foreign += usize::from(found.is_foreign);
        if let Some(problem) = found.problem {
            self.rejected += 1;
            terminal.warn(&format!("stdin, line {} {problem}", self.lines));
        }
    }
}
