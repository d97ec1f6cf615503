//! Finds the steps of a run, wherever the trainer put them.
//!
//! ```text
//! run/global_step_40/actor/…                                    verl and its forks
//! run/checkpoints/step_40/trainer   run/broadcasts/step_40      prime-rl: two forms of one step
//! ckpt/_actor/global_step40         ckpt/global_step40_hf       OpenRLHF, likewise
//! output/v0-20260101-120000/checkpoint-40                       ms-swift: one run in another directory
//! checkpoints/USER/EXPERIMENT/TRIAL/default/epoch…globalstep40  AReaL
//! ```
//!
//! Directories with one of the names in [`PARTS`] belong to the run around them. A step that is in several of them is
//! used in one form. Any other directory with steps is a run of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::{CliError, WithHint};

use super::step_name::{number_named, step_named};
use super::{Checkpoint, CheckpointKind, entries, single};

/// Directories of a run that hold its steps, the preferred ones first: weights in the format of transformers before the
/// trainer's own state.
const PARTS: [&str; 14] = [
    "weights",
    "broadcasts",
    "hf",
    "exports",
    "hf_exports",
    "checkpoints",
    "ckpts",
    "ckpt",
    "checkpoints_ppo_ray", // OpenRLHF's default
    "policy",
    "actor",
    "_actor",
    "actor_train", // ROLL numbers the workers: actor_train-0
    "default",
];

/// Other models of a run, which are not the policy.
const OTHER_MODELS: [&str; 6] = ["critic", "_critic", "ref", "reference", "reward", "value"];

/// Levels below a path that are searched: AReaL needs five.
const MAX_DEPTH: usize = 6;
/// Directories that are listed in one search.
const MAX_DIRECTORIES: usize = 20_000;

/// A run: a directory and what is known of each of its steps.
#[derive(Debug)]
pub(super) struct RunLayout {
    pub(super) directory: PathBuf,
    /// Sorted by step. The error says why a step cannot be used.
    pub(super) steps: Vec<(u64, Result<Checkpoint, CliError>)>,
    /// Checkpoints of a step that is used in another form.
    pub(super) other_forms: Vec<PathBuf>,
}

/// Finds the run in a directory: `None` if no directory in it is named by a step.
///
/// # Errors
/// If there are several runs.
pub(super) fn find(path: &Path) -> Result<Option<RunLayout>, CliError> {
    if step_named(path).is_some() {
        return Ok(None);
    }
    let mut search = Search::default();
    let own = search.steps_of_run(path, MAX_DEPTH)?;
    if has_checkpoint(&own) || path.join("config.json").is_file() {
        return layout(path, own);
    }
    let mut runs = search.runs_below(path, MAX_DEPTH, &mut Visited::new())?;
    if runs.len() > 1 {
        let shown: Vec<String> = runs
            .iter()
            .map(|(run, _)| run.strip_prefix(path).unwrap_or(run).display().to_string())
            .collect();
        let more = shown.len().saturating_sub(5);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let first = shown[..shown.len().min(5)].join(", ");
        return Err(anyhow!(
            "cannot use {} as a model: it contains {} runs: {first}{more}",
            path.display(),
            shown.len()
        ))
        .hint("give one of them as --model");
    }
    match runs.pop() {
        Some((run, steps)) => layout(&run, steps),
        None => layout(path, own),
    }
}

/// The directory of the run around a checkpoint, if its path has a step.
pub(crate) fn run_of(path: &Path) -> Option<PathBuf> {
    let path = fs::canonicalize(path).ok()?;
    let mut step = path.ancestors().take(STEP_DEPTH).find(|path| step_named(path).is_some())?;
    // DeepSpeed's checkpoint-40/global_step40.
    while let Some(outer) = step.parent().filter(|outer| step_named(outer) == step_named(step)) {
        step = outer;
    }
    step.parent().map(run_around)
}

/// The run that a directory is a part of, else the directory itself.
pub(crate) fn run_around(directory: &Path) -> PathBuf {
    let mut run = directory;
    while let Some(parent) = run.parent().filter(|_| part_rank(run).is_some()) {
        run = parent;
    }
    run.to_owned()
}

/// A directory with a config.json in the run around a checkpoint: that of the last step that has one, or the run's own.
pub(super) fn directory_with_config(checkpoint: &Path) -> Option<PathBuf> {
    let run = run_of(checkpoint)?;
    let steps = Search::default().steps_of_run(&run, MAX_DEPTH).ok()?;
    let with_config = |form: &Form| {
        let checkpoint = form.checkpoint.as_ref()?.as_ref().ok()?;
        checkpoint.path.join("config.json").is_file().then(|| checkpoint.path.clone())
    };
    let of_step = steps.values().rev().flatten().find_map(with_config);
    of_step.or_else(|| run.join("config.json").is_file().then_some(run))
}

/// A path has its step in one of its last components: `global_step_40/actor/huggingface/lora_adapter`.
const STEP_DEPTH: usize = 4;

/// The step of a path: `global_step_40/actor/huggingface`, `checkpoint-40`.
pub(super) fn step_of(path: &Path) -> Option<u64> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors().take(STEP_DEPTH).find_map(step_named)
}

/// The directory of a step, and the checkpoint in it: `None` if there is nothing like one.
struct Form {
    directory: PathBuf,
    /// The index of its place in [`PARTS`], 0 for the run's own directory.
    place: usize,
    checkpoint: Option<Result<Checkpoint, CliError>>,
}

type Steps = BTreeMap<u64, Vec<Form>>;

fn has_checkpoint(steps: &Steps) -> bool {
    steps.values().flatten().any(|form| form.checkpoint.is_some())
}

/// The order in which the parts of a run are preferred; `None` for other directories.
fn part_rank(directory: &Path) -> Option<usize> {
    let name = directory.file_name()?.to_str()?;
    let worker = name.rsplit_once('-').filter(|(_, number)| number.parse::<u32>().is_ok());
    let name = worker.map_or(name, |(name, _)| name);
    PARTS.iter().position(|part| name == *part).map(|index| index + 1)
}

/// Whether a directory has steps of its own.
fn has_steps(directory: &Path) -> Result<bool, CliError> {
    Ok(entries(directory)?.iter().any(|path| step_named(path).is_some() && path.is_dir()))
}

fn is_other_model(directory: &Path) -> bool {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let name = name.split('-').next().unwrap_or_default();
    OTHER_MODELS.contains(&name)
}

/// Real paths, so that a symbolic link to a directory that was searched adds nothing.
type Visited = BTreeSet<PathBuf>;

#[derive(Default)]
struct Search {
    /// Number of directories that were listed.
    listed: usize,
}

impl Search {
    /// The directories in a directory, sorted; none if it was visited before.
    fn directories(
        &mut self,
        directory: &Path,
        visited: &mut Visited,
    ) -> Result<Vec<PathBuf>, CliError> {
        let Ok(real) = fs::canonicalize(directory) else { return Ok(Vec::new()) };
        if !visited.insert(real) {
            return Ok(Vec::new());
        }
        self.listed += 1;
        if self.listed > MAX_DIRECTORIES {
            return Err(anyhow!(
                "cannot search {}: more than {MAX_DIRECTORIES} directories",
                directory.display()
            ))
            .hint("give the directory of the run as --model");
        }
        let mut directories = entries(directory)?;
        directories.retain(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with('.') && path.is_dir()
        });
        Ok(directories)
    }

    /// The steps in a directory and in the parts below it.
    fn steps_of_run(&mut self, directory: &Path, depth: usize) -> Result<Steps, CliError> {
        let mut steps = Steps::new();
        self.add_steps(directory, 0, depth, &mut steps, &mut Visited::new())?;
        Ok(steps)
    }

    fn add_steps(
        &mut self,
        directory: &Path,
        place: usize,
        depth: usize,
        steps: &mut Steps,
        visited: &mut Visited,
    ) -> Result<(), CliError> {
        for path in self.directories(directory, visited)? {
            if let Some(step) = step_named(&path) {
                let checkpoint = single(&path, Some(step));
                steps.entry(step).or_default().push(Form { directory: path, place, checkpoint });
            } else if let Some(step) = number_named(&path) {
                // Other directories may be numbers too, such as runs by their seeds.
                let checkpoint = single(&path, Some(step));
                let is_run = has_steps(&path)?;
                if let Some(Ok(_)) = checkpoint
                    && !is_run
                {
                    let form = Form { directory: path, place, checkpoint };
                    steps.entry(step).or_default().push(form);
                }
            } else if let Some(part) = part_rank(&path).filter(|_| depth > 0) {
                self.add_steps(&path, part, depth - 1, steps, visited)?;
            }
        }
        Ok(())
    }

    /// The runs below a directory that is not a run itself.
    fn runs_below(
        &mut self,
        directory: &Path,
        depth: usize,
        visited: &mut Visited,
    ) -> Result<Vec<(PathBuf, Steps)>, CliError> {
        let mut runs = Vec::new();
        if depth == 0 {
            return Ok(runs);
        }
        for path in self.directories(directory, visited)? {
            if step_named(&path).is_some() || is_other_model(&path) {
                continue;
            }
            // The steps of a part are those of `directory`.
            let steps = match part_rank(&path) {
                Some(_) => Steps::new(),
                None => self.steps_of_run(&path, depth - 1)?,
            };
            match has_checkpoint(&steps) {
                true => runs.push((path, steps)),
                false => runs.extend(self.runs_below(&path, depth - 1, visited)?),
            }
        }
        Ok(runs)
    }
}

/// Chooses a form of each step; `None` without steps.
fn layout(run: &Path, steps: Steps) -> Result<Option<RunLayout>, CliError> {
    let mut layout =
        RunLayout { directory: run.to_owned(), steps: Vec::new(), other_forms: Vec::new() };
    for (step, mut forms) in steps {
        if forms.iter().any(|form| form.checkpoint.is_some()) {
            forms.retain(|form| form.checkpoint.is_some());
        }
        let mut real = BTreeSet::new();
        forms.retain(|form| fs::canonicalize(&form.directory).is_ok_and(|path| real.insert(path)));
        forms.sort_by_key(preference);
        let others = forms.split_off(1.min(forms.len()));
        let Some(form) = forms.pop() else { continue };
        if let Some(twin) = others.first().filter(|twin| preference(twin) == preference(&form)) {
            return Err(anyhow!(
                "two directories have step {step}: {} and {}",
                form.directory.display(),
                twin.directory.display()
            ))
            .hint("give one of them as --model");
        }
        layout.other_forms.extend(others.into_iter().map(|other| other.directory));
        let missing = || super::no_checkpoint(&form.directory);
        layout.steps.push((step, form.checkpoint.unwrap_or_else(|| Err(missing()))));
    }
    Ok((!layout.steps.is_empty()).then_some(layout))
}

/// Sorts the forms of one step: whole weights, adapters, shards with and without config.json, unusable ones.
fn preference(form: &Form) -> (usize, usize) {
    let form_rank = match &form.checkpoint {
        Some(Ok(checkpoint)) => match &checkpoint.kind {
            CheckpointKind::HuggingFace(files)
                if files.iter().all(|file| super::is_whole(file)) =>
            {
                0
            }
            CheckpointKind::Lora => 1,
            _ if checkpoint.path.join("config.json").is_file() => 2,
            _ => 3,
        },
        Some(Err(_)) => 4,
        None => 5,
    };
    (form_rank, form.place)
}
