//! The results of `--shard-by rows`: one file per shard, with sums over its rows of the prompts for each step.
//!
//! ```json
//! [{"step": 40, "tokens": 31, "sequences": 2, "entropy_sum": 80.1, "entropy_squares": 60.2, "entropy_seq_mean_sum": 5.1,
//!   "log_prob_sum": -90.3, "rows": {"too_long": 1, …}, "settings": "9f86d081884c7d65-2c26b46b68ffc68f-rows-2-of-8"}]
//! ```
//!
//! A step is complete when all shards of one N have it with the same settings. Files of another N, or with other settings,
//! are never mixed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use entropy_shell::io_message;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::bounded;
use crate::history::{RowDigests, parse_shard};
use crate::row_counts::RowCounts;
use crate::share::RowShare;
use crate::summary::EntropySums;

/// A step in the file of a shard.
#[derive(Debug, Clone, Deserialize)]
struct ShardRow {
    step: u64,
    settings: String,
    #[serde(flatten)]
    sums: EntropySums,
    rows: RowCounts,
}

/// The file of a shard.
#[derive(Debug)]
struct ShardFile {
    path: PathBuf,
    share: RowShare,
    rows: BTreeMap<u64, ShardRow>,
}

/// The shards of a history.
#[derive(Debug, Default)]
pub(crate) struct RowShards {
    files: Vec<ShardFile>, // sorted by N, then by number
    /// Files that do not belong to this run, with the reason.
    ignored: Vec<(PathBuf, String)>,
    /// The numbers of shards N of steps that were merged or are incomplete.
    used: BTreeSet<usize>,
}

/// What shards have of a step.
#[derive(Debug, PartialEq)]
pub(crate) enum ShardedStep {
    Nothing,
    Complete(MergedStep),
    /// Some shards of `of` lack it.
    Incomplete {
        of: usize,
        missing: Vec<usize>,
    },
    /// Shards have it, computed with another model.
    OtherModel,
}

/// The sums and counts of all shards of a step.
#[derive(Debug, PartialEq)]
pub(crate) struct MergedStep {
    pub(crate) shards: usize,
    pub(crate) sums: EntropySums,
    pub(crate) counts: RowCounts,
}

/// The file of a shard of a history.
pub(crate) fn path(history: &Path, share: RowShare) -> PathBuf {
    let stem = history.file_stem().unwrap_or_default().to_string_lossy();
    history.with_file_name("shards").join(format!("rows-{}.{stem}.json", share.name()))
}

/// The keys of a row of a shard, without its step and settings.
pub(crate) fn row(
    sums: &EntropySums,
    counts: &RowCounts,
) -> Result<Map<String, Value>, serde_json::Error> {
    let mut row = Map::new();
    if let Value::Object(sums) = serde_json::to_value(sums)? {
        row.extend(sums);
    }
    row.insert("rows".to_owned(), serde_json::to_value(counts)?);
    Ok(row)
}

impl RowShards {
    /// Reads the shards of a history; `inputs` is the digest of prompts and flags.
    pub(crate) fn find(history: &Path, inputs: &str) -> RowShards {
        let mut shards = RowShards::default();
        let stem = history.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Ok(entries) = fs::read_dir(history.with_file_name("shards")) else { return shards };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let share = name
                .strip_prefix("rows-")
                .and_then(|name| parse_shard(name.strip_suffix(&format!(".{stem}.json"))?));
            let Some((number, of)) = share else { continue };
            let share = RowShare { number, of };
            match read(&path, share, inputs) {
                Ok(rows) => shards.files.push(ShardFile { path, share, rows }),
                Err(why) => shards.ignored.push((path, why)),
            }
        }
        shards.files.sort_by_key(|file| (file.share.of, file.share.number));
        shards.ignored.sort();
        shards
    }

    /// Whether any shard has the step.
    pub(crate) fn has(&self, step: u64) -> bool {
        self.files.iter().any(|file| file.rows.contains_key(&step))
    }

    /// Merges a step whose settings would be `digests` if this process computed it.
    pub(crate) fn merge(&mut self, step: u64, digests: &RowDigests) -> ShardedStep {
        let mut numbers: Vec<usize> = self.files.iter().map(|file| file.share.of).collect();
        numbers.dedup();
        let mut best = ShardedStep::Nothing;
        for of in numbers {
            let fits = |file: &&ShardFile| {
                let share = Some(file.share);
                let settings = RowDigests { share, ..digests.clone() }.text();
                file.share.of == of
                    && file.rows.get(&step).is_some_and(|row| row.settings == settings)
            };
            let found: Vec<&ShardFile> = self.files.iter().filter(fits).collect();
            if found.is_empty() {
                continue;
            }
            let numbers: Vec<usize> = found.iter().map(|file| file.share.number).collect();
            if numbers.len() == of {
                let rows: Vec<&ShardRow> = found.iter().map(|file| &file.rows[&step]).collect();
                let sums: Vec<EntropySums> = rows.iter().map(|row| row.sums.clone()).collect();
                let counts = rows.iter().map(|row| &row.rows);
                let (sums, counts) = (EntropySums::merge(&sums), RowCounts::sum(counts));
                self.used.insert(of);
                return ShardedStep::Complete(MergedStep { shards: of, sums, counts });
            }
            let missing: Vec<usize> = (1..=of).filter(|number| !numbers.contains(number)).collect();
            // Of several incomplete ones, the one with the fewest missing shards.
            let is_better = match &best {
                ShardedStep::Incomplete { missing: others, .. } => missing.len() < others.len(),
                _ => true,
            };
            if is_better {
                best = ShardedStep::Incomplete { of, missing };
            }
        }
        if let ShardedStep::Incomplete { of, .. } = &best {
            self.used.insert(*of);
        }
        if best == ShardedStep::Nothing && self.has(step) {
            return ShardedStep::OtherModel;
        }
        best
    }

    /// The names of files that were ignored, by reason.
    pub(crate) fn ignored(&self) -> BTreeMap<&str, Vec<String>> {
        let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        let is_other =
            |file: &&ShardFile| !self.used.is_empty() && !self.used.contains(&file.share.of);
        let others = self.files.iter().filter(is_other);
        let others = others.map(|file| (&file.path, "of another number of shards"));
        for (path, why) in self.ignored.iter().map(|(path, why)| (path, why.as_str())).chain(others)
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            names.entry(why).or_default().push(name.into_owned());
        }
        names
    }
}

/// Reads the rows of a shard, which must have been computed with these prompts and flags.
fn read(path: &Path, share: RowShare, inputs: &str) -> Result<BTreeMap<u64, ShardRow>, String> {
    let bytes = bounded::read_output(path).map_err(|error| io_message(&error))?;
    let rows: Vec<ShardRow> = serde_json::from_slice(&bytes)
        .map_err(|_| "not written by compute --shard-by rows".to_owned())?;
    let end = format!("-rows-{}", share.name());
    for row in &rows {
        if row.settings.split_once('-').is_none_or(|(theirs, _)| theirs != inputs) {
            return Err("computed with other prompts or flags".to_owned());
        }
        if !row.settings.ends_with(&end) {
            return Err("renamed from another shard".to_owned());
        }
    }
    Ok(rows.into_iter().map(|row| (row.step, row)).collect())
}
