//! The history that `compute` writes: R-Zero's rows with more in them, after each checkpoint anew.
//!
//! ```json
//! [{"step": 40, "entropy": 3.08, "entropy_seq_mean": 2.52, "entropy_std": 1.9, "log_prob_mean": -3.1,
//!   "tokens": 251, "sequences": 12, "settings": "9f86d081884c7d65-2c26b46b68ffc68f"}]
//! ```
//!
//! `settings` is a digest of prompts and flags, and one of the model's files. It tells rows that need
//! not be computed again from rows that are somebody else's, which are never touched.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::output;
use entropy_shell::{Failure, WithHint, io_message};
use serde_json::{Map, Value, json};

use entropy_kernels::logits::Token;

/// A history file that is being made.
#[derive(Debug)]
pub(crate) struct Rows {
    path: PathBuf,
    rows: Vec<Row>, // by step
    overwrite: bool,
    unwritten: bool, // rows of shards that the file does not have yet
}

/// A step and its row.
type Row = (u64, Map<String, Value>);

/// The two digests of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Of prompts and flags.
    pub(crate) inputs: String,
    /// Of the model's files.
    pub(crate) model: String,
}

impl Settings {
    fn text(&self) -> String {
        format!("{}-{}", self.inputs, self.model)
    }
}

/// The numbers of one step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    /// Sum over all tokens by their number, in nats.
    pub(crate) entropy: f64,
    /// Mean of the responses' own means.
    pub(crate) sequence_mean: f64,
    /// Sample standard deviation over tokens.
    pub(crate) deviation: Option<f64>,
    pub(crate) log_prob: f64,
    pub(crate) tokens: usize,
    pub(crate) sequences: usize,
}

impl Summary {
    /// Of responses, each of at least one token; `None` of none.
    pub(crate) fn of(responses: &[&[Token]]) -> Option<Summary> {
        let all = || responses.iter().copied().flatten();
        let tokens = all().count();
        if tokens == 0 {
            return None;
        }
        let n = tokens as f64;
        let entropy = all().map(|token| token.entropy).sum::<f64>() / n;
        let squares: f64 = all().map(|token| (token.entropy - entropy).powi(2)).sum();
        let mean = |response: &&[Token]| {
            response.iter().map(|t| t.entropy).sum::<f64>() / response.len() as f64
        };
        Some(Summary {
            entropy,
            sequence_mean: responses.iter().map(mean).sum::<f64>() / responses.len() as f64,
            deviation: (tokens > 1).then(|| (squares / (n - 1.0)).sqrt()),
            log_prob: all().map(|token| token.log_prob).sum::<f64>() / n,
            tokens,
            sequences: responses.len(),
        })
    }
}

impl Rows {
    /// Reads what is there already, or starts anew. Rows of shards of this history are taken over.
    ///
    /// # Errors
    /// If rows are there that others wrote, or that were computed with other prompts or flags. With
    /// `overwrite` those are left out, and no step counts as computed.
    pub(crate) fn open(path: &Path, inputs: &str, overwrite: bool) -> Result<Rows, Failure> {
        let mut rows =
            Rows { path: path.to_owned(), rows: Vec::new(), overwrite, unwritten: false };
        for (file, origin) in shards_of(path)
            .into_iter()
            .map(|file| (file, Origin::Shard))
            .chain([(path.to_owned(), Origin::Own)])
        {
            let found = match (read(&file, inputs), origin) {
                (Ok(found), _) => found,
                (Err(_), Origin::Own) if overwrite => Vec::new(),
                // A shard of other settings is no part of this history.
                (Err(_), Origin::Shard) => Vec::new(),
                (Err(failure), Origin::Own) => return Err(failure),
            };
            let of_shards = rows.rows.len();
            let own: Vec<u64> = found.iter().map(|(step, _)| *step).collect();
            for (step, row) in found {
                rows.put(step, row);
            }
            let news = |(step, _): &Row| !own.contains(step);
            rows.unwritten = of_shards > 0 && rows.rows.iter().any(news);
        }
        Ok(rows)
    }

    fn put(&mut self, step: u64, row: Map<String, Value>) {
        self.rows.retain(|(at, _)| *at != step);
        self.rows.push((step, row));
        self.rows.sort_by_key(|(step, _)| *step);
    }

    /// Whether a step is there, computed with these settings.
    ///
    /// # Errors
    /// If it is there from another model.
    pub(crate) fn has(&self, step: u64, settings: &Settings) -> Result<bool, Failure> {
        let row = self.rows.iter().find(|(at, _)| *at == step).filter(|_| !self.overwrite);
        let Some((_, row)) = row else { return Ok(false) };
        if row.get("settings").and_then(Value::as_str) == Some(&settings.text()) {
            return Ok(true);
        }
        Err(anyhow!(
            "cannot add to {}: its step {step} was computed with other model files, or as another --dtype",
            self.path.display()
        ))
        .hint("write elsewhere with -o, or replace it with --overwrite")
    }

    /// Whether there is a row of a step, of these prompts and flags.
    pub(crate) fn has_row(&self, step: u64) -> bool {
        self.rows.iter().any(|(at, _)| *at == step)
    }

    /// Whether a step's row may make computing it again needless.
    pub(crate) fn has_step(&self, step: u64) -> bool {
        !self.overwrite && self.has_row(step)
    }

    /// Adds a step and writes the file, whole or not at all.
    pub(crate) fn add(
        &mut self,
        step: u64,
        summary: &Summary,
        settings: &Settings,
    ) -> Result<(), Failure> {
        let row = json!({
            "step": step,
            "entropy": summary.entropy,
            "entropy_seq_mean": summary.sequence_mean,
            "entropy_std": summary.deviation,
            "log_prob_mean": summary.log_prob,
            "tokens": summary.tokens,
            "sequences": summary.sequences,
            "settings": settings.text(),
        });
        let Value::Object(row) = row else { return Err(anyhow!("BUG: a row is an object").into()) };
        // Another process may have added steps meanwhile.
        for (theirs, row) in read(&self.path, &settings.inputs).unwrap_or_default() {
            if !self.rows.iter().any(|(step, _)| *step == theirs) {
                self.put(theirs, row);
            }
        }
        self.put(step, row);
        self.write()
    }

    /// Writes what came from shards, if the file does not have it.
    pub(crate) fn settle(&mut self) -> Result<(), Failure> {
        if self.unwritten { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Failure> {
        let rows: Vec<&Map<String, Value>> = self.rows.iter().map(|(_, row)| row).collect();
        let text = serde_json::to_vec_pretty(&rows)?;
        output::write_atomically(&self.path, &text)
            .map_err(|error| {
                anyhow!("cannot write {}: {}", self.path.display(), io_message(&error))
            })
            .hint("the rows written before are kept; started again, compute goes on from there")?;
        self.unwritten = false;
        Ok(())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

enum Origin {
    Own,
    Shard,
}

/// Where shard i of n writes: below its history, so that `auto` does not take it for a run.
pub(crate) fn of_shard(path: &Path, (i, n): (usize, usize)) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name("shards").join(format!("{i}-of-{n}.{stem}.json"))
}

/// The shards of a history that are there.
fn shards_of(path: &Path) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(entries) = fs::read_dir(path.with_file_name("shards")) else { return Vec::new() };
    let mut shards: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    shards.retain(|shard| {
        let name = shard.file_name().unwrap_or_default().to_string_lossy();
        name.strip_suffix(&format!(".{stem}.json")).is_some_and(|shard| shard.contains("-of-"))
    });
    shards.sort();
    shards
}

/// The rows of a file, which must be of these prompts and flags.
fn read(path: &Path, inputs: &str) -> Result<Vec<Row>, Failure> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => {
            return Err(anyhow!("cannot read {}: {}", path.display(), io_message(&error)).into());
        }
    };
    let hint = "write elsewhere with -o, or replace it with --overwrite";
    let foreign = |why: &str| anyhow!("cannot add to {}: {why}", path.display());
    let Ok(Value::Array(list)) = serde_json::from_slice(&text) else {
        return Err(foreign("it is no history that compute wrote")).hint(hint);
    };
    let mut rows = Vec::new();
    for row in list {
        let step = row.get("step").and_then(Value::as_u64);
        let settings =
            row.get("settings").and_then(Value::as_str).and_then(|text| text.split_once('-'));
        let (Some(step), Some((theirs, _)), Value::Object(row)) = (step, settings, &row) else {
            return Err(foreign(
                "it has rows that compute did not write, such as the trainer's own",
            ))
            .hint(hint);
        };
        if theirs != inputs {
            return Err(foreign("its rows were computed with other prompts or flags")).hint(hint);
        }
        rows.push((step, row.clone()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(entropies: &[f64]) -> Vec<Token> {
        entropies.iter().map(|&entropy| Token { entropy, log_prob: -entropy }).collect()
    }

    #[test]
    fn tokens_and_sequences_are_weighed_apart() {
        let summary = Summary::of(&[&tokens(&[1.0, 2.0, 3.0]), &tokens(&[6.0])]).unwrap();
        assert_eq!((summary.entropy, summary.sequence_mean), (3.0, 4.0));
        assert_eq!((summary.tokens, summary.sequences, summary.log_prob), (4, 2, -3.0));
        // statistics.stdev([1, 2, 3, 6]) of Python.
        assert!((summary.deviation.unwrap() - 2.160_246_899_469_287).abs() < 1e-12);
        assert_eq!(Summary::of(&[&tokens(&[1.0])]).unwrap().deviation, None);
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn rows_of_others_are_never_touched() {
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("h.json");
        let settings = Settings { inputs: "a".into(), model: "m".into() };
        let summary = Summary::of(&[&tokens(&[1.0])]).unwrap();
        Rows::open(&path, "a", false).unwrap().add(7, &summary, &settings).unwrap();

        let again = Rows::open(&path, "a", false).unwrap();
        assert!(again.has(7, &settings).unwrap());
        assert!(!again.has(8, &settings).unwrap());
        assert!(again.has(7, &Settings { model: "n".into(), ..settings.clone() }).is_err());
        assert!(Rows::open(&path, "b", false).is_err());
        assert_eq!(Rows::open(&path, "b", true).unwrap().len(), 0);
        // To overwrite a step is not to lose the others.
        let over = Rows::open(&path, "a", true).unwrap();
        assert!(!over.has(7, &settings).unwrap());
        assert_eq!(over.len(), 1);
        fs::write(&path, r#"[{"step": 1, "entropy": 2.0}]"#).unwrap();
        let refused = Rows::open(&path, "a", false).unwrap_err();
        assert!(refused.error.to_string().contains("the trainer's own"), "{}", refused.error);
    }

    #[test]
    fn rows_of_shards_become_one_history() {
        let desk = tempfile::tempdir().unwrap();
        let path = desk.path().join("entropy_history_q.json");
        let settings = Settings { inputs: "a".into(), model: "m".into() };
        let summary = Summary::of(&[&tokens(&[1.0])]).unwrap();
        for i in 1..=2 {
            let shard = of_shard(&path, (i, 2));
            Rows::open(&shard, "a", false)
                .unwrap()
                .add(10 * i as u64, &summary, &settings)
                .unwrap();
        }
        let whole = Rows::open(&path, "a", false).unwrap();
        assert!(whole.has(10, &settings).unwrap() && whole.has(20, &settings).unwrap());
        assert_eq!(Rows::open(&path, "b", false).unwrap().len(), 0);
        let steps = || read(&path, "a").unwrap().len();
        Rows::open(&path, "a", false).unwrap().settle().unwrap();
        assert_eq!(steps(), 2);
        Rows::open(&of_shard(&path, (1, 2)), "a", false)
            .unwrap()
            .add(30, &summary, &settings)
            .unwrap();
        Rows::open(&path, "a", false).unwrap().settle().unwrap();
        assert_eq!(steps(), 3);
    }
}
