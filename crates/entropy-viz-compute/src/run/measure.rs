//! One checkpoint: opened, told from others by a digest, loaded, and its responses measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use entropy_shell::compute::BatchTokens;
use entropy_shell::{Failure, plural};
use tch::Device;

use super::{Done, Job};
use crate::chat::ChatTemplate;
use crate::checkpoint::config::Config;
use crate::checkpoint::weights::{Place, Weights};
use crate::checkpoint::{Checkpoint, Kind};
use crate::generate::{Finish, GenerateError, Request, Sampling};
use crate::inputs::{Item, Items};
use crate::model::decoder::Spec;
use crate::model::script::Script;
use crate::model::{self, Model};
use crate::progress::{Progress, duration};
use crate::rows::Settings;
use crate::sample::{Choice, Source};
use crate::score::{ScoreError, Scoring, Sequence};
use crate::tokenizer::Tokenizer;
use crate::torch;
use entropy_kernels::logits::Token;

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

/// A model with all that belongs to it.
pub(super) struct Loaded {
    pub(super) model: Model,
    pub(super) tokenizer: Option<Tokenizer>,
    pub(super) items: Items,
}

/// A checkpoint that is opened but not loaded.
pub(super) struct Prepared {
    pub(super) base: Checkpoint,
    pub(super) model: Option<(Spec, Weights)>, // none of a TorchScript module
    pub(super) kind: tch::Kind,
    pub(super) settings: Settings,
}

/// The responses of one checkpoint, with their numbers.
pub(super) struct Scored {
    pub(super) answers: Vec<Given>,
    pub(super) seconds: f64,
    pub(super) on_entropy: Duration,
    pub(super) run_tokens: usize, // all that went through the model
}

pub(super) struct Given {
    pub(super) item: usize,
    pub(super) sample: Option<usize>,
    pub(super) response: Vec<i64>,
    pub(super) scores: Vec<Token>,
    pub(super) finish: Option<Finish>, // of a sampled one
}

/// Why a checkpoint gave no row.
pub(super) enum Stop {
    Interrupted,
    Failed(Failure),
}

impl<E: Into<Failure>> From<E> for Stop {
    fn from(error: E) -> Stop {
        Stop::Failed(error.into())
    }
}

impl Job<'_> {
    /// Opens a checkpoint: what it is and what its row's settings are.
    pub(super) fn prepare(
        &self,
        checkpoint: &Checkpoint,
        inputs: &str,
    ) -> Result<Prepared, Failure> {
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
    pub(super) fn one(
        &self,
        checkpoint: &Checkpoint,
        inputs: &str,
        counted: &str,
    ) -> Result<Done, Stop> {
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
                self.terminal.verbose(|| {
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
            BatchTokens::Max(tokens) => tokens,
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
                BatchTokens::Max(tokens) => Some(tokens),
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
}

pub(super) fn hash_file(hasher: &mut blake3::Hasher, path: &Path) -> Result<(), Failure> {
    // The size first: two files then never look like one.
    let size = fs::metadata(path).map(|metadata| metadata.len());
    let hashed = size.and_then(|size| {
        hasher.update(&size.to_le_bytes());
        hasher.update_mmap_rayon(path).map(|_| ())
    });
    hashed.map_err(|error| {
        anyhow!("cannot read {}: {}", path.display(), entropy_shell::io_message(&error)).into()
    })
}

pub(super) fn short(hasher: &blake3::Hasher) -> String {
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Where the first of the stop texts begins.
pub(super) fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter_map(|stop| text.find(stop.as_str())).min()
}
