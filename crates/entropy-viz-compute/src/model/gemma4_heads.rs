//! The sizes of heads in Gemma 4, which differ between layers with a sliding window and those without.
//!
//! Released models have `global_head_dim` and `num_global_key_value_heads`; transformers saves what differs under
//! `per_layer_config`, by the index of the layer.

use anyhow::bail;
use serde_json::Value;

use super::spec::{MAX_HEAD_DIM, MAX_SIZE};
use crate::checkpoint::config::Config;

/// The sizes of the heads of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeadSizes {
    /// Width of a query, key or value.
    pub(super) head_dim: i64,
    pub(super) kv_heads: i64,
}

/// The sizes of all heads, by the type of the layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heads {
    pub(super) sliding: HeadSizes,
    pub(super) full: HeadSizes,
}

const PER_LAYER: &str = "per_layer_config";

impl Heads {
    /// Reads them; `windows` are the sliding windows of the layers.
    pub(super) fn read(config: &Config, windows: &[Option<i64>]) -> anyhow::Result<Heads> {
        let common = HeadSizes {
            head_dim: config.count_or("head_dim", 256)?,
            kv_heads: config.count_or("num_key_value_heads", 4)?,
        };
        let heads = if config.is_null(PER_LAYER) {
            Heads { sliding: common, full: common }
        } else if config.get(PER_LAYER).is_some() {
            by_layer(config, common, windows)?
        } else {
            Heads { sliding: common, full: full_heads(config, common)? }
        };
        let heads_count = config.count("num_attention_heads")?;
        for HeadSizes { head_dim, kv_heads } in [heads.sliding, heads.full] {
            let path = config.path().display();
            if head_dim > MAX_HEAD_DIM || kv_heads > MAX_SIZE {
                bail!("{path}: {kv_heads} key-value heads of width {head_dim} are too large");
            }
            if heads_count % kv_heads != 0 {
                bail!(
                    "{path}: {heads_count} attention heads are not a multiple of {kv_heads} key-value heads"
                );
            }
        }
        Ok(heads)
    }
}

/// The sizes in layers without a window, as released models have them.
fn full_heads(config: &Config, common: HeadSizes) -> anyhow::Result<HeadSizes> {
    if config.is_null("global_head_dim") {
        bail!("{}: global_head_dim is null, not a positive integer", config.path().display());
    }
    // Without a common module of keys and values, transformers ignores the number.
    let has_own = config.flag_or("attention_k_eq_v", false)?;
    let key = "num_global_key_value_heads";
    Ok(HeadSizes {
        head_dim: config.count_or("global_head_dim", 512)?,
        kv_heads: if has_own { config.count_or(key, common.kv_heads)? } else { common.kv_heads },
    })
}

/// The sizes by `per_layer_config`.
fn by_layer(config: &Config, common: HeadSizes, windows: &[Option<i64>]) -> anyhow::Result<Heads> {
    let path = config.path().display();
    let Some(by_index) = config.get(PER_LAYER).and_then(Value::as_object) else {
        bail!("{path}: {PER_LAYER} is not an object");
    };
    let mut sizes = vec![common; windows.len()];
    for (index, changes) in by_index {
        let layer = index.parse::<usize>().ok().and_then(|index| sizes.get_mut(index));
        let (Some(layer), Some(changes)) = (layer, changes.as_object()) else {
            bail!("{path}: {PER_LAYER} has {index:?}, which is not the settings of a layer");
        };
        for (key, value) in changes {
            let size = match key.as_str() {
                "head_dim" => &mut layer.head_dim,
                "num_key_value_heads" => &mut layer.kv_heads,
                other => bail!(
                    "{path}: {other} of a layer in {PER_LAYER} is not supported; head_dim and num_key_value_heads are"
                ),
            };
            let Some(new) = value.as_i64().filter(|n| *n > 0) else {
                bail!("{path}: {key} in {PER_LAYER} is {value}, not a positive integer");
            };
            *size = new;
        }
    }
    let of_type = |is_sliding: bool| {
        let of_type = |(_, window): &(&HeadSizes, &Option<i64>)| window.is_some() == is_sliding;
        let mut found = sizes.iter().zip(windows).filter(of_type).map(|(sizes, _)| *sizes);
        let first = found.next();
        (first, found.any(|other| Some(other) != first))
    };
    let ((sliding, sliding_differ), (full, full_differ)) = (of_type(true), of_type(false));
    // The rotary embedding is one of all layers of a type.
    if sliding_differ || full_differ {
        bail!("{path}: {PER_LAYER} has different sizes for layers of one type");
    }
    // There may be no layer of a type.
    let full = full.unwrap_or(common);
    Ok(Heads { sliding: sliding.unwrap_or(full), full })
}
