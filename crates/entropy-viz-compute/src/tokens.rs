//! `--tokens-out` and `--save-rollouts`: what every token was, and what was sampled.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::output::AtomicFile;
use entropy_shell::{Failure, io_message};
use serde_json::{Map, Value, json};

use entropy_kernels::logits::Token;

mod parquet;

/// One response with its prompt, whether it was given or sampled.
pub(crate) struct Answer<'a> {
    pub(crate) step: u64,
    pub(crate) id: &'a Value,
    /// Which of several samples of a prompt, from 0; `None` if it was given.
    pub(crate) sample: Option<usize>,
    /// The prompt as the file had it.
    pub(crate) prompt_as_given: Option<&'a Value>,
    pub(crate) prompt: &'a [i64],
    pub(crate) response: &'a [i64],
    pub(crate) scores: &'a [Token],
    pub(crate) finish: Option<&'a str>,
}

impl Answer<'_> {
    /// A line of `--tokens-out`.
    fn scored(&self, pieces: &[String]) -> Value {
        let entropies: Vec<f64> = self.scores.iter().map(|score| score.entropy).collect();
        // −∞, the log-prob of a token that had no probability at all, is null in JSON.
        let log_probs: Vec<f64> = self.scores.iter().map(|score| score.log_prob).collect();
        let mut row = json!({
            "step": self.step,
            "id": self.id,
            "prompt_token_ids": self.prompt,
            "response_token_ids": self.response,
            "tokens": pieces,
            "entropies": entropies,
            "log_probs": log_probs,
            "finish_reason": self.finish,
        });
        if let (Some(sample), Some(row)) = (self.sample, row.as_object_mut()) {
            row.insert("sample".to_owned(), json!(sample));
        }
        row
    }

    /// A line of `--save-rollouts`; `text` is the response's.
    fn rollout(&self, text: &str) -> Value {
        let mut row = Map::new();
        row.insert("id".to_owned(), self.id.clone());
        row.extend(self.prompt_as_given.map(|prompt| ("prompt".to_owned(), prompt.clone())));
        row.insert("response".to_owned(), json!(text));
        row.insert("prompt_token_ids".to_owned(), json!(self.prompt));
        row.insert("response_token_ids".to_owned(), json!(self.response));
        row.insert("finish_reason".to_owned(), json!(self.finish));
        row.insert("step".to_owned(), json!(self.step));
        row.extend(self.sample.map(|sample| ("sample".to_owned(), json!(sample))));
        Value::Object(row)
    }
}

/// A file of answers that grows with each checkpoint and takes its place at the end.
pub(crate) struct Sink {
    path: PathBuf,
    to: To,
    /// The lines of the file that is there already, by step: they stay unless the step is written anew.
    before: BTreeMap<u64, Vec<String>>,
    any_new: bool,
}

enum To {
    Lines(BufWriter<AtomicFile>),
    Parquet(Box<parquet::Table>),
}

impl Sink {
    /// Begins a file; Parquet if its name ends so. If there is one of JSON lines already, its lines of
    /// steps that `keeps` wants stay.
    pub(crate) fn create(path: &Path, keeps: impl Fn(u64) -> bool) -> Result<Sink, Failure> {
        let create = || -> io::Result<To> {
            let file = AtomicFile::create(path)?;
            let is_parquet = path.extension().is_some_and(|extension| extension == "parquet");
            Ok(if is_parquet {
                To::Parquet(Box::new(parquet::Table::new(file)?))
            } else {
                To::Lines(BufWriter::new(file))
            })
        };
        let to = create().map_err(|error| unwritable(path, &error))?;
        let mut before = match &to {
            To::Lines(_) => lines_by_step(path),
            To::Parquet(_) => BTreeMap::new(),
        };
        before.retain(|step, _| keeps(*step));
        Ok(Sink { path: path.to_owned(), to, before, any_new: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a step need not be computed again for this file's sake.
    pub(crate) fn has(&self, step: u64) -> bool {
        self.before.contains_key(&step)
    }

    /// Comes to a step that is written anew: earlier ones that are there stay in front of it.
    pub(crate) fn begin(&mut self, step: u64) -> Result<(), Failure> {
        let later = self.before.split_off(&step);
        self.keep_all()?;
        self.before = later;
        self.before.remove(&step);
        Ok(())
    }

    /// Writes the lines that stay.
    fn keep_all(&mut self) -> Result<(), Failure> {
        let lines = std::mem::take(&mut self.before).into_values().flatten();
        let To::Lines(file) = &mut self.to else { return Ok(()) };
        let written = lines.into_iter().try_for_each(|line| writeln!(file, "{line}"));
        written.map_err(|error| unwritable(&self.path, &error))
    }

    /// Adds tokens with their numbers.
    pub(crate) fn tokens(&mut self, answer: &Answer<'_>, pieces: &[String]) -> Result<(), Failure> {
        self.any_new = true;
        let written = match &mut self.to {
            To::Lines(file) => line(file, &answer.scored(pieces)),
            To::Parquet(table) => table.add(answer, pieces),
        };
        written.map_err(|error| unwritable(&self.path, &error))
    }

    /// Adds what was sampled.
    pub(crate) fn rollout(&mut self, answer: &Answer<'_>, text: &str) -> Result<(), Failure> {
        self.any_new = true;
        let written = match &mut self.to {
            To::Lines(file) => line(file, &answer.rollout(text)),
            To::Parquet(_) => {
                Err(io::Error::other("rollouts are written as JSON lines, not as Parquet"))
            }
        };
        written.map_err(|error| unwritable(&self.path, &error))
    }

    /// Puts the file in its place; without anything new, what is there stays as it is.
    pub(crate) fn finish(mut self) -> Result<Option<PathBuf>, Failure> {
        if !self.any_new {
            return Ok(Some(self.path).filter(|path| path.exists()));
        }
        self.keep_all()?;
        let written = match self.to {
            To::Lines(file) => {
                file.into_inner().map_err(io::Error::from).and_then(AtomicFile::commit)
            }
            To::Parquet(table) => table.finish(),
        };
        written.map_err(|error| unwritable(&self.path, &error))?;
        Ok(Some(self.path))
    }
}

fn lines_by_step(path: &Path) -> BTreeMap<u64, Vec<String>> {
    let mut lines: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for line in std::fs::read_to_string(path).unwrap_or_default().lines() {
        let step =
            serde_json::from_str::<Value>(line).ok().and_then(|row| row.get("step")?.as_u64());
        if let Some(step) = step {
            lines.entry(step).or_default().push(line.to_owned());
        }
    }
    lines
}

fn line(file: &mut BufWriter<AtomicFile>, row: &Value) -> io::Result<()> {
    serde_json::to_writer(&mut *file, row)?;
    file.write_all(b"\n")
}

pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Failure {
    anyhow!("cannot write {}: {}", path.display(), io_message(error)).into()
}
