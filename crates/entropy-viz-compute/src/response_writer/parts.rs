//! The directory with one file per finished step, beside the output that is assembled from them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use entropy_shell::lock::is_temporary;

use super::row_writer::RowFormat;

/// The rows of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// See [`crate::history::RowDigests::text`].
    pub(super) settings: String,
    pub(super) path: PathBuf,
}

/// The parts of an output.
#[derive(Debug)]
pub(super) struct Parts {
    output: PathBuf,
    directory: PathBuf,
    extension: &'static str,
    /// The part of each step.
    parts: BTreeMap<u64, Part>,
    /// Parts that are not used: killed processes left them beside others of their step, or before its row.
    stale: Vec<(u64, Part)>,
}

impl Parts {
    /// Finds the parts of an output, which need not exist. A part of a step of the history must have the settings of
    /// its row, which `history` returns; a part of another step must be the only one.
    ///
    /// # Errors
    /// If the directory cannot be read, or is not a directory.
    pub(super) fn find(
        output: &Path,
        format: &RowFormat,
        history: &dyn Fn(u64) -> Option<String>,
    ) -> io::Result<Parts> {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let directory = output.with_file_name(format!("{name}.parts"));
        let (parts, stale) = (BTreeMap::new(), Vec::new());
        let extension = format.extension();
        let mut all = Parts { output: output.to_owned(), directory, extension, parts, stale };
        let mut found: BTreeMap<u64, Vec<Part>> = BTreeMap::new();
        let entries = match fs::read_dir(&all.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let path = entry?.path();
            let Some((step, settings)) = parse_name(&path, extension) else { continue };
            found.entry(step).or_default().push(Part { settings, path });
        }
        for (step, mut parts) in found {
            let used = match history(step) {
                Some(settings) => parts.iter().position(|part| part.settings == settings),
                None => (parts.len() == 1).then_some(0),
            };
            all.parts.extend(used.map(|used| (step, parts.remove(used))));
            all.stale.extend(parts.into_iter().map(|part| (step, part)));
        }
        Ok(all)
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The steps with a part, sorted.
    pub(super) fn steps(&self) -> impl Iterator<Item = u64> + '_ {
        self.parts.keys().copied()
    }

    /// The part of a step.
    pub(super) fn get(&self, step: u64) -> Option<&Part> {
        self.parts.get(&step)
    }

    /// All parts on the disk with their steps, those that are not used too.
    pub(super) fn all(&self) -> impl Iterator<Item = (u64, &Part)> {
        let used = self.parts.iter().map(|(step, part)| (*step, part));
        used.chain(self.stale.iter().map(|(step, part)| (*step, part)))
    }

    /// The path of the part with these settings.
    pub(super) fn path(&self, step: u64, settings: &str) -> PathBuf {
        self.directory.join(format!("{step}-{settings}.{}", self.extension))
    }

    /// Creates the directory. That of a private output is private.
    pub(super) fn create_directory(&self) -> io::Result<()> {
        fs::create_dir_all(&self.directory)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let is_private = |file: fs::Metadata| file.permissions().mode() & 0o077 == 0;
            if fs::metadata(&self.output).is_ok_and(is_private) {
                fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o700))?;
            }
        }
        Ok(())
    }

    /// Takes in a part that is complete on the disk, and removes others of its step.
    pub(super) fn add(&mut self, step: u64, settings: &str) -> io::Result<()> {
        let part = Part { settings: settings.to_owned(), path: self.path(step, settings) };
        let replaced = self.parts.insert(step, part.clone());
        self.stale.extend(replaced.map(|replaced| (step, replaced)));
        self.remove_stale(|at, other| at == step && *other != part)?;
        self.stale.retain(|(_, other)| *other != part);
        Ok(())
    }

    /// Removes the parts of all other steps.
    pub(super) fn keep_only(&mut self, step: u64) -> io::Result<()> {
        let kept = self.parts.remove(&step);
        self.stale.extend(std::mem::take(&mut self.parts));
        self.parts.extend(kept.map(|kept| (step, kept)));
        self.remove_stale(|_, _| true)
    }

    fn remove_stale(&mut self, which: impl Fn(u64, &Part) -> bool) -> io::Result<()> {
        let (removed, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.stale)
            .into_iter()
            .partition(|(step, part)| which(*step, part));
        self.stale = kept;
        removed.iter().try_for_each(|(_, part)| remove(&part.path))
    }

    /// Removes all parts, what killed processes left unfinished, and the directory. A directory with other files stays.
    pub(super) fn remove_all(&mut self) -> io::Result<()> {
        self.stale.extend(std::mem::take(&mut self.parts));
        self.remove_stale(|_, _| true)?;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if is_temporary(&entry.file_name().to_string_lossy()) {
                remove(&entry.path())?;
            }
        }
        match fs::remove_dir(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            result => result,
        }
    }
}

/// The step and the settings in the name of a part.
fn parse_name(path: &Path, extension: &str) -> Option<(u64, String)> {
    let name = path.file_name()?.to_str()?;
    let (step, settings) = name.strip_suffix(&format!(".{extension}"))?.split_once('-')?;
    settings.contains('-').then_some(())?;
    Some((step.parse().ok()?, settings.to_owned()))
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}
