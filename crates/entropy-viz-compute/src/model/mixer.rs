//! A layer's token mixer: attention, or a recurrence.

use tch::{Device, TchError, Tensor};

use super::attention::{Attention, AttentionPass};
use super::cache::LayerCache;
use super::conv::ConvPlan;
use super::delta_net::DeltaNet;
use super::mamba2::Mamba2;
use super::masks::{DecodeStep, MaskCache};
use super::mixer_spec::{MixerSpec, ParallelScales};
use super::packed::Packed;
use super::rope::RotaryTable;
use super::scan::ScanPlan;
use super::shared_kv::SharedKv;
use super::short_conv::ShortConv;
use super::spec::Spec;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The token mixer of one layer.
pub(super) enum Mixer {
    Attention(Box<Attention>),
    DeltaNet(DeltaNet),
    ShortConv(ShortConv),
    Mamba2(Mamba2),
    AttentionAndMamba2(Box<Attention>, Box<Mamba2>, ParallelScales),
}

/// A pass over packed sequences: what the mixers of all layers share.
pub(super) struct Pass<'a> {
    attention: AttentionPass<'a>,
    /// Those of recurrent mixers, if there are any.
    conv: Option<ConvPlan>,
    scan: Option<ScanPlan>,
}

impl Pass<'_> {
    pub(super) fn new<'a>(
        packed: &'a Packed,
        mixers: &[MixerSpec],
        device: Device,
    ) -> Result<Pass<'a>, TchError> {
        let kernel = mixers.iter().filter_map(|mixer| mixer.kernel()).max();
        let numbers = mixers.iter().filter_map(|mixer| mixer.scan_numbers()).max();
        let conv = kernel.map(|kernel| ConvPlan::new(packed, kernel, device)).transpose()?;
        let scan = numbers.map(|numbers| ScanPlan::new(packed, numbers, device)).transpose()?;
        let (masks, shared) = (MaskCache::default(), SharedKv::default());
        Ok(Pass { attention: AttentionPass { packed, masks, shared }, conv, scan })
    }

    fn conv(&self) -> &ConvPlan {
        self.conv.as_ref().expect("BUG: a pass without the plan of its convolutions")
    }

    fn scan(&self) -> &ScanPlan {
        self.scan.as_ref().expect("BUG: a pass without the plan of its recurrences")
    }
}

impl Mixer {
    /// Loads the mixer of a layer, if it has one; `at` gives the full name of a module of the layer.
    pub(super) fn load(
        weights: &mut Weights,
        at: impl Fn(&str) -> String,
        mixer: MixerSpec,
        spec: &Spec,
        options: TensorOptions,
    ) -> anyhow::Result<Option<Mixer>> {
        Ok(Some(match mixer {
            MixerSpec::None => return Ok(None),
            MixerSpec::Attention => Mixer::Attention(Box::new(Attention::load(
                weights,
                &at("self_attn"),
                spec,
                options,
            )?)),
            MixerSpec::DeltaNet(delta) => {
                let at = at("linear_attn");
                Mixer::DeltaNet(DeltaNet::load(weights, &at, delta, spec, options)?)
            }
            MixerSpec::ShortConv(conv) => {
                Mixer::ShortConv(ShortConv::load(weights, &at("conv"), conv, spec.hidden, options)?)
            }
            MixerSpec::Mamba2(mamba) => {
                Mixer::Mamba2(Mamba2::load(weights, &at("mixer"), mamba, spec, options)?)
            }
            MixerSpec::AttentionAndMamba2(mamba, scales) => Mixer::AttentionAndMamba2(
                Box::new(Attention::load(weights, &at("self_attn"), spec, options)?),
                Box::new(Mamba2::load(weights, &at("mamba"), mamba, spec, options)?),
                scales,
            ),
        }))
    }

    /// Mixes the tokens of packed sequences; `x` and the result are tokens × hidden. With `cache`, what the i-th sequence
    /// leaves behind is also written to the slot `slots[i]`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        pass: &mut Pass,
        table: Option<&RotaryTable>,
        window: Option<i64>,
        cache: Option<(&mut LayerCache, &[i64])>,
    ) -> Result<Tensor, TchError> {
        match self {
            Mixer::Attention(attention) => {
                // Without keys and values of its own, a layer writes none.
                let cache = cache.filter(|(cache, _)| !matches!(cache, LayerCache::Nothing));
                let cache = cache.map(|(cache, slots)| (cache.keys_and_values(), slots));
                attention.forward(x, &mut pass.attention, table, window, cache)
            }
            Mixer::DeltaNet(delta) => {
                let cache = cache.map(|(cache, slots)| (cache.state(), slots));
                delta.forward(x, (pass.conv(), pass.scan()), cache)
            }
            Mixer::Mamba2(mamba) => {
                let cache = cache.map(|(cache, slots)| (cache.state(), slots));
                mamba.forward(x, (pass.conv(), pass.scan()), cache)
            }
            Mixer::AttentionAndMamba2(attention, mamba, scales) => {
                let (kv, state) = match cache {
                    None => (None, None),
                    Some((cache, slots)) => {
                        let (kv, state) = cache.both();
                        (Some((kv, slots)), Some((state, slots)))
                    }
                };
                let scaled = x.f_mul_scalar(scales.attention_input)?;
                let attended =
                    attention.forward(&scaled, &mut pass.attention, table, window, kv)?;
                let scaled = x.f_mul_scalar(scales.mamba_input)?;
                let mixed = mamba.forward(&scaled, (pass.conv(), pass.scan()), state)?;
                scales.sum(&attended, &mixed)
            }
            Mixer::ShortConv(conv) => {
                conv.forward(x, pass.conv(), cache.map(|(cache, slots)| (cache.state(), slots)))
            }
        }
    }

    /// Mixes one new token per sequence; `x` and the result are sequences × hidden.
    pub(super) fn step(
        &self,
        x: &Tensor,
        step: &mut DecodeStep,
        table: Option<&RotaryTable>,
        window: Option<i64>,
        cache: &mut LayerCache,
    ) -> Result<Tensor, TchError> {
        match self {
            Mixer::Attention(attention) => {
                attention.step(x, table, step, window, cache.keys_and_values())
            }
            Mixer::DeltaNet(delta) => delta.step(x, cache.state()),
            Mixer::ShortConv(conv) => conv.step(x, cache.state()),
            Mixer::Mamba2(mamba) => mamba.step(x, cache.state()),
            Mixer::AttentionAndMamba2(attention, mamba, scales) => {
                let (kv, state) = cache.both();
                let scaled = x.f_mul_scalar(scales.attention_input)?;
                let attended = attention.step(&scaled, table, step, window, kv)?;
                let mixed = mamba.step(&x.f_mul_scalar(scales.mamba_input)?, state)?;
                scales.sum(&attended, &mixed)
            }
        }
    }
}

impl ParallelScales {
    fn sum(self, attended: &Tensor, mixed: &Tensor) -> Result<Tensor, TchError> {
        let mixed = mixed.f_mul_scalar(self.mamba_output)?;
        mixed.f_add(&attended.f_mul_scalar(self.attention_output)?)
    }
}
