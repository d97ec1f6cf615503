//! Megatron's names and layouts of a model's tensors, and those of transformers.
//!
//! ```text
//! decoder.layers.0.mlp.linear_fc1.weight     layers are numbered,
//! decoder.layers.mlp.linear_fc1.weight       or stacked on a first dimension
//! ```
//!
//! `linear_qkv` has, for each group of heads that share keys and values, the rows of their queries, of the key and of
//! the value. `linear_fc1` has gate above up. Norms are named as a part of the linear module that follows. The
//! vocabulary is padded. Source: megatron-core 0.16 (`sharded_state_dict` of `TransformerBlock`, `MLP`, `SequentialMLP`).

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use entropy_shell::{CliError, WithHint};

use super::config::Config;
use super::torch_source::SourceTensor;

/// The embedding, which every model of Megatron has.
pub(super) const EMBEDDING: &str = "embedding.word_embeddings.weight";

/// What Megatron's tensor of a layer has of those of transformers.
#[derive(Debug, Clone, Copy)]
enum Rows {
    /// One tensor.
    All,
    /// `{}` of the name is q, k and v.
    Qkv,
    /// `{}` of the name is gate and up.
    GateUp,
}

/// The tensors of a layer: Megatron's name, that of transformers, and the order of the rows.
const OF_LAYER: [(&str, &str, Rows); 21] = [
    ("input_layernorm.weight", "input_layernorm.weight", Rows::All),
    ("self_attention.linear_qkv.layer_norm_weight", "input_layernorm.weight", Rows::All),
    ("self_attention.linear_qkv.weight", "self_attn.{}_proj.weight", Rows::Qkv),
    ("self_attention.linear_qkv.bias", "self_attn.{}_proj.bias", Rows::Qkv),
    ("self_attention.q_layernorm.weight", "self_attn.q_norm.weight", Rows::All),
    ("self_attention.k_layernorm.weight", "self_attn.k_norm.weight", Rows::All),
    ("self_attention.linear_proj.weight", "self_attn.o_proj.weight", Rows::All),
    ("self_attention.linear_proj.bias", "self_attn.o_proj.bias", Rows::All),
    ("pre_mlp_layernorm.weight", "post_attention_layernorm.weight", Rows::All),
    ("mlp.linear_fc1.layer_norm_weight", "post_attention_layernorm.weight", Rows::All),
    ("mlp.linear_fc1.weight", "mlp.{}_proj.weight", Rows::GateUp),
    ("mlp.linear_fc1.bias", "mlp.{}_proj.bias", Rows::GateUp),
    // With `singleton_local_shards`, gate and up are separate.
    ("mlp.linear_fc1.weight_w", "mlp.gate_proj.weight", Rows::All),
    ("mlp.linear_fc1.weight_v", "mlp.up_proj.weight", Rows::All),
    ("mlp.linear_fc1.bias_w", "mlp.gate_proj.bias", Rows::All),
    ("mlp.linear_fc1.bias_v", "mlp.up_proj.bias", Rows::All),
    ("mlp.linear_fc2.weight", "mlp.down_proj.weight", Rows::All),
    ("mlp.linear_fc2.bias", "mlp.down_proj.bias", Rows::All),
    ("mlp.router.weight", "mlp.gate.weight", Rows::All),
    // All experts, stacked on a dimension of their own, as transformers 5 names them.
    ("mlp.experts.experts.linear_fc1.weight", "mlp.experts.gate_up_proj", Rows::All),
    ("mlp.experts.experts.linear_fc2.weight", "mlp.experts.down_proj", Rows::All),
];

/// The tensors of one expert, where they are not stacked: `mlp.experts.experts.3.linear_fc1.weight_w`.
const OF_EXPERT: [(&str, &str, Rows); 4] = [
    ("linear_fc1.weight", "{}_proj.weight", Rows::GateUp),
    ("linear_fc1.weight_w", "gate_proj.weight", Rows::All),
    ("linear_fc1.weight_v", "up_proj.weight", Rows::All),
    ("linear_fc2.weight", "down_proj.weight", Rows::All),
];

/// The `model_type` of config.json whose tensors these are.
const FAMILIES: [&str; 5] = ["llama", "mistral", "qwen2", "qwen3", "qwen3_moe"];

/// More layers, or groups of heads, than any model has.
const MAX_COUNT: i64 = 10_000;

const HINT: &str = "convert it with the trainer's tool (slime: tools/convert_torch_dist_to_hf.py, verl: verl.model_merger, else Megatron-Bridge), or save in the Hugging Face format too";

/// Sizes of the model, of config.json.
struct Sizes {
    layers: i64,
    vocabulary: i64,
    /// Groups of heads with the same keys and values.
    groups: i64,
    /// Rows of the queries of a group.
    query_rows: i64,
    head_dim: i64,
}

impl Sizes {
    fn read(config: &Config) -> anyhow::Result<Sizes> {
        let heads = config.count("num_attention_heads")?;
        let groups = config.count_or("num_key_value_heads", heads)?;
        let head_dim = config.count_or("head_dim", config.count("hidden_size")? / heads)?;
        let layers = config.count("num_hidden_layers")?;
        if groups > MAX_COUNT || layers > MAX_COUNT || heads % groups != 0 {
            bail!(
                "{}: {layers} layers, {heads} attention heads and {groups} key-value heads are not those of a model",
                config.path().display()
            );
        }
        let query_rows = (heads / groups).checked_mul(head_dim).context("head_dim is too large")?;
        Ok(Sizes { layers, vocabulary: config.count("vocab_size")?, groups, query_rows, head_dim })
    }
}

/// Gives Megatron's tensors the names and the layout of transformers. `directory` is that of the checkpoint, for
/// messages; `config` that of config.json.
///
/// # Errors
/// If a name is not known, or a shape does not match config.json.
pub(super) fn to_transformers(
    tensors: BTreeMap<String, SourceTensor>,
    directory: &Path,
    config: &Path,
) -> Result<BTreeMap<String, SourceTensor>, CliError> {
    let shown = directory.display();
    let config = Config::read(config)?;
    let family = config.string("model_type")?;
    if !FAMILIES.contains(&family) {
        return Err(anyhow!(
            "cannot use {shown}: Megatron's names of a {family} model are not known; those of {} are",
            FAMILIES.join(", ")
        ))
        .hint(HINT);
    }
    let sizes = Sizes::read(&config)?;
    let mut renamed = BTreeMap::new();
    for (name, tensor) in &tensors {
        let found = of_name(name, tensor, &sizes)
            .with_context(|| format!("cannot use {shown}: the tensor {name}"))?;
        let Some(found) = found else {
            return Err(anyhow!(
                "cannot use {shown}: a {family} model has nothing like Megatron's tensor {name}"
            ))
            .hint(HINT);
        };
        for (to, tensor) in found {
            if renamed.insert(to.clone(), tensor).is_some() {
                return Err(
                    anyhow!("cannot use {shown}: {name} and another tensor are both {to}").into()
                );
            }
        }
    }
    Ok(renamed)
}

type Named = Vec<(String, SourceTensor)>;

/// The tensors of transformers in one of Megatron's; `None` if its name is not known.
fn of_name(name: &str, tensor: &SourceTensor, sizes: &Sizes) -> anyhow::Result<Option<Named>> {
    let of_vocabulary = |to: &str| -> anyhow::Result<Option<Named>> {
        let rows = tensor.size.first().copied().unwrap_or_default();
        if rows < sizes.vocabulary {
            bail!("it has {rows} rows, but vocab_size is {}", sizes.vocabulary);
        }
        Ok(Some(vec![(to.to_owned(), tensor.rows(&[(0, sizes.vocabulary)]))]))
    };
    match name {
        EMBEDDING => return of_vocabulary("model.embed_tokens.weight"),
        "output_layer.weight" => return of_vocabulary("lm_head.weight"),
        "decoder.final_layernorm.weight" => {
            return Ok(Some(vec![("model.norm.weight".to_owned(), tensor.clone())]));
        }
        _ => {}
    }
    let Some(module) = name.strip_prefix("decoder.layers.") else { return Ok(None) };
    if let Some((layer, module)) = numbered(module) {
        return of_layer(layer, module, tensor, sizes);
    }
    if tensor.size.first() != Some(&sizes.layers) {
        bail!("its shape is {:?}, but num_hidden_layers is {}", tensor.size, sizes.layers);
    }
    let mut all = Vec::new();
    for (layer, tensor) in tensor.unstacked().iter().enumerate() {
        let Some(found) = of_layer(layer as i64, module, tensor, sizes)? else { return Ok(None) };
        all.extend(found);
    }
    Ok(Some(all))
}

/// Splits `3.mlp.router.weight` into the number and the rest.
fn numbered(name: &str) -> Option<(i64, &str)> {
    let (number, rest) = name.split_once('.')?;
    let number: i64 = number.parse().ok()?;
    (0..MAX_COUNT).contains(&number).then_some((number, rest))
}

fn of_layer(
    layer: i64,
    module: &str,
    tensor: &SourceTensor,
    sizes: &Sizes,
) -> anyhow::Result<Option<Named>> {
    if tensor.size.is_empty() {
        bail!("it is a single number");
    }
    let at = format!("model.layers.{layer}");
    let expert = module.strip_prefix("mlp.experts.experts.").and_then(numbered);
    let (at, table, module) = match expert {
        Some((expert, module)) => (format!("{at}.mlp.experts.{expert}"), &OF_EXPERT[..], module),
        None => (at, &OF_LAYER[..], module),
    };
    let Some((_, to, rows)) = table.iter().find(|(name, _, _)| *name == module) else {
        return Ok(None);
    };
    let to = format!("{at}.{to}");
    let all = tensor.size.first().copied().unwrap_or_default();
    let parts = match rows {
        Rows::All => return Ok(Some(vec![(to, tensor.clone())])),
        Rows::GateUp => {
            if all % 2 != 0 {
                bail!("its shape is {:?}, which gate and up cannot share", tensor.size);
            }
            vec![("gate", vec![(0, all / 2)]), ("up", vec![(all / 2, all / 2)])]
        }
        Rows::Qkv => {
            let Sizes { groups, query_rows, head_dim, .. } = *sizes;
            let group_rows = query_rows + 2 * head_dim;
            if group_rows.checked_mul(groups) != Some(all) {
                bail!(
                    "its shape is {:?}, but the heads of config.json need {groups} × {group_rows} rows",
                    tensor.size
                );
            }
            let rows = |first: i64, count: i64| {
                (0..groups).map(|group| (group * group_rows + first, count)).collect()
            };
            vec![
                ("q", rows(0, query_rows)),
                ("k", rows(query_rows, head_dim)),
                ("v", rows(query_rows + head_dim, head_dim)),
            ]
        }
    };
    let named = parts.into_iter();
    Ok(Some(named.map(|(part, ranges)| (to.replace("{}", part), tensor.rows(&ranges))).collect()))
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::*;

    const SIZES: Sizes = Sizes { layers: 2, vocabulary: 10, groups: 2, query_rows: 8, head_dim: 4 };

    type Shapes = Vec<(String, Vec<i64>)>;

    /// The names in transformers of a tensor, with their shapes.
    fn named(name: &str, size: &[i64]) -> Result<Option<Shapes>, String> {
        let tensor =
            SourceTensor { kind: Kind::Float, size: size.to_vec(), is_flat: false, parts: vec![] };
        let found = of_name(name, &tensor, &SIZES).map_err(|error| error.to_string())?;
        Ok(found.map(|found| found.into_iter().map(|(to, tensor)| (to, tensor.size)).collect()))
    }

    /// Fixtures have the names of Megatron's own layers; mixtures of experts on Transformer Engine keep this norm apart.
    #[test]
    fn norm_before_experts_has_a_name_of_its_own() {
        let to = "model.layers.1.post_attention_layernorm.weight".to_owned();
        let found = named("decoder.layers.1.pre_mlp_layernorm.weight", &[6]);
        assert_eq!(found, Ok(Some(vec![(to, vec![6])])));
    }

    #[test]
    fn tensors_of_stacked_layers_are_named_by_number() {
        let found = named("decoder.layers.self_attention.linear_qkv.bias", &[2, 32]);
        let at = |layer, name: &str, rows| {
            (format!("model.layers.{layer}.self_attn.{name}_proj.bias"), vec![rows])
        };
        let of_layer = |layer| [at(layer, "q", 16), at(layer, "k", 8), at(layer, "v", 8)];
        assert_eq!(found, Ok(Some([of_layer(0), of_layer(1)].concat())));
    }

    #[test]
    fn other_names_and_shapes_are_not_guessed() {
        for name in [
            "decoder.layers.0.mlp.shared_experts.linear_fc1.weight",
            "decoder.layers.0.mlp.router.expert_bias",
            "decoder.layers.0.self_attention.linear_q_proj.weight",
            "decoder.layers.0.self_attention.linear_qkv.adapter.linear_in.weight",
            "decoder.final_layernorm.bias",
            "mtp.layers.0.eh_proj.weight",
        ] {
            assert_eq!(named(name, &[4, 4]), Ok(None), "{name}");
        }
        let error = |name, size: &[i64]| named(name, size).unwrap_err();
        assert!(error("decoder.layers.mlp.linear_fc2.weight", &[3, 4]).contains("layers is 2"));
        assert!(error("decoder.layers.mlp.linear_fc2.weight", &[]).contains("layers is 2"));
        assert!(error("decoder.layers.0.mlp.linear_fc1.weight", &[3, 4]).contains("gate and up"));
        assert!(error("decoder.layers.0.mlp.linear_fc1.bias", &[]).contains("a single number"));
        assert!(error("decoder.layers.mlp.linear_fc1.bias", &[2]).contains("a single number"));
        assert!(error("output_layer.weight", &[]).contains("vocab_size is 10"));
        let qkv = "decoder.layers.0.self_attention.linear_qkv.weight";
        assert!(error(qkv, &[31, 4]).contains("2 × 16 rows"));
        assert!(error("output_layer.weight", &[9, 4]).contains("vocab_size is 10"));
    }
}
