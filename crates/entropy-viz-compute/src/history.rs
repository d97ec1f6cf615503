//! The history file that `compute` writes: rows of R-Zero's format with more keys. It is rewritten after each
//! checkpoint.
//!
//! ```json
//! [{"step": 40, "entropy": 3.08, "entropy_seq_mean": 2.52, "entropy_std": 1.9, "log_prob_mean": -3.1,
//!   "tokens": 251, "sequences": 12, "settings": "9f86d081884c7d65-2c26b46b68ffc68f"}]
//! ```
//!
//! `settings` consists of a digest of prompts and flags and one of the model's files. It identifies rows that need not
//! be computed again. Rows of other programs are never changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::output;
use entropy_shell::{CliError, WithHint, io_message};
use serde_json::{Map, Value};

use crate::bounded;
use crate::share::RowShare;

/// A history file and its rows.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    path: PathBuf,
    rows: Vec<HistoryRow>, // sorted by step
    overwrite: bool,
    unmerged: bool, // whether there are rows of shards that the file lacks
}

/// A step and its JSON row.
type HistoryRow = (u64, Map<String, Value>);

const OVERWRITE_HINT: &str = "write to another file with -o, or replace it with --overwrite";

/// Digests of everything that determines the numbers of a row (its `settings`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowDigests {
    /// Digest of prompts and flags.
    pub(crate) inputs: String,
    /// Digest of the model's files and number type.
    pub(crate) model: String,
    /// The rows of the prompts that were computed; `None` for all.
    pub(crate) share: Option<RowShare>,
}

impl RowDigests {
    /// The `settings` of a row.
    pub(crate) fn text(&self) -> String {
        match self.share {
            None => format!("{}-{}", self.inputs, self.model),
            Some(share) => format!("{}-{}-rows-{}", self.inputs, self.model, share.name()),
        }
    }
}

impl HistoryFile {
    /// Reads the file, if it exists, and its shards.
    ///
    /// # Errors
    /// If the file has rows of another program, or rows computed with other prompts or flags. With `overwrite` such
    /// rows are dropped, and no step counts as computed.
    pub(crate) fn open(
        path: &Path,
        inputs: &str,
        overwrite: bool,
    ) -> Result<HistoryFile, CliError> {
        let mut rows =
            HistoryFile { path: path.to_owned(), rows: Vec::new(), overwrite, unmerged: false };
        // A shard with other settings does not belong to this history, and is ignored.
        for shard in find_shards(path) {
            for (step, row) in read(&shard, inputs).unwrap_or_default() {
                rows.insert(step, row);
            }
        }
        let own = match read(path, inputs) {
            Err(_) if overwrite => Vec::new(),
            own => own?,
        };
        rows.unmerged = rows.rows.iter().any(|(step, _)| !own.iter().any(|(at, _)| at == step));
        for (step, row) in own {
            rows.insert(step, row);
        }
        Ok(rows)
    }

    fn insert(&mut self, step: u64, row: Map<String, Value>) {
        self.rows.retain(|(at, _)| *at != step);
        self.rows.push((step, row));
        self.rows.sort_by_key(|(step, _)| *step);
    }

    /// Whether the step exists and was computed with these digests.
    ///
    /// # Errors
    /// If it exists, but was computed with another model.
    pub(crate) fn is_computed(&self, step: u64, digests: &RowDigests) -> Result<bool, CliError> {
        let row = self.rows.iter().find(|(at, _)| *at == step).filter(|_| !self.overwrite);
        let Some((_, row)) = row else { return Ok(false) };
        if row.get("settings").and_then(Value::as_str) == Some(&digests.text()) {
            return Ok(true);
        }
        Err(anyhow!(
            "cannot add to {}: its step {step} was computed with other model files, another --dtype or another dump",
            self.path.display()
        ))
        .hint(OVERWRITE_HINT)
    }

    /// The settings of the step's row.
    pub(crate) fn settings(&self, step: u64) -> Option<&str> {
        let (_, row) = self.rows.iter().find(|(at, _)| *at == step)?;
        row.get("settings")?.as_str()
    }

    /// Whether the step has a row with these prompts and flags.
    pub(crate) fn has_row(&self, step: u64) -> bool {
        self.rows.iter().any(|(at, _)| *at == step)
    }

    /// Whether the step has a row that may be kept.
    pub(crate) fn has_step(&self, step: u64) -> bool {
        !self.overwrite && self.has_row(step)
    }

    /// Adds or replaces the row of a step, which gets its step and settings, and writes the file atomically.
    pub(crate) fn record_row(
        &mut self,
        step: u64,
        mut row: Map<String, Value>,
        digests: &RowDigests,
    ) -> Result<(), CliError> {
        row.insert("settings".to_owned(), Value::from(digests.text()));
        row.shift_insert(0, "step".to_owned(), Value::from(step));
        // Another process may have added steps in the meantime.
        for (theirs, row) in read(&self.path, &digests.inputs).unwrap_or_default() {
            if !self.rows.iter().any(|(step, _)| *step == theirs) {
                self.insert(theirs, row);
            }
        }
        self.insert(step, row);
        self.write()
    }

    /// Writes the file if it lacks rows of its shards.
    pub(crate) fn merge_shards(&mut self) -> Result<(), CliError> {
        if self.unmerged { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), CliError> {
        let rows: Vec<&Map<String, Value>> = self.rows.iter().map(|(_, row)| row).collect();
        let text = serde_json::to_vec_pretty(&rows)?;
        output::write_atomically(&self.path, &text)
            .map_err(|error| {
                anyhow!("cannot write {}: {}", self.path.display(), io_message(&error))
            })
            .hint("earlier rows are kept; run the command again to continue after them")?;
        self.unmerged = false;
        Ok(())
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// The numbers in `I-of-N`.
pub(crate) fn parse_shard(text: &str) -> Option<(usize, usize)> {
    let (i, n) = text.split_once("-of-")?;
    let (i, n) = (i.parse().ok()?, n.parse().ok()?);
    (1..=n).contains(&i).then_some((i, n))
}

/// The file of shard `i` of `n`. It is in a subdirectory, so that it is not discovered as a run of its own.
pub(crate) fn shard_path(path: &Path, (i, n): (usize, usize)) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name("shards").join(format!("{i}-of-{n}.{stem}.json"))
}

/// The existing shard files of a history.
fn find_shards(path: &Path) -> Vec<PathBuf> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let Ok(entries) = fs::read_dir(path.with_file_name("shards")) else { return Vec::new() };
    let mut shards: Vec<PathBuf> =
        entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    shards.retain(|shard| {
        let name = shard.file_name().unwrap_or_default().to_string_lossy();
        name.strip_suffix(&format!(".{stem}.json"))
            .is_some_and(|shard| parse_shard(shard).is_some())
    });
    shards.sort();
    shards
}

/// Reads the rows of a file, which must have been computed with these prompts and flags.
fn read(path: &Path, inputs: &str) -> Result<Vec<HistoryRow>, CliError> {
    let text = bounded::read_output(path)
        .map_err(|error| anyhow!("cannot read {}: {}", path.display(), io_message(&error)))?;
    if text.is_empty() && !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(Vec::new());
    }
    let foreign = |why: &str| anyhow!("cannot add to {}: {why}", path.display());
    let Ok(Value::Array(list)) = serde_json::from_slice(&text) else {
        return Err(foreign("it was not written by compute")).hint(OVERWRITE_HINT);
    };
    let mut rows = Vec::new();
    for row in list {
        let step = row.get("step").and_then(Value::as_u64);
        let settings =
            row.get("settings").and_then(Value::as_str).and_then(|text| text.split_once('-'));
        let (Some(step), Some((theirs, _)), Value::Object(row)) = (step, settings, &row) else {
            return Err(foreign(
                "it has rows that were not written by compute, such as the trainer's own",
            ))
            .hint(OVERWRITE_HINT);
        };
        if theirs != inputs {
            return Err(foreign("its rows were computed with other prompts or flags"))
                .hint(OVERWRITE_HINT);
        }
        rows.push((step, row.clone()));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score_plan::Quantity;
    use crate::summary::{EntropySummary, EntropySums};
    use crate::token_scores::TokenScores;

    fn summary() -> EntropySummary {
        let scores = TokenScores::new(2, vec![1.0, -1.0]);
        EntropySums::new(&[Quantity::Entropy, Quantity::LogProb], &[&scores]).summary().unwrap()
    }

    #[test]
    fn rejects_rows_of_other_programs_and_settings() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("h.json");
        let digests = RowDigests { inputs: "a".into(), model: "m".into(), share: None };
        HistoryFile::open(&path, "a", false)
            .unwrap()
            .record_row(7, summary().row(), &digests)
            .unwrap();

        let again = HistoryFile::open(&path, "a", false).unwrap();
        assert!(again.is_computed(7, &digests).unwrap());
        assert!(!again.is_computed(8, &digests).unwrap());
        assert!(
            again.is_computed(7, &RowDigests { model: "n".into(), ..digests.clone() }).is_err()
        );
        assert!(HistoryFile::open(&path, "b", false).is_err());
        assert_eq!(HistoryFile::open(&path, "b", true).unwrap().len(), 0);
        // Overwriting a step keeps the others.
        let over = HistoryFile::open(&path, "a", true).unwrap();
        assert!(!over.is_computed(7, &digests).unwrap());
        assert_eq!(over.len(), 1);
        fs::write(&path, r#"[{"step": 1, "entropy": 2.0}]"#).unwrap();
        let refused = HistoryFile::open(&path, "a", false).unwrap_err();
        assert!(refused.error.to_string().contains("the trainer's own"), "{}", refused.error);
    }

    #[test]
    fn merges_rows_of_shards() {
        let tmp = tempfile::tempdir().unwrap();
        let path = tmp.path().join("entropy_history_q.json");
        let digests = RowDigests { inputs: "a".into(), model: "m".into(), share: None };
        for i in 1..=2 {
            let shard = shard_path(&path, (i, 2));
            HistoryFile::open(&shard, "a", false)
                .unwrap()
                .record_row(10 * i as u64, summary().row(), &digests)
                .unwrap();
        }
        let whole = HistoryFile::open(&path, "a", false).unwrap();
        assert!(
            whole.is_computed(10, &digests).unwrap() && whole.is_computed(20, &digests).unwrap()
        );
        assert_eq!(HistoryFile::open(&path, "b", false).unwrap().len(), 0);
        let steps = || read(&path, "a").unwrap().len();
        HistoryFile::open(&path, "a", false).unwrap().merge_shards().unwrap();
        assert_eq!(steps(), 2);
        HistoryFile::open(&shard_path(&path, (1, 2)), "a", false)
            .unwrap()
            .record_row(30, summary().row(), &digests)
            .unwrap();
        HistoryFile::open(&path, "a", false).unwrap().merge_shards().unwrap();
        assert_eq!(steps(), 3);
    }
}
