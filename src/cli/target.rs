//! Where output goes: a file or stdout.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use anyhow::anyhow;

use entropy_history::label::visible;
use entropy_shell::output::write_atomically;
use entropy_shell::{CliError, Terminal, WithHint, io_message};

/// A file to be written, or stdout.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Target {
    Stdout,
    File(PathBuf),
}

impl Target {
    /// The target that a path on the command line names. `-` and the device files of stdout are stdout:
    /// otherwise the path of a picture would be printed after the picture itself.
    pub(super) fn new(path: &Path) -> Target {
        let stdout = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
        match stdout.iter().any(|name| path == Path::new(name)) {
            true => Target::Stdout,
            false => Target::File(path.to_owned()),
        }
    }

    /// Writes bytes and prints the path of the file to stdout.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write(&self, bytes: &[u8], terminal: &Terminal) -> Result<(), CliError> {
        self.write_silently(bytes, terminal)?;
        match self {
            Target::Stdout => Ok(()),
            Target::File(path) => terminal.print(format!("{}\n", path.display()).as_bytes()),
        }
    }

    /// Writes bytes and prints the path of the file to stderr, because a document is printed to stdout.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write_beside_document(
        &self,
        bytes: &[u8],
        terminal: &Terminal,
    ) -> Result<(), CliError> {
        self.write_silently(bytes, terminal)?;
        if let Target::File(path) = self {
            terminal.info(&path.display().to_string());
        }
        Ok(())
    }

    /// Writes bytes without printing where.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write_silently(&self, bytes: &[u8], terminal: &Terminal) -> Result<(), CliError> {
        match self {
            Target::Stdout if io::stdout().is_terminal() => terminal.print(&for_terminal(bytes)?),
            Target::Stdout => terminal.print(bytes),
            Target::File(path) => {
                write_atomically(path, bytes).map_err(|error| cannot_write(path, &error))
            }
        }
    }
}

/// A document that is safe to print in a terminal: control characters are escaped.
///
/// # Errors
/// When it is not text.
fn for_terminal(bytes: &[u8]) -> Result<Vec<u8>, CliError> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(anyhow!("binary data is not written to a terminal"))
            .hint("name a file with -o, or pipe the output to a program");
    };
    let lines = text.split_inclusive('\n').map(|line| match line.strip_suffix('\n') {
        Some(line) => format!("{}\n", visible(line)),
        None => visible(line).into_owned(),
    });
    Ok(lines.collect::<String>().into_bytes())
}

/// The error of a file that could not be written.
pub(super) fn cannot_write(path: &Path, error: &io::Error) -> CliError {
    let hint = match error.kind() {
        io::ErrorKind::Other => "name another file with -o",
        _ => "check the directory, its permissions and the free space",
    };
    let hint = hint.to_owned();
    let error = anyhow!("cannot write {}: {}", path.display(), io_message(error));
    CliError { error, hint: Some(hint) }
}
