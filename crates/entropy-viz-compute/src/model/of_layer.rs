//! The settings of single layers.

use std::borrow::Cow;

use super::layer_settings::LayerSettings;
use super::shared_kv::KvSource;
use super::spec::Spec;

impl Spec {
    /// The settings of a layer, its own in the place of those of all layers.
    pub(super) fn of_layer(&self, layer: i64) -> Cow<'_, Spec> {
        let Some(own) = self.layer_settings.get(layer as usize) else { return Cow::Borrowed(self) };
        let mut spec = self.clone();
        spec.attention.kv_heads = own.kv_heads;
        spec.attention.head_dim = own.head_dim;
        spec.attention.value_dim = own.head_dim;
        spec.attention.kv = own.kv;
        spec.attention.given = self.is_given(layer).then_some(layer);
        spec.intermediate = own.intermediate;
        spec.gate_cutoff = own.gate_cutoff;
        Cow::Owned(spec)
    }

    /// Whether later layers take the keys and values of this one.
    fn is_given(&self, layer: i64) -> bool {
        self.layer_settings.iter().any(|other| other.kv == KvSource::Layer(layer))
    }

    /// The index of the layer whose cache a layer reads.
    pub(super) fn cache_layer(&self, layer: i64) -> i64 {
        match self.layer_settings.get(layer as usize) {
            Some(LayerSettings { kv: KvSource::Layer(giver), .. }) => *giver,
            _ => layer,
        }
    }

    /// The first parts of names of tensors that make keys and values in layers that take them from others: released models have
    /// them, and do not use them.
    pub(super) fn unused_kv(&self) -> impl Iterator<Item = String> {
        let takes = |layer: &i64| self.cache_layer(*layer) != *layer;
        let modules = ["k_proj", "v_proj", "k_norm", "v_norm"];
        (0..self.layers).filter(takes).flat_map(move |layer| {
            modules.map(|name| format!("model.layers.{layer}.self_attn.{name}."))
        })
    }

    /// Whether a layer keeps keys and values of its own.
    pub(super) fn keeps_kv(&self, layer: i64) -> bool {
        self.mixers[layer as usize].has_attention() && self.cache_layer(layer) == layer
    }
}
