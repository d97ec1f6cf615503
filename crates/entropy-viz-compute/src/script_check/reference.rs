//! The reference of a TorchScript module: token ids with the log-probs and entropies of transformers, written by
//! `examples/trace_model.py`.
//!
//! JSON lines. The first has `"format": "entropy-viz reference"`, `"version": 1` and `dtype`, and what made the file. Each
//! other one is a batch: `ids` and `entropies`, batch × length, and `log_probs` of each token but the first,
//! batch × (length − 1), in nats at temperature 1.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use entropy_shell::io_message;
use serde::Deserialize;
use tch::Kind;

use super::scores::{Difference, Limits, SequenceScores, score};
use crate::model::torchscript::TorchScript;

const FORMAT: &str = "entropy-viz reference";

#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
    dtype: String,
}

/// A batch of sequences of equal length, with the numbers of each.
#[derive(Debug, Deserialize)]
struct Batch {
    ids: Vec<Vec<i64>>,
    entropies: Vec<Vec<f64>>,
    log_probs: Vec<Vec<f64>>,
}

/// A reference file that was read and checked: at least one batch, none without tokens.
#[derive(Debug)]
pub(super) struct Reference {
    path: PathBuf,
    limits: Limits,
    batches: Vec<Batch>,
}

/// The comparison of one batch.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Compared {
    pub(super) batch: usize,
    pub(super) length: usize,
    /// An error of the module counts as infinitely different.
    pub(super) difference: Difference,
    pub(super) error: Option<String>,
    pub(super) agrees: bool,
}

impl Reference {
    /// Reads a reference file.
    ///
    /// # Errors
    /// If the file cannot be read or is no reference; the message names the line.
    pub(super) fn read(path: &Path) -> anyhow::Result<Reference> {
        let doing = || format!("cannot use {} as a reference of the module", path.display());
        let text =
            fs::read_to_string(path).map_err(|e| anyhow!(io_message(&e))).with_context(doing)?;
        let (limits, batches) = parse(&text).with_context(doing)?;
        Ok(Reference { path: path.to_owned(), limits, batches })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The different token ids, sorted.
    pub(super) fn ids(&self) -> Vec<i64> {
        let mut ids: Vec<i64> =
            self.batches.iter().flat_map(|batch| batch.ids.iter().flatten().copied()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The longest sequence, in tokens.
    pub(super) fn longest(&self) -> usize {
        self.batches.iter().map(|batch| batch.ids[0].len()).max().unwrap_or(0)
    }

    /// Compares the module with each batch.
    pub(super) fn compare(&self, script: &TorchScript) -> Vec<Compared> {
        self.batches.iter().map(|batch| batch.compare(script, self.limits)).collect()
    }
}

impl Batch {
    fn compare(&self, script: &TorchScript, limits: Limits) -> Compared {
        let ids: Vec<&[i64]> = self.ids.iter().map(Vec::as_slice).collect();
        let (difference, error) = match score(script, &ids) {
            Ok(scores) => {
                let none = Difference { mean: 0.0, token: 0.0 };
                let rows = self.entropies.iter().zip(&self.log_probs).zip(&scores);
                let difference = rows.fold(none, |most, ((entropies, log_probs), ours)| {
                    let exact = SequenceScores {
                        entropies: entropies.clone(),
                        log_probs: log_probs.clone(),
                    };
                    most.larger(Difference::between(&exact, ours))
                });
                (difference, None)
            }
            Err(error) => {
                let infinite = Difference { mean: f64::INFINITY, token: f64::INFINITY };
                (infinite, Some(error.to_string()))
            }
        };
        Compared {
            batch: ids.len(),
            length: ids[0].len(),
            difference,
            error,
            agrees: difference.is_within(limits),
        }
    }
}

fn parse(text: &str) -> anyhow::Result<(Limits, Vec<Batch>)> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let head: Head = lines
        .next()
        .and_then(|(_, line)| serde_json::from_str(line).ok())
        .filter(|head: &Head| head.format == FORMAT)
        .ok_or_else(|| {
            anyhow!("line 1 is not the first line of a file of examples/trace_model.py")
        })?;
    if head.version != 1 {
        bail!("it has version {}, and this program reads version 1", head.version);
    }
    let kind = match head.dtype.as_str() {
        "float32" => Kind::Float,
        "bfloat16" => Kind::BFloat16,
        "float16" => Kind::Half,
        other => bail!("line 1: unknown dtype {other:?}"),
    };
    let mut batches = Vec::new();
    for (i, line) in lines {
        let place = || format!("line {}", i + 1);
        let batch: Batch = serde_json::from_str(line).with_context(place)?;
        let length = batch.ids.first().map_or(0, Vec::len);
        let fits = |rows: &[Vec<f64>], length: usize| {
            rows.len() == batch.ids.len() && rows.iter().all(|row| row.len() == length)
        };
        if length == 0 || batch.ids.iter().any(|ids| ids.len() != length) {
            bail!("{}: ids must be sequences of equal length, at least 1", place());
        }
        if !fits(&batch.entropies, length) || !fits(&batch.log_probs, length - 1) {
            bail!("{}: entropies need a number for each id, log_probs one less", place());
        }
        batches.push(batch);
    }
    if batches.is_empty() {
        bail!("it has no batches of token ids after line 1");
    }
    Ok((Limits::of(kind), batches))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#"{"format": "entropy-viz reference", "version": 1, "dtype": "float32"}"#;

    #[test]
    fn wrong_reference_is_refused_with_its_line() {
        let refused = |text: &str, says: &str| {
            let error = format!("{:#}", parse(text).err().unwrap());
            assert!(error.contains(says), "{error}");
        };
        refused("", "line 1 is not");
        refused(r#"{"ids": [[1]]}"#, "line 1 is not");
        refused(&HEAD.replace("\"version\": 1", "\"version\": 2"), "version 2");
        refused(&HEAD.replace("float32", "int4"), "\"int4\"");
        refused(HEAD, "no batches");
        let batch = |line: &str| format!("{HEAD}\n{line}\n");
        refused(&batch("{"), "line 2");
        refused(&batch(r#"{"ids": [], "entropies": [], "log_probs": []}"#), "equal length");
        refused(
            &batch(r#"{"ids": [[1, 2], [3]], "entropies": [], "log_probs": []}"#),
            "equal length",
        );
        refused(
            &batch(r#"{"ids": [[1, 2]], "entropies": [[0.1]], "log_probs": [[-1.0]]}"#),
            "line 2: entropies need",
        );
        let good = r#"{"ids": [[1, 2]], "entropies": [[0.1, 0.2]], "log_probs": [[-1.0]]}"#;
        assert_eq!(parse(&batch(good)).unwrap().1.len(), 1);
    }
}
