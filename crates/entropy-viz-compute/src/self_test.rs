//! `--self-test`: can this machine's numbers be trusted?
//!
//! Closed forms for the entropy, and a tiny Qwen3 with weights made from a formula, whose entropies
//! transformers computed (`tests/compute/self_test_values.py`). In seconds, on the chosen device.

use std::path::Path;

use anyhow::anyhow;
use entropy_shell::compute::ComputeArgs;
use entropy_shell::output::write_atomically;
use entropy_shell::{Failure, Outcome, Terminal, WithHint};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::json;
use tch::{Device, Tensor};

use crate::checkpoint::config::Config;
use crate::checkpoint::weights::{Place, Weights};
use crate::generate::{Request, Sampling};
use crate::model::{self, Model};
use crate::sample::{Choice, Source};
use crate::score::{Scoring, Sequence};
use crate::{on_device, torch};
use entropy_kernels::logits;
use entropy_kernels::logits::Token;

/// Of transformers 5.23 with torch 2.11, float32 on the CPU: the mean entropy of the tokens below at
/// temperatures 1 and 0.7, and the sum of their log-probs at 1.
const EXPECTED: [f64; 3] = [5.831_306_234, 5.648_201_985, -276.272_946_119];
const VOCABULARY: usize = 512;

/// What is checked, by how much it is off, and by how much it may be.
struct Check {
    name: &'static str,
    off: f64,
    most: f64,
}

/// Runs all checks and says each one's error.
pub(crate) fn run(args: &ComputeArgs, terminal: &Terminal) -> Result<Outcome, Failure> {
    let device = torch::device(args.device)?;
    let mut checks = closed_forms(device)?;
    checks.extend(tiny_model(device)?);
    let mut report =
        format!("self-test on {}\n", if device == Device::Cpu { "the CPU" } else { "the GPU" });
    let mut failed = 0;
    for check in &checks {
        let passed = check.off <= check.most;
        failed += usize::from(!passed);
        let verdict = if passed { "ok    " } else { "FAILED" };
        report += &format!(
            "{verdict}  off by {:.1e}, {:.0e} is allowed: {}\n",
            check.off, check.most, check.name
        );
    }
    terminal.print(report.as_bytes())?;
    if failed > 0 {
        return Err(anyhow!(
            "{failed} of {} checks failed: do not trust numbers of this device",
            checks.len()
        ))
        .hint("try --device cpu, and another libtorch 2.11 with --libtorch");
    }
    terminal.info(&format!("all {} checks passed", checks.len()));
    Ok(Outcome::Done)
}

fn closed_forms(device: Device) -> Result<Vec<Check>, Failure> {
    let entropy = |logits: &[f32], temperature: f64| -> Result<f64, Failure> {
        if device == Device::Cpu {
            let token = logits::rows(logits, logits.len(), &[0], temperature);
            return Ok(token.map_err(|_| anyhow!("a closed form came out as NaN"))?[0].entropy);
        }
        let logits = Tensor::f_from_slice(logits)?.f_unsqueeze(0)?.f_to_device(device)?;
        let token = on_device::tokens(&logits, &[0], temperature);
        Ok(token.map_err(|error| anyhow!("a closed form failed: {error:?}"))?[0].entropy)
    };
    let words = 151_936;
    let mut one = vec![f32::NEG_INFINITY; words];
    one[77] = 3.0;
    // Two words with probabilities p and 1 − p, the rest impossible.
    let p = 0.2f64;
    let mut two = vec![f32::NEG_INFINITY; words];
    (two[5], two[words - 1]) = (p.ln() as f32, (1.0 - p).ln() as f32);
    let of_two = -(p * p.ln() + (1.0 - p) * (1.0 - p).ln());
    // Geometric: p_k = (1 − q)·q^k has −ln(1 − q) − q·ln q / (1 − q).
    let q = 0.99f64;
    let geometric: Vec<f32> = (0..words).map(|k| (k as f64 * q.ln()) as f32).collect();
    let of_geometric = -(1.0 - q).ln() - q * q.ln() / (1.0 - q);
    let moved: Vec<f32> = geometric.iter().map(|z| z + 1024.0).collect();
    let check = |name, off: f64, most| Check { name, off: off.abs(), most };
    Ok(vec![
        check(
            "uniform logits have ln V",
            entropy(&vec![1.5; words], 0.7)? - (words as f64).ln(),
            1e-5,
        ),
        check("one possible word has 0", entropy(&one, 1.0)?, 1e-6),
        check("two words have the binary entropy", entropy(&two, 1.0)? - of_two, 1e-5),
        check("a geometric distribution", entropy(&geometric, 1.0)? - of_geometric, 2e-5),
        // Rounded to f32 at 1024, logits are off by up to 6e-5.
        check(
            "an offset of the logits changes nothing",
            entropy(&moved, 1.0)? - of_geometric,
            1e-3,
        ),
    ])
}

fn tiny_model(device: Device) -> Result<Vec<Check>, Failure> {
    let directory = tempfile::tempdir()?;
    write_tiny(directory.path())?;
    let load = |device| -> Result<Model, Failure> {
        let spec = model::spec(&Config::read(directory.path())?)?;
        let weights = Weights::open(&[directory.path().join("model.safetensors")])?;
        Ok(Model::load(spec, weights, Place { device, kind: tch::Kind::Float })?)
    };
    let model = load(device)?;
    let sequences: Vec<Vec<i64>> =
        [24, 9, 17].iter().enumerate().map(|(i, &n)| tokens(i, n)).collect();
    let prompt = 3;
    let split: Vec<Sequence<'_>> = sequences
        .iter()
        .map(|ids| Sequence { prompt: &ids[..prompt], response: &ids[prompt..] })
        .collect();
    let score = |sequences: &[Sequence<'_>], temperature| -> Result<Vec<Vec<Token>>, Failure> {
        let mut scoring = Scoring {
            model: &model,
            device,
            temperature,
            batch_tokens: 4096,
            advance: &|_| true,
            shrunk: &|_| {},
            on_entropy: std::time::Duration::ZERO,
        };
        Ok(scoring.run(sequences)?)
    };
    let together = score(&split, 1.0)?;
    let colder = score(&split, 0.7)?;
    let mean = |scores: &[Vec<Token>]| {
        let all: Vec<f64> = scores.iter().flatten().map(|token| token.entropy).collect();
        all.iter().sum::<f64>() / all.len() as f64
    };
    let log_probs: f64 = together.iter().flatten().map(|token| token.log_prob).sum();
    let mut apart = Vec::new();
    for sequence in &split {
        apart.extend(score(&[*sequence], 1.0)?);
    }
    let mut sampling = Sampling {
        model: &model,
        device,
        temperature: 1.0,
        choice: Choice::Random { top_k: 0, top_p: 1.0 },
        most_tokens: 20,
        ends: &[],
        stops: &|_| false,
        batch_tokens: None,
        advance: &|_| true,
        shrunk: &|_| {},
        on_entropy: std::time::Duration::ZERO,
    };
    let requests: Vec<Request<'_>> = split
        .iter()
        .enumerate()
        .map(|(i, s)| Request { prompt: s.prompt, source: Source::new(1, i, 0) })
        .collect();
    let sampled = sampling.run(&requests)?;
    let again: Vec<Sequence<'_>> = split
        .iter()
        .zip(&sampled)
        .map(|(s, r)| Sequence { prompt: s.prompt, response: &r.tokens })
        .collect();
    let scored = score(&again, 1.0)?;
    let sampled: Vec<Vec<Token>> = sampled.iter().map(|response| response.scores.clone()).collect();
    let check = |name, off: f64, most| Check { name, off: off.abs(), most };
    Ok(vec![
        check("a tiny Qwen3's entropy is transformers'", mean(&together) - EXPECTED[0], 2e-5),
        check("the same at temperature 0.7", mean(&colder) - EXPECTED[1], 2e-5),
        check("its log-probs too", (log_probs - EXPECTED[2]) / 41.0, 2e-5),
        check("a row in a batch is the row alone", furthest(&together, &apart), 1e-5),
        check("sampling and scoring agree on each token", furthest(&sampled, &scored), 1e-4),
    ])
}

fn furthest(a: &[Vec<Token>], b: &[Vec<Token>]) -> f64 {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs
        .map(|(a, b)| (a.entropy - b.entropy).abs().max((a.log_prob - b.log_prob).abs()))
        .fold(0.0, f64::max)
}

/// Token ids of the i-th sequence.
fn tokens(i: usize, n: usize) -> Vec<i64> {
    (0..n).map(|j| ((i * 131 + j * j * 29 + j * 7 + 3) % VOCABULARY) as i64).collect()
}

/// A Qwen3 of 60 thousand parameters: the k-th number of the i-th tensor is
/// sin(0.7·k + i) times a size, plus one for norms.
fn write_tiny(directory: &Path) -> Result<(), Failure> {
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
