//! The model of `--reference`, from whose distributions those of the policy are compared. It is loaded once for all
//! checkpoints, and has the tensors that no adapter changes in common with policies of the same base model.

use std::cell::OnceCell;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::anyhow;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::{CliError, Terminal, WithHint};
use serde_json::{Map, Value};
use tch::{Device, Kind};

use crate::checkpoint::config::Config;
use crate::checkpoint::shared::SharedTensors;
use crate::checkpoint::weights::TensorOptions;
use crate::checkpoint::{self, Checkpoint, CheckpointKind, ModelPath};
use crate::model::spec::Spec;
use crate::model::torchscript::TorchScript;
use crate::model::{self, Model};
use crate::torch;

/// A checkpoint that policies are compared with.
pub(crate) struct Reference {
    checkpoint: Checkpoint,
    /// The checkpoint with config.json: for an adapter, its base model.
    base: Checkpoint,
    /// Number of logits and maximum length of a sequence; unknown for TorchScript.
    limits: Option<(i64, i64)>,
    /// The tensors that policies have in common with it, if there are such policies.
    shared: Option<Rc<SharedTensors>>,
    model: OnceCell<Model>,
}

impl Reference {
    /// Finds the model of `--reference` and reads its config. `policies` will be compared with it.
    ///
    /// # Errors
    /// If it is not one checkpoint that can be used.
    pub(crate) fn find(
        args: &ComputeArgs,
        policies: &[Checkpoint],
    ) -> Result<Option<Reference>, CliError> {
        let Some(path) = &args.reference else { return Ok(None) };
        Reference::open(path, args, policies).map(Some).map_err(|failure| CliError {
            error: failure.error.context("cannot use --reference"),
            ..failure
        })
    }

    fn open(
        path: &Path,
        args: &ComputeArgs,
        policies: &[Checkpoint],
    ) -> Result<Reference, CliError> {
        if !path.exists() {
            return Err(anyhow!("there is no {}", path.display()))
                .hint("give the local directory of a model; download models of a hub first");
        }
        let checkpoint = match checkpoint::find(path)? {
            ModelPath::Single(checkpoint) => checkpoint,
            ModelPath::Run(run) => {
                let error = anyhow!("{} is a run with several checkpoints", path.display());
                return Err(error).hint(match run.checkpoints.first() {
                    Some(first) => format!(
                        "give one of them: --reference {} is the first",
                        first.path.display()
                    ),
                    None => "give the directory of one of them".to_owned(),
                });
            }
        };
        let base = checkpoint.base(args.base_model.as_deref())?;
        let limits = match base.kind {
            CheckpointKind::TorchScript => None,
            _ => {
                let spec = spec(&base)?;
                Some((spec.vocabulary, spec.context))
            }
        };
        // Decided for all policies at once: the reference's numbers do not depend on which is the first.
        let has_base = |policy: &Checkpoint| {
            policy.base(args.base_model.as_deref()).is_ok_and(|policy| same_files(&policy, &base))
        };
        let shared = policies.iter().any(has_base).then(Rc::default);
        Ok(Reference { checkpoint, base, limits, shared, model: OnceCell::new() })
    }

    /// The tensors that it has in common with a policy of this base model, if it is the reference's own, too.
    pub(crate) fn shared_with(&self, policy: &Checkpoint) -> Option<&Rc<SharedTensors>> {
        self.shared.as_ref().filter(|_| same_files(policy, &self.base))
    }

    /// The files that determine its numbers.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        self.checkpoint.files_with(&self.base)
    }

    /// The number type of its weights in memory.
    pub(crate) fn kind(&self, args: &ComputeArgs, device: Device) -> Result<Kind, CliError> {
        match self.base.kind {
            CheckpointKind::TorchScript => Ok(Kind::Float), // a module defines its own types
            _ => {
                let stored = self.checkpoint.open(&self.base)?.stored_kind();
                Ok(torch::kind(args.dtype, stored, device))
            }
        }
    }

    /// Checks that its tokens are those of a policy with this number of logits and this tokenizer.
    ///
    /// # Errors
    /// Names both if they differ.
    pub(crate) fn check(
        &self,
        policy: &Path,
        vocabulary: Option<i64>,
        tokenizer: &Path,
    ) -> Result<(), CliError> {
        let own = self.checkpoint.path.display();
        if let (Some(policy_size), Some((size, _))) = (vocabulary, self.limits)
            && policy_size != size
        {
            return Err(anyhow!(
                "cannot compare {} with the reference {own}: they have vocabularies of {policy_size} and {size}",
                policy.display()
            ))
            .hint("the reference must have the same tokens: the model that the policy was trained from");
        }
        let beside = |checkpoint: &Checkpoint| {
            Some(checkpoint.path.join("tokenizer.json")).filter(|file| file.is_file())
        };
        let theirs = tokenizer.join("tokenizer.json");
        let Some(ours) = beside(&self.checkpoint).or_else(|| beside(&self.base)) else {
            return Ok(());
        };
        if theirs.is_file() && !same_tokens(&theirs, &ours) {
            return Err(anyhow!(
                "cannot compare {} with the reference {own}: the tokens of {} and {} differ",
                policy.display(),
                theirs.display(),
                ours.display()
            ))
            .hint("the reference must have the same tokens: the model that the policy was trained from");
        }
        Ok(())
    }

    /// Checks that it can run sequences of this many tokens.
    pub(crate) fn check_length(&self, tokens: usize) -> Result<(), CliError> {
        match self.limits {
            Some((_, context)) if tokens as i64 > context => Err(anyhow!(
                "cannot compare with the reference {}: its context is {context} tokens, and a sequence may have {tokens}",
                self.checkpoint.path.display()
            ))
            .hint("leave out the longer responses, or give a reference with the context of the policy"),
            _ => Ok(()),
        }
    }

    /// The model, which is loaded when it is first used.
    pub(crate) fn model(
        &self,
        args: &ComputeArgs,
        device: Device,
        terminal: &Terminal,
    ) -> Result<&Model, CliError> {
        if let Some(model) = self.model.get() {
            return Ok(model);
        }
        let model = if self.base.kind == CheckpointKind::TorchScript {
            Model::TorchScript(TorchScript::load(&self.base.path, device)?)
        } else {
            let weights = self.checkpoint.open(&self.base)?.sharing(self.shared.as_ref());
            let kind = torch::kind(args.dtype, weights.stored_kind(), device);
            let loading = format!("cannot load the reference {}", self.checkpoint.path.display());
            Model::load(spec(&self.base)?, weights, TensorOptions { kind, device })
                .map_err(|error| torch::with_message(error, &loading))?
        };
        terminal.verbose(|| format!("loaded the reference {}", self.checkpoint.path.display()));
        Ok(self.model.get_or_init(|| model))
    }
}

/// Whether two checkpoints are the same files, under whatever paths.
fn same_files(a: &Checkpoint, b: &Checkpoint) -> bool {
    let identities = |checkpoint: &Checkpoint| {
        let identity =
            |file: &PathBuf| fs::metadata(file).ok().map(|file| (file.dev(), file.ino()));
        checkpoint.files().iter().map(identity).collect::<Option<Vec<_>>>()
    };
    identities(a).is_some_and(|files| identities(b) == Some(files))
}

fn spec(base: &Checkpoint) -> Result<Spec, CliError> {
    Ok(model::spec(&Config::read(&base.path)?)?)
}

/// Whether two files tokenizer.json give every token the same id. Other settings, such as of padding, may differ: trainers
/// save them anew.
fn same_tokens(a: &Path, b: &Path) -> bool {
    let (Ok(a), Ok(b)) = (fs::read(a), fs::read(b)) else { return false };
    if a == b {
        return true;
    }
    let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).ok();
    let (Some(a), Some(b)) = (parsed(&a), parsed(&b)) else { return false };
    a["model"]["vocab"] == b["model"]["vocab"] && added_tokens(&a) == added_tokens(&b)
}

/// The ids of added tokens by their texts.
fn added_tokens(tokenizer: &Value) -> Map<String, Value> {
    let tokens = tokenizer["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    let token = |token: &Value| Some((token["content"].as_str()?.to_owned(), token["id"].clone()));
    tokens.iter().filter_map(token).collect()
}
