//! Computes one checkpoint: loads the model, encodes the prompts, scores and samples responses.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use entropy_shell::compute::BatchTokens;
use entropy_shell::{CliError, plural};
use tch::Device;

use super::plan::{CheckpointPlan, RunInputs};
use super::prompt_source::StepPrompts;
use crate::chat::ChatTemplate;
use crate::checkpoint::weights::{TensorOptions, Weights};
use crate::checkpoint::{Checkpoint, CheckpointKind};
use crate::encoder::{EncodedPrompts, FileRows, has_text};
use crate::generate::{GenerateError, Generator};
use crate::groups::Groups;
use crate::history::RowDigests;
use crate::interrupt::interrupted;
use crate::model::Model;
use crate::model::spec::Spec;
use crate::model::torchscript::TorchScript;
use crate::response::ResponseRecord;
use crate::row_counts::RowCounts;
use crate::row_pass::Side;
use crate::sampling::Sampling;
use crate::score::{ScoreError, Scored, Scorer};
use crate::script_check;
use crate::tokenizer::{Tokenizer, end_tokens};
use crate::torch;

/// Tokens per batch when scoring. On the CPU, larger batches are not faster.
const CPU_BATCH: usize = 4096;
const GPU_BATCH: usize = 32_768;

/// The responses of one checkpoint with their scores.
pub(super) struct Evaluation {
    pub(super) digests: RowDigests,
    pub(super) prompts: Arc<StepPrompts>,
    pub(super) tokenizer: Option<Tokenizer>,
    /// Each of these ends a sampled response.
    eos_token_ids: Vec<i64>,
    pub(super) encoded: EncodedPrompts,
    /// The responses of each group of `--by`.
    pub(super) groups: Groups,
    /// Time of scoring and sampling, without loading.
    pub(super) seconds: f64,
    pub(super) entropy_time: Duration,
    /// Number of tokens that went through the model.
    pub(super) run_tokens: usize,
}

/// Why a checkpoint has no evaluation.
pub(super) enum EvaluationError {
    Interrupted,
    Failed(CliError),
}

impl<E: Into<CliError>> From<E> for EvaluationError {
    fn from(error: E) -> EvaluationError {
        EvaluationError::Failed(error.into())
    }
}

/// Computes one checkpoint; `label` is that of its progress bar.
pub(super) fn compute_checkpoint(
    inputs: &RunInputs<'_>,
    checkpoint: &Checkpoint,
    inputs_digest: &str,
    label: &str,
) -> Result<Evaluation, EvaluationError> {
    let loading = inputs.terminal.waiting(format!("{label}: loading"));
    let prompts = inputs.prompts.read(inputs.args, checkpoint.step.unwrap_or(0))?;
    let plan = CheckpointPlan::open(inputs, checkpoint, inputs_digest)?;
    let (tokenizer, encoded) = encode(inputs, checkpoint, &plan, &prompts)?;
    let groups = Groups::new(&inputs.args.by, &encoded.records, &prompts.rows, &prompts.path)?;
    let eos_token_ids = match &tokenizer {
        Some(tokenizer) => tokenizer.eos_token_ids.clone(),
        None => end_tokens(&[&checkpoint.path, &plan.base.path])?,
    };
    let mut evaluation = Evaluation {
        digests: plan.digests,
        prompts,
        tokenizer,
        eos_token_ids,
        encoded,
        groups,
        seconds: 0.0,
        entropy_time: Duration::ZERO,
        run_tokens: 0,
    };
    if evaluation.encoded.records.is_empty() {
        return Ok(evaluation);
    }
    let records = &evaluation.encoded.records;
    if let Some(reference) = &inputs.reference {
        let vocabulary = plan.decoder.as_ref().map(|(spec, _)| spec.vocabulary);
        reference.check(&plan.base.path, vocabulary, &plan.tokenizer)?;
        let context = plan.decoder.as_ref().map_or(usize::MAX, |(spec, _)| spec.context as usize);
        let longest = records.iter().map(|record| match record.sample {
            Some(_) => (record.prompt.len() + inputs.args.max_new_tokens as usize).min(context),
            None => record.len(),
        });
        reference.check_length(longest.max().unwrap_or(0))?;
    }
    let reference = match &inputs.reference {
        Some(reference) => Some(reference.model(inputs.args, inputs.device, inputs.terminal)?),
        None => None,
    };
    let model = load_model(inputs, &plan.base, plan.decoder, plan.kind, records)?;
    drop(loading);
    evaluation.evaluate(inputs, &model, reference, label)?;
    Ok(evaluation)
}

/// The token ids of the prompts and responses of a checkpoint.
pub(super) fn encode(
    inputs: &RunInputs<'_>,
    checkpoint: &Checkpoint,
    plan: &CheckpointPlan,
    prompts: &StepPrompts,
) -> Result<(Option<Tokenizer>, EncodedPrompts), CliError> {
    let spec = plan.decoder.as_ref().map(|(spec, _)| spec);
    let directory = &plan.tokenizer;
    let models = [&checkpoint.path, &plan.base.path, directory].map(|path| path.as_path());
    // Rows of token ids need none; if there is one, it gives the texts of tokens.
    let is_used = has_text(&prompts.rows) || directory.join("tokenizer.json").is_file();
    let is_loaded = inputs.args.tokenizer.is_some() || (spec.is_some() && is_used);
    let (tokenizer, chat) = if is_loaded {
        let tokenizer = Tokenizer::load(directory, &models)?;
        let chat = ChatTemplate::load(directory)
            .with_context(|| format!("cannot use the chat template of {}", directory.display()))?;
        (Some(tokenizer), chat)
    } else {
        (None, None)
    };
    let vocabulary = spec.map(|spec| spec.vocabulary);
    if let (Some(vocabulary), Some(tokenizer)) = (vocabulary, &tokenizer)
        && tokenizer.max_token_id() >= vocabulary
    {
        return Err(CliError {
            error: anyhow!(
                "cannot use {} with this tokenizer: its token ids go up to {}, but the model's vocabulary is {vocabulary}",
                plan.base.path.display(),
                tokenizer.max_token_id()
            ),
            hint: Some("use the tokenizer that the model was trained with".to_owned()),
        });
    }
    let share = inputs.share();
    let given = FileRows { file: &prompts.path, rows: &prompts.rows, share };
    let encoded = inputs.encoder.encode(
        given,
        tokenizer.as_ref(),
        chat.as_ref(),
        spec.map(|spec| spec.context),
        vocabulary,
        spec.and_then(|spec| spec.picture_tokens.as_deref()).unwrap_or_default(),
    )?; // A shard may have no row that can be computed; another one has some.
    if encoded.records.is_empty() && share.is_none() {
        return Err(no_rows(&prompts.path, &encoded.counts));
    }
    Ok((tokenizer, encoded))
}

/// The error of prompts of which no row can be computed.
pub(super) fn no_rows(file: &Path, counts: &RowCounts) -> CliError {
    let hint = match (counts.too_long, counts.bare.unclear()) {
        (0, 0) => "every row needs a prompt, and a response if it is to be scored",
        (0, _) => {
            "dump token ids; or give the variables of the chat template with --template-arg, such as \
             enable_thinking=false; --chat-template always makes each text a user message, never uses it as it is"
        }
        _ => "--truncate-prompts cuts prompts at their beginning",
    };
    let (file, left_out) = (file.display(), counts.left_out());
    let bare = counts.bare.message().map(|message| format!("; {message}")).unwrap_or_default();
    CliError {
        error: anyhow!("cannot use {file}: none of its rows can be computed ({left_out}{bare})"),
        hint: Some(hint.to_owned()),
    }
}

fn load_model(
    inputs: &RunInputs<'_>,
    base: &Checkpoint,
    decoder: Option<(Spec, Weights)>,
    kind: tch::Kind,
    records: &[ResponseRecord],
) -> Result<Model, CliError> {
    let Some((spec, weights)) = decoder else {
        let script = TorchScript::load(&base.path, inputs.device)?;
        script_check::check(&script, &base.path, inputs.args, records, inputs.terminal)?;
        return Ok(Model::TorchScript(script));
    };
    if inputs.args.verify_script.is_some() {
        return Err(script_check::not_a_script(&base.path));
    }
    let start = Instant::now();
    let (parameters, stored) = (weights.parameters(), weights.stored_kind());
    let options = TensorOptions { kind, device: inputs.device };
    let loading = format!("cannot load {}", base.path.display());
    let model = Model::load(spec, weights, options)
        .map_err(|error| torch::with_message(error, &loading))?;
    let shared = inputs.shared_with(base).map(|shared| shared.take_reused());
    inputs.terminal.verbose(|| {
        let percent = |shared: u64| 100.0 * shared as f64 / parameters as f64;
        let shared = shared.map(|shared| {
            format!(", {:.0} % of them in common with the reference", percent(shared))
        });
        format!(
            "loaded {} ({:.1} M parameters{}, stored as {}, used as {} on {:?}) in {:.1} s",
            weights_of(base).display(),
            parameters as f64 / 1e6,
            shared.unwrap_or_default(),
            torch::kind_name(stored),
            torch::kind_name(kind),
            inputs.device,
            start.elapsed().as_secs_f64()
        )
    });
    Ok(model)
}

/// The directory of the weights, which may have the config of another one.
fn weights_of(base: &Checkpoint) -> &Path {
    match &base.kind {
        CheckpointKind::HuggingFace(files) => {
            files.first().and_then(|file| file.parent()).unwrap_or(&base.path)
        }
        _ => &base.path,
    }
}

impl Evaluation {
    /// Scores the given responses and samples the others.
    fn evaluate(
        &mut self,
        inputs: &RunInputs<'_>,
        model: &Model,
        reference: Option<&Model>,
        label: &str,
    ) -> Result<(), EvaluationError> {
        let args = inputs.args;
        let records = &self.encoded.records;
        let max_tokens = |record: &ResponseRecord| match record.sample {
            // With a reference, it is scored once it is sampled.
            Some(_) if reference.is_some() => {
                record.prompt.len() + 2 * args.max_new_tokens as usize
            }
            Some(_) => args.max_new_tokens as usize,
            None => record.len(),
        };
        let total = records.iter().map(max_tokens).sum();
        let progress = inputs.terminal.progress(label, total).with_rate("tokens");
        let run_tokens = Cell::new(0);
        let advance = |tokens: usize| {
            run_tokens.set(run_tokens.get() + tokens);
            progress.advance(tokens);
            !interrupted()
        };
        let start = Instant::now();
        self.score(inputs, (model, reference), Scored::All, &advance)?;
        self.sample(inputs, model, &advance)?;
        if reference.is_some() {
            // The sampler runs the policy alone: the reference needs the whole response.
            self.score(inputs, (model, reference), Scored::Sampled, &advance)?;
        }
        self.seconds = start.elapsed().as_secs_f64();
        self.run_tokens = run_tokens.get();
        Ok(())
    }

    fn score(
        &mut self,
        inputs: &RunInputs<'_>,
        (model, reference): (&Model, Option<&Model>),
        scored: Scored,
        advance: &dyn Fn(usize) -> bool,
    ) -> Result<(), EvaluationError> {
        let shrunk = |tokens| {
            let message = format!("out of memory; continuing with batches of {tokens} tokens");
            inputs.terminal.warn(&message);
        };
        let mut scorer = Scorer {
            model,
            reference,
            scored,
            device: inputs.device,
            plan: &inputs.plan,
            batch_tokens: match inputs.args.batch_tokens {
                BatchTokens::Max(tokens) => tokens,
                BatchTokens::Auto if inputs.device == Device::Cpu => CPU_BATCH,
                BatchTokens::Auto => GPU_BATCH,
            },
            advance,
            shrunk: &shrunk,
            entropy_time: Duration::ZERO,
        };
        scorer.run(&mut self.encoded.records).map_err(|error| match error {
            ScoreError::Interrupted => EvaluationError::Interrupted,
            ScoreError::NotFinite { record, token, side } => EvaluationError::Failed(not_finite(
                &self.prompts,
                &self.encoded.records[record],
                token,
                side,
            )),
            other => EvaluationError::Failed(anyhow!("cannot score: {other}").into()),
        })?;
        self.entropy_time += scorer.entropy_time;
        Ok(())
    }

    fn sample(
        &mut self,
        inputs: &RunInputs<'_>,
        model: &Model,
        advance: &dyn Fn(usize) -> bool,
    ) -> Result<(), EvaluationError> {
        let args = inputs.args;
        let tokenizer = self.tokenizer.as_ref();
        let is_sampled = self.encoded.records.iter().any(|record| record.sample.is_some());
        if is_sampled && tokenizer.is_none() && !args.stop.is_empty() {
            return Err(EvaluationError::Failed(CliError {
                error: anyhow!("--stop requires a tokenizer, but the model has none"),
                hint: Some("give one with --tokenizer DIR".to_owned()),
            }));
        }
        let stops = |tokens: &[i64]| {
            let text = || tokenizer.map(|tokenizer| tokenizer.decode(tokens)).unwrap_or_default();
            !args.stop.is_empty() && first_stop(&text(), &args.stop).is_some()
        };
        let shrunk = |slots| {
            let sequences = plural(slots, "sequence", "sequences");
            inputs.terminal.warn(&format!("out of memory; continuing with {sequences} at a time"));
        };
        let plan = inputs.plan.without_divergences();
        let mut generator = Generator {
            model,
            device: inputs.device,
            plan: &plan,
            sampling: match args.greedy {
                true => Sampling::Greedy,
                false => Sampling::Random { top_k: args.top_k as usize, top_p: args.top_p },
            },
            seed: args.seed,
            max_new_tokens: args.max_new_tokens as usize,
            eos_token_ids: &self.eos_token_ids,
            stops: &stops,
            batch_tokens: match args.batch_tokens {
                BatchTokens::Max(tokens) => Some(tokens),
                BatchTokens::Auto => None,
            },
            advance,
            shrunk: &shrunk,
            entropy_time: Duration::ZERO,
        };
        generator.run(&mut self.encoded.records).map_err(|error| match error {
            GenerateError::Interrupted => EvaluationError::Interrupted,
            GenerateError::NotFinite { record, token } => EvaluationError::Failed(not_finite(
                &self.prompts,
                &self.encoded.records[record],
                token,
                Side::Policy,
            )),
            other => EvaluationError::Failed(anyhow!("cannot sample: {other}").into()),
        })?;
        self.entropy_time += generator.entropy_time;
        Ok(())
    }
}

fn not_finite(
    prompts: &StepPrompts,
    record: &ResponseRecord,
    token: usize,
    side: Side,
) -> CliError {
    let model = match side {
        Side::Policy => "model",
        Side::Reference => "reference model",
    };
    let place = &prompts.rows[record.row].place;
    CliError {
        error: anyhow!(
            "the {model}'s logits are NaN or infinite at token {token} of the response to {place} of {}",
            prompts.path.display()
        ),
        hint: Some("try --dtype float32; if that does not help, the weights are broken".to_owned()),
    }
}

/// The byte index of the first stop text.
pub(super) fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
}
