//! Checkpoints of Megatron that cannot be read, because they are not complete or of another form than `torch_dist`. The
//! error names the tool of the trainer that converts them.
//!
//! ```text
//! global_step_40/actor/model/dist_ckpt/    verl with Megatron; before, actor/dist_ckpt/
//! iter_0000012/{common.pt, *.distcp}       slime, miles and Megatron-LM itself
//! ```

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::CliError;

use super::config::read_json;

const INCOMPLETE: &str = "no .metadata: the save or the copy is not complete";

/// For a path without a checkpoint that can be used: if it has one of Megatron's, an error that says how to convert it.
pub(super) fn explain(path: &Path) -> Option<CliError> {
    let place = |directory: &Path, reason: &str, hint: String| CliError {
        error: anyhow!(
            "cannot use {} as a model: it has Megatron's sharded weights, but {reason}",
            directory.display()
        ),
        hint: Some(hint),
    };
    if let Some(actor) = verl_actor(path) {
        let shown = actor.display();
        return Some(place(
            &actor,
            INCOMPLETE,
            format!(
                "python3 -m verl.model_merger merge --backend megatron --local_dir {shown} --target_dir \
                 {shown}/huggingface (with --tie-word-embedding if config.json has tie_word_embeddings)"
            ),
        ));
    }
    if let Some(iteration) = iteration(path) {
        let shown = iteration.display();
        let other_form = backend(&iteration).filter(|backend| backend != "torch_dist");
        let reason = match &other_form {
            Some(backend) => format!("in the form {backend:?}; torch_dist is supported"),
            None => INCOMPLETE.to_owned(),
        };
        return Some(place(
            &iteration,
            &reason,
            format!(
                "in slime: python3 tools/convert_torch_dist_to_hf.py --input-dir {shown} --output-dir {shown}-hf \
                 --origin-hf-dir MODEL; or train with --save-hf"
            ),
        ));
    }
    None
}

/// The form of the weights, by `metadata.json`.
fn backend(iteration: &Path) -> Option<String> {
    let metadata = read_json(&iteration.join("metadata.json")).ok()?;
    metadata.get("sharded_backend")?.as_str().map(str::to_owned)
}

/// The directory of verl's actor that the merger takes, at or around a path.
fn verl_actor(path: &Path) -> Option<PathBuf> {
    let around =
        [Some(path.join("actor")), Some(path.to_owned()), path.parent().map(Path::to_owned)];
    around.into_iter().flatten().find(|directory| {
        let has = |inner: &str| directory.join(inner).is_dir();
        has("model/dist_ckpt") || has("dist_ckpt")
    })
}

/// Megatron's own directory of one iteration: the path, or the last one in it.
fn iteration(path: &Path) -> Option<PathBuf> {
    let is_iteration = |directory: &Path| {
        directory.join("common.pt").is_file() && directory.join("metadata.json").is_file()
    };
    if is_iteration(path) {
        return Some(path.to_owned());
    }
    let entries = std::fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let is_named = |path: &Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("iter_"))
    };
    entries.filter(|directory| is_named(directory) && is_iteration(directory)).max()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hint(path: &Path) -> Option<String> {
        explain(path)?.hint
    }

    #[test]
    fn verl_gets_the_megatron_backend_of_its_merger() {
        for place in ["model/dist_ckpt", "dist_ckpt"] {
            let tmp = tempfile::tempdir().unwrap();
            let actor = tmp.path().join("global_step_40/actor");
            fs::create_dir_all(actor.join(place)).unwrap();
            fs::create_dir(actor.join("huggingface")).unwrap();
            let shown = actor.display();
            let command = format!(
                "python3 -m verl.model_merger merge --backend megatron --local_dir {shown} --target_dir {shown}/huggingface"
            );
            for path in [actor.parent().unwrap(), &actor, &actor.join("huggingface")] {
                assert!(hint(path).unwrap().starts_with(&command), "{}", path.display());
            }
        }
    }

    #[test]
    fn iterations_of_slime_get_its_converter() {
        let tmp = tempfile::tempdir().unwrap();
        for step in ["iter_0000004", "iter_0000012"] {
            fs::create_dir(tmp.path().join(step)).unwrap();
            fs::write(tmp.path().join(step).join("common.pt"), "").unwrap();
            fs::write(tmp.path().join(step).join("metadata.json"), "{}").unwrap();
        }
        let last = tmp.path().join("iter_0000012");
        for path in [tmp.path(), &last] {
            let words = format!("convert_torch_dist_to_hf.py --input-dir {}", last.display());
            assert!(hint(path).unwrap().contains(&words));
        }
        assert_eq!(hint(&tmp.path().join("elsewhere")), None);
    }
}
