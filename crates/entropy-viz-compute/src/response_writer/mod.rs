//! The files of `--tokens-out` and `--save-rollouts`, with one row per response.

mod parquet;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::output::AtomicFile;
use entropy_shell::{CliError, io_message};
use serde_json::{Map, Value, json};

use crate::bounded;
use crate::prompts::{PromptRow, columns_of_response, text_columns};
use crate::response::{FinishReason, ResponseRecord};

/// A response with the values that output files add to its record.
pub(crate) struct OutputRow<'a> {
    pub(crate) step: u64,
    pub(crate) prompt_row: &'a PromptRow,
    pub(crate) record: &'a ResponseRecord,
    /// Whether prompts have several samples, so that rows need a sample index.
    pub(crate) numbered: bool,
}

impl OutputRow<'_> {
    fn sample(&self) -> Option<usize> {
        self.record.sample.filter(|_| self.numbered)
    }

    fn finish_reason(&self) -> Option<&str> {
        let sampled = self.record.finish.map(FinishReason::name);
        sampled.or(self.prompt_row.finish_reason.as_deref())
    }

    /// The columns of the prompt file that are repeated.
    fn columns(&self) -> Map<String, Value> {
        let columns = &self.prompt_row.columns;
        match self.record.sample {
            Some(_) => text_columns(columns),
            None => columns_of_response(columns, self.record.given, self.record.tokens.len()),
        }
    }

    /// A line of `--tokens-out`; `pieces` are the texts of the tokens.
    fn tokens_line(&self, pieces: &[String]) -> Value {
        let scores = || self.record.scores.iter();
        let entropies = self.record.spread(scores().map(|score| score.entropy));
        // JSON has no −∞, the log-prob of a token with probability 0: it is written as null.
        let log_probs = self.record.spread(scores().map(|score| score.log_prob));
        let mut row = json!({
            "step": self.step,
            "id": self.prompt_row.id,
            "prompt_token_ids": self.record.prompt[..],
            "response_token_ids": self.record.tokens,
            "tokens": pieces,
            "entropies": entropies,
            "log_probs": log_probs,
            "finish_reason": self.finish_reason(),
        });
        if let Some(sample) = self.sample() {
            row["sample"] = json!(sample);
        }
        if let Some(own) = &self.record.own {
            row["response_mask"] = own.iter().map(|own| u8::from(*own)).collect();
        }
        if let Some(turn) = self.record.turn {
            row["turn"] = json!(turn);
        }
        let columns = self.columns();
        if !columns.is_empty() {
            row["dump"] = Value::Object(columns);
        }
        row
    }

    /// A line of `--save-rollouts`; `text` is that of the response.
    fn rollout_line(&self, text: &str) -> Value {
        let mut row = Map::new();
        row.insert("id".to_owned(), self.prompt_row.id.clone());
        let prompt = self.prompt_row.prompt_text.clone();
        row.extend(prompt.map(|prompt| ("prompt".to_owned(), prompt)));
        row.insert("response".to_owned(), json!(text));
        row.insert("prompt_token_ids".to_owned(), json!(self.record.prompt[..]));
        row.insert("response_token_ids".to_owned(), json!(self.record.tokens));
        row.insert("finish_reason".to_owned(), json!(self.finish_reason()));
        row.insert("step".to_owned(), json!(self.step));
        row.extend(self.sample().map(|sample| ("sample".to_owned(), json!(sample))));
        Value::Object(row)
    }
}

/// Writes an output file, which replaces an existing one when it is complete.
pub(crate) struct ResponseWriter {
    path: PathBuf,
    format: OutputFormat,
    /// Lines of the existing file by step. They are kept unless their step is computed again.
    existing: BTreeMap<u64, Vec<String>>,
    has_new_rows: bool,
}

enum OutputFormat {
    JsonLines(BufWriter<AtomicFile>),
    Parquet(Box<parquet::ParquetWriter>),
}

impl ResponseWriter {
    /// Begins a file, as Parquet if the extension says so. Of an existing JSON lines file, the lines are kept whose
    /// step satisfies `keep`.
    pub(crate) fn create(
        path: &Path,
        keep: impl Fn(u64) -> bool,
    ) -> Result<ResponseWriter, CliError> {
        let create = || -> io::Result<OutputFormat> {
            let file = AtomicFile::create(path)?;
            let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
            Ok(match is_parquet {
                true => OutputFormat::Parquet(Box::new(parquet::ParquetWriter::new(file)?)),
                false => OutputFormat::JsonLines(BufWriter::new(file)),
            })
        };
        let format = create().map_err(|error| write_error(path, &error))?;
        let mut existing = match &format {
            OutputFormat::JsonLines(_) => lines_by_step(path),
            OutputFormat::Parquet(_) => BTreeMap::new(),
        };
        existing.retain(|step, _| keep(*step));
        Ok(ResponseWriter { path: path.to_owned(), format, existing, has_new_rows: false })
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the existing file has the step.
    pub(crate) fn has(&self, step: u64) -> bool {
        self.existing.contains_key(&step)
    }

    /// Begins a step: writes the existing lines of earlier steps, and drops those of this step.
    pub(crate) fn begin_step(&mut self, step: u64) -> Result<(), CliError> {
        let later = self.existing.split_off(&step);
        self.write_existing()?;
        self.existing = later;
        self.existing.remove(&step);
        Ok(())
    }

    fn write_existing(&mut self) -> Result<(), CliError> {
        let lines = std::mem::take(&mut self.existing).into_values().flatten();
        let OutputFormat::JsonLines(file) = &mut self.format else { return Ok(()) };
        let written = lines.into_iter().try_for_each(|line| writeln!(file, "{line}"));
        written.map_err(|error| write_error(&self.path, &error))
    }

    /// Writes a row of `--tokens-out`; `pieces` are the texts of the tokens.
    pub(crate) fn write_tokens(
        &mut self,
        row: &OutputRow<'_>,
        pieces: &[String],
    ) -> Result<(), CliError> {
        self.has_new_rows = true;
        let written = match &mut self.format {
            OutputFormat::JsonLines(file) => write_line(file, &row.tokens_line(pieces)),
            OutputFormat::Parquet(writer) => writer.write(row, pieces),
        };
        written.map_err(|error| write_error(&self.path, &error))
    }

    /// Writes a row of `--save-rollouts`; `text` is that of the response.
    pub(crate) fn write_rollout(
        &mut self,
        row: &OutputRow<'_>,
        text: &str,
    ) -> Result<(), CliError> {
        self.has_new_rows = true;
        let written = match &mut self.format {
            OutputFormat::JsonLines(file) => write_line(file, &row.rollout_line(text)),
            OutputFormat::Parquet(_) => Err(io::Error::other("rollouts are JSON lines")),
        };
        written.map_err(|error| write_error(&self.path, &error))
    }

    /// Completes the file and returns its path. Without new rows, an existing file is not changed; the result is
    /// `None` if there is none.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>, CliError> {
        if !self.has_new_rows {
            return Ok(Some(self.path).filter(|path| path.exists()));
        }
        self.write_existing()?;
        let written = match self.format {
            OutputFormat::JsonLines(file) => {
                file.into_inner().map_err(io::Error::from).and_then(AtomicFile::commit)
            }
            OutputFormat::Parquet(writer) => writer.finish(),
        };
        written.map_err(|error| write_error(&self.path, &error))?;
        Ok(Some(self.path))
    }
}

fn lines_by_step(path: &Path) -> BTreeMap<u64, Vec<String>> {
    let mut lines: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let text = bounded::read_output(path).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    for line in text.unwrap_or_default().lines() {
        let step =
            serde_json::from_str::<Value>(line).ok().and_then(|row| row.get("step")?.as_u64());
        if let Some(step) = step {
            lines.entry(step).or_default().push(line.to_owned());
        }
    }
    lines
}

fn write_line(file: &mut BufWriter<AtomicFile>, row: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *file, row)?;
    file.write_all(b"\n")
}

/// The error of a file that cannot be written.
pub(crate) fn write_error(path: &Path, error: &io::Error) -> CliError {
    anyhow!("cannot write {}: {}", path.display(), io_message(error)).into()
}
