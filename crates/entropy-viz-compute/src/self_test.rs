//! `--self-test`: checks the numbers of this machine in a few seconds, on the selected device.
//!
//! The checks are closed forms of the entropy, and a tiny Qwen3 with weights from a formula, whose entropies were
//! computed with transformers (`tests/compute/self_test_values.py`).

use std::path::Path;
use std::time::Duration;

use anyhow::anyhow;
use entropy_kernels::logits::score_rows;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::output::write_atomically;
use entropy_shell::{CliError, Outcome, Terminal, WithHint};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tch::{Device, Tensor};

use crate::checkpoint::config::Config;
use crate::checkpoint::weights::{TensorOptions, Weights};
use crate::generate::Generator;
use crate::model::{self, Model};
use crate::response::ResponseRecord;
use crate::sampling::Sampling;
use crate::score::{Scored, Scorer};
use crate::score_plan::ScorePlan;
use crate::{on_device, torch};

/// From transformers 5.23 with torch 2.11, float32 on the CPU: the mean entropy of the tokens of `tiny_model` at
/// temperatures 1 and 0.7, and the sum of their log-probs at 1.
const EXPECTED: [f64; 3] = [5.831_306_234, 5.648_201_985, -276.272_946_119];
const VOCABULARY: usize = 512;

/// A check: the error of a number, and its tolerance.
struct Check {
    name: &'static str,
    error: f64,
    tolerance: f64,
}

impl Check {
    fn new(name: &'static str, difference: f64, tolerance: f64) -> Check {
        Check { name, error: difference.abs(), tolerance }
    }
}

/// Runs all checks and prints their errors.
pub(crate) fn run(args: &ComputeArgs, terminal: &Terminal) -> Result<Outcome, CliError> {
    let device = torch::device(args.device)?;
    let mut checks = closed_forms(device)?;
    checks.extend(tiny_model(device)?);
    let mut report =
        format!("self-test on {}\n", if device == Device::Cpu { "the CPU" } else { "the GPU" });
    let mut failed = 0;
    for Check { name, error, tolerance } in &checks {
        let passed = error <= tolerance;
        failed += usize::from(!passed);
        let verdict = if passed { "ok    " } else { "FAILED" };
        let error = if *error == 0.0 { "0".to_owned() } else { format!("{error:.1e}") };
        report += &format!("{verdict}  {name}  (error {error}, tolerance {tolerance:.0e})\n");
    }
    terminal.print(report.as_bytes())?;
    if failed > 0 {
        return Err(anyhow!(
            "{failed} of {} checks failed: do not trust numbers from this device",
            checks.len()
        ))
        .hint("try --device cpu, or another libtorch 2.11 with --libtorch");
    }
    terminal.info(&format!("all {} checks passed", checks.len()));
    Ok(Outcome::Done)
}

fn closed_forms(device: Device) -> Result<Vec<Check>, CliError> {
    let entropy = |logits: &[f32], temperature: f64| -> Result<f64, CliError> {
        if device == Device::Cpu {
            let token = score_rows(logits, logits.len(), &[0], temperature);
            return Ok(
                token.map_err(|_| anyhow!("the entropy of a closed form is NaN"))?[0].entropy
            );
        }
        let logits = Tensor::f_from_slice(logits)?.f_unsqueeze(0)?.f_to_device(device)?;
        let token = on_device::score(&logits, &[0], temperature);
        Ok(token.map_err(|error| anyhow!("a closed form failed: {error:?}"))?[0].entropy)
    };
    let vocabulary = 151_936;
    let mut one = vec![f32::NEG_INFINITY; vocabulary];
    one[77] = 3.0;
    // Two tokens with probabilities p and 1 − p, the others with 0.
    let p = 0.2f64;
    let mut two = vec![f32::NEG_INFINITY; vocabulary];
    (two[5], two[vocabulary - 1]) = (p.ln() as f32, (1.0 - p).ln() as f32);
    let binary_entropy = -(p * p.ln() + (1.0 - p) * (1.0 - p).ln());
    // The geometric distribution p_k = (1 − q)·q^k has the entropy −ln(1 − q) − q·ln q / (1 − q).
    let q = 0.99f64;
    let geometric: Vec<f32> = (0..vocabulary).map(|k| (k as f64 * q.ln()) as f32).collect();
    let geometric_entropy = -(1.0 - q).ln() - q * q.ln() / (1.0 - q);
    let shifted: Vec<f32> = geometric.iter().map(|z| z + 1024.0).collect();
    Ok(vec![
        Check::new(
            "uniform logits → ln V",
            entropy(&vec![1.5; vocabulary], 0.7)? - (vocabulary as f64).ln(),
            1e-5,
        ),
        Check::new("a single possible token → 0", entropy(&one, 1.0)?, 1e-6),
        Check::new(
            "two possible tokens → binary entropy",
            entropy(&two, 1.0)? - binary_entropy,
            1e-5,
        ),
        Check::new("geometric distribution", entropy(&geometric, 1.0)? - geometric_entropy, 2e-5),
        // Near 1024, rounding to f32 changes logits by up to 6e-5.
        Check::new(
            "offset of all logits → unchanged",
            entropy(&shifted, 1.0)? - geometric_entropy,
            1e-3,
        ),
    ])
}

fn tiny_model(device: Device) -> Result<Vec<Check>, CliError> {
    const PROMPT: usize = 3;
    let tmp = tempfile::tempdir()?;
    write_tiny_model(tmp.path())?;
    let spec = model::spec(&Config::read(tmp.path())?)?;
    let weights = Weights::open(&[tmp.path().join("model.safetensors")], tmp.path())?;
    let model = Model::load(spec, weights, TensorOptions { device, kind: tch::Kind::Float })?;

    let mut records: Vec<ResponseRecord> = [24, 9, 17]
        .iter()
        .enumerate()
        .map(|(i, &n)| token_ids(i, n))
        .map(|ids| ResponseRecord::given(0, ids[..PROMPT].into(), ids[PROMPT..].to_vec()))
        .collect();
    let score = |records: &mut [ResponseRecord], temperature| -> Result<(), CliError> {
        let mut scorer = Scorer {
            model: &model,
            reference: None,
            scored: Scored::All,
            device,
            plan: &ScorePlan::at(temperature),
            batch_tokens: 4096,
            advance: &|_| true,
            shrunk: &|_| {},
            entropy_time: Duration::ZERO,
        };
        Ok(scorer.run(records)?)
    };
    let mut colder = records.clone();
    score(&mut colder, 0.7)?;
    let mut alone = records.clone();
    for record in &mut alone {
        score(std::slice::from_mut(record), 1.0)?;
    }
    score(&mut records, 1.0)?;
    let log_probs: f64 = records.iter().flat_map(|record| record.scores.log_probs()).sum();

    let mut generator = Generator {
        model: &model,
        device,
        plan: &ScorePlan::at(1.0),
        sampling: Sampling::Random { top_k: 0, top_p: 1.0 },
        seed: 1,
        max_new_tokens: 20,
        eos_token_ids: &[],
        stops: &|_| false,
        batch_tokens: None,
        advance: &|_| true,
        shrunk: &|_| {},
        entropy_time: Duration::ZERO,
    };
    let mut sampled: Vec<ResponseRecord> = records
        .iter()
        .enumerate()
        .map(|(i, record)| ResponseRecord::to_sample(i, 0, record.prompt.clone()))
        .collect();
    generator.run(&mut sampled)?;
    let mut rescored = sampled.clone();
    score(&mut rescored, 1.0)?;
    Ok(vec![
        Check::new(
            "tiny Qwen3: mean entropy equals transformers",
            mean_entropy(&records) - EXPECTED[0],
            2e-5,
        ),
        Check::new(
            "tiny Qwen3: mean entropy at temperature 0.7",
            mean_entropy(&colder) - EXPECTED[1],
            2e-5,
        ),
        Check::new("tiny Qwen3: log-probs", (log_probs - EXPECTED[2]) / 41.0, 2e-5),
        Check::new("a sequence in a batch equals it alone", max_error(&records, &alone), 1e-5),
        Check::new("sampling and scoring agree", max_error(&sampled, &rescored), 1e-4),
    ])
}

fn mean_entropy(records: &[ResponseRecord]) -> f64 {
    let entropies = || records.iter().flat_map(|record| record.scores.entropies());
    entropies().sum::<f64>() / entropies().count() as f64
}

/// The largest difference of any entropy or log-prob.
fn max_error(a: &[ResponseRecord], b: &[ResponseRecord]) -> f64 {
    let numbers = |records: &[ResponseRecord]| -> Vec<f64> {
        let of = |record: &ResponseRecord| {
            record.scores.entropies().chain(record.scores.log_probs()).collect::<Vec<_>>()
        };
        records.iter().flat_map(of).collect()
    };
    numbers(a).iter().zip(numbers(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// The token ids of sequence `i`, of length `n`.
fn token_ids(i: usize, n: usize) -> Vec<i64> {
    (0..n).map(|j| ((i * 131 + j * j * 29 + j * 7 + 3) % VOCABULARY) as i64).collect()
}

/// Writes a Qwen3 with 60 thousand parameters: the k-th number of the i-th tensor is sin(0.7·k + i) times a factor,
/// plus one for norms.
fn write_tiny_model(directory: &Path) -> Result<(), CliError> {
    let config = json!({
        "model_type": "qwen3", "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": VOCABULARY,
        "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": true, "hidden_act": "silu", "attention_bias": false
    });
    let mut shapes: Vec<(String, Vec<usize>)> =
        vec![("model.embed_tokens.weight".to_owned(), vec![VOCABULARY, 48])];
    for layer in 0..2 {
        let parts: [(&str, &[usize]); 11] = [
            ("input_layernorm", &[48]),
            ("self_attn.q_proj", &[64, 48]),
            ("self_attn.k_proj", &[32, 48]),
            ("self_attn.v_proj", &[32, 48]),
            ("self_attn.o_proj", &[48, 64]),
            ("self_attn.q_norm", &[16]),
            ("self_attn.k_norm", &[16]),
            ("post_attention_layernorm", &[48]),
            ("mlp.gate_proj", &[96, 48]),
            ("mlp.up_proj", &[96, 48]),
            ("mlp.down_proj", &[48, 96]),
        ];
        shapes.extend(
            parts.map(|(name, shape)| {
                (format!("model.layers.{layer}.{name}.weight"), shape.to_vec())
            }),
        );
    }
    shapes.push(("model.norm.weight".to_owned(), vec![48]));
    let bytes: Vec<Vec<u8>> = shapes
        .iter()
        .enumerate()
        .map(|(i, (_, shape))| {
            let norm = shape.len() == 1;
            let (size, offset) = if norm { (0.3, 1.0) } else { (0.35, 0.0) };
            let number = |k: usize| (offset + size * (0.7 * k as f64 + i as f64).sin()) as f32;
            (0..shape.iter().product()).flat_map(|k| number(k).to_le_bytes()).collect()
        })
        .collect();
    let views: Result<Vec<_>, _> = shapes
        .iter()
        .zip(&bytes)
        .map(|((name, shape), bytes)| {
            Ok((name.clone(), TensorView::new(Dtype::F32, shape.clone(), bytes)?))
        })
        .collect();
    let file = safetensors::serialize(
        views.map_err(|e: safetensors::SafeTensorError| anyhow!("BUG: {e}"))?,
        None,
    );
    write_atomically(&directory.join("config.json"), config.to_string().as_bytes())?;
    write_atomically(
        &directory.join("model.safetensors"),
        &file.map_err(|e| anyhow!("BUG: {e}"))?,
    )?;
    Ok(())
}
