//! Nemotron-H and Nemotron 3 (`NemotronHForCausalLM`): each layer is one of Mamba 2, attention without rotary embedding, a plain MLP,
//! or a mixture of plain experts, after one norm.

use anyhow::bail;
use serde_json::json;

use super::mixer_spec::{MambaNorm, MambaSpec, MixerSpec};
use super::routing::{Groups, Precision, Routing, Scores, Weighs};
use super::spec::{
    Activation, Architecture, Defaults, ExpertNames, ExpertSpec, LayerNorms, MAX_HEAD_DIM,
    MAX_SIZE, MlpKind, Rotation, SharedExpert, Spec, activation_or,
};
use crate::checkpoint::config::Config;

pub(super) const ARCHITECTURE: Architecture = Architecture { model_type: "nemotron_h", read };

const NAMES: &[(&str, &str)] = &[
    ("backbone", "model"),
    ("model.embeddings", "model.embed_tokens"),
    ("model.norm_f", "model.norm"),
    ("mixer.q_proj", "self_attn.q_proj"),
    ("mixer.k_proj", "self_attn.k_proj"),
    ("mixer.v_proj", "self_attn.v_proj"),
    ("mixer.o_proj", "self_attn.o_proj"),
    ("mixer.up_proj", "mlp.up_proj"),
    ("mixer.down_proj", "mlp.down_proj"),
];

/// What a layer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    Mamba,
    Attention,
    Mlp,
    Experts,
}

fn read(config: &Config) -> anyhow::Result<Spec> {
    let blocks = blocks(config)?;
    // Other numbers under this key do not matter.
    let config = &config.with("num_hidden_layers", json!(blocks.len()));
    let defaults = Defaults {
        head_dim: Some(128),
        kv_heads: Some(8),
        intermediate: Some(21_504),
        ..Defaults::LLAMA
    };
    let mut spec = Spec::llama_like(config, defaults)?;
    spec.renamed = NAMES;
    spec.left_out = &["mtp.", "backbone.mtp.", "model.mtp."];
    spec.epsilon = config.number_or("layer_norm_epsilon", 1e-5)?;
    spec.layer_norms = LayerNorms {
        before_attention: Some("norm"),
        before_feed_forward: Some("norm"),
        ..LayerNorms::BEFORE
    };
    spec.activation = activation_or(config, "mlp_hidden_act", Activation::SquaredRelu)?;
    spec.mamba_activation = activation_or(config, "mamba_hidden_act", Activation::Silu)?;
    spec.mlp = MlpKind::Plain;
    spec.mlp_bias = config.flag_or("mlp_bias", false)?;
    spec.attention.rotations = vec![Rotation::None; blocks.len()];
    let mamba = MixerSpec::Mamba2(mamba(config)?);
    let mixer = |block: &Block| match block {
        Block::Mamba => mamba,
        Block::Attention => MixerSpec::Attention,
        Block::Mlp | Block::Experts => MixerSpec::None,
    };
    spec.mixers = blocks.iter().map(mixer).collect();
    spec.feed_forwards =
        blocks.iter().map(|block| matches!(block, Block::Mlp | Block::Experts)).collect();
    if blocks.contains(&Block::Experts) {
        spec.experts = Some(experts(config, &blocks)?);
    }
    Ok(spec)
}

fn blocks(config: &Config) -> anyhow::Result<Vec<Block>> {
    let path = config.path().display();
    let named = |name: &str| match name {
        "linear_attention" | "mamba" => Ok(Block::Mamba),
        "full_attention" | "attention" => Ok(Block::Attention),
        "mlp" => Ok(Block::Mlp),
        "moe" => Ok(Block::Experts),
        other => bail!(
            "{path}: layer type {other:?} is not supported; linear_attention, full_attention, mlp and moe are"
        ),
    };
    for key in ["layers_block_type", "layer_types"] {
        if let Some(types) = config.strings(key)? {
            return types.into_iter().map(named).collect();
        }
    }
    if config.get("hybrid_override_pattern").is_none() {
        return Ok(vec![Block::Mamba, Block::Experts, Block::Attention, Block::Mlp]);
    }
    let letter = |letter: char| match letter {
        'M' => Ok(Block::Mamba),
        '*' => Ok(Block::Attention),
        '-' => Ok(Block::Mlp),
        'E' => Ok(Block::Experts),
        other => {
            bail!("{path}: hybrid_override_pattern has {other:?}; M, *, - and E are supported")
        }
    };
    config.string("hybrid_override_pattern")?.chars().map(letter).collect()
}

/// The key of these two that config.json has; the older counts.
fn either<'a>(config: &Config, older: &'a str, key: &'a str) -> &'a str {
    if config.get(older).is_some() { older } else { key }
}

fn size(config: &Config, key: &str, default: i64, limit: i64) -> anyhow::Result<i64> {
    let size = config.count_or(key, default)?;
    if size > limit {
        bail!("{}: {key} is {size}, not from 1 to {limit}", config.path().display());
    }
    Ok(size)
}

fn mamba(config: &Config) -> anyhow::Result<MambaSpec> {
    let key = |older, key| either(config, older, key);
    let bias = config.flag_or("use_bias", false)?;
    let mamba = MambaSpec {
        heads: size(config, "mamba_num_heads", 128, MAX_SIZE)?,
        head_dim: size(config, "mamba_head_dim", 64, MAX_HEAD_DIM)?,
        groups: size(config, key("mamba_n_groups", "n_groups"), 8, MAX_SIZE)?,
        state: size(config, "ssm_state_size", 128, MAX_HEAD_DIM)?,
        kernel: size(config, key("mamba_d_conv", "conv_kernel"), 4, MAX_HEAD_DIM)?,
        min_step: config.number_or(key("mamba_dt_min", "time_step_min"), 0.001)?,
        conv_bias: config.flag_or(key("mamba_conv_bias", "use_conv_bias"), true)?,
        max_step: f64::INFINITY,
        input_bias: bias,
        output_bias: bias,
        norm: MambaNorm::AfterGate,
        input_scales: None,
    };
    if mamba.heads % mamba.groups != 0 {
        bail!(
            "{}: mamba_num_heads, {}, is not a multiple of n_groups, {}",
            config.path().display(),
            mamba.heads,
            mamba.groups
        );
    }
    Ok(mamba)
}

const EXPERT_NAMES: ExpertNames =
    ExpertNames { module: "mixer", up: "up_proj", ..ExpertNames::QWEN };

fn experts(config: &Config, blocks: &[Block]) -> anyhow::Result<ExpertSpec> {
    let groups = Groups {
        count: config.count_or("n_group", 1)?,
        chosen: config.count_or("topk_group", 1)?,
        best: 2,
    };
    let experts = ExpertSpec {
        count: size(config, either(config, "num_local_experts", "n_routed_experts"), 8, MAX_SIZE)?,
        experts_per_token: config.count_or("num_experts_per_tok", 2)?,
        intermediate: size(config, "moe_intermediate_size", 7688, MAX_SIZE)?,
        latent: match config.get("moe_latent_size") {
            Some(_) => Some(size(config, "moe_latent_size", 1, MAX_SIZE)?),
            None => None,
        },
        routing: Routing {
            scores: Scores::Sigmoid { bias: Some("gate.e_score_correction_bias") },
            groups: Some(groups),
            norm_topk_prob: config.flag_or("norm_topk_prob", true)?,
            sum_epsilon: 1e-20,
            scale: config.number_or("routed_scaling_factor", 1.0)?,
            precision: Precision::Single,
            weighs: Weighs::Output,
        },
        layers: blocks.iter().map(|block| *block == Block::Experts).collect(),
        shared: Some(SharedExpert {
            width: size(config, "moe_shared_expert_intermediate_size", 7688, MAX_SIZE)?,
            name: "shared_experts",
            gate: None,
        }),
        names: EXPERT_NAMES,
    };
    experts.checked(config)
}
