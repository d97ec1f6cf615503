//! The `compute` command: selects checkpoints, computes each, and writes its row.
//!
//! The history is written after every checkpoint, so that an interruption, a full disk or a broken checkpoint loses
//! no finished work.

mod evaluate;
mod output;
mod plan;
mod prompt_source;

use std::time::{Duration, Instant};

use anyhow::anyhow;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::{CliError, Outcome, Terminal, plural, report_error};
use tch::Device;

use crate::encoder::PromptEncoder;
use crate::history::EntropySummary;
use crate::interrupt::{self, interrupted};
use crate::torch;
use evaluate::{Evaluation, EvaluationError, compute_checkpoint};
use output::RunOutputs;
use plan::{RunInputs, Selection, warn_skipped};
use prompt_source::PromptSource;

/// Runs `compute` with these flags.
pub(crate) fn run(args: &ComputeArgs, terminal: &Terminal) -> Result<Outcome, CliError> {
    let (Some(model), Some(prompts)) = (&args.model, &args.prompts) else {
        return Err(anyhow!("BUG: --model and --prompts are required").into());
    };
    interrupt::install_handler();
    let device = torch::device(args.device)?;
    let encoder = PromptEncoder::new(args)?;
    let prompts = PromptSource::open(prompts, args, terminal)?;
    let inputs = RunInputs { args, terminal, device, prompts, encoder };
    let selection = Selection::new(model, args, terminal)?;
    let checkpoints = &selection.checkpoints;
    if checkpoints.is_empty() {
        terminal.info("nothing to compute in this shard");
        return Ok(Outcome::Done);
    }
    let mut outputs = RunOutputs::open(&inputs, model, &selection)?;
    let checking = terminal.waiting("looking for checkpoints that need not be computed again");
    let is_computed = checkpoints
        .iter()
        .map(|checkpoint| outputs.is_computed(&inputs, checkpoint))
        .collect::<Result<Vec<bool>, CliError>>()?;
    drop(checking);

    let mut totals = Totals { partial: selection.unusable > 0, ..Totals::default() };
    let start = Instant::now();
    for (i, (checkpoint, is_computed)) in checkpoints.iter().zip(is_computed).enumerate() {
        if interrupted() {
            break;
        }
        let step = checkpoint.step.unwrap_or(0);
        if is_computed {
            totals.skipped += 1;
            let path = outputs.history.path().display();
            terminal.info(&format!("step {step}: already in {path}"));
            continue;
        }
        let label = format!("checkpoint {} of {} (step {step})", i + 1, checkpoints.len());
        match compute_checkpoint(&inputs, checkpoint, &outputs.inputs_digest, &label) {
            Ok(evaluation) => {
                let summary = outputs.record_row(&inputs, step, &evaluation)?;
                report_checkpoint(&inputs, step, &summary, &evaluation, totals.computed == 0);
                totals.add(&summary, &evaluation);
            }
            Err(EvaluationError::Interrupted) => break,
            Err(EvaluationError::Failed(failure)) if checkpoints.len() == 1 => return Err(failure),
            Err(EvaluationError::Failed(failure)) => {
                warn_skipped(terminal, step, &failure);
                totals.failure = Some(failure);
                totals.partial = true;
            }
        }
    }
    finish(&inputs, outputs, totals, checkpoints.len(), start.elapsed())
}

/// The totals of all checkpoints, for the closing line.
#[derive(Default)]
struct Totals {
    computed: usize,
    skipped: usize,
    /// Whether a selected checkpoint could not be computed.
    partial: bool,
    /// The last one.
    failure: Option<CliError>,
    /// Response tokens with an entropy.
    tokens: usize,
    /// Tokens that went through the model.
    run_tokens: usize,
    seconds: f64,
    entropy_seconds: f64,
}

impl Totals {
    fn add(&mut self, summary: &EntropySummary, evaluation: &Evaluation) {
        self.computed += 1;
        self.tokens += summary.tokens;
        self.run_tokens += evaluation.run_tokens;
        self.seconds += evaluation.seconds;
        self.entropy_seconds += evaluation.entropy_time.as_secs_f64();
    }
}

/// Completes the output files and prints the closing line.
fn finish(
    inputs: &RunInputs<'_>,
    mut outputs: RunOutputs,
    totals: Totals,
    checkpoints: usize,
    elapsed: Duration,
) -> Result<Outcome, CliError> {
    outputs.history.merge_shards()?;
    if totals.computed + totals.skipped == 0
        && let Some(failure) = totals.failure
    {
        let error = failure.error.context("no checkpoint could be computed");
        return Err(CliError { error, ..failure });
    }
    let terminal = inputs.terminal;
    let rows = plural(outputs.history.len(), "row", "rows");
    let history = outputs.history.path().to_owned();
    let written = outputs.finish(terminal)?;
    let paths: String = written.iter().map(|path| format!("{}\n", path.display())).collect();
    terminal.print(paths.as_bytes())?;
    if interrupted() {
        let left =
            plural(checkpoints - totals.computed - totals.skipped, "checkpoint", "checkpoints");
        let message = format!("interrupted with {left} left; {} has {rows}", history.display());
        report_error(&message, None);
        return Ok(Outcome::Interrupted);
    }
    if totals.computed > 0 {
        let share = match inputs.device {
            Device::Cpu => {
                let share = 100.0 * totals.entropy_seconds / totals.seconds;
                format!("; entropy took {share:.0} % of the time")
            }
            _ => String::new(),
        };
        terminal.info(&format!(
            "{}, {} in {} ({:.0} tokens/s{share})",
            plural(totals.computed, "checkpoint", "checkpoints"),
            plural(totals.tokens, "token", "tokens"),
            format_duration(elapsed.as_secs_f64()),
            totals.run_tokens as f64 / totals.seconds
        ));
    }
    Ok(if totals.partial { Outcome::Partial } else { Outcome::Done })
}

/// Prints the line of a checkpoint; with the first, also warnings about rows that were left out or changed.
fn report_checkpoint(
    inputs: &RunInputs<'_>,
    step: u64,
    summary: &EntropySummary,
    evaluation: &Evaluation,
    is_first: bool,
) {
    let encoded = &evaluation.encoded;
    let (terminal, file) = (inputs.terminal, evaluation.prompts.path.display());
    // Each dump of a directory is a file of its own.
    if let Some(message) = encoded.bare.message()
        && (is_first || matches!(inputs.prompts, PromptSource::Directory(_)))
    {
        terminal.warn(&format!(
            "{file}: {message} (dump token ids for exact numbers; --chat-template never uses the text as it is)"
        ));
    }
    if is_first {
        let left_out = encoded.left_out();
        if !left_out.is_empty() {
            terminal.warn(&format!("{file}: left out {left_out}"));
        }
        if encoded.truncated > 0 {
            let prompts = plural(encoded.truncated, "prompt was", "prompts were");
            terminal.warn(&format!("{file}: {prompts} cut at the beginning to fit the context"));
        }
        if encoded.from_text > 0 {
            let responses = plural(encoded.from_text, "response", "responses");
            terminal.warn(&format!(
                "{responses} scored from text: inexact where re-tokenising differs"
            ));
        }
    }
    let sampled = encoded.records.iter().filter(|record| record.sample.is_some()).count();
    let responses = match (sampled, summary.sequences - sampled) {
        (0, scored) => plural(scored, "scored response", "scored responses"),
        (sampled, 0) => plural(sampled, "sampled response", "sampled responses"),
        (sampled, scored) => format!("{sampled} sampled and {scored} scored responses"),
    };
    terminal.info(&format!(
        "step {step}: entropy {:.4} nats/token ({}, {responses}); {:.4} averaged per response",
        summary.entropy,
        plural(summary.tokens, "token", "tokens"),
        summary.sequence_mean
    ));
}

/// A duration with a unit that suits its size.
fn format_duration(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}
