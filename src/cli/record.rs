//! `entropy-viz record`: a history that grows with the training, whole at any moment.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use clap::Args;

use super::hints::failure;
use entropy_history::formats::{self, SeriesSelector, Source};
use entropy_history::number::exact;
use entropy_history::record::{Recording, parse};
use entropy_history::store::LoadError;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::output::write_atomically;
use entropy_shell::{Failure, WithHint};
use entropy_shell::{io_message, plural};

/// The file is written at most this often, so that a crash loses no more than that.
const INTERVAL: Duration = Duration::from_secs(1);

/// So many lines are read ahead; whoever writes faster than they are taken waits.
const AHEAD: usize = 4096;

const EXAMPLES: &str = "\
Examples:
  python train.py | entropy-viz record --run solver_v1
  tail -f metrics.jsonl | entropy-viz record --run solver_v1 --metric actor/entropy
  echo 12 0.53 | entropy-viz record --run solver_v1

A line is a JSON object with a \"step\" and the metric, or a step and a value. docs/recording.md has a
callback for Python trainers.";

/// Records a run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Record {
    /// Name of the run: the file is MODELS/NAME/entropy_history_NAME.json.
    #[arg(long, value_name = "NAME", value_parser = plain_name)]
    run: String,
    /// The key of the value in JSON lines [default: the first known one].
    #[arg(long, value_name = "KEY")]
    metric: Option<String>,
    /// Where the models are [default: $STORAGE_PATH/models].
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
}

/// A name that is one directory, whatever it holds otherwise.
fn plain_name(text: &str) -> Result<String, String> {
    let is_plain = !text.is_empty()
        && text != "."
        && text != ".."
        && !text.contains(['/', '\\'])
        && !text.contains(char::is_control);
    is_plain
        .then(|| text.to_owned())
        .ok_or_else(|| "a run's name is that of a directory".to_owned())
}

/// What the recorder waits for.
enum Event {
    Line(Vec<u8>),
    Lost(io::Error),
    End,
    /// Look whether the user stopped it.
    Wake,
}

/// Why recording ended.
enum End {
    Input,
    Stopped,
    Lost(io::Error),
}

impl Record {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let models = self.models()?;
        let directory = models.join(&self.run);
        let path = directory.join(format!("entropy_history_{}.json", self.run));
        let wanted = SeriesSelector::metrics(self.metric.as_slice())
            .map_err(|(text, why)| anyhow!("--metric {text:?} is not a glob pattern: {why}"))
            .hint("put * ? or [ in brackets, as in [*], to mean the character")?;
        let is_new = !directory.exists();
        std::fs::create_dir_all(&directory)
            .map_err(|e| anyhow!("cannot make {}: {}", directory.display(), io_message(&e)))
            .hint("check the directory and its permissions")?;
        let _lock = lock(&directory)?;
        let mut recording = resume(&path, terminal)?;

        let (events, inbox) = sync_channel(AHEAD);
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, wake) = (Arc::clone(&stopped), events.clone());
        ctrlc::set_handler(move || {
            stop.store(true, Ordering::SeqCst);
            // Where there is no room there is something to wake up for.
            let _ = wake.try_send(Event::Wake);
        })
        .map_err(|e| anyhow!("cannot listen to signals: {e}"))?;
        std::thread::spawn(move || read_lines(&events));
        let input = Input { inbox, stopped, wanted: &wanted };
        let (refused, end) = record(&mut recording, &path, &input, terminal);

        if recording.steps() == 0 {
            // An empty history is none: whatever reads it next would stop there.
            if is_new {
                let _ = std::fs::remove_dir(&directory); // unless something was put there meanwhile
            }
            match end {
                End::Stopped => return Ok(Outcome::Interrupted),
                End::Lost(error) => return Err(lost(&error)),
                End::Input => {}
            }
            return Err(anyhow!("nothing was recorded: no step came from stdin")).hint(format!(
                "a line is a step and a value, or a JSON object; {} is not written",
                path.display()
            ));
        }
        write_atomically(&path, &recording.to_json()).map_err(|e| unwritable(&path, &e))?;
        terminal.print(format!("{}\n", path.display()).as_bytes())?;
        terminal.info(&format!("{} recorded", plural(recording.steps(), "step", "steps")));
        match (end, refused) {
            (End::Lost(error), _) => Err(lost(&error)),
            (End::Stopped, _) => Ok(Outcome::Interrupted),
            (End::Input, 0) => Ok(Outcome::Done),
            (End::Input, _) => Ok(Outcome::Partial),
        }
    }

    fn models(&self) -> Result<PathBuf, Failure> {
        let storage =
            || std::env::var_os("STORAGE_PATH").filter(|path: &OsString| !path.is_empty());
        let models = self.models.clone().or_else(|| Some(Path::new(&storage()?).join("models")));
        models
            .ok_or_else(|| anyhow!("cannot tell where the models are: $STORAGE_PATH is not set"))
            .hint("entropy-viz record --models DIR, or export STORAGE_PATH")
    }
}

fn lost(error: &io::Error) -> Failure {
    anyhow!("cannot read stdin: {}; steps that came before are recorded", io_message(error)).into()
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    let error = anyhow!("cannot write {}: {}", path.display(), io_message(error));
    let hint = "check the directory, its permissions and the free space".to_owned();
    Failure { error, hint: Some(hint) }
}

/// Keeps a second recorder away from the run: two would undo each other's rows.
fn lock(directory: &Path) -> Result<Option<File>, Failure> {
    if !cfg!(unix) {
        return Ok(None); // a directory cannot be opened as a file
    }
    let file = File::open(directory)
        .map_err(|e| anyhow!("cannot look into {}: {}", directory.display(), io_message(&e)))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(anyhow!(
            "cannot record into {}: another recorder is at work there",
            directory.display()
        ))
        .hint("give the run another --run NAME, or stop the other"),
        // Some network file systems have no locks.
        Err(std::fs::TryLockError::Error(_)) => Ok(None),
    }
}

/// The rows that are there already.
fn resume(path: &Path, terminal: &Terminal) -> Result<Recording, Failure> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Recording::default()),
        Err(error) => {
            return Err(anyhow!("cannot read {}: {}", path.display(), io_message(&error)).into());
        }
    };
    let name = path.display().to_string();
    let wanted = SeriesSelector::metrics(&["entropy".to_owned()]).expect("BUG: it is no pattern");
    let wanted = wanted.with_survey();
    let source = Source { reader: &mut file, path: Some(path) };
    let kept = "it is left as it is; move it away to begin anew";
    let (format, log) = formats::read(source, None, &wanted).map_err(|error| Failure {
        hint: Some(kept.to_owned()),
        ..failure(LoadError::Read { log: name.clone(), error })
    })?;
    let mut more = log.survey.iter().map(|(_, key, _)| key).filter(|key| *key != "entropy");
    if let Some(key) = more.next() {
        let why = format!("its rows have {key:?} too, which a recording does not keep");
        return Err(anyhow!("cannot go on with {name}: {why}")).hint(kept);
    }
    let (series, notes) = log.choose(&wanted, format).map_err(|error| Failure {
        hint: Some(kept.to_owned()),
        ..failure(LoadError::Read { log: name.clone(), error })
    })?;
    for note in notes.iter().filter(|note| note.is_warning()) {
        terminal.warn(&format!("{name}: {note}"));
    }
    let rows = series.into_iter().next().map(|series| series.points).unwrap_or_default();
    let recording = Recording::resume(rows);
    if let Some(step) = recording.last_step() {
        let steps = plural(recording.steps(), "step is", "steps are");
        terminal.info(&format!("{steps} there already, up to step {}: going on", exact(step)));
    }
    Ok(recording)
}

fn read_lines(events: &SyncSender<Event>) {
    for line in io::stdin().lock().split(b'\n') {
        let (event, is_last) = match line {
            Ok(line) => (Event::Line(line), false),
            Err(error) => (Event::Lost(error), true),
        };
        if events.send(event).is_err() || is_last {
            return;
        }
    }
    let _ = events.send(Event::End); // nobody listens any more: the program ends
}

/// Where steps come from.
struct Input<'a> {
    inbox: Receiver<Event>,
    stopped: Arc<AtomicBool>,
    wanted: &'a SeriesSelector,
}

/// Takes lines until they end, writing at most once an interval; how many were no steps, and why it ended.
fn record(
    recording: &mut Recording,
    path: &Path,
    input: &Input<'_>,
    terminal: &Terminal,
) -> (usize, End) {
    let (mut number, mut refused) = (0, 0);
    let mut due: Option<Instant> = None; // when what is not written yet is to be
    let mut next = Instant::now();
    let mut left = AHEAD; // once it is stopped: what was read already is recorded, not what comes after
    loop {
        let is_stopped = input.stopped.load(Ordering::SeqCst);
        let wait = match due {
            _ if is_stopped => Duration::ZERO,
            Some(due) => due.saturating_duration_since(Instant::now()),
            None => Duration::from_secs(3600),
        };
        let event = match input.inbox.recv_timeout(wait) {
            Ok(_) if is_stopped && left == 0 => return (refused, End::Stopped),
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) if is_stopped => return (refused, End::Stopped),
            Err(RecvTimeoutError::Timeout) => Event::Wake,
            Err(RecvTimeoutError::Disconnected) => Event::End,
        };
        match event {
            Event::Line(line) => {
                number += 1;
                let problem = match parse(&line, input.wanted) {
                    Ok(line) => {
                        if !line.rows.is_empty() {
                            due.get_or_insert(next);
                        }
                        line.rows.into_iter().for_each(|row| recording.take(row));
                        line.cut.map(|why| format!("is recorded in part: {why}"))
                    }
                    Err(error) => Some(format!("is not recorded: {error}")),
                };
                if let Some(problem) = problem {
                    refused += 1;
                    terminal.warn(&format!("stdin, line {number} {problem}"));
                }
            }
            Event::Lost(error) => return (refused, End::Lost(error)),
            Event::End => return (refused, End::Input),
            Event::Wake => {}
        }
        left -= usize::from(is_stopped);
        if due.is_some_and(|due| due <= Instant::now()) {
            // A full disk may have room again in a second; at the end it is an error.
            match write_atomically(path, &recording.to_json()) {
                Ok(()) => due = None,
                Err(error) => {
                    terminal.warn(&format!("{:#}: trying again", unwritable(path, &error).error));
                    due = Some(Instant::now() + INTERVAL);
                }
            }
            next = Instant::now() + INTERVAL;
        }
    }
}
