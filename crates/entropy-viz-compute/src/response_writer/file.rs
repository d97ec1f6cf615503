//! An output file with rows of many steps: which of its rows may be kept, its parts, and how it is assembled.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::anyhow;
use entropy_shell::output::AtomicFile;
use entropy_shell::{CliError, WithHint, io_message, real_path};

use super::assembly::{Assembly, index, stored_error};
use super::output_row::OutputRow;
use super::parts::Parts;
use super::row_writer::{RowFormat, RowWriter};
use super::stored::{StoredError, StoredRows, StoredSettings, StoredStep};
use super::write_error;
use crate::score_plan::Quantity;

/// The rows that may be in an existing file.
pub(crate) struct Expected<'a> {
    /// The digest of prompts and flags.
    pub(crate) inputs: &'a str,
    /// The numbers of each token.
    pub(crate) quantities: &'a Arc<[Quantity]>,
    /// The settings of a step in the history.
    pub(crate) history: &'a dyn Fn(u64) -> Option<String>,
    /// The steps to compute.
    pub(crate) chosen: &'a BTreeSet<u64>,
    /// Whether other rows are replaced.
    pub(crate) overwrite: bool,
}

/// A file of `--tokens-out` or `--save-rollouts`.
pub(crate) struct ResponseFile {
    path: PathBuf,
    target: Target,
}

enum Target {
    Assembled(Box<AssembledFile>),
    /// A device or a pipe gets the rows of each step when it is done. It keeps none.
    Stream(Option<RowWriter>),
}

/// A regular file.
struct AssembledFile {
    /// The file behind symbolic links.
    path: PathBuf,
    format: RowFormat,
    /// The rows of the file from earlier runs; `None` if it does not exist.
    stored: Option<StoredRows>,
    parts: Parts,
    /// The part that is being written.
    open: Option<OpenPart>,
    /// Whether all rows so far are of other settings, to be dropped when the first step is done.
    replaces_all: bool,
}

struct OpenPart {
    step: u64,
    settings: String,
    path: PathBuf,
    writer: RowWriter,
}

const OTHER_FILE_HINT: &str = "write to another file, or replace it with --overwrite";

impl ResponseFile {
    /// Opens an output, as Parquet if the extension says so, and finds the rows that it has. Also returns a message
    /// if all of its rows will be replaced.
    ///
    /// # Errors
    /// If it cannot be written, or has rows that must not be changed.
    pub(crate) fn open(
        path: &Path,
        expected: &Expected<'_>,
    ) -> Result<(ResponseFile, Option<String>), CliError> {
        let failed = |error: io::Error| write_error(path, &error);
        let format = RowFormat::of(path, expected.quantities);
        let test = AtomicFile::create(path).map_err(failed)?;
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            let writer = RowWriter::new(&format, test).map_err(failed)?;
            let target = Target::Stream(Some(writer));
            return Ok((ResponseFile { path: path.to_owned(), target }, None));
        }
        drop(test);
        let real = real_path(path);
        let parts = Parts::find(&real, &format, expected.history).map_err(failed)?;
        let (stored, foreign) = match index(&real, &format) {
            Ok(stored) => (stored, None),
            Err(StoredError::Io(error)) => {
                let reason = io_message(&error);
                return Err(anyhow!("cannot read {}: {reason}", path.display()).into());
            }
            Err(StoredError::Foreign(what)) => (None, Some(what)),
        };
        let file =
            AssembledFile { path: real, format, stored, parts, open: None, replaces_all: false };
        let problem = foreign.or_else(|| file.problem(expected));
        let replaces_all = problem.is_some();
        let replaced = match problem {
            None => None,
            Some(what) if expected.overwrite => {
                Some(format!("{}: replacing all of its rows, because {what}", path.display()))
            }
            Some(what) => {
                return Err(anyhow!("cannot add to {}: {what}", path.display()))
                    .hint(OTHER_FILE_HINT);
            }
        };
        let target = Target::Assembled(Box::new(AssembledFile { replaces_all, ..file }));
        Ok((ResponseFile { path: path.to_owned(), target }, replaced))
    }

    /// The path of the file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether there are rows of the step with these settings.
    pub(crate) fn has(&self, step: u64, settings: &str) -> bool {
        match &self.target {
            Target::Assembled(file) => file.has(step, settings),
            Target::Stream(_) => false,
        }
    }

    /// Whether there are rows of the step with any settings.
    pub(crate) fn has_any(&self, step: u64) -> bool {
        match &self.target {
            Target::Assembled(file) => file.has_any(step),
            Target::Stream(_) => false,
        }
    }

    /// Checks the rows of a step that the history does not have: they must be of these settings.
    ///
    /// # Errors
    /// If they were computed with another model. They are not replaced without the user's consent.
    pub(crate) fn check(&self, step: u64, settings: &str) -> Result<(), CliError> {
        let Target::Assembled(file) = &self.target else { return Ok(()) };
        if file.replaces_all || file.has(step, settings) || !file.has_known(step) {
            return Ok(());
        }
        let what = of_other_model(step);
        Err(anyhow!("cannot add to {}: {what}", self.path.display())).hint(OTHER_FILE_HINT)
    }

    /// Begins the rows of a step.
    pub(crate) fn begin_step(&mut self, step: u64, settings: &str) -> Result<(), CliError> {
        match &mut self.target {
            Target::Assembled(file) => file.begin_step(step, settings),
            Target::Stream(_) => Ok(()),
        }
    }

    /// Writes a row of `--tokens-out`; `pieces` are the texts of the tokens.
    pub(crate) fn write_tokens(
        &mut self,
        row: &OutputRow<'_>,
        pieces: &[String],
    ) -> Result<(), CliError> {
        self.write(|writer| writer.write_tokens(row, pieces))
    }

    /// Writes a row of `--save-rollouts`; `text` is that of the response.
    pub(crate) fn write_rollout(
        &mut self,
        row: &OutputRow<'_>,
        text: &str,
    ) -> Result<(), CliError> {
        self.write(|writer| writer.write_rollout(row, text))
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut RowWriter) -> io::Result<()>,
    ) -> Result<(), CliError> {
        let (writer, path) = match &mut self.target {
            Target::Assembled(file) => match &mut file.open {
                Some(part) => (&mut part.writer, &part.path),
                None => return Err(anyhow!("BUG: a row outside of a step").into()),
            },
            Target::Stream(Some(writer)) => (writer, &self.path),
            Target::Stream(None) => return Err(anyhow!("BUG: a row after the end").into()),
        };
        write(writer).map_err(|error| part_error(path, &error))
    }

    /// Completes the rows of a step. They survive whatever happens to this process.
    pub(crate) fn end_step(&mut self) -> Result<(), CliError> {
        match &mut self.target {
            Target::Assembled(file) => file.end_step(),
            Target::Stream(writer) => {
                let flushed = writer.as_mut().map_or(Ok(()), RowWriter::flush);
                flushed.map_err(|error| write_error(&self.path, &error))
            }
        }
    }

    /// Assembles the file and returns its path, or `None` if it has no row and did not exist. Without parts, an
    /// existing file is not changed.
    pub(crate) fn finish(self) -> Result<Option<PathBuf>, CliError> {
        let failed = |error: io::Error| write_error(&self.path, &error);
        match self.target {
            Target::Assembled(mut file) => {
                file.assemble().map_err(failed).hint(format!(
                    "the rows are kept in {}; run the command again to complete the file",
                    file.parts.directory().display()
                ))?;
                Ok(Some(self.path).filter(|path| path.exists()))
            }
            Target::Stream(writer) => {
                if let Some(writer) = writer {
                    writer.finish().and_then(AtomicFile::commit).map_err(failed)?;
                }
                Ok(Some(self.path))
            }
        }
    }
}

impl AssembledFile {
    fn stored_step(&self, step: u64) -> Option<&StoredStep> {
        self.stored.as_ref()?.steps.get(&step).filter(|_| !self.replaces_all)
    }

    fn has(&self, step: u64, settings: &str) -> bool {
        if self.replaces_all {
            return false;
        }
        let is_stored = || match self.stored_step(step).map(|stored| &stored.settings) {
            Some(StoredSettings::One(theirs)) => theirs == settings,
            _ => false,
        };
        self.part_has(step, settings) || is_stored()
    }

    fn part_has(&self, step: u64, settings: &str) -> bool {
        self.parts.get(step).is_some_and(|part| part.settings == settings)
    }

    fn has_any(&self, step: u64) -> bool {
        self.stored_step(step).is_some() || self.parts.get(step).is_some()
    }

    /// Whether there are rows of the step, and their settings are known.
    fn has_known(&self, step: u64) -> bool {
        let is_known = |stored: &StoredStep| stored.settings != StoredSettings::Unknown;
        self.stored_step(step).is_some_and(is_known) || self.parts.get(step).is_some()
    }

    /// Why rows of the existing file or of parts cannot stay beside those of this run.
    fn problem(&self, expected: &Expected<'_>) -> Option<String> {
        let of_inputs = |settings: &str| {
            settings.split_once('-').is_some_and(|(inputs, _)| inputs == expected.inputs)
        };
        let is_replaced = |step: u64| expected.overwrite && expected.chosen.contains(&step);
        for (step, part) in self.parts.all() {
            if !of_inputs(&part.settings) {
                let parts = self.parts.directory().display();
                return Some(format!(
                    "{parts} has rows that were computed with other prompts or flags"
                ));
            }
            if self.parts.get(step).is_none() && !is_replaced(step) {
                return Some(of_other_model(step));
            }
        }
        for (&step, stored) in self.stored.iter().flat_map(|stored| &stored.steps) {
            let of_history = (expected.history)(step);
            if of_history.as_ref().is_some_and(|settings| self.part_has(step, settings)) {
                continue; // the part replaces them
            }
            match &stored.settings {
                StoredSettings::Unknown if expected.chosen.contains(&step) => {} // computed again
                StoredSettings::Unknown => {
                    return Some(format!("its rows of step {step} are of an earlier version"));
                }
                StoredSettings::Several => {
                    return Some(format!("its rows of step {step} have different settings"));
                }
                StoredSettings::One(settings) if !of_inputs(settings) => {
                    return Some("its rows were computed with other prompts or flags".to_owned());
                }
                StoredSettings::One(settings) => {
                    let fits = of_history.is_none_or(|of_history| of_history == *settings);
                    if !fits && !is_replaced(step) {
                        return Some(of_other_model(step));
                    }
                }
            }
        }
        None
    }

    fn begin_step(&mut self, step: u64, settings: &str) -> Result<(), CliError> {
        let path = self.parts.path(step, settings);
        let create = || {
            self.parts.create_directory()?;
            RowWriter::new(&self.format, AtomicFile::create(&path)?)
        };
        let writer = create().map_err(|error| part_error(&path, &error))?;
        self.open = Some(OpenPart { step, settings: settings.to_owned(), path, writer });
        Ok(())
    }

    fn end_step(&mut self) -> Result<(), CliError> {
        let Some(OpenPart { step, settings, path, writer }) = self.open.take() else {
            return Err(anyhow!("BUG: the end of no step").into());
        };
        let complete = || -> io::Result<()> {
            writer.finish()?.commit_durably()?;
            self.parts.add(step, &settings)?;
            if std::mem::take(&mut self.replaces_all) {
                // As in the history: nothing of other settings stays beside the first new step.
                self.stored = None;
                self.parts.keep_only(step)?;
                match fs::remove_file(&self.path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            Ok(())
        };
        complete().map_err(|error| part_error(&path, &error))
    }

    /// Writes the file from its parts and what it had before, sorted by step, and removes the parts.
    fn assemble(&mut self) -> io::Result<()> {
        // Rows of other settings, of which none was replaced.
        if self.replaces_all || self.parts.steps().next().is_none() {
            return Ok(());
        }
        let steps: BTreeSet<u64> = self
            .parts
            .steps()
            .chain(self.stored.iter().flat_map(|stored| stored.steps.keys().copied()))
            .collect();
        let mut assembly = Assembly::new(&self.format, AtomicFile::create(&self.path)?)?;
        for step in steps {
            match (self.parts.get(step), &self.stored) {
                (Some(part), _) => {
                    if let Some(rows) = index(&part.path, &self.format).map_err(stored_error)? {
                        assembly.copy(&rows, step)?;
                    }
                }
                (None, Some(stored)) => assembly.copy(stored, step)?,
                (None, None) => {}
            }
        }
        if assembly.steps > 0 || self.stored.is_some() {
            assembly.finish()?.commit_durably()?;
        }
        self.stored = None;
        self.parts.remove_all()
    }
}

fn of_other_model(step: u64) -> String {
    format!(
        "its rows of step {step} were computed with other model files, another --dtype, another dump or as another shard"
    )
}

/// The error of a part that cannot be written.
fn part_error(path: &Path, error: &io::Error) -> CliError {
    let hint = "finished steps are kept; run the command again to continue after them";
    CliError { hint: Some(hint.to_owned()), ..write_error(path, error) }
}
