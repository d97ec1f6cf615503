//! The files that a run writes: the history, and those of `--tokens-out` and `--save-rollouts`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_kernels::logits::TokenScore;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::lock::{OutputLock, remove_leftovers};
use entropy_shell::output::AtomicFile;
use entropy_shell::{CliError, Terminal, WithHint, plural};

use super::evaluate::{Evaluation, first_stop};
use super::plan::{CheckpointPlan, RunInputs, Selection};
use crate::checkpoint::{self, Checkpoint};
use crate::history::{EntropySummary, HistoryFile, shard_path};
use crate::response_writer::{OutputRow, ResponseWriter, write_error};

/// The output files of a run.
pub(super) struct RunOutputs {
    /// See [`RunInputs::digest`].
    pub(super) inputs_digest: String,
    pub(super) history: HistoryFile,
    tokens: Option<ResponseWriter>,
    rollouts: Option<ResponseWriter>,
    /// Kept until the files are complete.
    _locks: Vec<OutputLock>,
}

impl RunOutputs {
    /// Opens the output files and reads the existing ones.
    ///
    /// # Errors
    /// If the history has rows that must not be changed, or a file cannot be written: before any computation.
    pub(super) fn open(
        inputs: &RunInputs<'_>,
        model: &Path,
        selection: &Selection,
    ) -> Result<RunOutputs, CliError> {
        let args = inputs.args;
        let merged = args.output.clone().unwrap_or_else(|| default_output(model, selection.is_run));
        check_names(args, &merged)?;
        let history = args.shard.map_or(merged.clone(), |shard| shard_path(&merged, shard));
        let outputs = [Some(&history), args.tokens_out.as_ref(), args.save_rollouts.as_ref()];
        let locks =
            lock_outputs(inputs.terminal, &outputs.into_iter().flatten().collect::<Vec<_>>())?;
        let inputs_digest = inputs.digest(&selection.checkpoints)?;
        let history = HistoryFile::open(&merged, &inputs_digest, args.overwrite)?;
        let history = match args.shard {
            Some(shard) => {
                HistoryFile::open(&shard_path(&merged, shard), &inputs_digest, args.overwrite)?
            }
            None => history,
        };
        let output = history.path();
        drop(AtomicFile::create(output).map_err(|error| write_error(output, &error))?);
        let create = |path: &Option<PathBuf>| {
            path.as_deref()
                .map(|path| ResponseWriter::create(path, |step| history.has_row(step)))
                .transpose()
        };
        let (tokens, rollouts) = (create(&args.tokens_out)?, create(&args.save_rollouts)?);
        Ok(RunOutputs { inputs_digest, history, tokens, rollouts, _locks: locks })
    }

    /// Whether a checkpoint need not be computed: all files have its step, computed with the same settings.
    ///
    /// # Errors
    /// If the history has the step from another model.
    pub(super) fn is_computed(
        &self,
        inputs: &RunInputs<'_>,
        checkpoint: &Checkpoint,
    ) -> Result<bool, CliError> {
        let step = checkpoint.step.unwrap_or(0);
        if !self.history.has_step(step) {
            return Ok(false);
        }
        // A checkpoint that cannot be opened is reported when it is computed.
        let Ok(plan) = CheckpointPlan::open(inputs, checkpoint, &self.inputs_digest) else {
            return Ok(false);
        };
        let mut writers = self.tokens.iter().chain(&self.rollouts);
        Ok(self.history.is_computed(step, &plan.digests)? && writers.all(|writer| writer.has(step)))
    }

    /// Writes the row of a checkpoint and its responses; returns the numbers of the row.
    pub(super) fn record_row(
        &mut self,
        inputs: &RunInputs<'_>,
        step: u64,
        evaluation: &Evaluation,
    ) -> Result<EntropySummary, CliError> {
        let records = &evaluation.encoded.records;
        let scores: Vec<&[TokenScore]> = records.iter().map(|record| &record.scores[..]).collect();
        let summary = EntropySummary::new(&scores)
            .ok_or_else(|| anyhow!("BUG: an evaluation without tokens"))?;
        self.history.record_row(step, &summary, &evaluation.digests)?;
        for writer in self.tokens.iter_mut().chain(&mut self.rollouts) {
            writer.begin_step(step)?;
        }
        let tokenizer = evaluation.tokenizer.as_ref();
        for record in records {
            let prompt_row = &evaluation.prompts.rows[record.row];
            let row = OutputRow { step, prompt_row, record, numbered: inputs.args.samples > 1 };
            if let Some(writer) = &mut self.tokens {
                let pieces = tokenizer.map(|tokenizer| tokenizer.pieces(&record.tokens));
                writer.write_tokens(&row, &pieces.unwrap_or_default())?;
            }
            if let (Some(writer), Some(_)) = (&mut self.rollouts, record.sample) {
                let text = tokenizer.map(|tokenizer| tokenizer.decode(&record.tokens));
                let mut text = text.unwrap_or_default();
                if let Some(end) = first_stop(&text, &inputs.args.stop) {
                    text.truncate(end);
                }
                writer.write_rollout(&row, &text)?;
            }
        }
        Ok(summary)
    }

    /// Completes the files and returns the paths of those that exist. Warns about files without rows.
    pub(super) fn finish(self, terminal: &Terminal) -> Result<Vec<PathBuf>, CliError> {
        let history = self.history;
        let mut written = Vec::from_iter((history.len() > 0).then(|| history.path().to_owned()));
        for (writer, verb) in [(self.tokens, "computed"), (self.rollouts, "sampled")] {
            let Some(writer) = writer else { continue };
            let path = writer.path().to_owned();
            match writer.finish()? {
                Some(path) => written.push(path),
                None => {
                    terminal.warn(&format!("{} is not written: nothing was {verb}", path.display()))
                }
            }
        }
        Ok(written)
    }
}

/// Keeps other processes from writing these files, and removes what killed ones left beside them.
///
/// # Errors
/// If another process writes one of them: it would replace the rows of this process, or lose its own.
fn lock_outputs(terminal: &Terminal, paths: &[&PathBuf]) -> Result<Vec<OutputLock>, CliError> {
    let mut locks = Vec::new();
    let mut directories = BTreeSet::new();
    for path in paths {
        let lock = OutputLock::acquire(path)
            .map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
            .hint("wait for the other process, or write to another file")?;
        let Some(lock) = lock else { continue };
        if !lock.is_effective() {
            let message = "its file system has no locks; let no other process write it";
            terminal.warn(&format!("{}: {message}", path.display()));
        }
        locks.push(lock);
        directories.extend(absolute(path).parent().map(Path::to_owned));
    }
    for directory in directories {
        let leftovers = remove_leftovers(&directory);
        let shown = directory.display();
        if !leftovers.removed.is_empty() {
            let n = leftovers.removed.len();
            let files = plural(n, "temporary file", "temporary files");
            terminal.info(&format!("{shown}: removed {files} of killed processes"));
        }
        if let Some(first) = leftovers.unknown.first() {
            let n = leftovers.unknown.len();
            let files = plural(n, "temporary file", "temporary files");
            let name = first.file_name().unwrap_or_default().to_string_lossy();
            terminal.warn(&format!(
                "{shown}: {files} of another machine or version ({name}); remove them if no process writes there"
            ));
        }
    }
    Ok(locks)
}

/// The default path of the history.
fn default_output(model: &Path, is_run: bool) -> PathBuf {
    let run = if is_run { None } else { checkpoint::run_of(model) };
    let named = run.or_else(|| fs::canonicalize(model).ok()).unwrap_or_else(|| model.to_owned());
    let stem = if named.is_file() { named.file_stem() } else { named.file_name() };
    let file = format!("entropy_history_{}.json", stem.unwrap_or_default().to_string_lossy());
    if is_run { model.join(file) } else { PathBuf::from(file) }
}

/// Checks the extensions of the output files, and that no file is used twice.
fn check_names(args: &ComputeArgs, history: &Path) -> Result<(), CliError> {
    check_extension(Some(history), &["json"], "a history is JSON")?;
    check_extension(
        args.tokens_out.as_deref(),
        &["jsonl", "ndjson", "json", "parquet"],
        "tokens are JSON lines or Parquet",
    )?;
    check_extension(
        args.save_rollouts.as_deref(),
        &["jsonl", "ndjson", "json"],
        "rollouts are JSON lines",
    )?;
    let files = [&args.tokens_out, &args.save_rollouts, &args.prompts];
    let files = files.into_iter().flatten().map(PathBuf::as_path).chain([history]);
    let mut files: Vec<PathBuf> = files.map(absolute).collect();
    files.sort();
    if let Some(twice) = files.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(anyhow!("{} is given for two different files", twice[0].display()))
            .hint("give every output a different name, and not that of --prompts");
    }
    // Another file in a directory of dumps would be read as one, or replace one.
    let dumps = args.prompts.as_deref().filter(|path| path.is_dir()).map(absolute);
    let inside = |file: &&PathBuf| {
        dumps.as_ref().is_some_and(|dumps| *file != dumps && file.starts_with(dumps))
    };
    if let Some(output) = files.iter().find(inside) {
        return Err(anyhow!(
            "cannot write {}: it is in the directory of --prompts",
            output.display()
        ))
        .hint("write it to another directory");
    }
    Ok(())
}

/// Returns an error if the extension of an output file contradicts its format.
fn check_extension(path: Option<&Path>, extensions: &[&str], format: &str) -> Result<(), CliError> {
    let Some(path) = path else { return Ok(()) };
    let fits = path.extension().is_some_and(|extension| extensions.iter().any(|e| extension == *e));
    // Devices and pipes may have any name.
    if fits || fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(());
    }
    Err(anyhow!("cannot write {}: {format}", path.display()))
        .hint(format!("use a name that ends in .{}", extensions.join(" or .")))
}

/// The absolute path of a file, which need not exist.
fn absolute(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}
