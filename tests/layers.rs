//! The directions of the house: which room may use which, and what only some rooms may do.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// A room and the rooms it may use, besides itself.
const ROOMS: [(&str, &[&str]); 19] = [
    ("quantity", &[]),
    ("label", &[]),
    ("history", &["quantity"]),
    ("chain", &["history", "quantity"]),
    ("dump", &[]),
    ("stats", &["history", "quantity", "dump"]),
    ("input", &["history", "quantity", "dump"]),
    ("elapsed", &["history"]),
    ("export", &["history", "label"]),
    ("record", &["history", "input", "export"]),
    ("discover", &[]),
    ("output", &[]),
    ("serve", &[]),
    ("plot", &["history", "stats", "label"]),
    ("report", &["history", "stats", "label", "plot", "dump"]), // plot: how a value is written
    ("watch", &["history", "stats", "label", "plot", "input", "quantity"]),
    (
        "cli",
        &[
            "history", "stats", "label", "plot", "report", "input", "discover", "output",
            "quantity", "chain", "elapsed", "export", "record", "dump", "watch", "serve",
        ],
    ),
    ("main", &["cli"]),
    ("bin", &[]), // the helper, a program of its own
];

/// What a room may not say, unless it is one of those named.
const FORBIDDEN: [(&str, &[&str]); 9] = [
    (" println!", &["bin"]),
    ("eprint", &["cli", "bin"]),
    ("std::env", &["cli", "bin"]),
    ("process::exit", &["bin"]),
    ("fs::write", &[]),
    ("File::create", &[]),
    ("File::open", &["cli", "bin", "watch"]),
    ("clap::", &["cli"]),
    ("plotters::", &["plot"]),
];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The code of each file with its room, without tests and comments.
fn rooms() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let mut rooms = Vec::new();
    for path in found {
        let place = path.strip_prefix(&root).unwrap();
        let room =
            place.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
        if room == "lib" || place.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        rooms.push((room, place.to_owned(), code.collect::<Vec<_>>().join("\n")));
    }
    rooms
}

#[test]
fn no_import_points_against_the_house() {
    let rooms = rooms();
    assert!(rooms.len() > 25);
    for (room, place, code) in &rooms {
        let (_, allowed) = ROOMS
            .iter()
            .find(|(name, _)| name == room)
            .unwrap_or_else(|| panic!("{room} is not in the table of rooms"));
        for (name, _) in ROOMS.iter().filter(|(name, _)| name != room && !allowed.contains(name)) {
            let uses = format!("crate::{name}");
            let used = code.match_indices(&uses).any(|(at, _)| {
                !code[at + uses.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            assert!(!used, "{} uses {name}", place.display());
        }
    }
}

#[test]
fn only_the_command_line_prints_and_reads_the_environment() {
    for (room, place, code) in rooms() {
        for (word, allowed) in FORBIDDEN {
            let said = code.contains(word) && !allowed.contains(&room.as_str());
            assert!(!said, "{} says {word}", place.display());
        }
    }
}

#[test]
fn tch_is_named_by_the_helper_alone() {
    for (_, place, code) in rooms() {
        let names = |at: usize| !code[..at].ends_with(|c: char| c.is_alphanumeric()); // not `watch::`
        let says = code.match_indices("tch::").any(|(at, _)| names(at));
        assert!(!says || place.starts_with("bin"), "{}", place.display());
    }
}

/// The SIMD kernels and the boundary to libtorch: weights in files that are mapped, memory of tensors.
const UNSAFE: [&str; 4] = [
    "bin/entropy-viz-compute/checkpoint/weights.rs",
    "bin/entropy-viz-compute/entropy.rs",
    "bin/entropy-viz-compute/model/skinny/kernel.rs",
    "bin/entropy-viz-compute/torch.rs",
];

#[test]
fn unsafe_is_named_in_the_kernels_and_at_the_boundary_to_libtorch_alone() {
    let mut found = Vec::new();
    for (_, place, code) in rooms() {
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        if words.into_iter().any(|word| word == "unsafe" || word == "unsafe_code") {
            found.push(place.to_string_lossy().into_owned());
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE);
}
