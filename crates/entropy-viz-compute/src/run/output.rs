//! The files that a run writes: the history, and those of `--tokens-out` and `--save-rollouts`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::lock::{OutputLock, remove_leftovers};
use entropy_shell::output::AtomicFile;
use entropy_shell::{CliError, Terminal, WithHint, plural, real_path};

use super::evaluate::{Evaluation, first_stop};
use super::plan::{CheckpointPlan, RunInputs, Selection};
use crate::checkpoint::{self, Checkpoint};
use crate::history::{HistoryFile, RowDigests, shard_path};
use crate::response_writer::{Expected, OutputRow, ResponseFile, write_error};
use crate::row_shards::{self, MergedStep, RowShards, ShardedStep};
use crate::summary::{EntropySummary, EntropySums};
use crate::token_scores::TokenScores;

/// Whether a step must be computed.
#[derive(Debug, PartialEq)]
pub(super) enum StepState {
    /// No, all files have it.
    Computed,
    /// No, all files have it. Whether its dump has changed is unknown, because the dump is gone.
    Unverified,
    /// No, shards have all of its rows.
    Sharded(Box<MergedStep>, RowDigests),
    /// No, shards still compute its rows. Has the message.
    Unfinished(String),
    Missing,
}

/// The output files of a run.
pub(super) struct RunOutputs {
    /// See [`RunInputs::digest`].
    pub(super) inputs_digest: String,
    pub(super) history: HistoryFile,
    tokens: Option<ResponseFile>,
    rollouts: Option<ResponseFile>,
    pub(super) row_shards: RowShards,
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
        let merged =
            args.output.clone().unwrap_or_else(|| default_output(model, selection.run.as_deref()));
        check_names(args, &merged)?;
        let own = match (args.shard, inputs.share()) {
            (None, _) => merged.clone(),
            (Some(_), Some(share)) => row_shards::path(&merged, share),
            (Some(shard), None) => shard_path(&merged, shard),
        };
        let outputs = [Some(&own), args.tokens_out.as_ref(), args.save_rollouts.as_ref()];
        let locks =
            lock_outputs(inputs.terminal, &outputs.into_iter().flatten().collect::<Vec<_>>())?;
        let inputs_digest = inputs.digest(&selection.checkpoints)?;
        let history = HistoryFile::open(&merged, &inputs_digest, args.overwrite)?;
        let (history, row_shards) = match args.shard {
            Some(_) => {
                let own = HistoryFile::open(&own, &inputs_digest, args.overwrite)?;
                (own, RowShards::default())
            }
            None => (history, RowShards::find(&merged, &inputs_digest)),
        };
        let output = history.path();
        drop(AtomicFile::create(output).map_err(|error| write_error(output, &error))?);
        let chosen =
            selection.checkpoints.iter().map(|checkpoint| checkpoint.step.unwrap_or(0)).collect();
        let expected = Expected {
            inputs: &inputs_digest,
            quantities: &inputs.plan.quantities().into(),
            history: &|step| history.settings(step).map(str::to_owned),
            chosen: &chosen,
            overwrite: args.overwrite,
        };
        let open = |path: &Option<PathBuf>| -> Result<Option<ResponseFile>, CliError> {
            let Some(path) = path else { return Ok(None) };
            let (file, replaced) = ResponseFile::open(path, &expected)?;
            if let Some(message) = replaced {
                inputs.terminal.warn(&message);
            }
            Ok(Some(file))
        };
        let reading = inputs.terminal.waiting("reading the rows of earlier runs");
        let (tokens, rollouts) = (open(&args.tokens_out)?, open(&args.save_rollouts)?);
        drop(reading);
        Ok(RunOutputs { inputs_digest, history, tokens, rollouts, row_shards, _locks: locks })
    }

    fn files(&self) -> impl Iterator<Item = &ResponseFile> {
        self.tokens.iter().chain(&self.rollouts)
    }

    /// Whether all files have the rows of a step, except rollouts of which there are none.
    fn have_rows(&self, inputs: &RunInputs<'_>, step: u64, settings: &str) -> bool {
        let has = |file: &ResponseFile| file.has(step, settings);
        self.tokens.as_ref().is_none_or(has)
            && (self.rollouts.as_ref().is_none_or(has) || !inputs.prompts.may_sample())
    }

    /// Whether a checkpoint must be computed: not if all files have its step, computed with the same settings.
    ///
    /// # Errors
    /// If the history or another file has the step from another model.
    pub(super) fn state(
        &mut self,
        inputs: &RunInputs<'_>,
        checkpoint: &Checkpoint,
    ) -> Result<StepState, CliError> {
        let step = checkpoint.step.unwrap_or(0);
        let has_step = self.history.has_step(step);
        let has_rows = !inputs.args.overwrite && self.files().any(|file| file.has_any(step));
        if !has_step && !has_rows && !self.row_shards.has(step) {
            return Ok(StepState::Missing);
        }
        let has_dump =
            inputs.prompts.files(inputs.args, step).is_some_and(|files| !files.is_empty());
        if let Some(settings) = self.history.settings(step).filter(|_| has_step && !has_dump) {
            let is_complete = self.have_rows(inputs, step, settings);
            return Ok(if is_complete { StepState::Unverified } else { StepState::Missing });
        }
        // A missing dump, or a checkpoint that cannot be opened, is reported when the step is computed.
        if !has_dump {
            return Ok(StepState::Missing);
        }
        let Ok(plan) = CheckpointPlan::open(inputs, checkpoint, &self.inputs_digest) else {
            return Ok(StepState::Missing);
        };
        let settings = plan.digests.text();
        if !has_step {
            if !inputs.args.overwrite {
                self.files().try_for_each(|file| file.check(step, &settings))?;
            }
            return self.sharded_state(step, plan.digests);
        }
        let is_complete = self.history.is_computed(step, &plan.digests)?
            && self.have_rows(inputs, step, &settings);
        Ok(if is_complete { StepState::Computed } else { StepState::Missing })
    }

    /// What shards of rows have of a step that the history lacks.
    fn sharded_state(&mut self, step: u64, digests: RowDigests) -> Result<StepState, CliError> {
        match self.row_shards.merge(step, &digests) {
            ShardedStep::Nothing => Ok(StepState::Missing),
            ShardedStep::Incomplete { of, missing } => {
                let list: Vec<String> = missing.iter().map(usize::to_string).collect();
                let shards = match missing.len() {
                    1 => format!("shard {} of {of} is", list[0]),
                    _ => format!("shards {} of {of} are", list.join(", ")),
                };
                Ok(StepState::Unfinished(format!("step {step}: {shards} missing")))
            }
            ShardedStep::OtherModel => Err(anyhow!(
                "cannot merge the shards of {}: their step {step} was computed with other model files, another --dtype or another dump",
                self.history.path().display()
            ))
            .hint("give the merge the same flags as the shards, or remove their files from shards/"),
            ShardedStep::Complete(merged) => {
                let settings = digests.text();
                if let Some(file) = self.files().find(|file| !file.has(step, &settings)) {
                    return Err(anyhow!(
                        "cannot write {}: shards computed the rows of step {step}",
                        file.path().display()
                    ))
                    .hint("join the files of the shards (cat), and merge without this flag");
                }
                Ok(StepState::Sharded(Box::new(merged), digests))
            }
        }
    }

    /// Writes the row of a step that shards computed.
    pub(super) fn record_merged(
        &mut self,
        step: u64,
        summary: &EntropySummary,
        digests: &RowDigests,
    ) -> Result<(), CliError> {
        self.history.record_row(step, summary.row(), digests)
    }

    /// Writes the row of a checkpoint and its responses; returns the sums over them. Only a shard may have none.
    pub(super) fn record_row(
        &mut self,
        inputs: &RunInputs<'_>,
        step: u64,
        evaluation: &Evaluation,
    ) -> Result<EntropySums, CliError> {
        let records = &evaluation.encoded.records;
        let quantities = inputs.plan.quantities();
        let scores: Vec<&TokenScores> = records.iter().map(|record| &record.scores).collect();
        let mut sums = EntropySums::new(&quantities, &scores);
        for (name, members) in &evaluation.groups.members {
            let scores: Vec<&TokenScores> = members.iter().map(|index| scores[*index]).collect();
            sums.groups.insert(name.clone(), EntropySums::new(&quantities, &scores));
        }
        let numbers = match (inputs.share(), sums.summary()) {
            (Some(_), _) => row_shards::row(&sums, &evaluation.encoded.counts)?,
            (None, Some(summary)) => summary.row(),
            (None, None) => return Err(anyhow!("BUG: an evaluation without tokens").into()),
        };
        let settings = evaluation.digests.text();
        for file in self.tokens.iter_mut().chain(&mut self.rollouts) {
            file.begin_step(step, &settings)?;
        }
        let tokenizer = evaluation.tokenizer.as_ref();
        for record in records {
            let prompt_row = &evaluation.prompts.rows[record.row];
            let numbered = inputs.args.samples > 1;
            let (settings, quantities) = (&settings[..], &quantities[..]);
            let row = OutputRow { step, settings, prompt_row, record, quantities, numbered };
            if let Some(file) = &mut self.tokens {
                let pieces = tokenizer.map(|tokenizer| tokenizer.pieces(&record.tokens));
                file.write_tokens(&row, &pieces.unwrap_or_default())?;
            }
            if let (Some(file), Some(_)) = (&mut self.rollouts, record.sample) {
                let text = tokenizer.map(|tokenizer| tokenizer.decode(&record.tokens));
                let mut text = text.unwrap_or_default();
                if let Some(end) = first_stop(&text, &inputs.args.stop) {
                    text.truncate(end);
                }
                file.write_rollout(&row, &text)?;
            }
        }
        for file in self.tokens.iter_mut().chain(&mut self.rollouts) {
            file.end_step()?;
        }
        // Last: a row in the history always has its responses.
        self.history.record_row(step, numbers, &evaluation.digests)?;
        Ok(sums)
    }

    /// Completes the files and returns the paths of those that exist. Warns about files without rows.
    pub(super) fn finish(self, terminal: &Terminal) -> Result<Vec<PathBuf>, CliError> {
        let history = self.history;
        let mut written = Vec::from_iter((history.len() > 0).then(|| history.path().to_owned()));
        for (file, verb) in [(self.tokens, "computed"), (self.rollouts, "sampled")] {
            let Some(file) = file else { continue };
            let path = file.path().to_owned();
            match file.finish()? {
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
        directories.extend(real_path(path).parent().map(Path::to_owned));
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

/// The default path of the history: in the directory of the run, or for a single checkpoint in the current directory.
fn default_output(model: &Path, run: Option<&Path>) -> PathBuf {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let named = match run {
        Some(run) => checkpoint::run_around(&real(run)),
        None => checkpoint::run_of(model).unwrap_or_else(|| real(model)),
    };
    let stem = if named.is_file() { named.file_stem() } else { named.file_name() };
    let file = format!("entropy_history_{}.json", stem.unwrap_or_default().to_string_lossy());
    run.map_or_else(|| PathBuf::from(&file), |run| run.join(&file))
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
    let mut files: Vec<PathBuf> = files.map(real_path).collect();
    files.sort();
    if let Some(twice) = files.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(anyhow!("{} is given for two different files", twice[0].display()))
            .hint("give every output a different name, and not that of --prompts");
    }
    // Another file in a directory of dumps would be read as one, or replace one.
    let dumps = args.prompts.as_deref().filter(|path| path.is_dir()).map(real_path);
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
