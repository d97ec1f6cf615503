//! Selects the checkpoints to compute, and digests everything that determines their numbers.

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::anyhow;
use entropy_history::dump::GroupBy;
use entropy_shell::compute::{ComputeArgs, DumpStep, ShardBy};
use entropy_shell::{CliError, Terminal, WithHint, io_message, plural};
use serde_json::json;
use tch::Device;

use super::prompt_source::PromptSource;
use crate::chat::ChatTemplate;
use crate::checkpoint::config::Config;
use crate::checkpoint::shared::SharedTensors;
use crate::checkpoint::weights::Weights;
use crate::checkpoint::{self, Checkpoint, CheckpointKind, ModelPath, Run};
use crate::encoder::{PromptEncoder, has_text};
use crate::history::RowDigests;
use crate::model;
use crate::model::spec::Spec;
use crate::prompts::{GivenResponse, PromptRow};
use crate::reference::Reference;
use crate::score_plan::ScorePlan;
use crate::share::RowShare;
use crate::tokenizer::Tokenizer;
use crate::torch;

/// The files that determine the token ids of a text and the end tokens.
const TOKENIZER_FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
];

/// The inputs that all checkpoints share.
pub(super) struct RunInputs<'a> {
    pub(super) args: &'a ComputeArgs,
    pub(super) terminal: &'a Terminal,
    pub(super) device: Device,
    pub(super) prompts: PromptSource,
    pub(super) encoder: PromptEncoder,
    /// What is computed for every token.
    pub(super) plan: ScorePlan,
    /// The model of `--reference`.
    pub(super) reference: Option<Reference>,
}

impl RunInputs<'_> {
    /// The rows of the prompts that this process computes; `None` for all.
    pub(super) fn share(&self) -> Option<RowShare> {
        let (number, of) = self.args.shard.filter(|_| self.args.shard_by == ShardBy::Rows)?;
        Some(RowShare { number, of })
    }

    /// The tensors that the reference and a policy of this base model have in common, if they have any.
    pub(super) fn shared_with(&self, base: &Checkpoint) -> Option<&Rc<SharedTensors>> {
        self.reference.as_ref().and_then(|reference| reference.shared_with(base))
    }

    /// A digest of the flags that change a number, and of the prompts if they are those of every checkpoint.
    pub(super) fn digest(&self, checkpoints: &[Checkpoint]) -> Result<String, CliError> {
        let args = self.args;
        let mut hasher = blake3::Hasher::new();
        // Dumps of other steps may be added later: those of a directory are part of a checkpoint's digest.
        let rows = match &self.prompts {
            PromptSource::File(prompts) => {
                for file in &prompts.files {
                    hash_file(&mut hasher, file)?;
                }
                Some(&prompts.rows)
            }
            PromptSource::Directory(_) => {
                let which = args.dump_step.unwrap_or(DumpStep::Same);
                hasher.update(format!("directory, {which:?}").as_bytes());
                None
            }
        };
        let any = |test: &dyn Fn(&PromptRow) -> bool| rows.is_none_or(|rows| rows.iter().any(test));
        let sampling = any(&|row| row.response.is_none()).then(|| {
            json!([
                args.samples,
                args.max_new_tokens,
                args.top_p,
                args.top_k,
                args.greedy,
                args.seed,
                args.stop
            ])
        });
        let flags =
            json!([1, args.temperature.main, args.prompt_key, self.encoder.settings(), sampling]);
        hasher.update(flags.to_string().as_bytes());
        if let Some(key) = &args.response_key {
            hasher.update(format!("response key {key}").as_bytes());
        }
        if !args.temperature.others.is_empty() {
            hasher.update(format!("other temperatures {:?}", args.temperature.others).as_bytes());
        }
        if let Some(mass) = args.nucleus {
            hasher.update(format!("nucleus {mass:?}").as_bytes());
        }
        if let Some(reference) = &self.reference {
            hasher.update(b"reference");
            for file in reference.files() {
                hash_file(&mut hasher, &file)?;
            }
            hasher.update(torch::kind_name(reference.kind(args, self.device)?).as_bytes());
        }
        if !args.by.is_empty() {
            let by: Vec<String> = args.by.iter().map(GroupBy::text).collect();
            hasher.update(format!("groups by {by:?}").as_bytes());
        }
        // Rows that earlier versions computed without masks and turns are not those of this version.
        let has_turns = |row: &PromptRow| {
            matches!(row.response, Some(GivenResponse::Messages(_) | GivenResponse::Parts(_)))
        };
        if any(&|row| !row.masks.is_empty() || row.tools.is_some() || has_turns(row)) {
            hasher.update(b"the policy's own tokens");
        }
        if self.has_bare_chats(checkpoints) {
            hasher.update(b"chats rebuilt from text without special tokens");
        }
        Ok(short_digest(&hasher))
    }

    /// Whether chats of the prompts are rebuilt, which earlier versions took for plain text. The template is that of the
    /// first checkpoint, and of a directory the first dump is read: later ones may be added. What cannot be read is
    /// reported when it is used.
    fn has_bare_chats(&self, checkpoints: &[Checkpoint]) -> bool {
        let found = checkpoints.iter().find_map(|checkpoint| {
            Some((checkpoint, checkpoint.base(self.args.base_model.as_deref()).ok()?))
        });
        let Some((checkpoint, base)) = found else { return false };
        if base.kind == CheckpointKind::TorchScript && self.args.tokenizer.is_none() {
            return false;
        }
        let Ok(prompts) = self.prompts.first(self.args) else { return false };
        if !has_text(&prompts.rows) {
            return false;
        }
        let directory = tokenizer_directory(self.args, checkpoint, &base);
        let models = [&checkpoint.path, &base.path, &directory].map(|path| path.as_path());
        match (Tokenizer::load(&directory, &models), ChatTemplate::load(&directory)) {
            (Ok(tokenizer), Ok(Some(chat))) => {
                self.encoder.has_bare_chats(&prompts.rows, &tokenizer, &chat)
            }
            _ => false,
        }
    }
}

/// The checkpoints to compute.
pub(super) struct Selection {
    pub(super) checkpoints: Vec<Checkpoint>,
    /// The directory of the run; `None` for a single checkpoint.
    pub(super) run: Option<PathBuf>,
    /// The steps of selected checkpoints that cannot be used, with the reason.
    pub(super) unusable: Vec<(u64, CliError)>,
}

impl Selection {
    /// Finds the checkpoints under `--model` and selects those of `--steps` and `--shard`; a shard may have none.
    pub(super) fn new(
        path: &Path,
        args: &ComputeArgs,
        terminal: &Terminal,
    ) -> Result<Selection, CliError> {
        let Run { directory, checkpoints: found, unusable, other_forms } = match checkpoint::find(
            path,
        )? {
            ModelPath::Single(checkpoint) => {
                let shard = args.shard.filter(|_| args.shard_by == ShardBy::Checkpoints);
                let hint = match (args.steps, shard) {
                    (None, None) => None,
                    (None, Some(_)) => Some("divide the rows of the prompts with --shard-by rows"),
                    _ => Some(
                        "give the directory of the run, with its global_step_N, checkpoint-N or step_N",
                    ),
                };
                if let Some(hint) = hint {
                    return Err(anyhow!(
                        "--steps and --shard select checkpoints of a run, but {} is a single checkpoint",
                        path.display()
                    ))
                    .hint(hint);
                }
                let step = args.step.or(checkpoint.step);
                if step.is_none() {
                    terminal.warn(
                        "the step of this checkpoint is unknown and written as 0 (set it with --step N)",
                    );
                }
                let checkpoints = vec![Checkpoint { step, ..checkpoint }];
                return Ok(Selection { checkpoints, run: None, unusable: Vec::new() });
            }
            ModelPath::Run(run) => run,
        };
        if directory != path {
            terminal.info(&format!("using the run {}", directory.display()));
        }
        for other in &other_forms {
            terminal.verbose(|| {
                format!("not using {}: its step is also there in a preferred form", other.display())
            });
        }
        if args.step.is_some() {
            return Err(anyhow!(
                "--step sets the step of a single checkpoint, but {} is a run",
                path.display()
            ))
            .hint("select checkpoints of a run with --steps A:B");
        }
        let (from, to) = args.steps.unwrap_or((0, u64::MAX));
        let is_selected = |step: u64| (from..=to).contains(&step);
        let all = found.len();
        let selected: Vec<Checkpoint> = found
            .into_iter()
            .filter(|checkpoint| checkpoint.step.is_none_or(is_selected))
            .collect();
        let unusable: Vec<_> =
            unusable.into_iter().filter(|(step, _)| is_selected(*step)).collect();
        if selected.is_empty() {
            if let Some((_, failure)) = unusable.into_iter().next() {
                return Err(failure);
            }
            return Err(anyhow!(
                "nothing to compute: {} has {}, none of them in --steps",
                path.display(),
                plural(all, "checkpoint", "checkpoints")
            ))
            .hint("omit --steps to compute all");
        }
        for (step, failure) in &unusable {
            warn_skipped(terminal, *step, failure);
        }
        let (shard, shards) = match args.shard_by {
            ShardBy::Checkpoints => args.shard.unwrap_or((1, 1)),
            ShardBy::Rows => (1, 1),
        };
        let checkpoints = selected.into_iter().skip(shard - 1).step_by(shards).collect();
        Ok(Selection { checkpoints, run: Some(directory), unusable })
    }
}

/// Warns that the checkpoint of a step is skipped.
pub(super) fn warn_skipped(terminal: &Terminal, step: u64, failure: &CliError) {
    let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
    terminal.warn(&format!("skipped step {step}: {:#}{hint}", failure.error));
}

/// The directory of tokenizer.json of a checkpoint.
fn tokenizer_directory(args: &ComputeArgs, checkpoint: &Checkpoint, base: &Checkpoint) -> PathBuf {
    let has_tokenizer = |checkpoint: &Checkpoint| checkpoint.path.join("tokenizer.json").is_file();
    match &args.tokenizer {
        Some(directory) => directory.clone(),
        None if has_tokenizer(checkpoint) => checkpoint.path.clone(),
        None => base.path.clone(),
    }
}

/// A checkpoint that is opened but not loaded.
pub(super) struct CheckpointPlan {
    /// The checkpoint with config.json: for an adapter, its base model.
    pub(super) base: Checkpoint,
    /// `None` for a TorchScript module.
    pub(super) decoder: Option<(Spec, Weights)>,
    /// The number type of the weights in memory.
    pub(super) kind: tch::Kind,
    /// The directory of tokenizer.json.
    pub(super) tokenizer: PathBuf,
    pub(super) digests: RowDigests,
}

impl CheckpointPlan {
    /// Opens a checkpoint; `inputs_digest` is that of [`RunInputs::digest`].
    pub(super) fn open(
        inputs: &RunInputs<'_>,
        checkpoint: &Checkpoint,
        inputs_digest: &str,
    ) -> Result<CheckpointPlan, CliError> {
        let args = inputs.args;
        let base = checkpoint.base(args.base_model.as_deref())?;
        if checkpoint.kind == CheckpointKind::Lora {
            inputs.terminal.verbose(|| {
                let (adapter, base) = (checkpoint.path.display(), base.path.display());
                format!("using the adapter {adapter} on the base model {base}")
            });
        }
        if let Some(unused) = checkpoint.unused_weights(&base) {
            inputs.terminal.info(&format!(
                "not reading the weights in {}: the adapter {} is applied to {}",
                unused.display(),
                checkpoint.path.display(),
                base.path.display()
            ));
        }
        if checkpoint.kind != CheckpointKind::Lora && base.path != checkpoint.path {
            inputs.terminal.verbose(|| {
                let (weights, config) = (checkpoint.path.display(), base.path.display());
                format!("{weights}: using config and tokenizer of {config}")
            });
        }
        let decoder = match base.kind {
            CheckpointKind::TorchScript => None,
            _ => {
                let weights = checkpoint.open(&base)?.sharing(inputs.shared_with(&base));
                Some((model::spec(&Config::read(&base.path)?)?, weights))
            }
        };
        let kind = match &decoder {
            Some((_, weights)) => torch::kind(args.dtype, weights.stored_kind(), inputs.device),
            None => tch::Kind::Float, // a module defines its own types
        };
        let tokenizer = tokenizer_directory(args, checkpoint, &base);

        let mut files = checkpoint.files_with(&base);
        files.extend(TOKENIZER_FILES.map(|name| tokenizer.join(name)));
        let mut hasher = blake3::Hasher::new();
        for file in files.iter().filter(|file| file.is_file()) {
            hash_file(&mut hasher, file)?;
        }
        hasher.update(torch::kind_name(kind).as_bytes());
        if let PromptSource::Directory(_) = inputs.prompts {
            let files = inputs.prompts.files(args, checkpoint.step.unwrap_or(0));
            for file in files.into_iter().flatten() {
                hash_file(&mut hasher, &file)?;
            }
        }
        let digests = RowDigests {
            inputs: inputs_digest.to_owned(),
            model: short_digest(&hasher),
            share: inputs.share(),
        };
        Ok(CheckpointPlan { base, decoder, kind, tokenizer, digests })
    }
}

fn hash_file(hasher: &mut blake3::Hasher, path: &Path) -> Result<(), CliError> {
    // The size is hashed first, so that no two sequences of files have the same bytes.
    let size = fs::metadata(path).map(|metadata| metadata.len());
    let hashed = size.and_then(|size| {
        hasher.update(&size.to_le_bytes());
        hasher.update_mmap_rayon(path).map(|_| ())
    });
    hashed.map_err(|error| anyhow!("cannot read {}: {}", path.display(), io_message(&error)).into())
}

fn short_digest(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}
