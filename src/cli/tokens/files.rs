//! Which files are the dumps, and reading them.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use crate::cli::inputs;
use entropy_history::discover::{Input, Location, Origin};
use entropy_history::formats::Source;
use entropy_history::store::open_log;
use entropy_shell::output::protect_input;
use entropy_shell::{CliError, Terminal, WithHint, io_message, plural};
use entropy_tokens::{Columns, ReadError, TokenTable, have_same_responses, read};

/// Extensions of dumps in a directory, also with `.gz` or `.zst`.
const EXTENSIONS: [&str; 4] = ["jsonl", "ndjson", "json", "parquet"];
/// Stops at loops of the file system.
const MAX_LEVELS: usize = 16;

/// A file of a dump.
struct DumpFile {
    location: Location,
    /// A named file must be usable, one of a glob or a directory is skipped with a warning.
    origin: Origin,
}

/// A dump: the files whose responses belong together.
pub(super) struct DumpSource {
    name: String,
    files: Vec<DumpFile>,
    /// Warnings about files that are left out because they are others under another name.
    same: Vec<String>,
    /// Warnings about what a pattern matches and cannot be read.
    skipped: Vec<String>,
}

/// What was read.
pub(super) struct Loaded {
    pub(super) table: TokenTable,
    pub(super) warnings: Vec<String>,
    /// Number of files that were skipped.
    pub(super) skipped: usize,
}

/// What inputs without a label form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Unlabelled {
    /// One dump together.
    OneDump,
    /// A dump each, named by the argument.
    Apart,
}

/// Finds the dumps that the arguments name.
///
/// # Errors
/// When nothing has that name, or a label or a file is given twice.
pub(super) fn resolve(
    arguments: &[String],
    unlabelled: Unlabelled,
) -> Result<Vec<DumpSource>, CliError> {
    let mut sources: Vec<DumpSource> = Vec::new();
    let mut without_label: Option<usize> = None;
    for argument in arguments {
        let (label, rest) = split_label(argument);
        let (files, skipped) = files_of(rest)?;
        match (label, without_label) {
            (None, Some(at)) if unlabelled == Unlabelled::OneDump => {
                sources[at].files.extend(files);
                sources[at].skipped.extend(skipped);
                sources[at].name = "all dumps".to_owned();
            }
            (None, _) => {
                without_label = Some(sources.len());
                sources.push(DumpSource {
                    name: rest.to_owned(),
                    files,
                    same: Vec::new(),
                    skipped,
                });
            }
            (Some(label), _) => {
                if sources.iter().any(|source| source.name == label) {
                    return Err(anyhow!("the label {label:?} is given twice")).hint(
                        "give each dump a label of its own, or a quoted glob for several files",
                    );
                }
                sources.push(DumpSource {
                    name: label.to_owned(),
                    files,
                    same: Vec::new(),
                    skipped,
                });
            }
        }
    }
    let mut known: Vec<(Identity, Origin, String)> = Vec::new();
    for source in &mut sources {
        let mut failure = None;
        source.files.retain(|file| {
            let (identity, name) = (Identity::of(&file.location), file.location.name());
            let Some(first) = known.iter().find(|(other, ..)| *other == identity) else {
                known.push((identity, file.origin, name));
                return true;
            };
            // A link beside the dumps, such as `latest.jsonl`, is no mistake of the user's.
            let is_link = first.2 != name && file.origin == Origin::Scanned;
            if is_link && first.1 == Origin::Scanned {
                source.same.push(format!("left out: {name} is the same file as {}", first.2));
            } else {
                failure = failure.take().or_else(|| Some((name, first.2.clone())));
            }
            false
        });
        if let Some((name, first)) = failure {
            let what = match name == first {
                true => anyhow!("{name} is given twice"),
                false => anyhow!("{name} is the same file as {first}, which is given too"),
            };
            return Err(what).hint("its responses would count twice: name it once");
        }
    }
    Ok(sources)
}

/// What tells a file from others, whatever path leads to it.
#[derive(PartialEq)]
enum Identity {
    /// Device and number of the file.
    #[cfg(unix)]
    Inode(u64, u64),
    Path(PathBuf),
    Name(String),
}

impl Identity {
    fn of(location: &Location) -> Identity {
        let Some(path) = location.absolute() else { return Identity::Name(location.name()) };
        #[cfg(unix)]
        if let Ok(found) = fs::metadata(&path) {
            use std::os::unix::fs::MetadataExt;
            return Identity::Inode(found.dev(), found.ino());
        }
        Identity::Path(fs::canonicalize(&path).unwrap_or(path))
    }
}

/// The label of `LABEL=DUMP`, unless the whole text is a path.
fn split_label(argument: &str) -> (Option<&str>, &str) {
    match argument.split_once('=') {
        Some((label, rest)) if !label.is_empty() && !Path::new(argument).exists() => {
            (Some(label), rest)
        }
        _ => (None, argument),
    }
}

/// The files of an argument, and warnings about what it matches and cannot be read.
fn files_of(argument: &str) -> Result<(Vec<DumpFile>, Vec<String>), CliError> {
    let path = Path::new(argument);
    if path.is_dir() {
        let mut found = Vec::new();
        walk(path, 0, &mut found).map_err(|(path, error)| {
            let hint = "check that you have permission to read it".to_owned();
            let error = anyhow!("cannot read {}: {}", path.display(), io_message(&error));
            CliError { error, hint: Some(hint) }
        })?;
        if found.is_empty() {
            return Err(anyhow!(
                "cannot read tokens from {argument}: no file in it ends in .jsonl or .parquet"
            ))
            .hint("name a directory with one dump per step, or the files");
        }
        let file = |path| DumpFile { location: Location::File(path), origin: Origin::Scanned };
        return Ok((found.into_iter().map(file).collect(), Vec::new()));
    }
    let found = inputs::resolve(&[argument])?;
    if let (Some(unreadable), []) = (found.unreadable.first(), &found.files[..]) {
        return Err(anyhow!("cannot read {unreadable}"))
            .hint("check that it is a file and that you have permission to read it");
    }
    let mut skipped: Vec<String> =
        found.unreadable.iter().map(|what| format!("skipped: {what}")).collect();
    for directory in found.directories {
        let in_it = |input: &Input| {
            let file =
                |at: &Location| matches!(at, Location::File(path) if path.starts_with(&directory));
            input.segments.iter().any(file)
        };
        if !found.files.iter().any(in_it) {
            skipped
                .push(format!("skipped: {}: no file in it looks like a dump", directory.display()));
        }
    }
    let files = found.files.into_iter().flat_map(|input| {
        let origin = input.origin;
        input.segments.into_iter().map(move |location| DumpFile { location, origin })
    });
    Ok((files.collect(), skipped))
}

/// The files below a directory that may be dumps, in natural order.
fn walk(
    directory: &Path,
    level: usize,
    found: &mut Vec<PathBuf>,
) -> Result<(), (PathBuf, std::io::Error)> {
    let entries = fs::read_dir(directory).map_err(|error| (directory.to_owned(), error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| {
        !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
    });
    entropy_history::discover::sort_naturally(&mut paths);
    for path in paths {
        if path.is_dir() {
            if level < MAX_LEVELS {
                walk(&path, level + 1, found)?;
            }
        } else if is_dump_name(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_dump_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    name.rsplit_once('.').is_some_and(|(_, extension)| EXTENSIONS.contains(&extension))
}

/// Reads all dumps.
///
/// # Errors
/// When a named file cannot be used, or none of the found ones.
pub(super) fn load(
    sources: &[DumpSource],
    columns: &Columns,
    terminal: &Terminal,
) -> Result<Loaded, CliError> {
    let (mut table, mut warnings, mut skipped) = (TokenTable::default(), Vec::new(), 0);
    let total = sources.iter().map(|source| source.files.len()).sum();
    let progress = terminal.progress("reading", total);
    let mut last = None;
    for source in sources {
        table.begin(&source.name);
        warnings.extend(source.same.iter().chain(&source.skipped).cloned());
        skipped += source.skipped.len();
        let mut read: Vec<(String, Range<usize>)> = Vec::new();
        for file in &source.files {
            let first = table.responses().len();
            if let Location::File(path) = &file.location {
                protect_input(path);
            }
            match read_file(&file.location, columns, &mut table) {
                Ok(notes) => {
                    warnings.extend(notes);
                    let (name, own) = (file.location.name(), first..table.responses().len());
                    let is_twin = |(_, range): &&(String, Range<usize>)| {
                        have_same_responses(&table, range.clone(), own.clone())
                    };
                    if let Some((twin, _)) = read.iter().find(is_twin) {
                        let responses = plural(own.len(), "response", "responses");
                        warnings.push(format!(
                            "{name} has the same {responses} as {twin}, step for step and token for token: they count twice"
                        ));
                    }
                    read.push((name, own));
                }
                Err(failure) if file.origin == Origin::Named => return Err(failure),
                Err(failure) => {
                    warnings.push(format!("skipped: {:#}", failure.error));
                    skipped += 1;
                    last = Some(failure);
                }
            }
            progress.advance(1);
        }
    }
    drop(progress);
    if table.responses().is_empty()
        && let Some(failure) = last
    {
        return Err(failure);
    }
    warnings.iter().for_each(|warning| terminal.warn(warning));
    Ok(Loaded { table, warnings, skipped })
}

/// Adds the responses of a file to the table and returns notes about the file.
fn read_file(
    location: &Location,
    columns: &Columns,
    table: &mut TokenTable,
) -> Result<Vec<String>, CliError> {
    let name = location.name();
    let opened = open_log(location).map_err(|e| anyhow!("cannot read {name}: {}", io_message(&e)));
    let (mut reader, path) =
        opened.hint("check that it is a file and that you have permission to read it")?;
    let notes = read(Source { reader: &mut *reader, path }, &name, columns, table);
    let notes = notes.map_err(|error| {
        let hint = match error {
            ReadError::Io(_) => "check that it is a file and that you have permission to read it",
            ReadError::Nothing(_) => "name a dump that has responses",
            ReadError::Foreign(_) | ReadError::NoResponse { .. } => {
                "`tokens` reads dumps with token ids, such as those of `compute --tokens-out`; `compute --prompts` \
                 scores dumps of texts"
            }
            ReadError::Damaged(_) => "write the dump again, or leave it out",
        };
        let error = match error {
            ReadError::Io(e) => anyhow!("cannot read {name}: {}", io_message(&e)),
            error => anyhow!("cannot read {name} as tokens: {error}"),
        };
        CliError { error, hint: Some(hint.to_owned()) }
    })?;
    Ok(notes.iter().map(|note| format!("{name}: {note}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_without_a_label_form_one_dump() {
        let tmp = tempfile::tempdir().unwrap();
        let path = |name: &str| tmp.path().join(name).to_string_lossy().into_owned();
        for name in ["step10.jsonl", "step9.jsonl.gz", "notes.md", "=odd.jsonl"] {
            fs::write(path(name), "").unwrap();
        }
        let names = |arguments: &[String]| {
            let sources = resolve(arguments, Unlabelled::OneDump).unwrap();
            let count = |source: &DumpSource| (source.name.clone(), source.files.len());
            sources.iter().map(count).collect::<Vec<_>>()
        };
        let both = [path("step9.jsonl.gz"), path("step10.jsonl")];
        assert_eq!(names(&both), [("all dumps".to_owned(), 2)]);
        let labelled = both.clone().map(|path| format!("{}={path}", path.len()));
        assert_eq!(names(&labelled).len(), 2);
        let directory = tmp.path().to_string_lossy().into_owned();
        let resolve = |arguments: &[String]| resolve(arguments, Unlabelled::OneDump);
        let sources = resolve(std::slice::from_ref(&directory)).unwrap();
        let found: Vec<String> = sources[0].files.iter().map(|file| file.location.name()).collect();
        let found: Vec<&str> = found.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
        assert_eq!(found, ["=odd.jsonl", "step9.jsonl.gz", "step10.jsonl"]);
        assert!(resolve(&[path("step10.jsonl"), directory]).is_err(), "a file twice");
        assert!(resolve(&["a=x".to_owned()]).is_err(), "no such file");
        #[cfg(unix)]
        {
            fs::hard_link(path("step10.jsonl"), path("copy.jsonl")).unwrap();
            std::os::unix::fs::symlink(path("step10.jsonl"), path("latest.jsonl")).unwrap();
            for other in ["copy.jsonl", "latest.jsonl"] {
                let error = resolve(&[path("step10.jsonl"), path(other)]).err().unwrap();
                assert!(error.error.to_string().contains("is the same file as"), "{}", error.error);
            }
            let sources = resolve(&[tmp.path().to_string_lossy().into_owned()]).unwrap();
            assert_eq!((sources[0].files.len(), sources[0].same.len()), (3, 2));
            fs::remove_file(path("copy.jsonl")).unwrap();
            fs::remove_file(path("latest.jsonl")).unwrap();
        }
        assert!(resolve(&[format!("a={}", both[0]), format!("a={}", both[1])]).is_err());
        assert_eq!(names(&[path("=odd.jsonl")]).len(), 1);
        let apart = super::resolve(&both, Unlabelled::Apart).unwrap();
        let apart: Vec<&str> = apart.iter().map(|source| source.name.as_str()).collect();
        assert_eq!(apart, both.each_ref().map(String::as_str));
    }
}
