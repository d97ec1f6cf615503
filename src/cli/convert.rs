//! `entropy-viz convert`: writes logs in the formats of other programs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::inputs::InputArgs;
use super::invocation::source_date_epoch;
use super::target::Target;
use entropy_history::formats::{TableSeries, csv, jsonl, parquet, rzero, tensorboard, wandb};
use entropy_history::history::Run;
use entropy_history::quantity::EntropyKind;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, plural};

const EXAMPLES: &str = "\
Examples:
  entropy-viz convert run-abc.wandb --to json -o entropy_history_solver.json
  entropy-viz convert runs/ --to csv -o - | xsv stats
  entropy-viz convert q=a.json+b.json --to tensorboard -o logs && tensorboard --logdir logs
  entropy-viz convert *.jsonl --to wandb -o offline && wandb sync offline/*
  entropy-viz convert 'logs/*.out' --to json -o models && entropy-viz auto models";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ConvertArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// Format to write.
    #[arg(long, value_enum)]
    to: ExportFormat,
    /// File or directory to write, or - for stdout.
    ///
    /// A directory for tensorboard and wandb, and for json and jsonl with several runs or a name without extension.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Metric key to write [default: policy/entropy; in csv and parquet, that of the log].
    #[arg(long = "as", value_name = "KEY")]
    key: Option<String>,
    /// Project for `wandb sync`.
    #[arg(long, value_name = "NAME", default_value = "entropy-viz", value_parser = project)]
    project: String,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum ExportFormat {
    /// R-Zero's entropy_history_<run>.json.
    Json,
    /// The rows of json, one per line.
    Jsonl,
    /// A table of all runs: run, step, metric, entropy.
    Csv,
    /// The table of csv, for pandas, polars and DuckDB.
    Parquet,
    /// Event files, one directory per run; values become 32-bit floats.
    Tensorboard,
    /// Offline runs for `wandb sync`.
    Wandb,
}

fn project(text: &str) -> Result<String, String> {
    let refused = ['/', '\\', '#', '?', '%', ':'];
    if text.is_empty() || text.contains(refused) {
        return Err("a W&B project name cannot contain / \\ # ? % or :".to_owned());
    }
    Ok(text.to_owned())
}

impl ConvertArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let output = Target::new(&self.output);
        let is_directory = matches!(self.to, ExportFormat::Tensorboard | ExportFormat::Wandb);
        if output == Target::Stdout && is_directory {
            return Err(anyhow!("a directory cannot go to stdout")).hint("name one with -o");
        }
        if is_directory && self.output.is_file() {
            return Err(anyhow!("cannot write {}: it is a file", self.output.display()))
                .hint("name a directory with -o");
        }
        let start = start_time()?;
        let (comparison, outcome) = self.inputs.load(terminal)?;
        let runs = comparison.runs();
        self.warn_about_other_kinds(runs, terminal);
        let files = match self.to {
            ExportFormat::Csv => vec![(output, csv::table(&self.table(runs)))],
            ExportFormat::Parquet => {
                let bytes = parquet::table(&self.table(runs)).context("cannot write the table")?;
                vec![(output, bytes)]
            }
            ExportFormat::Json => self
                .one_file_per_run(runs, "json", |run| rzero::history_file(run.history.points()))?,
            ExportFormat::Jsonl => self.one_file_per_run(runs, "jsonl", |run| {
                jsonl::lines(self.key(), run.history.points())
            })?,
            ExportFormat::Tensorboard => {
                warn_about_overflow(runs, terminal);
                self.event_files(runs, start)?
            }
            ExportFormat::Wandb => self.offline_runs(runs, start)?,
        };
        for (target, bytes) in &files {
            target.write(bytes, terminal)?;
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

    /// Warns about runs that hold another quantity but are written under the name of the exact token mean.
    fn warn_about_other_kinds(&self, runs: &[Run], terminal: &Terminal) {
        if self.key.is_some() || matches!(self.to, ExportFormat::Csv | ExportFormat::Parquet) {
            return;
        }
        for run in runs.iter().filter(|run| run.history.kind() != EntropyKind::TokenMean) {
            let (kind, metric) = (run.history.kind().words(), &run.metric);
            let key = if self.to == ExportFormat::Json { "entropy" } else { self.key() };
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

    /// One file per run. A single run is written to the output if that looks like a file; otherwise the output is
    /// a directory with the layout of R-Zero, which `auto` reads.
    fn one_file_per_run(
        &self,
        runs: &[Run],
        extension: &str,
        bytes: impl Fn(&Run) -> Vec<u8>,
    ) -> Result<Vec<(Target, Vec<u8>)>, CliError> {
        let names_file = |path: &Path| {
            let is_one = |e: &OsStr| runs.len() == 1 || e.eq_ignore_ascii_case(extension);
            let is_marked = path.as_os_str().to_string_lossy().ends_with(['/', '\\']);
            !path.is_dir() && !is_marked && path.extension().is_some_and(is_one)
        };
        let output = Target::new(&self.output);
        let is_compressed =
            |e: &OsStr| ["gz", "zst"].iter().any(|name| e.eq_ignore_ascii_case(name));
        if names_file(&self.output) && self.output.extension().is_some_and(is_compressed) {
            let name = self.output.display();
            return Err(anyhow!("cannot write {name}: compressed output is not supported"))
                .hint(format!("end its name in .{extension} and compress it afterwards"));
        }
        match (runs, &output) {
            ([run], Target::Stdout) => return Ok(vec![(output, bytes(run))]),
            ([run], Target::File(path)) if names_file(path) => {
                return Ok(vec![(output, bytes(run))]);
            }
            (_, Target::File(path)) if !names_file(path) => {}
            _ => {
                return Err(anyhow!(
                    "{} runs cannot be written to one {extension} file",
                    runs.len()
                ))
                .hint("name a directory with -o, or use --to csv, which holds all runs");
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

    fn event_files(&self, runs: &[Run], start: u64) -> Result<Vec<(Target, Vec<u8>)>, CliError> {
        let files = runs.iter().zip(file_names(runs)).map(|(run, name)| {
            let path = self.output.join(name).join(tensorboard::file_name(start));
            let bytes = tensorboard::event_file(self.key(), run.history.points(), start as f64);
            Ok((Target::File(path), bytes.map_err(|e| unwritable(run, e))?))
        });
        files.collect()
    }

    fn offline_runs(&self, runs: &[Run], start: u64) -> Result<Vec<(Target, Vec<u8>)>, CliError> {
        let files = runs.iter().map(|run| {
            let (label, points) = (run.history.label(), run.history.points());
            let id = wandb::id(label, points);
            let description = wandb::OfflineRun {
                id: &id,
                name: label,
                project: &self.project,
                metric: self.key(),
                start,
            };
            let bytes = wandb::run_file(&description, points).map_err(|e| unwritable(run, e))?;
            let directory = self.output.join(wandb::directory_name(start, &id));
            Ok((Target::File(directory.join(wandb::file_name(&id))), bytes))
        });
        files.collect()
    }
}

/// Warns about values above 3.4e38, which become infinite as 32-bit floats.
fn warn_about_overflow(runs: &[Run], terminal: &Terminal) {
    for run in runs {
        let points = run.history.points().iter();
        let beyond = points.filter(|point| (point.entropy as f32).is_infinite()).count();
        if beyond > 0 {
            let values = plural(beyond, "value is", "values are");
            terminal.warn(&format!(
                "{}: {values} too large for 32-bit floats and infinite in the event file",
                run.source
            ));
        }
    }
}

fn unwritable(run: &Run, error: impl std::error::Error) -> CliError {
    CliError {
        error: anyhow!("cannot convert {}: {error}", run.source),
        hint: Some("--to json, csv and parquet can hold any step".to_owned()),
    }
}

/// The start time of converted runs in Unix seconds: `$SOURCE_DATE_EPOCH` if it is set, else now. The times of
/// the log are not used, because most logs have none.
fn start_time() -> Result<u64, CliError> {
    let now = source_date_epoch()?.unwrap_or_else(Timestamp::now);
    Ok(now.as_second().unsigned_abs())
}

/// File names from labels: distinct, without control characters and path separators.
fn file_names(runs: &[Run]) -> Vec<String> {
    const MAX_BYTES: usize = 200;
    let mut used = BTreeSet::new();
    let names = runs.iter().map(|run| {
        let safe = |c: char| if c.is_control() || "/\\:".contains(c) { '_' } else { c };
        let mut name: String = run.history.label().chars().map(safe).collect();
        if name.is_empty() || name.starts_with('.') {
            name.insert(0, '_');
        }
        name.truncate(name.floor_char_boundary(MAX_BYTES));
        let mut distinct = name.clone();
        for n in 2.. {
            if used.insert(distinct.clone()) {
                break;
            }
            distinct = format!("{name}-{n}");
        }
        distinct
    });
    names.collect()
}
