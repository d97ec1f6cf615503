//! Finds what a run has, and computes what is missing: afterwards there is a dump of tokens.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use serde::Serialize;

use super::compute::{Answer, CheckpointState, ComputeCall, Plan, confirm, duration, warnings_of};
use super::scoring::Scoring;
use super::{ExplainArgs, data_directory, survey};
use crate::cli::launch::Helper;
use crate::cli::target::{Target, cannot_write};
use entropy_shell::compute::DumpStep;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, plural};

/// Longer work is asked about, in seconds.
const LONG: f64 = 300.0;
/// Comparisons need this many checkpoints.
const FEWEST: usize = 2;

/// A checkpoint that is not in the dump, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LeftOut {
    pub(super) step: u64,
    pub(super) reason: String,
}

/// The dump of tokens and where it is from.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    pub(super) dumps: Vec<String>,
    /// The steps of the checkpoints, if the dump was computed from them: it may also have those of earlier calls.
    pub(super) steps: Vec<u64>,
    pub(super) scoring: Scoring,
    /// What was found and done, as sentences.
    pub(super) notes: Vec<String>,
    /// Checkpoints that could not be used.
    pub(super) left_out: Vec<LeftOut>,
    /// What `compute` warned of.
    pub(super) warnings: Vec<String>,
    pub(super) outcome: Outcome,
}

/// A file or directory that exists already, or is to be computed.
enum Rollouts {
    /// A dump per step.
    ByStep(survey::Rollouts),
    /// One file for all checkpoints.
    File(PathBuf),
}

impl ExplainArgs {
    /// Finds or computes the dump of tokens; `None` if the user stopped it.
    ///
    /// # Errors
    /// When something is missing, or cannot be computed.
    pub(super) fn prepare(
        &self,
        page: &Target,
        terminal: &Terminal,
    ) -> Result<Option<Prepared>, CliError> {
        let given = match (&self.tokens[..], &self.rollouts) {
            ([], Some(_)) => Vec::new(),
            ([], None) => {
                let found = survey::token_dumps(&self.run);
                found.iter().map(|path| path.to_string_lossy().into_owned()).collect()
            }
            (named, _) => named.to_vec(),
        };
        if let [first, second, ..] = &given[..]
            && self.tokens.is_empty()
        {
            return Err(anyhow!(
                "{} has several dumps of tokens: {first} and {second}",
                self.run.display()
            ))
            .hint("name one with --tokens");
        }
        if !given.is_empty() {
            let note = format!("Entropies are those of {}; nothing is computed.", given.join(", "));
            terminal.info(&note);
            return Ok(Some(Prepared {
                dumps: given,
                steps: Vec::new(),
                scoring: Scoring::Given,
                notes: vec![note],
                left_out: Vec::new(),
                warnings: Vec::new(),
                outcome: Outcome::Done,
            }));
        }
        let Target::File(page) = page else {
            return Err(anyhow!("BUG: the page is a file").into());
        };
        let data = data_directory(page);
        let rollouts = self.find_rollouts()?;
        let helper = match Helper::find(self.libtorch.as_deref(), terminal) {
            Ok(helper) => helper,
            Err(failure) => return kept(&data, failure, terminal).map(Some),
        };
        let is_new = !data.exists();
        fs::create_dir_all(&data).map_err(|error| cannot_write(&data, &error))?;
        let prepared = self.compute(&helper, rollouts, &data, terminal);
        if is_new && !matches!(prepared, Ok(Some(_))) {
            // Only if nothing was written into it.
            let _ = fs::remove_dir(&data);
        }
        prepared
    }

    fn find_rollouts(&self) -> Result<Rollouts, CliError> {
        let path = match &self.rollouts {
            Some(path) if path.is_file() => return Ok(Rollouts::File(path.clone())),
            Some(path) if !path.is_dir() => {
                return Err(anyhow!("cannot read {}: no such file or directory", path.display()))
                    .hint("--rollouts names a directory with a dump per step, or a file");
            }
            Some(path) => path,
            None => &self.run,
        };
        let found = match &self.rollouts {
            Some(path) => survey::steps_in(path)?,
            None => survey::rollouts(path)?,
        };
        found.map(Rollouts::ByStep).ok_or_else(|| CliError {
            error: anyhow!("cannot explain {}: no rollouts found, only responses that were sampled can be scored", path.display()),
            hint: Some(
                "name them with --rollouts: a directory with one dump per step (10.jsonl, completions_00010.parquet), or \
                 one file; or a dump of tokens with --tokens"
                    .to_owned(),
            ),
        })
    }

    fn compute(
        &self,
        helper: &Helper,
        rollouts: Rollouts,
        data: &Path,
        terminal: &Terminal,
    ) -> Result<Option<Prepared>, CliError> {
        let (prompts, steps) = match &rollouts {
            Rollouts::ByStep(found) => (found.path.clone(), Some(found.steps.len())),
            Rollouts::File(file) => (file.clone(), None),
        };
        let mut call = ComputeCall {
            run: self.run.clone(),
            prompts,
            dump_step: None,
            steps: None,
            history: data.join(format!("entropy_history_{}.json", self.name())),
            tokens: data.join("tokens.jsonl"),
            flags: self.compute_flags.clone(),
        };
        let plan = match steps {
            Some(_) => self.choose_step(&mut call, helper)?,
            None => call.plan(helper)?,
        };
        let scoring = Scoring::of(call.dump_step);
        let found = match steps {
            Some(steps) => plural(steps, "step", "steps"),
            None => "one file for all checkpoints".to_owned(),
        };
        let checkpoints = plan.checkpoints.len();
        let mut notes = vec![format!(
            "Found {} and rollouts of {found} in {}; {}.",
            plural(checkpoints, "checkpoint", "checkpoints"),
            call.prompts.display(),
            scoring.words()
        )];
        let left_out: Vec<LeftOut> = plan
            .of_state(CheckpointState::Unusable)
            .map(|checkpoint| LeftOut {
                step: checkpoint.step,
                reason: checkpoint.reason.clone().unwrap_or_default(),
            })
            .collect();
        check_count(&plan, &left_out)?;
        let missing: Vec<_> = plan.of_state(CheckpointState::Missing).collect();
        let tokens: u64 = missing.iter().map(|checkpoint| checkpoint.tokens).sum();
        let sampled: u64 = missing.iter().map(|checkpoint| checkpoint.sampled).sum();
        let responses: u64 = missing.iter().map(|checkpoint| checkpoint.responses).sum();
        if sampled > 0 {
            return Err(anyhow!(
                "{sampled} of {responses} rows of {} have no response: their entropies would be those of new responses",
                call.prompts.display()
            ))
            .hint("give rollouts with responses (`-- --response-key KEY` names their column), or sample with `compute`");
        }
        notes.iter().for_each(|note| terminal.info(note));
        let left = left_out_words(&left_out);
        left.iter().for_each(|text| terminal.warn(text));
        if missing.is_empty() {
            let note = format!(
                "All {} are computed already, in {}.",
                plural(checkpoints - left_out.len(), "checkpoint", "checkpoints"),
                data.display()
            );
            terminal.info(&note);
            notes.push(note);
        } else {
            terminal.info(&format!(
                "To compute: {}, {} of prompts and responses, about {} on the {} (2 operations per parameter and token at the \
                 measured speed of a matrix product, and reading the weights).",
                plural(missing.len(), "checkpoint", "checkpoints"),
                plural(tokens as usize, "token", "tokens"),
                duration(plan.seconds),
                plan.device,
            ));
            if plan.seconds > LONG && !self.yes && confirm(plan.seconds)? == Answer::No {
                return Ok(None);
            }
        }
        // Checkpoints that cannot be used at either end are left out here, so that they are not skipped once more.
        let usable = || plan.usable().map(|checkpoint| checkpoint.step);
        if let (Some(first), Some(last)) = (usable().min(), usable().max())
            && !left_out.is_empty()
        {
            call.steps = Some((first, last));
        }
        if !missing.is_empty() {
            let line = call.command_line();
            terminal.info(&format!("$ {line}"));
            notes.push(format!("Computed by `{line}`."));
        }
        let outcome = match missing.is_empty() {
            true => Outcome::Done,
            false => call.run(helper, terminal)?,
        };
        if outcome == Outcome::Interrupted {
            return Ok(None);
        }
        notes.extend(left);
        // Checkpoints without a dump are no fault: only a broken one, or one that could not be computed, makes it partial.
        let is_broken = left_out.iter().any(|left| !is_without_dump(left));
        let is_incomplete = outcome == Outcome::Partial
            && call.plan(helper)?.of_state(CheckpointState::Missing).next().is_some();
        Ok(Some(Prepared {
            steps: plan.usable().map(|checkpoint| checkpoint.step).collect(),
            dumps: vec![call.tokens.to_string_lossy().into_owned()],
            scoring,
            notes,
            warnings: warnings_of(data),
            outcome: if is_broken || is_incomplete { Outcome::Partial } else { Outcome::Done },
            left_out,
        }))
    }

    /// Chooses which checkpoint scores a dump, unless the user did: that which sampled it, if at least two checkpoints have
    /// such a dump.
    fn choose_step(&self, call: &mut ComputeCall, helper: &Helper) -> Result<Plan, CliError> {
        if let Some(chosen) = self.dump_step {
            call.dump_step = Some(chosen);
            return call.plan(helper);
        }
        call.dump_step = Some(DumpStep::Previous);
        let own = call.plan(helper)?;
        if own.usable().count() >= FEWEST {
            return Ok(own);
        }
        call.dump_step = Some(DumpStep::Same);
        let trained_on = call.plan(helper)?;
        if trained_on.usable().count() > own.usable().count() {
            return Ok(trained_on);
        }
        call.dump_step = Some(DumpStep::Previous);
        Ok(own)
    }
}

/// Whether a checkpoint is left out because there is no dump for it, which is no fault of its own.
fn is_without_dump(left: &LeftOut) -> bool {
    left.reason.contains("there is no dump of step")
}

/// Each reason with its steps; that of missing dumps as one sentence.
fn left_out_words(left_out: &[LeftOut]) -> Vec<String> {
    let (without, broken): (Vec<&LeftOut>, Vec<&LeftOut>) =
        left_out.iter().partition(|left| is_without_dump(left));
    let mut words: Vec<String> = broken
        .iter()
        .map(|left| format!("The checkpoint of step {} is left out: {}", left.step, left.reason))
        .collect();
    if !without.is_empty() {
        let steps: Vec<String> = without.iter().map(|left| left.step.to_string()).collect();
        let checkpoints = match without.len() {
            1 => "The checkpoint of step",
            _ => "The checkpoints of steps",
        };
        let (verb, them) = if without.len() == 1 { ("is", "it") } else { ("are", "them") };
        words.push(format!(
            "{checkpoints} {} {verb} left out: there is no dump for {them}",
            steps.join(", ")
        ));
    }
    words
}

/// An error if fewer than two checkpoints can be compared.
fn check_count(plan: &Plan, left_out: &[LeftOut]) -> Result<(), CliError> {
    let usable = plan.usable().count();
    if usable >= FEWEST {
        return Ok(());
    }
    let found = match (plan.checkpoints.len(), usable) {
        (1, 1) => "there is one checkpoint, and a change needs two".to_owned(),
        (all, usable) => format!(
            "of {} {} can be used, and a change needs two: {}",
            plural(all, "checkpoint", "checkpoints"),
            if usable == 0 { "none".to_owned() } else { usable.to_string() },
            left_out
                .first()
                .map_or_else(String::new, |left| format!("step {}: {}", left.step, left.reason)),
        ),
    };
    Err(anyhow!("cannot explain a change of entropy: {found}")).hint(
        "`entropy-viz compute` computes the entropy of single checkpoints; --dump-step chooses which dump a checkpoint scores",
    )
}

/// What was computed before, if the helper is missing.
fn kept(data: &Path, failure: CliError, terminal: &Terminal) -> Result<Prepared, CliError> {
    let tokens = data.join("tokens.jsonl");
    if !tokens.is_file() {
        return Err(failure);
    }
    let note = format!(
        "Entropies are those that were computed earlier, in {}. Whether they belong to these checkpoints cannot be checked: {:#}",
        tokens.display(),
        failure.error
    );
    terminal.warn(&note);
    Ok(Prepared {
        steps: Vec::new(),
        dumps: vec![tokens.to_string_lossy().into_owned()],
        scoring: Scoring::Given,
        notes: vec![note],
        left_out: Vec::new(),
        warnings: warnings_of(data),
        outcome: Outcome::Done,
    })
}
