//! The whole of `compute`: which checkpoints, each one's numbers, and where they go.
//!
//! Checkpoints come one after the other; each that is finished is in the history before the next
//! begins, so an interruption, a full disk or a broken checkpoint loses nothing that was done.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use entropy_viz::cli::compute::{BatchTokens, ComputeArgs, say_interrupted};
use entropy_viz::cli::{Failure, Outcome, Terminal, WithHint, plural};
use entropy_viz::output::Growing;
use serde_json::json;
use tch::Device;

use crate::chat::ChatTemplate;
use crate::checkpoint::config::Config;
use crate::checkpoint::weights::Place;
use crate::checkpoint::{self, Checkpoint, Found, Kind};
use crate::entropy::Token;
use crate::generate::{Finish, GenerateError, Request, Sampling};
use crate::inputs::{Item, Items, Recipe};
use crate::model::script::Script;
use crate::model::{self, Model};
use crate::progress::{self, Progress, duration};
use crate::prompts::{self, PromptError, Row};
use crate::rows::{Rows, Settings, Summary, of_shard};
use crate::sample::{Choice, Source};
use crate::score::{ScoreError, Scoring, Sequence};
use crate::tokenizer::Tokenizer;
use crate::tokens::{Answer, Sink, unwritable};
use crate::torch;

/// Tokens of a batch that is scored: on the CPU more are no faster.
const BATCH_ON_CPU: usize = 4096;
const BATCH_ON_GPU: usize = 32_768;

/// What stays the same from checkpoint to checkpoint.
struct Job<'a> {
    args: &'a ComputeArgs,
    terminal: &'a Terminal,
    device: Device,
    prompts: &'a Path,
    rows: Vec<Row>,
    recipe: Recipe,
}

/// A model with all that belongs to it.
struct Loaded {
    model: Model,
    tokenizer: Option<Tokenizer>,
    items: Items,
}

/// The responses of one checkpoint, with their numbers.
struct Scored {
    answers: Vec<Given>,
    seconds: f64,
    on_entropy: Duration,
    run_tokens: usize, // all that went through the model
}

struct Given {
    item: usize,
    sample: Option<usize>,
    response: Vec<i64>,
    scores: Vec<Token>,
    finish: Option<Finish>, // of a sampled one
}

/// Runs `compute` as its flags say.
pub(crate) fn run(args: &ComputeArgs, terminal: &Terminal) -> Result<Outcome, Failure> {
    let (Some(path), Some(prompts)) = (&args.model, &args.prompts) else {
        return Err(anyhow!("BUG: the parser asks for --model and --prompts").into());
    };
    progress::listen();
    let device = torch::device(args.device)?;
    let recipe = Recipe::new(args)?;
    let rows = prompts::read(prompts, args.prompt_key.as_deref()).map_err(|error| {
        let hint = error.hint();
        let why = match error {
            PromptError::Io(error) => entropy_viz::cli::say(&error),
            other => other.to_string(),
        };
        Failure { error: anyhow!("cannot read {}: {why}", prompts.display()), hint }
    })?;
    let job = Job { args, terminal, device, prompts, rows, recipe };
    let (checkpoints, mut partial) = job.checkpoints(path)?;

    let output = job.output(path, &checkpoints);
    let inputs = job.inputs_digest()?;
    let mut history = Rows::open(&output, &inputs, args.overwrite)?;
    let adopted = history.len();
    // What cannot be written is said before hours are spent on it.
    drop(Growing::create(&output).map_err(|error| unwritable(&output, &error))?);
    let mut sinks = job.sinks()?;

    let start = Instant::now();
    let (mut computed, mut skipped) = (0, 0);
    let mut scored_tokens = 0;
    let (mut busy, mut on_entropy) = (0.0, 0.0);
    let mut last_failure = None;
    for (i, checkpoint) in checkpoints.iter().enumerate() {
        if progress::interrupted() {
            break;
        }
        let step = checkpoint.step.unwrap_or(0);
        let counted = format!("checkpoint {} of {} (step {step})", i + 1, checkpoints.len());
        let result = job.one(checkpoint, &inputs, &history, &counted);
        let (settings, loaded, scored) = match result {
            Ok(Some(done)) => done,
            Ok(None) => {
                skipped += 1;
                job.terminal.note(&format!("step {step}: already in {}", output.display()));
                continue;
            }
            Err(Stop::Interrupted) => break,
            Err(Stop::Failed(failure)) if checkpoints.len() == 1 => return Err(failure),
            Err(Stop::Failed(failure)) => {
                let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
                terminal.warn(&format!("skipped step {step}: {:#}{hint}", failure.error));
                last_failure = Some(failure);
                partial = true;
                continue;
            }
        };
        let scores: Vec<Vec<Token>> =
            scored.answers.iter().map(|answer| answer.scores.clone()).collect();
        let Some(summary) = Summary::of(&scores) else {
            return Err(job.nothing_left(&loaded.items));
        };
        history.add(step, &summary, &settings)?;
        job.write_answers(step, &loaded, &scored, &mut sinks)?;
        job.say(step, &summary, &loaded, &scored, i == 0 || computed == 0);
        computed += 1;
        scored_tokens += scored.run_tokens;
        busy += scored.seconds;
        on_entropy += scored.on_entropy.as_secs_f64();
    }

    if computed == 0 && history.len() > 0 && adopted > 0 && !output.exists() {
        history.write()?; // all of it came from shards
    }
    if computed == 0
        && skipped == 0
        && let Some(failure) = last_failure
    {
        return Err(Failure {
            error: failure.error.context("no checkpoint could be computed"),
            ..failure
        });
    }
    let mut written = Vec::new();
    if history.len() > 0 {
        written.push(history.path().to_owned());
    }
    for sink in [sinks.tokens, sinks.rollouts].into_iter().flatten() {
        written.push(sink.finish()?);
    }
    let listed: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
    terminal.print(listed.as_bytes())?;
    if progress::interrupted() {
        let left = checkpoints.len() - computed - skipped;
        say_interrupted(&format!(
            "interrupted with {} to go; {} in {}",
            plural(left, "checkpoint", "checkpoints"),
            plural(history.len(), "row is", "rows are"),
            output.display()
        ));
        return Ok(Outcome::Interrupted);
    }
    if computed > 0 {
        let share = if device == Device::Cpu {
            format!(", {:.0} % of it on entropy", 100.0 * on_entropy / busy)
        } else {
            String::new()
        };
        terminal.note(&format!(
            "{} in {}: {:.0} tokens/s{share}",
            plural(computed, "checkpoint", "checkpoints"),
            duration(start.elapsed().as_secs_f64()),
            scored_tokens as f64 / busy
        ));
    }
    Ok(if partial { Outcome::Partial } else { Outcome::Done })
}

/// Why a checkpoint gave no row.
enum Stop {
    Interrupted,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

/// The files beside the history.
struct Sinks {
    tokens: Option<Sink>,
    rollouts: Option<Sink>,
}

impl Job<'_> {
    /// The checkpoints asked for, and whether some that are there cannot be used.
    fn checkpoints(&self, path: &Path) -> Result<(Vec<Checkpoint>, bool), Failure> {
        let args = self.args;
        let (found, unusable) = match checkpoint::find(path)? {
            Found::Single(checkpoint) => {
                if args.steps.is_some() || args.shard.is_some() {
                    return Err(anyhow!(
                        "--steps and --shard take a part of a run, and {} is one checkpoint",
                        path.display()
                    ))
                    .hint("name the directory that holds global_step_N or checkpoint-N");
                }
                let step = args.step.or(checkpoint.step);
                if step.is_none() {
                    self.terminal.warn("the step of this checkpoint is not known and written as 0 (--step N names it)");
                }
                return Ok((vec![Checkpoint { step, ..checkpoint }], false));
            }
            Found::Run { checkpoints, unusable } => (checkpoints, unusable),
        };
        if args.step.is_some() {
            return Err(anyhow!(
                "--step names the step of a single checkpoint, and {} is a run",
                path.display()
            ))
            .hint("--steps A:B takes a part of a run");
        }
        let (from, to) = args.steps.unwrap_or((0, u64::MAX));
        let wanted = |step: u64| (from..=to).contains(&step);
        let in_shard = |(i, checkpoint)| match args.shard {
            Some((shard, of)) if i % of != shard - 1 => None,
            _ => Some(checkpoint),
        };
        let all = found.len();
        let chosen =
            found.into_iter().filter(|checkpoint| checkpoint.step.is_none_or(wanted)).enumerate();
        let chosen: Vec<Checkpoint> = chosen.filter_map(in_shard).collect();
        let unusable: Vec<_> = unusable.into_iter().filter(|(step, _)| wanted(*step)).collect();
        if chosen.is_empty() {
            if let Some((_, failure)) = unusable.into_iter().next() {
                return Err(failure);
            }
            return Err(anyhow!(
                "nothing to compute: {} has {}, none of them is in --steps and --shard",
                path.display(),
                plural(all, "checkpoint", "checkpoints")
            ))
            .hint("leave --steps and --shard out to compute all");
        }
        for (step, failure) in &unusable {
            let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
            self.terminal.warn(&format!("skipped step {step}: {:#}{hint}", failure.error));
        }
        Ok((chosen, !unusable.is_empty()))
    }

    /// Where the history goes.
    fn output(&self, path: &Path, checkpoints: &[Checkpoint]) -> PathBuf {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_run = !checkpoints.iter().any(|checkpoint| {
            checkpoint.path.starts_with(&absolute) && checkpoint.path == absolute
        }) && checkpoints.iter().all(|checkpoint| {
            checkpoint::run_of(&checkpoint.path) == std::fs::canonicalize(path).ok()
        });
        let run = if is_run { Some(absolute.clone()) } else { checkpoint::run_of(path) };
        let named = run.as_deref().unwrap_or(&absolute);
        let name =
            named.file_stem().filter(|_| named.is_file()).or(named.file_name()).unwrap_or_default();
        let file = format!("entropy_history_{}.json", name.to_string_lossy());
        let output = match &self.args.output {
            Some(output) => output.clone(),
            None if is_run => path.join(file),
            None => PathBuf::from(file),
        };
        match self.args.shard {
            Some(shard) => of_shard(&output, shard),
            None => output,
        }
    }

    fn sinks(&self) -> Result<Sinks, Failure> {
        let create = |path: &Option<PathBuf>| path.as_deref().map(Sink::create).transpose();
        Ok(Sinks {
            tokens: create(&self.args.tokens_out)?,
            rollouts: create(&self.args.save_rollouts)?,
        })
    }

    /// A digest of prompts and of the flags that change a number.
    fn inputs_digest(&self) -> Result<String, Failure> {
        let args = self.args;
        let mut hasher = blake3::Hasher::new();
        hash_file(&mut hasher, self.prompts)?;
        let sampled = self.rows.iter().any(|row| row.response.is_none());
        let sampling = sampled.then(|| {
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
        let flags = json!([1, args.temperature, args.prompt_key, self.recipe.describe(), sampling]);
        hasher.update(flags.to_string().as_bytes());
        Ok(short(&hasher))
    }

    /// A digest of the files that decide what the model computes, and of how it computes.
    fn model_digest(
        &self,
        checkpoint: &Checkpoint,
        base: &Checkpoint,
        kind: tch::Kind,
    ) -> Result<String, Failure> {
        let mut hasher = blake3::Hasher::new();
        let mut files = checkpoint.files();
        if base != checkpoint {
            files.extend(base.files());
        }
        let tokenizer = self.tokenizer_directory(checkpoint, base);
        files.extend(
            [
                "tokenizer.json",
                "tokenizer_config.json",
                "chat_template.jinja",
                "chat_template.json",
            ]
            .map(|name| tokenizer.join(name))
            .into_iter()
            .filter(|file| file.is_file()),
        );
        for file in files {
            hash_file(&mut hasher, &file)?;
        }
        hasher.update(torch::name_of(kind).as_bytes());
        Ok(short(&hasher))
    }

    fn tokenizer_directory(&self, checkpoint: &Checkpoint, base: &Checkpoint) -> PathBuf {
        let beside = |checkpoint: &Checkpoint| checkpoint.path.join("tokenizer.json").is_file();
        match &self.args.tokenizer {
            Some(directory) => directory.clone(),
            None if beside(checkpoint) => checkpoint.path.clone(),
            None => base.path.clone(),
        }
    }

    /// The numbers of one checkpoint, or nothing if the history has them.
    fn one(
        &self,
        checkpoint: &Checkpoint,
        inputs: &str,
        history: &Rows,
        counted: &str,
    ) -> Result<Option<(Settings, Loaded, Scored)>, Stop> {
        let base = checkpoint.base(self.args.base_model.as_deref())?;
        let is_script = base.kind == Kind::TorchScript;
        let (spec, weights) = if is_script {
            (None, None)
        } else {
            (Some(model::spec(&Config::read(&base.path)?)?), Some(checkpoint.open(&base)?))
        };
        let stored = weights.as_ref().map_or(tch::Kind::Float, |weights| weights.stored_kind());
        let kind = torch::kind(self.args.dtype, stored, self.device);
        let settings = Settings {
            inputs: inputs.to_owned(),
            model: self.model_digest(checkpoint, &base, kind)?,
        };
        if history.has(checkpoint.step.unwrap_or(0), &settings)? {
            return Ok(None);
        }

        let directory = self.tokenizer_directory(checkpoint, &base);
        let has_tokenizer = !is_script || self.args.tokenizer.is_some();
        let tokenizer = if has_tokenizer { Some(Tokenizer::load(&directory)?) } else { None };
        let chat = if has_tokenizer { ChatTemplate::load(&directory) } else { Ok(None) };
        let chat = chat
            .with_context(|| format!("cannot use the chat template of {}", directory.display()))?;
        let vocabulary = spec.as_ref().map(|spec| spec.vocabulary);
        if let (Some(vocabulary), Some(tokenizer)) = (vocabulary, &tokenizer)
            && tokenizer.largest() >= vocabulary
        {
            return Err(Stop::Failed(Failure {
                error: anyhow!(
                    "cannot use {} with this tokenizer: its ids go up to {}, the model's vocabulary is {vocabulary}",
                    base.path.display(),
                    tokenizer.largest()
                ),
                hint: Some("take the tokenizer the model was trained with".to_owned()),
            }));
        }
        let context = spec.as_ref().map(|spec| spec.context);
        let items = self.recipe.items(
            &self.rows,
            tokenizer.as_ref(),
            chat.as_ref(),
            context,
            vocabulary,
            self.prompts,
        )?;
        if items.items.is_empty() {
            return Err(Stop::Failed(self.nothing_left(&items)));
        }

        let start = Instant::now();
        let model = match (spec, weights) {
            (Some(spec), Some(weights)) => {
                let parameters = weights.parameters();
                let model = Model::load(spec, weights, Place { kind, device: self.device })?;
                self.terminal.explain(|| {
                    format!(
                        "loaded {} ({:.1} M parameters as {} on {:?}) in {}",
                        base.path.display(),
                        parameters as f64 / 1e6,
                        torch::name_of(kind),
                        self.device,
                        duration(start.elapsed().as_secs_f64())
                    )
                });
                model
            }
            _ => Model::Script(Script::load(&base.path, self.device)?),
        };
        let loaded = Loaded { model, tokenizer, items };
        let scored = self.score(&loaded, counted)?;
        Ok(Some((settings, loaded, scored)))
    }

    /// Scores the responses that are there and samples the others.
    fn score(&self, loaded: &Loaded, counted: &str) -> Result<Scored, Stop> {
        let args = self.args;
        let items = &loaded.items.items;
        let given: Vec<usize> = (0..items.len()).filter(|&i| items[i].response.is_some()).collect();
        let open: Vec<usize> = (0..items.len()).filter(|&i| items[i].response.is_none()).collect();
        let tokens = |item: &Item| match &item.response {
            Some(response) => item.prompt.len() + response.len(),
            None => args.samples as usize * args.max_new_tokens as usize,
        };
        let total = items.iter().map(tokens).sum();
        let progress = Progress::new(self.args_quiet(), counted.to_owned(), total);
        let run_tokens = std::cell::Cell::new(0);
        let advance = |tokens: usize| {
            run_tokens.set(run_tokens.get() + tokens);
            progress.advance(tokens)
        };
        let start = Instant::now();

        let batch_tokens = match args.batch_tokens {
            BatchTokens::Most(tokens) => tokens,
            BatchTokens::Auto if self.device == Device::Cpu => BATCH_ON_CPU,
            BatchTokens::Auto => BATCH_ON_GPU,
        };
        let shrunk = |tokens| {
            self.terminal.warn(&format!("memory ran out; going on with batches of {tokens} tokens"))
        };
        let mut scoring = Scoring {
            model: &loaded.model,
            device: self.device,
            temperature: args.temperature,
            batch_tokens,
            advance: &advance,
            shrunk: &shrunk,
            on_entropy: Duration::ZERO,
        };
        let sequence = |&i: &usize| {
            let response = items[i].response.as_deref().unwrap_or_default();
            Sequence { prompt: &items[i].prompt, response }
        };
        let sequences: Vec<Sequence<'_>> = given.iter().map(sequence).collect();
        let scores = scoring.run(&sequences).map_err(|error| match error {
            ScoreError::Interrupted => Stop::Interrupted,
            ScoreError::NotFinite { sequence, token } => {
                Stop::Failed(self.not_finite(&items[given[sequence]], token))
            }
            other => Stop::Failed(anyhow!("cannot score: {other}").into()),
        })?;
        let mut on_entropy = scoring.on_entropy;
        let mut answers: Vec<Given> = given
            .iter()
            .zip(scores)
            .map(|(&item, scores)| Given {
                item,
                sample: None,
                response: items[item].response.clone().unwrap_or_default(),
                scores,
                finish: None,
            })
            .collect();

        if !open.is_empty() {
            let (sampled, spent) = self.sample(loaded, &open, &advance)?;
            answers.extend(sampled);
            on_entropy += spent;
        }
        answers.sort_by_key(|answer| (answer.item, answer.sample));
        Ok(Scored {
            answers,
            seconds: start.elapsed().as_secs_f64(),
            on_entropy,
            run_tokens: run_tokens.get(),
        })
    }

    fn sample(
        &self,
        loaded: &Loaded,
        open: &[usize],
        advance: &dyn Fn(usize) -> bool,
    ) -> Result<(Vec<Given>, Duration), Stop> {
        let args = self.args;
        let items = &loaded.items.items;
        let tokenizer = loaded.tokenizer.as_ref();
        if tokenizer.is_none() && !args.stop.is_empty() {
            return Err(Stop::Failed(Failure {
                error: anyhow!("--stop needs a tokenizer, and the model has none"),
                hint: Some("--tokenizer DIR".to_owned()),
            }));
        }
        let samples = args.samples as usize;
        let each = open.iter().flat_map(|&item| (0..samples).map(move |sample| (item, sample)));
        let each: Vec<(usize, usize)> = each.collect();
        let requests: Vec<Request<'_>> = each
            .iter()
            .map(|&(item, sample)| Request {
                prompt: &items[item].prompt,
                source: Source::new(args.seed, items[item].row, sample),
            })
            .collect();
        let stops = |tokens: &[i64]| {
            let text = || tokenizer.map(|tokenizer| tokenizer.decode(tokens)).unwrap_or_default();
            !args.stop.is_empty() && first_stop(&text(), &args.stop).is_some()
        };
        let shrunk = |slots| {
            self.terminal.warn(&format!(
                "memory ran out; going on with {} at a time",
                plural(slots, "sequence", "sequences")
            ));
        };
        let mut sampling = Sampling {
            model: &loaded.model,
            device: self.device,
            temperature: args.temperature,
            choice: match args.greedy {
                true => Choice::Greedy,
                false => Choice::Random { top_k: args.top_k as usize, top_p: args.top_p },
            },
            most_tokens: args.max_new_tokens as usize,
            ends: tokenizer.map_or(&[], |tokenizer| &tokenizer.ends),
            stops: &stops,
            batch_tokens: match args.batch_tokens {
                BatchTokens::Most(tokens) => Some(tokens),
                BatchTokens::Auto => None,
            },
            advance,
            shrunk: &shrunk,
            on_entropy: Duration::ZERO,
        };
        let responses = sampling.run(&requests).map_err(|error| match error {
            GenerateError::Interrupted => Stop::Interrupted,
            GenerateError::NotFinite { request, token } => {
                Stop::Failed(self.not_finite(&items[each[request].0], token))
            }
            other => Stop::Failed(anyhow!("cannot sample: {other}").into()),
        })?;
        let given = each.iter().zip(responses).map(|(&(item, sample), response)| Given {
            item,
            sample: Some(sample),
            response: response.tokens,
            scores: response.scores,
            finish: Some(response.finish),
        });
        Ok((given.collect(), sampling.on_entropy))
    }

    fn not_finite(&self, item: &Item, token: usize) -> Failure {
        let place = &self.rows[item.row].place;
        Failure {
            error: anyhow!(
                "the model's logits are NaN or infinite at token {token} of the response to {place} of {}",
                self.prompts.display()
            ),
            hint: Some("try --dtype float32; if they still are, the weights are broken".to_owned()),
        }
    }

    fn nothing_left(&self, items: &Items) -> Failure {
        let file = self.prompts.display();
        let hint = match items.too_long {
            0 => "every row needs a prompt, and a response if it is to be scored".to_owned(),
            _ => "--truncate-prompts cuts prompts at their beginning".to_owned(),
        };
        Failure {
            error: anyhow!(
                "cannot use {file}: none of its rows can be computed ({})",
                left_out(items)
            ),
            hint: Some(hint),
        }
    }

    /// Writes what every token was and what was sampled.
    fn write_answers(
        &self,
        step: u64,
        loaded: &Loaded,
        scored: &Scored,
        sinks: &mut Sinks,
    ) -> Result<(), Failure> {
        for answer in &scored.answers {
            let item = &loaded.items.items[answer.item];
            let row = &self.rows[item.row];
            let out = Answer {
                step,
                id: &row.id,
                sample: answer.sample.filter(|_| self.args.samples > 1),
                prompt_as_given: row.prompt_text.as_ref(),
                prompt: &item.prompt,
                response: &answer.response,
                scores: &answer.scores,
                finish: answer.finish.map(Finish::name).or(row.finish_reason.as_deref()),
            };
            let tokenizer = loaded.tokenizer.as_ref();
            if let Some(sink) = &mut sinks.tokens {
                let pieces = tokenizer
                    .map(|tokenizer| tokenizer.pieces(&answer.response))
                    .unwrap_or_default();
                sink.tokens(&out, &pieces)?;
            }
            if let (Some(sink), Some(_)) = (&mut sinks.rollouts, answer.sample) {
                let mut text = tokenizer
                    .map(|tokenizer| tokenizer.decode(&answer.response))
                    .unwrap_or_default();
                if let Some(end) = first_stop(&text, &self.args.stop) {
                    text.truncate(end);
                }
                sink.rollout(&out, &text)?;
            }
        }
        Ok(())
    }

    /// One line for a checkpoint; what was left out is said with the first.
    fn say(&self, step: u64, summary: &Summary, loaded: &Loaded, scored: &Scored, first: bool) {
        let items = &loaded.items;
        if first {
            let left_out = left_out(items);
            if !left_out.is_empty() {
                self.terminal.warn(&format!("{}: left out {left_out}", self.prompts.display()));
            }
            if items.truncated > 0 {
                let cut = plural(items.truncated, "prompt was", "prompts were");
                self.terminal.warn(&format!(
                    "{}: {cut} cut at the beginning to fit the context",
                    self.prompts.display()
                ));
            }
            if items.from_text > 0 {
                let n = plural(items.from_text, "response", "responses");
                self.terminal
                    .warn(&format!("{n} scored from text: inexact where re-tokenising differs"));
            }
        }
        let sampled = scored.answers.iter().filter(|answer| answer.sample.is_some()).count();
        let how = match (sampled, summary.sequences - sampled) {
            (0, _) => "scored".to_owned(),
            (_, 0) => "sampled".to_owned(),
            (sampled, given) => format!("{sampled} sampled, {given} scored"),
        };
        self.terminal.note(&format!(
            "step {step}: entropy {:.4} nats over {} tokens of {} ({how}), {:.4} as the mean of responses",
            summary.entropy,
            summary.tokens,
            plural(summary.sequences, "response", "responses"),
            summary.sequence_mean
        ));
    }

    fn args_quiet(&self) -> bool {
        self.terminal.is_quiet()
    }
}

/// The rows that were not computed, counted by reason.
fn left_out(items: &Items) -> String {
    let reasons = [
        (items.too_long, "longer than the model's context"),
        (items.without_prompt, "with no prompt token"),
        (items.empty_responses, "with an empty response"),
    ];
    let said = reasons
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, why)| format!("{} {why}", plural(*n, "row", "rows")));
    said.collect::<Vec<_>>().join(", ")
}

/// Where the first of the stop texts begins.
fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
}

fn hash_file(hasher: &mut blake3::Hasher, path: &Path) -> Result<(), Failure> {
    // The size first: two files then never look like one.
    let size = std::fs::metadata(path).map(|metadata| metadata.len());
    let hashed = size.and_then(|size| {
        hasher.update(&size.to_le_bytes());
        hasher.update_mmap_rayon(path).map(|_| ())
    });
    hashed.map_err(|error| {
        anyhow!("cannot read {}: {}", path.display(), entropy_viz::cli::say(&error)).into()
    })
}

fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}
