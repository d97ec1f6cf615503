//! Where the prompts of a checkpoint come from: one file for all checkpoints, or a directory with a dump per step.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use entropy_history::dump::GroupBy;
use entropy_shell::compute::{ComputeArgs, DumpStep};
use entropy_shell::{CliError, Terminal, WithHint, io_message};

use crate::prompts::{self, ArrowFolder, DumpDirectory, PromptError, PromptRow, SelectedKeys};

/// The prompts of one checkpoint.
pub(super) struct StepPrompts {
    /// The file or the directory, for messages.
    pub(super) path: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) rows: Vec<PromptRow>,
}

/// The prompts of all checkpoints.
pub(super) enum PromptSource {
    File(Arc<StepPrompts>),
    Directory(DumpDirectory),
}

impl PromptSource {
    /// Reads the file, or lists the directory.
    pub(super) fn open(
        path: &Path,
        args: &ComputeArgs,
        terminal: &Terminal,
    ) -> Result<PromptSource, CliError> {
        if !path.is_dir() {
            if args.dump_step.is_some() {
                return Err(anyhow!(
                    "--dump-step is for a directory, but {} is not one",
                    path.display()
                ))
                .hint("omit it: one file is used for every checkpoint");
            }
            return Ok(PromptSource::File(Arc::new(read(path, vec![path.to_owned()], args)?)));
        }
        let folder = prompts::find_arrow_folder(path)
            .map_err(|error| anyhow!("cannot read {}: {error}", path.display()))
            .hint(
                "a data set is saved with Dataset.save_to_disk; its folder is given as a whole",
            )?;
        if let Some(ArrowFolder { files, split, unused }) = folder {
            if args.dump_step.is_some() {
                return Err(anyhow!(
                    "--dump-step is for a directory with a dump per step, but {} is one data set",
                    path.display()
                ))
                .hint("omit it: one data set is used for every checkpoint");
            }
            if let (Some(split), false) = (split, unused.is_empty()) {
                let unused = unused.join(", ");
                terminal
                    .info(&format!("{}: using the split {split}, not {unused}", path.display()));
            }
            return Ok(PromptSource::File(Arc::new(read(path, files, args)?)));
        }
        let found = prompts::find_dumps(path)
            .map_err(|error| anyhow!("cannot read {}: {error}", path.display()))
            .hint("give a directory with one dump per step, all of one kind, or a single file")?;
        if !found.unused.is_empty() {
            let (used, unused) = (&found.pattern, found.unused.join(", "));
            terminal.info(&format!("{}: using {used}, not {unused}", path.display()));
        }
        Ok(PromptSource::Directory(found))
    }

    /// The prompts of the checkpoint of a step.
    pub(super) fn read(&self, args: &ComputeArgs, step: u64) -> Result<Arc<StepPrompts>, CliError> {
        match self {
            PromptSource::File(prompts) => Ok(Arc::clone(prompts)),
            PromptSource::Directory(directory) => {
                let files = self.files(args, step);
                let Some(files) = files.filter(|files| !files.is_empty()) else {
                    let (from, to) = (directory.steps.keys().next(), directory.steps.keys().last());
                    let (from, to) = (from.unwrap_or(&0), to.unwrap_or(&0));
                    let steps = match from == to {
                        true => format!("the only dump is of step {from}"),
                        false => format!("the dumps are of steps {from} to {to}"),
                    };
                    let hint = match args.dump_step {
                        Some(DumpStep::Previous) => {
                            "with --dump-step previous, the checkpoint of step N needs the dump of step N + 1; \
                             --dump-step same takes that of step N"
                        }
                        _ => {
                            "--steps selects checkpoints; with --dump-step previous, the checkpoint of step N takes \
                             the dump of step N + 1"
                        }
                    };
                    return Err(anyhow!(
                        "cannot read {}: there is no dump of step {}; {steps}",
                        directory.path.display(),
                        dump_step(args, step)
                    ))
                    .hint(hint);
                };
                Ok(Arc::new(read(&path_of(&files), files, args)?))
            }
        }
    }

    /// Whether a row may be without a response. Dumps of a directory are not read for this.
    pub(super) fn may_sample(&self) -> bool {
        match self {
            PromptSource::File(prompts) => prompts.rows.iter().any(|row| row.response.is_none()),
            PromptSource::Directory(_) => true,
        }
    }

    /// What the checkpoint of a step scores, for messages.
    pub(super) fn describe(&self, args: &ComputeArgs, step: u64) -> String {
        match self {
            PromptSource::File(prompts) => format!("file {}", prompts.path.display()),
            PromptSource::Directory(directory) => {
                format!("dump of step {} in {}", dump_step(args, step), directory.path.display())
            }
        }
    }

    /// The file or directory that the checkpoint of a step scores, for messages.
    pub(super) fn path(&self, args: &ComputeArgs, step: u64) -> PathBuf {
        match self {
            PromptSource::File(prompts) => prompts.path.clone(),
            PromptSource::Directory(directory) => {
                self.files(args, step).map_or(directory.path.clone(), |files| path_of(&files))
            }
        }
    }

    /// The prompts of all checkpoints, or those of the first step of a directory.
    pub(super) fn first(&self, args: &ComputeArgs) -> Result<Arc<StepPrompts>, CliError> {
        match self {
            PromptSource::File(prompts) => Ok(Arc::clone(prompts)),
            PromptSource::Directory(directory) => {
                let files = directory.steps.values().find(|files| !files.is_empty());
                Ok(Arc::new(read(&directory.path, files.cloned().unwrap_or_default(), args)?))
            }
        }
    }

    /// The files of the checkpoint of a step; `None` if the directory lacks it.
    pub(super) fn files(&self, args: &ComputeArgs, step: u64) -> Option<Vec<PathBuf>> {
        match self {
            PromptSource::File(prompts) => Some(prompts.files.clone()),
            PromptSource::Directory(directory) => {
                directory.steps.get(&dump_step(args, step)).cloned()
            }
        }
    }
}

/// The step of the dump that the checkpoint of a step scores.
fn dump_step(args: &ComputeArgs, step: u64) -> u64 {
    match args.dump_step.unwrap_or(DumpStep::Same) {
        DumpStep::Same => step,
        // The dump names the step that trains on it, after the checkpoint that sampled it.
        DumpStep::Previous => step.saturating_add(1),
    }
}

fn path_of(files: &[PathBuf]) -> PathBuf {
    match files {
        [file] => file.clone(),
        files => common_directory(files),
    }
}

fn common_directory(files: &[PathBuf]) -> PathBuf {
    let first = files.first().and_then(|file| file.parent()).unwrap_or(Path::new(""));
    let holds_all = |directory: &&Path| files.iter().all(|file| file.starts_with(directory));
    first.ancestors().find(holds_all).unwrap_or(first).to_owned()
}

fn read(path: &Path, files: Vec<PathBuf>, args: &ComputeArgs) -> Result<StepPrompts, CliError> {
    let groups: Vec<&str> = args.by.iter().map(GroupBy::column).collect();
    let selected = SelectedKeys {
        groups: &groups,
        prompt: args.prompt_key.as_deref(),
        response: args.response_key.as_deref(),
        others: args.tokens_out.is_some(),
    };
    let mut rows = Vec::new();
    for file in &files {
        let inside = file.strip_prefix(path).ok().filter(|inside| *inside != Path::new(""));
        // Ids go on from file to file, so that those of one step differ.
        let of_file = read_file(file, selected, rows.len())?;
        rows.extend(of_file.into_iter().map(|row| match inside {
            Some(inside) => {
                PromptRow { place: format!("{}, {}", inside.display(), row.place), ..row }
            }
            None => row,
        }));
    }
    check_temperatures(path, &rows, args)?;
    Ok(StepPrompts { path: path.to_owned(), files, rows })
}

/// Several temperatures are computed for given responses only: a response is sampled at one.
fn check_temperatures(path: &Path, rows: &[PromptRow], args: &ComputeArgs) -> Result<(), CliError> {
    let sampled = rows.iter().find(|row| row.response.is_none());
    let (Some(row), false) = (sampled, args.temperature.others.is_empty()) else { return Ok(()) };
    Err(anyhow!(
        "cannot use several temperatures with {}: {} has no response, and a response is sampled at one temperature",
        path.display(),
        row.place
    ))
    .hint(
        "give --temperature one number and keep the responses with --save-rollouts; then score that file at several",
    )
}

fn read_file(
    path: &Path,
    selected: SelectedKeys<'_>,
    first: usize,
) -> Result<Vec<PromptRow>, CliError> {
    let is_special = fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    if is_special || path.as_os_str() == "-" {
        return Err(anyhow!(
            "cannot read {}: prompts are read several times, which requires a regular file",
            path.display()
        ))
        .hint("save them to a file first");
    }
    prompts::read(path, selected, first).map_err(|error| {
        let hint = error.hint();
        let reason = match error {
            PromptError::Io(error) => io_message(&error),
            other => other.to_string(),
        };
        CliError { error: anyhow!("cannot read {}: {reason}", path.display()), hint }
    })
}
