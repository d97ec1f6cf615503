//! `--plan`: what would be computed, and about how long it would take, without computing anything.
//!
//! The time is that of the matrix products of the model: 2 operations per parameter and token (Kaplan et al. 2020, arXiv
//! 2001.08361, section 2.1; attention between tokens is not counted), at the rate that a product of this size reaches on
//! the device now, plus reading the weights, those of a reference and its adapters' base once. Sampling runs the weights once per token and is slower; the plan says how
//! many responses would be sampled.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use entropy_shell::{CliError, Terminal};
use serde_json::{Value, json};
use tch::{Device, Kind, Tensor};

use super::evaluate::encode;
use super::output::{RunOutputs, StepState};
use super::plan::{CheckpointPlan, RunInputs, Selection};
use crate::checkpoint::Checkpoint;
use crate::groups::{Groups, NoColumn};

/// Rows and columns of the matrices of the measured product.
const SIDE: i64 = 1024;
/// Seconds for which products are measured.
const MEASURED: f64 = 0.3;
/// Bytes per second at which weights are read: measured from 0.9 to 2 GB/s on disks of data centres.
const READING: f64 = 1e9;

/// Operations per second of a matrix product on the device.
fn operations_per_second(device: Device, kind: Kind) -> f64 {
    let _no_grad = tch::no_grad_guard();
    let [a, b] = [0, 1].map(|_| Tensor::rand([SIDE, SIDE], (Kind::Float, device)).to_kind(kind));
    let wait = |product: &Tensor| product.sum(Kind::Float).double_value(&[]);
    wait(&a.matmul(&b)); // threads and kernels start
    let (start, mut products) = (Instant::now(), 0);
    while products == 0 || start.elapsed().as_secs_f64() < MEASURED {
        wait(&a.matmul(&b));
        products += 1;
    }
    2.0 * (SIDE as f64).powi(3) * f64::from(products) / start.elapsed().as_secs_f64()
}

/// What is planned for one checkpoint.
///
/// # Errors
/// When no row of its prompts has a column of `--by`, which is probably mistyped.
fn checkpoint(
    inputs: &RunInputs<'_>,
    checkpoint: &Checkpoint,
    costs: &mut Costs,
) -> Result<Value, CliError> {
    let step = checkpoint.step.unwrap_or(0);
    let shown = checkpoint.path.display().to_string();
    let mut planned = || -> Result<Value, CliError> {
        let prompts = inputs.prompts.read(inputs.args, step)?;
        let plan = CheckpointPlan::open(inputs, checkpoint, "")?;
        let (_, encoded) = encode(inputs, checkpoint, &plan, &prompts)?;
        let records = &encoded.records;
        Groups::new(&inputs.args.by, records, &prompts.rows, &prompts.path)?;
        let sampled = records.iter().filter(|record| record.sample.is_some()).count();
        let tokens: usize = records
            .iter()
            .map(|record| match record.sample {
                Some(_) => record.prompt.len() + inputs.args.max_new_tokens as usize,
                None => record.len(),
            })
            .sum();
        let parameters = plan.decoder.as_ref().map_or(0, |(_, weights)| weights.parameters());
        let read_bytes = costs.read_bytes(inputs, checkpoint, &plan.base);
        // A reference is one more model over the same tokens.
        let models = if inputs.reference.is_some() { 2.0 } else { 1.0 };
        let seconds = models * 2.0 * parameters as f64 * tokens as f64
            / costs.rate(inputs.device, plan.kind)
            + read_bytes as f64 / READING;
        let files: Vec<String> =
            prompts.files.iter().map(|file| file.display().to_string()).collect();
        Ok(json!({
            "step": step, "path": shown, "state": "missing", "prompts": files,
            "responses": records.len(), "sampled": sampled, "tokens": tokens, "parameters": parameters,
            "read_bytes": read_bytes, "seconds": seconds,
        }))
    };
    match planned() {
        Ok(value) => Ok(value),
        Err(failure) if failure.error.is::<NoColumn>() && costs.rates.is_empty() => Err(failure),
        Err(failure) => Ok(unusable(step, &failure)),
    }
}

fn unusable(step: u64, failure: &CliError) -> Value {
    let reason = format!("{:#}", failure.error);
    json!({"step": step, "state": "unusable", "reason": reason, "hint": failure.hint})
}

/// What is measured or counted for several checkpoints.
#[derive(Default)]
struct Costs {
    /// Rates that were measured, by number type.
    rates: Vec<(Kind, f64)>,
    /// Whether a checkpoint has the bytes of the reference, which is loaded once.
    has_reference: bool,
}

impl Costs {
    fn rate(&mut self, device: Device, kind: Kind) -> f64 {
        if let Some((_, rate)) = self.rates.iter().find(|(known, _)| *known == kind) {
            return *rate;
        }
        let rate = operations_per_second(device, kind);
        self.rates.push((kind, rate));
        rate
    }

    /// Bytes of the files that are read for a checkpoint with this base, without those that it shares with the reference.
    fn read_bytes(
        &mut self,
        inputs: &RunInputs<'_>,
        checkpoint: &Checkpoint,
        base: &Checkpoint,
    ) -> u64 {
        let size = |files: Vec<PathBuf>| -> u64 {
            files.iter().filter_map(|file| Some(fs::metadata(file).ok()?.len())).sum()
        };
        let own = size(checkpoint.files_with(base));
        let shared = inputs.shared_with(base).map_or(0, |_| size(base.files()));
        let reference = match &inputs.reference {
            Some(reference) if !self.has_reference => size(reference.files()),
            _ => 0,
        };
        self.has_reference = true;
        own - shared + reference
    }
}

/// Prints the plan as JSON.
///
/// # Errors
/// When an output file has the rows of other inputs, no row has a column of `--by`, or stdout cannot be written.
pub(super) fn print(
    inputs: &RunInputs<'_>,
    selection: &Selection,
    outputs: &mut RunOutputs,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let mut costs = Costs::default();
    let mut checkpoints: Vec<Value> =
        selection.unusable.iter().map(|(step, failure)| unusable(*step, failure)).collect();
    for found in &selection.checkpoints {
        let state = outputs.state(inputs, found)?;
        let step = found.step.unwrap_or(0);
        checkpoints.push(match state {
            StepState::Computed | StepState::Unverified | StepState::Sharded(..) => {
                json!({"step": step, "state": "computed"})
            }
            StepState::Unfinished(message) => {
                json!({"step": step, "state": "unusable", "reason": message, "hint": null})
            }
            StepState::Missing => checkpoint(inputs, found, &mut costs)?,
        });
    }
    checkpoints.sort_by_key(|value| value["step"].as_u64());
    let seconds: f64 = checkpoints.iter().filter_map(|value| value["seconds"].as_f64()).sum();
    let run = selection.run.as_ref().map(|run| run.display().to_string());
    let device = format!("{:?}", inputs.device).to_lowercase();
    let document = json!({
        "schema": 1, "run": run, "device": device, "seconds": seconds, "checkpoints": checkpoints,
    });
    terminal.print(format!("{document}\n").as_bytes())
}
