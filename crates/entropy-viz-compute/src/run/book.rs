//! What is written, and what is there already: the history and the files beside it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::output::AtomicFile;
use entropy_shell::{Failure, WithHint};
use serde_json::json;

use super::measure::{Loaded, Scored, first_stop, hash_file, short};
use super::{Chosen, Extent, Job};
use crate::checkpoint::{self, Checkpoint};
use crate::generate::Finish;
use crate::rows::{Rows, of_shard};
use crate::tokens::{Answer, Sink, unwritable};

/// What is written: the history and the files beside it.
pub(super) struct Book {
    pub(super) inputs: String,
    pub(super) history: Rows,
    pub(super) tokens: Option<Sink>,
    pub(super) rollouts: Option<Sink>,
    pub(super) todo: Vec<Todo>,
}

/// What is left to do for a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Todo {
    Compute,
    /// Its row is there already, computed with the same settings.
    Nothing,
}

impl Book {
    fn sinks(&mut self) -> impl Iterator<Item = &mut Sink> {
        [&mut self.tokens, &mut self.rollouts].into_iter().flatten()
    }
}

impl Job<'_> {
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
    pub(super) fn open_book(&self, path: &Path, chosen: &Chosen) -> Result<Book, Failure> {
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
        drop(AtomicFile::create(output).map_err(|error| unwritable(output, &error))?);
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

    /// Writes what every token was and what was sampled.
    pub(super) fn write_answers(
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
