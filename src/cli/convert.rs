//! `entropy-viz convert`: any log that can be read, as the file of another program.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};

use super::call::source_date_epoch;
use super::chart::{Target, target, write};
use super::inputs::InputArgs;
use entropy_history::formats::{TableSeries, csv, jsonl, parquet, rzero, tensorboard, wandb};
use entropy_history::history::Run;
use entropy_history::quantity::EntropyKind;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::plural;
use entropy_shell::{Failure, WithHint};

const EXAMPLES: &str = "\
Examples:
  entropy-viz convert run-abc.wandb --to json -o entropy_history_solver.json
  entropy-viz convert runs/ --to csv -o - | xsv stats
  entropy-viz convert q=a.json+b.json --to tensorboard -o logs && tensorboard --logdir logs
  entropy-viz convert *.jsonl --to wandb -o offline && wandb sync offline/*
  entropy-viz convert 'logs/*.out' --to json -o models && entropy-viz auto models";

/// Writes logs as other programs have them.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Convert {
    #[command(flatten)]
    inputs: InputArgs,
    /// What to write.
    #[arg(long, value_enum)]
    to: To,
    /// The file to write, - for stdout. A directory for tensorboard and wandb, and for json and jsonl if there
    /// are several runs or the name has no extension.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// The key that the values get, where the format has keys [default: policy/entropy; in csv and
    /// parquet, the log's own].
    #[arg(long = "as", value_name = "KEY")]
    key: Option<String>,
    /// The project that `wandb sync` uploads to.
    #[arg(long, value_name = "NAME", default_value = "entropy-viz", value_parser = project)]
    project: String,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum To {
    /// R-Zero's entropy_history_<run>.json.
    Json,
    /// The same rows, one a line.
    Jsonl,
    /// A table of all runs: run, step, metric, entropy.
    Csv,
    /// The same table, for pandas, polars and DuckDB.
    Parquet,
    /// A directory of event files, one directory a run; values become 32-bit floats.
    Tensorboard,
    /// Offline runs, for `wandb sync`.
    Wandb,
}

fn project(text: &str) -> Result<String, String> {
    let refused = ['/', '\\', '#', '?', '%', ':'];
    if text.is_empty() || text.contains(refused) {
        return Err("W&B takes no project with / \\ # ? % or : in its name".to_owned());
    }
    Ok(text.to_owned())
}

impl Convert {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let output = target(&self.output);
        let is_directory = matches!(self.to, To::Tensorboard | To::Wandb);
        if output == Target::Stdout && is_directory {
            return Err(anyhow!("a directory does not go to stdout")).hint("name one with -o");
        }
        if is_directory && self.output.is_file() {
            return Err(anyhow!("cannot write {}: it is a file", self.output.display()))
                .hint("name a directory with -o");
        }
        let start = start()?;
        let (comparison, outcome) = self.inputs.load(terminal)?;
        let runs = comparison.runs();
        self.warn_of_other_kinds(runs, terminal);
        let files = match self.to {
            To::Csv => vec![(output, csv::table(&self.table(runs)))],
            To::Parquet => {
                let bytes = parquet::table(&self.table(runs)).context("cannot make the table")?;
                vec![(output, bytes)]
            }
            To::Json => {
                self.one_each(runs, "json", |run| rzero::history_file(run.history.points()))?
            }
            To::Jsonl => {
                self.one_each(runs, "jsonl", |run| jsonl::lines(self.key(), run.history.points()))?
            }
            To::Tensorboard => {
                warn_of_overflow(runs, terminal);
                self.event_files(runs, start)?
            }
            To::Wandb => self.offline_runs(runs, start)?,
        };
        for (target, bytes) in &files {
            match target {
                Target::Stdout => terminal.print(bytes)?,
                Target::File(_) => write(target, bytes, terminal)?,
            }
        }
        let points: usize = runs.iter().map(|run| run.history.points().len()).sum();
        terminal.info(&format!(
            "{} of {} converted",
            plural(points, "point", "points"),
            plural(runs.len(), "run", "runs")
        ));
        Ok(outcome)
    }

    fn key(&self) -> &str {
        self.key.as_deref().unwrap_or(wandb::METRIC)
    }

    /// `policy/entropy` is the exact entropy: another quantity under that name would deceive.
    fn warn_of_other_kinds(&self, runs: &[Run], terminal: &Terminal) {
        if self.key.is_some() || matches!(self.to, To::Csv | To::Parquet) {
            return;
        }
        for run in runs.iter().filter(|run| run.history.kind() != EntropyKind::TokenMean) {
            let (kind, metric) = (run.history.kind().words(), &run.metric);
            let key = if self.to == To::Json { "entropy" } else { self.key() };
            terminal.warn(&format!(
                "{}: {metric:?} ({kind}) is written as {key:?}, the name of the exact token mean",
                run.source
            ));
        }
    }

    fn table<'a>(&'a self, runs: &'a [Run]) -> Vec<TableSeries<'a>> {
        let series = |run: &'a Run| TableSeries {
            run: run.history.label(),
            metric: self.key.as_deref().unwrap_or(&run.metric),
            points: run.history.points(),
        };
        runs.iter().map(series).collect()
    }

    /// One file for one run, if the output looks like a file; else R-Zero's layout below a directory, which
    /// `auto` finds again.
    fn one_each(
        &self,
        runs: &[Run],
        extension: &str,
        bytes: impl Fn(&Run) -> Vec<u8>,
    ) -> Result<Vec<(Target, Vec<u8>)>, Failure> {
        let names_file = |path: &Path| {
            let is_one = |e: &OsStr| runs.len() == 1 || e.eq_ignore_ascii_case(extension);
            let is_marked = path.as_os_str().to_string_lossy().ends_with(['/', '\\']);
            !path.is_dir() && !is_marked && path.extension().is_some_and(is_one)
        };
        let output = target(&self.output);
        let compressed = |e: &OsStr| ["gz", "zst"].iter().any(|name| e.eq_ignore_ascii_case(name));
        if names_file(&self.output) && self.output.extension().is_some_and(compressed) {
            let name = self.output.display();
            return Err(anyhow!("cannot write {name}: files are written without compression"))
                .hint(format!("end its name in .{extension}, and compress it afterwards"));
        }
        match (runs, &output) {
            ([run], Target::Stdout) => return Ok(vec![(output, bytes(run))]),
            ([run], Target::File(path)) if names_file(path) => {
                return Ok(vec![(output, bytes(run))]);
            }
            (_, Target::File(path)) if !names_file(path) => {}
            _ => {
                return Err(anyhow!("{} runs do not go into one {extension} file", runs.len()))
                    .hint("name a directory with -o, or --to csv, which holds all");
            }
        }
        let names = file_names(runs);
        let files = runs.iter().zip(&names).map(|(run, name)| {
            let directory = self.output.join(name);
            let file = match extension {
                "json" => directory.join(format!("entropy_history_{name}.json")),
                _ => self.output.join(format!("{name}.{extension}")),
            };
            (Target::File(file), bytes(run))
        });
        Ok(files.collect())
    }

    fn event_files(&self, runs: &[Run], start: u64) -> Result<Vec<(Target, Vec<u8>)>, Failure> {
        let files = runs.iter().zip(file_names(runs)).map(|(run, name)| {
            let path = self.output.join(name).join(tensorboard::file_name(start));
            let bytes = tensorboard::event_file(self.key(), run.history.points(), start as f64);
            Ok((Target::File(path), bytes.map_err(|e| unwritable(run, e))?))
        });
        files.collect()
    }

    fn offline_runs(&self, runs: &[Run], start: u64) -> Result<Vec<(Target, Vec<u8>)>, Failure> {
        let files = runs.iter().map(|run| {
            let (label, points) = (run.history.label(), run.history.points());
            let id = wandb::id(label, points);
            let described = wandb::OfflineRun {
                id: &id,
                name: label,
                project: &self.project,
                metric: self.key(),
                start,
            };
            let bytes = wandb::run_file(&described, points).map_err(|e| unwritable(run, e))?;
            let directory = self.output.join(wandb::directory_name(start, &id));
            Ok((Target::File(directory.join(wandb::file_name(&id))), bytes))
        });
        files.collect()
    }
}

/// A 32-bit float ends at 3.4e38: what is beyond becomes infinite there.
fn warn_of_overflow(runs: &[Run], terminal: &Terminal) {
    for run in runs {
        let points = run.history.points().iter();
        let beyond = points.filter(|point| (point.entropy as f32).is_infinite()).count();
        if beyond > 0 {
            let values = plural(beyond, "value is", "values are");
            terminal.warn(&format!(
                "{}: {values} beyond 32-bit floats, and infinite in the event file",
                run.source
            ));
        }
    }
}

fn unwritable(run: &Run, error: impl std::error::Error) -> Failure {
    Failure {
        error: anyhow!("cannot convert {}: {error}", run.source),
        hint: Some("--to json, csv and parquet keep any step".to_owned()),
    }
}

/// When converted runs begin, in Unix seconds: logs tell no times. `$SOURCE_DATE_EPOCH` makes the
/// bytes the same each time.
fn start() -> Result<u64, Failure> {
    Ok(source_date_epoch()?.unwrap_or_else(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
    }))
}

/// Labels as names of files: without what separates directories or acts on a terminal, and distinct.
fn file_names(runs: &[Run]) -> Vec<String> {
    const LONGEST: usize = 200;
    let mut taken = BTreeSet::new();
    let names = runs.iter().map(|run| {
        let harmless = |c: char| if c.is_control() || "/\\:".contains(c) { '_' } else { c };
        let mut name: String = run.history.label().chars().map(harmless).collect();
        if name.is_empty() || name.starts_with('.') {
            name.insert(0, '_');
        }
        name.truncate(name.floor_char_boundary(LONGEST));
        let mut distinct = name.clone();
        for n in 2.. {
            if taken.insert(distinct.clone()) {
                break;
            }
            distinct = format!("{name}-{n}");
        }
        distinct
    });
    names.collect()
}
