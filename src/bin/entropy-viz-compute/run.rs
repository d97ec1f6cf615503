//! The whole of `compute`: which checkpoints, each one's numbers, and where they go.
//!
//! Checkpoints come one after the other; each that is finished is in the history before the next
//! begins, so an interruption, a full disk or a broken checkpoint loses nothing that was done.

use std::fs;
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
use crate::checkpoint::weights::{Place, Weights};
use crate::checkpoint::{self, Checkpoint, Found, Kind};
use crate::entropy::Token;
use crate::generate::{Finish, GenerateError, Request, Sampling};
use crate::inputs::{Item, Items, Recipe};
use crate::model::decoder::Spec;
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

/// The files that decide which tokens a text becomes and which end a response.
const TOKENIZER_FILES: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
    "generation_config.json",
];

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

/// A checkpoint that is opened but not loaded.
struct Prepared {
    base: Checkpoint,
    model: Option<(Spec, Weights)>, // none of a TorchScript module
    kind: tch::Kind,
    settings: Settings,
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
    if fs::metadata(prompts).is_ok_and(|metadata| !metadata.is_file()) || prompts.as_os_str() == "-"
    {
        return Err(anyhow!(
            "cannot read {}: prompts are read more than once, from a file",
            prompts.display()
        ))
        .hint("save them to a file first");
    }
    let rows = prompts::read(prompts, args.prompt_key.as_deref()).map_err(|error| {
        let hint = error.hint();
        let why = match error {
            PromptError::Io(error) => entropy_viz::cli::say(&error),
            other => other.to_string(),
        };
        Failure { error: anyhow!("cannot read {}: {why}", prompts.display()), hint }
    })?;
    let job = Job { args, terminal, device, prompts, rows, recipe };
    let chosen = job.checkpoints(path)?;
    let checkpoints = &chosen.checkpoints;
    if checkpoints.is_empty() {
        terminal.note("nothing to compute in this shard");
        return Ok(Outcome::Done);
    }
    let mut book = job.open_book(path, &chosen)?;
    let mut tally = Tally { partial: chosen.left_out > 0, ..Tally::default() };
    let start = Instant::now();
    for (i, (checkpoint, todo)) in checkpoints.iter().zip(book.todo.clone()).enumerate() {
        if progress::interrupted() {
            break;
        }
        let step = checkpoint.step.unwrap_or(0);
        if todo == Todo::Nothing {
            tally.skipped += 1;
            terminal.note(&format!("step {step}: already in {}", book.history.path().display()));
            continue;
        }
        let counted = format!("checkpoint {} of {} (step {step})", i + 1, checkpoints.len());
        match job.one(checkpoint, &book.inputs, &counted) {
            Ok(done) => job.enter(step, done, &mut book, &mut tally)?,
            Err(Stop::Interrupted) => break,
            Err(Stop::Failed(failure)) if checkpoints.len() == 1 => return Err(failure),
            Err(Stop::Failed(failure)) => {
                job.say_skipped(step, &failure);
                tally.failure = Some(failure);
                tally.partial = true;
            }
        }
    }
    job.close(book, tally, checkpoints.len(), start.elapsed())
}

/// What is to be computed.
struct Chosen {
    checkpoints: Vec<Checkpoint>,
    extent: Extent,
    /// Checkpoints that were asked for and cannot be used.
    left_out: usize,
}

/// What `--model` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Single,
    Run,
}

/// What is written: the history and the files beside it.
struct Book {
    inputs: String,
    history: Rows,
    tokens: Option<Sink>,
    rollouts: Option<Sink>,
    todo: Vec<Todo>,
}

/// What is left to do for a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Todo {
    Compute,
    /// Its row is there already, computed with the same settings.
    Nothing,
}

impl Book {
    fn sinks(&mut self) -> impl Iterator<Item = &mut Sink> {
        [&mut self.tokens, &mut self.rollouts].into_iter().flatten()
    }
}

/// What was done.
#[derive(Default)]
struct Tally {
    computed: usize,
    skipped: usize,
    partial: bool,
    failure: Option<Failure>, // the last one
    tokens: usize,
    seconds: f64,
    on_entropy: f64,
}

/// The row of one checkpoint, and what it was made from.
struct Done {
    settings: Settings,
    loaded: Loaded,
    scored: Scored,
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

impl Job<'_> {
    /// The checkpoints asked for, none if this shard has none.
    fn checkpoints(&self, path: &Path) -> Result<Chosen, Failure> {
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
                let checkpoints = vec![Checkpoint { step, ..checkpoint }];
                return Ok(Chosen { checkpoints, extent: Extent::Single, left_out: 0 });
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
        let all = found.len();
        let chosen: Vec<Checkpoint> =
            found.into_iter().filter(|checkpoint| checkpoint.step.is_none_or(wanted)).collect();
        let unusable: Vec<_> = unusable.into_iter().filter(|(step, _)| wanted(*step)).collect();
        if chosen.is_empty() {
            if let Some((_, failure)) = unusable.into_iter().next() {
                return Err(failure);
            }
            return Err(anyhow!(
                "nothing to compute: {} has {}, none of them in --steps",
                path.display(),
                plural(all, "checkpoint", "checkpoints")
            ))
            .hint("leave --steps out to compute all");
        }
        for (step, failure) in &unusable {
            self.say_skipped(*step, failure);
        }
        let (shard, of) = args.shard.unwrap_or((1, 1));
        let checkpoints = chosen.into_iter().skip(shard - 1).step_by(of).collect();
        Ok(Chosen { checkpoints, extent: Extent::Run, left_out: unusable.len() })
    }

    fn say_skipped(&self, step: u64, failure: &Failure) {
        let hint = failure.hint.as_ref().map_or(String::new(), |hint| format!(" ({hint})"));
        self.terminal.warn(&format!("skipped step {step}: {:#}{hint}", failure.error));
    }

    /// Where the history goes.
    fn output(&self, path: &Path, extent: Extent) -> PathBuf {
        if let Some(output) = &self.args.output {
            return output.clone();
        }
        let named = match extent {
            Extent::Run => fs::canonicalize(path).ok(),
            Extent::Single => checkpoint::run_of(path).or_else(|| fs::canonicalize(path).ok()),
        };
        let named = named.unwrap_or_else(|| path.to_owned());
        let stem = if named.is_file() { named.file_stem() } else { named.file_name() };
        let file = format!("entropy_history_{}.json", stem.unwrap_or_default().to_string_lossy());
        match extent {
            Extent::Run => path.join(file),
            Extent::Single => PathBuf::from(file),
        }
    }

    /// Opens what will be written, and sees what is there already.
    ///
    /// # Errors
    /// If the history holds rows that are not to be touched, or something cannot be written: before
    /// hours are spent on it.
    fn open_book(&self, path: &Path, chosen: &Chosen) -> Result<Book, Failure> {
        let args = self.args;
        let whole = self.output(path, chosen.extent);
        expect_name(Some(&whole), &["json"], "a history is JSON")?;
        expect_name(
            args.tokens_out.as_ref(),
            &["jsonl", "ndjson", "json", "parquet"],
            "tokens are JSON lines or Parquet",
        )?;
        expect_name(
            args.save_rollouts.as_ref(),
            &["jsonl", "ndjson", "json"],
            "rollouts are JSON lines",
        )?;
        let files = [
            Some(&whole),
            args.tokens_out.as_ref(),
            args.save_rollouts.as_ref(),
            args.prompts.as_ref(),
        ];
        let mut files: Vec<PathBuf> =
            files.into_iter().flatten().map(|file| place_of(file)).collect();
        files.sort();
        if let Some(twice) = files.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(anyhow!("{} is named for two different things", twice[0].display()))
                .hint("give every output a name of its own, and not that of --prompts");
        }
        let inputs = self.inputs_digest()?;
        let history = Rows::open(&whole, &inputs, args.overwrite)?;
        let history = match args.shard {
            Some(shard) => Rows::open(&of_shard(&whole, shard), &inputs, args.overwrite)?,
            None => history,
        };
        let output = history.path();
        drop(Growing::create(output).map_err(|error| unwritable(output, &error))?);
        let keeps = |step| history.has_row(step);
        let create = |path: &Option<PathBuf>| {
            path.as_deref().map(|path| Sink::create(path, keeps)).transpose()
        };
        let (tokens, rollouts) = (create(&args.tokens_out)?, create(&args.save_rollouts)?);
        let mut book = Book { inputs, history, tokens, rollouts, todo: Vec::new() };
        for checkpoint in &chosen.checkpoints {
            let todo = self.todo(checkpoint, &mut book)?;
            book.todo.push(todo);
        }
        Ok(book)
    }

    /// What is left to do for a checkpoint whose step may be in the history.
    fn todo(&self, checkpoint: &Checkpoint, book: &mut Book) -> Result<Todo, Failure> {
        let step = checkpoint.step.unwrap_or(0);
        if !book.history.has_step(step) {
            return Ok(Todo::Compute);
        }
        let settings = self.prepare(checkpoint, &book.inputs).map(|prepared| prepared.settings);
        // A checkpoint that cannot be read says so when its turn comes.
        let Ok(settings) = settings else { return Ok(Todo::Compute) };
        let known = book.history.has(step, &settings)?;
        // Its tokens are wanted too, and nowhere to be had without computing.
        let beside = book.sinks().all(|sink| sink.has(step));
        Ok(if known && beside { Todo::Nothing } else { Todo::Compute })
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
        files.extend(TOKENIZER_FILES.map(|name| tokenizer.join(name)));
        files.retain(|file| file.is_file());
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

    /// Opens a checkpoint: what it is and what its row's settings are.
    fn prepare(&self, checkpoint: &Checkpoint, inputs: &str) -> Result<Prepared, Failure> {
        let base = checkpoint.base(self.args.base_model.as_deref())?;
        let model = match base.kind {
            Kind::TorchScript => None,
            _ => Some((model::spec(&Config::read(&base.path)?)?, checkpoint.open(&base)?)),
        };
        let stored = model.as_ref().map_or(tch::Kind::Float, |(_, weights)| weights.stored_kind());
        let kind = match model {
            Some(_) => torch::kind(self.args.dtype, stored, self.device),
            None => tch::Kind::Float, // a module has types of its own
        };
        let model_digest = self.model_digest(checkpoint, &base, kind)?;
        let settings = Settings { inputs: inputs.to_owned(), model: model_digest };
        Ok(Prepared { base, model, kind, settings })
    }

    /// The numbers of one checkpoint.
    fn one(&self, checkpoint: &Checkpoint, inputs: &str, counted: &str) -> Result<Done, Stop> {
        let Prepared { base, model, kind, settings } = self.prepare(checkpoint, inputs)?;
        let (spec, weights) = model.unzip();
        let is_script = spec.is_none();
        let directory = self.tokenizer_directory(checkpoint, &base);
        let has_tokenizer = !is_script || self.args.tokenizer.is_some();
        let models = [&checkpoint.path, &base.path, &directory].map(PathBuf::as_path);
        let tokenizer =
            if has_tokenizer { Some(Tokenizer::load(&directory, &models)?) } else { None };
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
                let place = Place { kind, device: self.device };
                let loading = format!("cannot load {}", base.path.display());
                let model = Model::load(spec, weights, place)
                    .map_err(|error| torch::plain(error, &loading))?;
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
        Ok(Done { settings, loaded, scored })
    }

    /// Writes a checkpoint's row and what belongs to it.
    fn enter(
        &self,
        step: u64,
        done: Done,
        book: &mut Book,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let Done { settings, loaded, scored } = done;
        let scores: Vec<&[Token]> =
            scored.answers.iter().map(|answer| &answer.scores[..]).collect();
        let Some(summary) = Summary::of(&scores) else {
            return Err(self.nothing_left(&loaded.items));
        };
        book.history.add(step, &summary, &settings)?;
        self.write_answers(step, &loaded, &scored, book)?;
        self.say(step, &summary, &loaded, &scored, tally.computed == 0);
        tally.computed += 1;
        tally.tokens += scored.run_tokens;
        tally.seconds += scored.seconds;
        tally.on_entropy += scored.on_entropy.as_secs_f64();
        Ok(())
    }

    /// Puts the files in their places and says what was done.
    fn close(
        &self,
        mut book: Book,
        tally: Tally,
        all: usize,
        took: Duration,
    ) -> Result<Outcome, Failure> {
        book.history.settle()?;
        if tally.computed + tally.skipped == 0
            && let Some(failure) = tally.failure
        {
            let error = failure.error.context("no checkpoint could be computed");
            return Err(Failure { error, ..failure });
        }
        let history = book.history;
        let mut written = Vec::from_iter((history.len() > 0).then(|| history.path().to_owned()));
        for (sink, what) in [(book.tokens, "computed"), (book.rollouts, "sampled")] {
            let Some(sink) = sink else { continue };
            let path = sink.path().to_owned();
            match sink.finish()? {
                Some(path) => written.push(path),
                None => self
                    .terminal
                    .warn(&format!("{} is not written: nothing was {what}", path.display())),
            }
        }
        let listed: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
        self.terminal.print(listed.as_bytes())?;
        if progress::interrupted() {
            let left = all - tally.computed - tally.skipped;
            say_interrupted(&format!(
                "interrupted with {} to go; {} in {}",
                plural(left, "checkpoint", "checkpoints"),
                plural(history.len(), "row is", "rows are"),
                history.path().display()
            ));
            return Ok(Outcome::Interrupted);
        }
        if tally.computed > 0 {
            let share = match self.device {
                Device::Cpu => {
                    format!(", {:.0} % of it on entropy", 100.0 * tally.on_entropy / tally.seconds)
                }
                _ => String::new(),
            };
            self.terminal.note(&format!(
                "{} in {}: {:.0} tokens/s{share}",
                plural(tally.computed, "checkpoint", "checkpoints"),
                duration(took.as_secs_f64()),
                tally.tokens as f64 / tally.seconds
            ));
        }
        Ok(if tally.partial { Outcome::Partial } else { Outcome::Done })
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
        let progress = Progress::new(self.terminal.is_quiet(), counted.to_owned(), total);
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
        book: &mut Book,
    ) -> Result<(), Failure> {
        book.sinks().try_for_each(|sink| sink.begin(step))?;
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
            if let Some(sink) = &mut book.tokens {
                let pieces = tokenizer
                    .map(|tokenizer| tokenizer.pieces(&answer.response))
                    .unwrap_or_default();
                sink.tokens(&out, &pieces)?;
            }
            if let (Some(sink), Some(_)) = (&mut book.rollouts, answer.sample) {
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

/// Refuses a file whose name promises something else.
fn expect_name(path: Option<&PathBuf>, extensions: &[&str], what: &str) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    let fits = path.extension().is_some_and(|extension| extensions.iter().any(|e| extension == *e));
    // A device or a pipe has the name it has.
    if fits || fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Ok(());
    }
    Err(anyhow!("cannot write {}: {what}", path.display()))
        .hint(format!("let the name end in .{}", extensions.join(" or .")))
}

/// The place a path means, whether or not there is something yet.
fn place_of(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

fn hash_file(hasher: &mut blake3::Hasher, path: &Path) -> Result<(), Failure> {
    // The size first: two files then never look like one.
    let size = fs::metadata(path).map(|metadata| metadata.len());
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
