//! Multi-head latent attention (DeepSeek-V2, 2024): keys and values of all heads are computed from one short vector per
//! token, the latent, and one rotated key that the heads share.
//!
//! Only the way to queries, keys and values differs from other attention. A key is its own part, without a position,
//! followed by the shared part, which is rotated; a value may have another width. The cache has full keys and values.

use anyhow::bail;
use tch::{TchError, Tensor};

use super::layer::{Linear, Norm};
use super::rope::{RotaryTable, magnitude};
use super::rotate::rotate;
use super::spec::{Defaults, LatentSpec, RopePairs, Spec};
use crate::checkpoint::config::Config;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// transformers does not take it from config.json.
const LATENT_EPSILON: f64 = 1e-6;

/// Sizes that config.json may omit.
#[derive(Debug, Clone, Copy)]
pub(super) struct LatentDefaults {
    pub(super) query_rank: i64,
    pub(super) plain: i64,
    pub(super) value: i64,
}

/// The settings of Llama with latent attention.
pub(super) fn read(
    config: &Config,
    defaults: Defaults,
    sizes: LatentDefaults,
) -> anyhow::Result<Spec> {
    let path = config.path().display();
    let rotary = config.count_or("qk_rope_head_dim", 64)?;
    let mut spec = Spec::with_rotary_dim(config, defaults, rotary)?;
    let attention = &mut spec.attention;
    if attention.rope.dim != rotary {
        bail!("{path}: partial_rotary_factor is not supported with qk_rope_head_dim");
    }
    if attention.kv_heads != attention.heads {
        bail!(
            "{path}: num_key_value_heads is {}; latent attention requires num_attention_heads, {}",
            attention.kv_heads,
            attention.heads
        );
    }
    let plain = config.count_or("qk_nope_head_dim", sizes.plain)?;
    let value_dim = config.count_or("v_head_dim", sizes.value)?;
    let rank = config.count_or("kv_lora_rank", 512)?;
    let query_rank = match config.is_null("q_lora_rank") {
        true => None,
        false => Some(config.count_or("q_lora_rank", sizes.query_rank)?),
    };
    for (key, size) in [
        ("qk_nope_head_dim", plain),
        ("v_head_dim", value_dim),
        ("kv_lora_rank", rank),
        ("q_lora_rank", query_rank.unwrap_or(1)),
    ] {
        if size > MAX_LATENT_SIZE {
            bail!("{path}: {key} is {size}, not from 1 to {MAX_LATENT_SIZE}");
        }
    }
    let bias = config.flag_or("attention_bias", false)?;
    attention.latent = Some(LatentSpec { query_rank, rank, plain, rotary, bias });
    attention.output_bias = bias;
    attention.head_dim = plain + rotary;
    attention.value_dim = value_dim;
    attention.scale = (attention.head_dim as f64).powf(-0.5) * score_factor(config)?;
    Ok(spec)
}

/// Maximum of widths and ranks; a config.json with larger ones is rejected as broken.
const MAX_LATENT_SIZE: i64 = 1 << 16;

/// The factor of the scores of a model with a scaled rotary embedding: magnitude².
fn score_factor(config: &Config) -> anyhow::Result<f64> {
    let Some(rope) = config.section("rope_scaling").or_else(|| config.section("rope_parameters"))
    else {
        return Ok(1.0);
    };
    let kind = rope.get("rope_type").or_else(|| rope.get("type"));
    if kind.is_none_or(|kind| kind == "default") {
        return Ok(1.0);
    }
    match rope.number_or("mscale_all_dim", 0.0)? {
        0.0 => Ok(1.0),
        all => Ok(magnitude(rope.number("factor")?, all).powi(2)),
    }
}

/// The modules of latent attention up to queries, keys and values.
pub(super) struct Latent {
    queries: Queries,
    /// To the latent and the shared key.
    down: Linear,
    norm: Norm,
    /// From the latent to the heads' own keys and values.
    up: Linear,
    heads: i64,
    value_dim: i64,
    sizes: LatentSpec,
    pairs: RopePairs,
}

/// The way to the queries: direct, or through a short vector.
enum Queries {
    Direct(Linear),
    Short { down: Linear, norm: Norm, up: Linear },
}

impl Latent {
    pub(super) fn load(
        weights: &mut Weights,
        at: &str,
        sizes: &LatentSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Latent> {
        let attention = &spec.attention;
        let (heads, hidden) = (attention.heads, spec.hidden);
        let LatentSpec { query_rank, rank, plain, rotary, bias } = *sizes;
        let mut linear = |name: &str, rows: i64, columns: i64, bias: bool| {
            Linear::load(weights, &[(format!("{at}.{name}"), rows)], columns, bias, options)
        };
        let query_rows = heads * attention.head_dim;
        let down = linear("kv_a_proj_with_mqa", rank + rotary, hidden, bias)?;
        let up = linear("kv_b_proj", heads * (plain + attention.value_dim), rank, false)?;
        let query_linears = match query_rank {
            None => (linear("q_proj", query_rows, hidden, false)?, None),
            Some(short) => (
                linear("q_a_proj", short, hidden, bias)?,
                Some((short, linear("q_b_proj", query_rows, short, false)?)),
            ),
        };
        let mut norm = |name: &str, size: i64| {
            let norm = Norm::load(weights, &format!("{at}.{name}.weight"), size, spec, options)?;
            Ok::<_, anyhow::Error>(norm.with_epsilon(LATENT_EPSILON))
        };
        let queries = match query_linears {
            (direct, None) => Queries::Direct(direct),
            (down, Some((short, up))) => {
                Queries::Short { down, norm: norm("q_a_layernorm", short)?, up }
            }
        };
        Ok(Latent {
            queries,
            down,
            norm: norm("kv_a_layernorm", rank)?,
            up,
            heads,
            value_dim: attention.value_dim,
            sizes: sizes.clone(),
            pairs: attention.rope_pairs,
        })
    }

    /// Queries, keys and values of tokens (× hidden), each tokens × heads × its dimension; queries and keys are rotated.
    pub(super) fn project(
        &self,
        x: &Tensor,
        table: Option<&RotaryTable>,
    ) -> Result<(Tensor, Tensor, Tensor), TchError> {
        let LatentSpec { rank, plain, rotary, .. } = self.sizes;
        let queries = match &self.queries {
            Queries::Direct(linear) => linear.forward(x)?,
            Queries::Short { down, norm, up } => up.forward(&norm.forward(&down.forward(x)?)?)?,
        };
        let queries = queries.f_view([-1, self.heads, plain + rotary])?;
        let rotated = self.rotate(&queries.f_narrow(2, plain, rotary)?, table)?;
        let queries = Tensor::f_cat(&[queries.f_narrow(2, 0, plain)?, rotated], 2)?;

        let down = self.down.forward(x)?;
        let shared = self.rotate(&down.f_narrow(1, rank, rotary)?.f_unsqueeze(1)?, table)?;
        let latent = self.norm.forward(&down.f_narrow(1, 0, rank)?.f_contiguous()?)?;
        let own = self.up.forward(&latent)?.f_view([-1, self.heads, plain + self.value_dim])?;
        let shared = shared.f_expand([-1, self.heads, -1], false)?;
        let keys = Tensor::f_cat(&[own.f_narrow(2, 0, plain)?, shared], 2)?;
        Ok((queries, keys, own.f_narrow(2, plain, self.value_dim)?))
    }

    fn rotate(&self, x: &Tensor, table: Option<&RotaryTable>) -> Result<Tensor, TchError> {
        table.map_or_else(|| Ok(x.shallow_clone()), |table| rotate(x, table, self.pairs))
    }
}
