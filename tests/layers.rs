//! Dependency rules that crate boundaries do not enforce: which module of `entropy-history` may use which, and what
//! only some crates may do.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::root;

/// Each module of `entropy-history`, and the other modules that it may use.
const MODULES: [(&str, &[&str]); 20] = [
    ("entropy_name", &[]),
    ("quantity", &["entropy_name"]),
    ("quantity_names", &[]),
    ("quantity_runs", &["history", "quantity", "quantity_names"]),
    ("label", &["text"]),
    ("number", &[]),
    ("python_number", &[]),
    ("framing", &["python_number"]),
    ("select", &["entropy_name", "quantity"]),
    ("run_config", &[]),
    ("history", &["quantity", "run_config"]),
    ("stages", &["history", "quantity"]),
    (
        "formats",
        &[
            "history",
            "entropy_name",
            "quantity",
            "quantity_names",
            "python_number",
            "select",
            "framing",
            "label",
            "run_config",
            "text",
        ],
    ),
    ("dump", &["formats", "framing", "text"]),
    ("stats", &["history", "quantity", "number", "run_config"]),
    ("x_axis", &["history", "number"]),
    ("record", &["history", "formats"]),
    ("discover", &[]),
    ("text", &[]),
    (
        "store",
        &[
            "history",
            "quantity",
            "number",
            "text",
            "framing",
            "formats",
            "x_axis",
            "stages",
            "discover",
            "run_config",
        ],
    ),
];

/// Forbidden source text, and the directories that are exempt.
const FORBIDDEN: [(&str, &[&str]); 7] = [
    ("println!", &["crates/entropy-viz-compute"]),
    ("eprint", &["crates/entropy-viz-compute"]),
    ("std::env::", &["src/cli", "crates/entropy-shell", "crates/entropy-viz-compute"]),
    ("process::exit", &["crates/entropy-viz-compute"]),
    ("fs::write", &[]),
    (" File::create", &[]),
    ("clap::", &["src/cli", "crates/entropy-shell"]),
];

/// Files that may contain `unsafe`: SIMD kernels, the C functions, memory-mapped weights, tensor memory.
const UNSAFE: [&str; 7] = [
    "crates/entropy-kernels/src/block_sums.rs",
    "crates/entropy-kernels/src/divergence.rs",
    "crates/entropy-kernels/src/gemm/mod.rs",
    "crates/entropy-kernels/src/gemm/tile.rs",
    "crates/entropy-rows/src/c_api.rs",
    "crates/entropy-viz-compute/src/checkpoint/tensor_file.rs",
    "crates/entropy-viz-compute/src/torch.rs",
];

fn collect_rust_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect_rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Each source file: its path relative to the root, and its code without tests and comments.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut found = Vec::new();
    collect_rust_files(&root.join("src"), &mut found);
    for entry in fs::read_dir(root.join("crates")).unwrap() {
        collect_rust_files(&entry.unwrap().path().join("src"), &mut found);
    }
    assert!(found.len() > 150);
    let mut sources = Vec::new();
    for path in found {
        let place = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        if place.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = code.lines().filter(|line| !line.trim_start().starts_with("//"));
        sources.push((place, code.collect::<Vec<_>>().join("\n")));
    }
    sources
}

/// Whether the code contains the text at the start of a word: `AtomicFile::create` does not contain `File::create`.
fn contains_word(code: &str, text: &str) -> bool {
    code.match_indices(text)
        .any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_'))
}

#[test]
fn entropy_history_modules_import_only_allowed_modules() {
    for (place, code) in sources() {
        let Some(module) = place.strip_prefix("crates/entropy-history/src/") else { continue };
        let module = module.split('/').next().unwrap().trim_end_matches(".rs");
        if module == "lib" {
            continue;
        }
        let (_, allowed) = MODULES
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{module} is not in the table of modules"));
        for (name, _) in MODULES.iter().filter(|(name, _)| *name != module) {
            let uses = format!("crate::{name}");
            let used = code.match_indices(&uses).any(|(at, _)| {
                !code[at + uses.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_')
            });
            assert!(!used || allowed.contains(name), "{place} uses {name}");
        }
    }
}

#[test]
fn only_programs_print_exit_or_read_the_environment() {
    for (place, code) in sources() {
        for (word, allowed) in FORBIDDEN {
            let is_allowed = allowed.iter().any(|directory| place.starts_with(directory));
            assert!(is_allowed || !contains_word(&code, word), "{place} contains {word}");
        }
    }
}

#[test]
fn unsafe_code_is_only_in_listed_files() {
    let mut found = Vec::new();
    for (place, code) in sources() {
        let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
        if words.into_iter().any(|word| word == "unsafe" || word == "unsafe_code") {
            found.push(place);
        }
    }
    found.sort();
    assert_eq!(found, UNSAFE);
}
