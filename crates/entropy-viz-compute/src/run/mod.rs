//! The `compute` command: selects checkpoints, computes each, and writes its row.
//!
//! The history is written after every checkpoint, so that an interruption, a full disk or a broken checkpoint loses
//! no finished work.

mod evaluate;
mod forecast;
mod output;
mod plan;
mod prompt_source;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use entropy_history::label::visible;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::{CliError, Outcome, Terminal, plural, report_error};
use tch::Device;

use crate::encoder::PromptEncoder;
use crate::groups::NoColumn;
use crate::interrupt::{self, interrupted};
use crate::prompts::MAX_ANSWER;
use crate::reference::Reference;
use crate::row_counts::RowCounts;
use crate::row_shards::MergedStep;
use crate::score_plan::{Divergences, Quantity, ScorePlan};
use crate::script_check;
use crate::share::RowShare;
use crate::summary::{EntropySummary, EntropySums};
use crate::torch;
use evaluate::{Evaluation, EvaluationError, compute_checkpoint, no_rows};
use output::{RunOutputs, StepState};
use plan::{RunInputs, Selection, warn_skipped};
use prompt_source::PromptSource;

/// Runs `compute` with these flags.
pub(crate) fn run(args: &ComputeArgs, terminal: &Terminal) -> Result<Outcome, CliError> {
    if let (Some(model), None, Some(file)) = (&args.model, &args.prompts, &args.verify_script) {
        return script_check::verify(model, file, args, terminal);
    }
    let (Some(model), Some(prompts)) = (&args.model, &args.prompts) else {
        return Err(anyhow!("BUG: --model and --prompts are required").into());
    };
    interrupt::install_handler();
    let device = torch::device(args.device)?;
    let encoder = PromptEncoder::new(args)?;
    let prompts = PromptSource::open(prompts, args, terminal)?;
    let plan = ScorePlan {
        temperature: args.temperature.main,
        other_temperatures: args.temperature.others.clone(),
        nucleus: args.nucleus,
        divergences: match &args.reference {
            Some(_) => Divergences::Computed,
            None => Divergences::None,
        },
    };
    let selection = Selection::new(model, args, terminal)?;
    let checkpoints = &selection.checkpoints;
    let reference = Reference::find(args, checkpoints)?;
    let inputs = RunInputs { args, terminal, device, prompts, encoder, plan, reference };
    if checkpoints.is_empty() {
        terminal.info("nothing to compute in this shard");
        return Ok(Outcome::Done);
    }
    let mut outputs = RunOutputs::open(&inputs, model, &selection)?;
    if args.plan {
        forecast::print(&inputs, &selection, &mut outputs, terminal)?;
        return Ok(Outcome::Done);
    }
    let checking = terminal.waiting("looking for checkpoints that need not be computed again");
    let states = checkpoints
        .iter()
        .map(|checkpoint| outputs.state(&inputs, checkpoint))
        .collect::<Result<Vec<StepState>, CliError>>()?;
    drop(checking);

    // While shards work on a step, none is computed here: this may be a machine without a GPU.
    let is_unfinished = states.iter().any(|state| matches!(state, StepState::Unfinished(_)));
    let mut totals = Totals { partial: !selection.unusable.is_empty(), ..Totals::default() };
    let start = Instant::now();
    for (i, (checkpoint, state)) in checkpoints.iter().zip(states).enumerate() {
        if interrupted() {
            break;
        }
        let step = checkpoint.step.unwrap_or(0);
        let is_first = totals.computed == 0;
        match state {
            StepState::Computed => {
                totals.skipped += 1;
                let path = outputs.history.path().display();
                terminal.info(&format!("step {step}: already in {path}"));
            }
            StepState::Unverified => {
                totals.skipped += 1;
                terminal.warn(&format!(
                    "step {step}: already in {}, which is kept; its {} is missing",
                    outputs.history.path().display(),
                    inputs.prompts.describe(args, step)
                ));
            }
            StepState::Sharded(merged, digests) => {
                let MergedStep { shards, sums, counts } = *merged;
                let file = inputs.prompts.path(args, step);
                match sums.summary() {
                    Some(summary) => {
                        outputs.record_merged(step, &summary, &digests)?;
                        report_rows(&inputs, &file, &counts, is_first);
                        let place = format!("step {step}, merged from {shards} shards");
                        report_step(terminal, &place, Some(&summary), &counts);
                        totals.skipped += 1;
                    }
                    None => {
                        let failure = no_rows(&file, &counts);
                        warn_skipped(terminal, step, &failure);
                        totals.fail(failure);
                    }
                }
            }
            StepState::Unfinished(message) => totals.fail_unfinished(terminal, &message),
            StepState::Missing if is_unfinished => {
                totals.fail_unfinished(terminal, &format!("step {step}: no shard has it"));
            }
            StepState::Missing => {
                let label = format!("checkpoint {} of {} (step {step})", i + 1, checkpoints.len());
                match compute_checkpoint(&inputs, checkpoint, &outputs.inputs_digest, &label) {
                    Ok(evaluation) => {
                        let sums = outputs.record_row(&inputs, step, &evaluation)?;
                        let counts = &evaluation.encoded.counts;
                        report_rows(&inputs, &evaluation.prompts.path, counts, is_first);
                        report_groups(&inputs, &evaluation, is_first);
                        report_infinite(&inputs, &evaluation, step);
                        let place = match inputs.share() {
                            None => format!("step {step}"),
                            Some(RowShare { number, of }) => {
                                format!("step {step}, shard {number} of {of}")
                            }
                        };
                        report_step(terminal, &place, sums.summary().as_ref(), counts);
                        totals.add(&sums, &evaluation);
                    }
                    Err(EvaluationError::Interrupted) => break,
                    Err(EvaluationError::Failed(failure)) if checkpoints.len() == 1 => {
                        return Err(failure);
                    }
                    // A name that no row has is rather a mistake in the name than in the rows of this step.
                    Err(EvaluationError::Failed(failure))
                        if totals.computed == 0 && failure.error.is::<NoColumn>() =>
                    {
                        return Err(failure);
                    }
                    Err(EvaluationError::Failed(failure)) => {
                        warn_skipped(terminal, step, &failure);
                        totals.fail(failure);
                    }
                }
            }
        }
    }
    if totals.unfinished > 0 && totals.computed + totals.skipped > 0 {
        let steps = plural(totals.unfinished, "step is", "steps are");
        terminal.warn(&format!("{steps} not merged: {UNFINISHED_HINT}"));
    }
    for (why, names) in outputs.row_shards.ignored() {
        let files = plural(names.len(), "file", "files");
        let names = names.join(", ");
        terminal.info(&format!("ignored {files} in shards/, {why}: {names}"));
    }
    finish(&inputs, outputs, totals, checkpoints.len(), start.elapsed())
}

const UNFINISHED_HINT: &str =
    "run the missing shards, or remove the files rows-* from shards/ to compute the steps here";

/// The totals of all checkpoints, for the closing line.
#[derive(Default)]
struct Totals {
    computed: usize,
    skipped: usize,
    /// Checkpoints that shards have not finished.
    unfinished: usize,
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
    fn add(&mut self, sums: &EntropySums, evaluation: &Evaluation) {
        self.computed += 1;
        self.tokens += sums.tokens;
        self.run_tokens += evaluation.run_tokens;
        self.seconds += evaluation.seconds;
        self.entropy_seconds += evaluation.entropy_time.as_secs_f64();
    }

    fn fail(&mut self, failure: CliError) {
        self.failure = Some(failure);
        self.partial = true;
    }

    /// A step that shards have not finished.
    fn fail_unfinished(&mut self, terminal: &Terminal, message: &str) {
        terminal.warn(message);
        let hint =
            "run the missing shards, or remove rows-*.json from shards/ to compute the steps here";
        let error = anyhow!("{message}");
        self.fail(CliError { error, hint: Some(hint.to_owned()) });
        self.unfinished += 1;
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
    if totals.seconds > 0.0 {
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

/// Prints warnings about rows that were left out or changed: with the first checkpoint, or with each dump of a directory,
/// which is a file of its own.
fn report_rows(inputs: &RunInputs<'_>, file: &Path, counts: &RowCounts, is_first: bool) {
    let terminal = inputs.terminal;
    if !is_first && !matches!(inputs.prompts, PromptSource::Directory(_)) {
        return;
    }
    if let Some(message) = counts.bare.message() {
        terminal.warn(&format!(
            "{}: {message} (dump token ids for exact numbers; --chat-template never uses the text as it is)",
            file.display()
        ));
    }
    let file = file.display();
    let left_out = counts.left_out();
    if !left_out.is_empty() {
        terminal.warn(&format!("{file}: left out {left_out}"));
    }
    if counts.truncated > 0 {
        let prompts = plural(counts.truncated, "prompt was", "prompts were");
        terminal.warn(&format!("{file}: {prompts} cut at the beginning to fit the context"));
    }
    if counts.long_answers > 0 {
        let answers = plural(counts.long_answers, "answer is", "answers are");
        terminal.warn(&format!(
            "{file}: {answers} longer than {MAX_ANSWER} characters and not in --tokens-out; `entropy-viz tokens \
             --answer-regex REGEX` finds answers in the texts of responses"
        ));
    }
    if counts.from_text > 0 && is_first {
        let responses = plural(counts.from_text, "response", "responses");
        terminal
            .warn(&format!("{responses} scored from text: inexact where re-tokenising differs"));
    }
}

/// Prints warnings about responses that belong to no group, as [`report_rows`] does.
fn report_groups(inputs: &RunInputs<'_>, evaluation: &Evaluation, is_first: bool) {
    if is_first || matches!(inputs.prompts, PromptSource::Directory(_)) {
        for message in &evaluation.groups.left_out {
            inputs.terminal.warn(&format!("{}: {message}", evaluation.prompts.path.display()));
        }
    }
}

/// Warns about divergences that are infinite, whose mean is too.
fn report_infinite(inputs: &RunInputs<'_>, evaluation: &Evaluation, step: u64) {
    for (index, quantity) in inputs.plan.quantities().into_iter().enumerate() {
        let (name, lacks, has) = match quantity {
            Quantity::Kl => ("KL(policy ‖ reference)", "reference", "policy"),
            Quantity::KlReverse => ("KL(reference ‖ policy)", "policy", "reference"),
            _ => continue,
        };
        let records = &evaluation.encoded.records;
        let infinite = records
            .iter()
            .map(|record| record.scores.column(index).filter(|kl| kl.is_infinite()).count());
        let count = infinite.sum::<usize>();
        if count > 0 {
            inputs.terminal.warn(&format!(
                "step {step}: {name} is infinite at {}, where the {lacks} gives no probability to a token that the {has} may \
                 choose; it is null there, and so is its mean, {}",
                plural(count, "token", "tokens"),
                quantity.mean()
            ));
        }
    }
}

/// Prints the line of a checkpoint; `place` is its step.
fn report_step(
    terminal: &Terminal,
    place: &str,
    summary: Option<&EntropySummary>,
    counts: &RowCounts,
) {
    let Some(summary) = summary else {
        terminal.info(&format!("{place}: it has no row that can be computed"));
        return;
    };
    let responses = match (counts.sampled, summary.sequences - counts.sampled) {
        (0, scored) => plural(scored, "scored response", "scored responses"),
        (sampled, 0) => plural(sampled, "sampled response", "sampled responses"),
        (sampled, scored) => format!("{sampled} sampled and {scored} scored responses"),
    };
    let kl = [(Quantity::Kl, "policy ‖ reference"), (Quantity::KlReverse, "reference ‖ policy")];
    let kl = kl.iter().filter_map(|(quantity, what)| {
        Some(format!("; KL({what}) {:.4} nats/token", summary.means.get(&quantity.mean())?))
    });
    terminal.info(&format!(
        "{place}: entropy {:.4} nats/token ({}, {responses}); {:.4} averaged per response{}",
        summary.entropy,
        plural(summary.tokens, "token", "tokens"),
        summary.sequence_mean,
        kl.collect::<String>()
    ));
    if !summary.groups.is_empty() {
        terminal.info(&format!("{place}, by group: {}", groups_in_words(&summary.groups)));
    }
}

/// The mean entropies of groups, of at most eight.
fn groups_in_words(groups: &BTreeMap<String, Option<EntropySummary>>) -> String {
    const MAX_GROUPS: usize = 8;
    let words = |(name, summary): (&String, &Option<EntropySummary>)| match summary {
        Some(summary) => format!(
            "{} {:.4} ({})",
            visible(name),
            summary.entropy,
            plural(summary.sequences, "response", "responses")
        ),
        None => format!("{} has no response", visible(name)),
    };
    let mut parts: Vec<String> = groups.iter().take(MAX_GROUPS).map(words).collect();
    if let Some(more) = groups.len().checked_sub(MAX_GROUPS).filter(|more| *more > 0) {
        parts.push(format!("{} in the history", plural(more, "further group", "further groups")));
    }
    parts.join(", ")
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
