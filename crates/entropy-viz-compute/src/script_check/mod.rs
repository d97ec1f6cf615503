//! Checks of a TorchScript module before its numbers are used: against itself ([`alone`]), and against the numbers of
//! transformers if there is a reference file ([`mod@reference`]).
//!
//! A wrong trace is an error. `--verify-script` reports each comparison.

mod alone;
mod reference;
mod scores;

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::{CliError, Outcome, Terminal, WithHint, plural};
use tch::Device;

use crate::checkpoint::{self, CheckpointKind, ModelPath};
use crate::model::torchscript::TorchScript;
use crate::response::ResponseRecord;
use crate::torch;
use alone::{Fault, Known, Passed, Sample};
use reference::{Compared, Reference};

/// The longest sequence of `--verify-script`, if the reference has no longer one.
const VERIFIED_LENGTH: usize = 160;
/// A length beyond the chunks of linear attention.
const CHUNKS: usize = 130;
const RECIPE: &str = "examples/trace_model.py writes traces that it has compared with transformers";

/// Checks a module that is about to compute these records.
///
/// # Errors
/// If its numbers are wrong, or the reference file cannot be read.
pub(crate) fn check(
    script: &TorchScript,
    path: &Path,
    args: &ComputeArgs,
    records: &[ResponseRecord],
    terminal: &Terminal,
) -> Result<(), CliError> {
    let file = args.verify_script.clone().or_else(|| beside(path));
    let reference = file.map(|file| Reference::read(&file)).transpose()?;
    let sample = sample(records, args.max_new_tokens as usize);
    // The comparison comes first: its message says what is wrong in numbers.
    if let Some(reference) = &reference {
        let compared = reference.compare(script);
        refuse_differences(path, reference, &compared)?;
        terminal.verbose(|| {
            format!("{}: agrees with {}", path.display(), summary(reference, &compared))
        });
    }
    let Passed { length, depends_on_length } =
        alone::check(script, &sample, known(reference.as_ref(), &sample))
            .map_err(|fault| refused(script, path, fault))?;
    if let Some(fault) = depends_on_length {
        terminal.warn(&format!("{}: {fault}; this is right for longrope only", path.display()));
    }
    if reference.is_none() {
        terminal.warn(&format!(
            "{}: compared only with itself, not with transformers ({RECIPE}, or give --verify-script)",
            path.display()
        ));
    }
    terminal.verbose(|| format!("{}: consistent up to {length} tokens", path.display()));
    Ok(())
}

/// `--verify-script` without prompts: compares and reports.
///
/// # Errors
/// If `--model` is no TorchScript module, the reference cannot be read, or they differ.
pub(crate) fn verify(
    model: &Path,
    file: &Path,
    args: &ComputeArgs,
    terminal: &Terminal,
) -> Result<Outcome, CliError> {
    let path = match checkpoint::find(model)? {
        ModelPath::Single(checkpoint) if checkpoint.kind == CheckpointKind::TorchScript => {
            checkpoint.path
        }
        _ => return Err(not_a_script(model)),
    };
    let reference = Reference::read(file)?;
    let script = TorchScript::load(&path, torch::device(args.device)?)?;
    let compared = reference.compare(&script);
    let mut report = format!("{} compared with {}\n", path.display(), file.display());
    for Compared { batch, length, difference, error, agrees } in &compared {
        let verdict = if *agrees { "ok    " } else { "WRONG " };
        let found = match error {
            Some(error) => format!("does not run: {error}"),
            None => format!(
                "differs by up to {:.1e} nats in the mean of a sequence, {:.1e} in one token",
                difference.mean, difference.token
            ),
        };
        report += &format!("{verdict} {batch} × {length} tokens: {found}\n");
    }
    let sample = Sample {
        ids: reference.ids(),
        needed: reference.longest(),
        possible: reference.longest().max(VERIFIED_LENGTH),
    };
    let alone = alone::check(&script, &sample, known(Some(&reference), &sample));
    report += &match &alone {
        Ok(Passed { length, depends_on_length: None }) => format!(
            "ok     alone, in batches and in longer sequences: the same numbers, up to {length} tokens\n"
        ),
        Ok(Passed { depends_on_length: Some(fault), .. }) => {
            format!("ok?    {fault}; this is right for longrope only\n")
        }
        Err(fault) => format!("WRONG  {fault}\n"),
    };
    terminal.print(report.as_bytes())?;
    refuse_differences(&path, &reference, &compared)?;
    alone.map_err(|fault| refused(&script, &path, fault))?;
    Ok(Outcome::Done)
}

/// The error of `--verify-script` with a model that is no TorchScript file.
pub(crate) fn not_a_script(model: &Path) -> CliError {
    CliError {
        error: anyhow!(
            "--verify-script needs a TorchScript file, but {} is not one",
            model.display()
        ),
        hint: Some("omit --verify-script: other checkpoints need no such check".to_owned()),
    }
}

/// The reference file that the recipe writes beside `model.pt`: `model.reference.jsonl`.
fn beside(path: &Path) -> Option<PathBuf> {
    Some(path.with_extension("reference.jsonl")).filter(|file| file.is_file())
}

/// What a reference that agrees says about the module.
fn known(reference: Option<&Reference>, sample: &Sample) -> Known {
    match reference {
        Some(reference) if reference.longest() >= sample.possible.min(CHUNKS) => {
            Known::AgreesWithReference
        }
        _ => Known::Nothing,
    }
}

fn refuse_differences(
    path: &Path,
    reference: &Reference,
    compared: &[Compared],
) -> Result<(), CliError> {
    let Some(wrong) = compared.iter().find(|compared| !compared.agrees) else { return Ok(()) };
    let found = match &wrong.error {
        Some(error) => format!("it does not run: {error}"),
        None => format!("it differs by up to {:.2} nats in one token", wrong.difference.token),
    };
    Err(anyhow!(
        "cannot use {}: with {} × {} tokens of {}, {found}",
        path.display(),
        wrong.batch,
        wrong.length,
        reference.path().display()
    ))
    .hint(format!(
        "is it the reference of this module? If so, a part of the model depends on the length and cannot be traced; {RECIPE}"
    ))
}

fn refused(script: &TorchScript, path: &Path, fault: Fault) -> CliError {
    let hint = match fault {
        Fault::Fails { .. } if script.device() != Device::Cpu => {
            "a trace runs where it was traced: try --device cpu, or trace it with --device cuda"
        }
        Fault::Jump(_) | Fault::Prefix { .. } => {
            "if the model is right, a reference of transformers with 130 tokens or more shows it: --verify-script FILE, as examples/trace_model.py writes it"
        }
        _ => RECIPE,
    };
    CliError {
        error: anyhow!("cannot use {}: {fault}", path.display()),
        hint: Some(hint.to_owned()),
    }
}

fn summary(reference: &Reference, compared: &[Compared]) -> String {
    let most = compared.iter().map(|compared| compared.difference.token).fold(0.0, f64::max);
    let batches = plural(compared.len(), "batch", "batches");
    format!("{} ({batches}, largest difference {most:.1e} nats)", reference.path().display())
}

/// The tokens of the records, and how long sequences become.
fn sample(records: &[ResponseRecord], max_new_tokens: usize) -> Sample {
    let mut ids: Vec<i64> = records.iter().flat_map(ResponseRecord::ids).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        ids.push(0);
    }
    // The last token of a given response is not run. A response to sample may end with its first token.
    let needed = |record: &ResponseRecord| match record.sample {
        None => record.len().saturating_sub(1),
        Some(_) => record.len(),
    };
    let possible = |record: &ResponseRecord| match record.sample {
        None => record.len().saturating_sub(1),
        Some(_) => record.len() + max_new_tokens.saturating_sub(1),
    };
    Sample {
        ids,
        needed: records.iter().map(needed).max().unwrap_or(1),
        possible: records.iter().map(possible).max().unwrap_or(1),
    }
}
