//! Where the path of an output leads: outputs are written through symbolic links, also to files that do not exist yet.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The directory of a file; `.` for a name alone.
pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Follows symbolic links to the file to write, which need not exist yet.
///
/// # Errors
/// If there are too many links, as in a circle.
pub(crate) fn follow_links(path: &Path) -> io::Result<PathBuf> {
    const MAX_LINKS: usize = 40; // the limit of Linux
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Ok(target) = fs::read_link(&path) else { return Ok(path) };
        path = directory_of(&path).join(target);
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// The absolute path of the file that a path leads to, which need not exist: the same for all names of an output. A
/// path that leads nowhere is only made absolute.
pub fn real_path(path: &Path) -> PathBuf {
    let path = follow_links(path).unwrap_or_else(|_| path.to_owned());
    if let Ok(path) = fs::canonicalize(&path) {
        return path;
    }
    match (fs::canonicalize(directory_of(&path)), path.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => std::path::absolute(&path).unwrap_or(path),
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_to_a_missing_file_have_its_path() {
        let tmp = tempfile::tempdir().unwrap();
        let at = |name: &str| tmp.path().join(name);
        fs::create_dir(at("there")).unwrap();
        symlink("there/new.json", at("a")).unwrap();
        symlink("a", at("b")).unwrap();
        symlink("there", at("elsewhere")).unwrap();
        let real = real_path(&at("there/new.json"));
        assert!(real.ends_with("there/new.json"));
        for name in ["a", "b", "elsewhere/new.json", "there/../there/new.json"] {
            assert_eq!(real_path(&at(name)), real, "{name}");
        }
        assert_eq!(real_path(&at("missing/new.json")), at("missing/new.json"));
    }
}
