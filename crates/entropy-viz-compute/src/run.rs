//! The whole of `compute`: which checkpoints, each one's numbers, and where they go.
//!
//! Checkpoints come one after the other; each that is finished is in the history before the next
//! begins, so an interruption, a full disk or a broken checkpoint loses nothing that was done.

mod book;
mod measure;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::{Failure, Outcome, Terminal, WithHint, plural, report_error};
use tch::Device;

use crate::checkpoint::{self, Checkpoint, Found};
use crate::inputs::{Items, Recipe};
use crate::progress::{self, duration};
use crate::prompts::{self, PromptError, Row};
use crate::rows::{Settings, Summary};
use crate::torch;
use book::{Book, Todo};
use entropy_kernels::logits::Token;
use measure::{Loaded, Scored, Stop};

/// What stays the same from checkpoint to checkpoint.
struct Job<'a> {
    args: &'a ComputeArgs,
    terminal: &'a Terminal,
    device: Device,
    prompts: &'a Path,
    rows: Vec<Row>,
    recipe: Recipe,
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
            PromptError::Io(error) => entropy_shell::io_message(&error),
            other => other.to_string(),
        };
        Failure { error: anyhow!("cannot read {}: {why}", prompts.display()), hint }
    })?;
    let job = Job { args, terminal, device, prompts, rows, recipe };
    let chosen = job.checkpoints(path)?;
    let checkpoints = &chosen.checkpoints;
    if checkpoints.is_empty() {
        terminal.info("nothing to compute in this shard");
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
            terminal.info(&format!("step {step}: already in {}", book.history.path().display()));
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
        self.io_message(step, &summary, &loaded, &scored, tally.computed == 0);
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
            let text = format!(
                "interrupted with {} to go; {} in {}",
                plural(left, "checkpoint", "checkpoints"),
                plural(history.len(), "row is", "rows are"),
                history.path().display()
            );
            report_error(&text, None);
            return Ok(Outcome::Interrupted);
        }
        if tally.computed > 0 {
            let share = match self.device {
                Device::Cpu => {
                    format!(", {:.0} % of it on entropy", 100.0 * tally.on_entropy / tally.seconds)
                }
                _ => String::new(),
            };
            self.terminal.info(&format!(
                "{} in {}: {:.0} tokens/s{share}",
                plural(tally.computed, "checkpoint", "checkpoints"),
                duration(took.as_secs_f64()),
                tally.tokens as f64 / tally.seconds
            ));
        }
        Ok(if tally.partial { Outcome::Partial } else { Outcome::Done })
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

    /// One line for a checkpoint; what was left out is said with the first.
    fn io_message(
        &self,
        step: u64,
        summary: &Summary,
        loaded: &Loaded,
        scored: &Scored,
        first: bool,
    ) {
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
        self.terminal.info(&format!(
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
