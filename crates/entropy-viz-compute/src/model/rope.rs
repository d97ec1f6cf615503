//! Rotary position embedding: the frequencies of config.json, and their cosines and sines.
//!
//! Types and formulas are those of transformers' `modeling_rope_utils.py`: default, linear (Chen et al. 2023), llama3
//! (Llama 3.1), yarn (Peng et al. 2023), longrope (Ding et al. 2024) and dynamic (bases that grow with the length of the
//! sequence). Other types are an error.

use anyhow::bail;
use serde_json::Value;
use tch::{Device, Kind, Tensor};

use super::defaults::Defaults;
use super::long_frequencies::{LongFrequencies, exponents, growth_exponent};
use super::proportional;
use crate::checkpoint::config::Config;

/// Where config.json has the rotary embedding of one type of layer.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayerRope {
    /// The key in `rope_parameters` of transformers 5.
    pub(super) name: &'static str,
    /// Whether `rope_scaling` of transformers 4 is of these layers.
    pub(super) takes_rope_scaling: bool,
    /// The key at the top level for the base of the frequencies, if there is one, and the default.
    pub(super) theta_key: Option<&'static str>,
    pub(super) theta: f64,
}

impl LayerRope {
    /// That of layers without a sliding window.
    pub(super) const fn full(theta: f64) -> LayerRope {
        LayerRope {
            name: "full_attention",
            takes_rope_scaling: true,
            theta_key: Some("rope_theta"),
            theta,
        }
    }

    /// That of layers with a sliding window.
    pub(super) const fn sliding(theta_key: Option<&'static str>, theta: f64) -> LayerRope {
        LayerRope { name: "sliding_attention", takes_rope_scaling: false, theta_key, theta }
    }
}

/// The rotary embedding of a model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rope {
    /// Rotated numbers per head, an even number; the others are unchanged.
    pub(crate) dim: i64,
    /// Radians per position, for each pair of numbers.
    frequencies: Vec<f32>,
    /// Factor of cosines and sines (transformers' `attention_factor`).
    factor: f64,
    /// The original context in tokens, and the frequencies of longer sequences.
    long: Option<(i64, LongFrequencies)>,
    /// A factor of rotated queries.
    query_scaling: Option<QueryScaling>,
}

/// The factor of a query at position p: 1 + beta·ln(1 + ⌊(p + first) / original⌋).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct QueryScaling {
    pub(super) beta: f64,
    /// In tokens.
    pub(super) original: i64,
    /// The number of the first position: 0 in Ministral 3, 1 in Llama 4.
    pub(super) first: i64,
}

impl Rope {
    /// Reads the settings of the layers of a type, such as `sliding_attention`, or of all layers if it is `None`.
    /// `head_dim` is the dimension of a head.
    pub(super) fn read(
        config: &Config,
        head_dim: i64,
        defaults: Defaults,
        layer_type: Option<&LayerRope>,
    ) -> anyhow::Result<Rope> {
        let (top, path) = (config, config.path().display());
        let is_model = |model_type: &str| config.get("model_type").is_some_and(|n| n == model_type);
        let is_phi3 = is_model("phi3");
        // transformers 5 writes rope_parameters; version 4 wrote rope_theta and rope_scaling at the top level. If a
        // file has both, version 5 takes rope_scaling, and nothing of rope_parameters.
        let old = config.section("rope_scaling");
        let new = config.section("rope_parameters");
        let scaling = match layer_type {
            None => old.or(new),
            Some(layer) => old
                .filter(|_| layer.takes_rope_scaling)
                .or_else(|| new.and_then(|by_type| by_type.section(layer.name))),
        };
        if let Some((key, _)) =
            scaling.iter().flat_map(Config::entries).find(|(_, v)| v.is_object())
        {
            bail!("{path}: rope parameters by layer type ({key:?}) are not supported");
        }
        let in_section = |key: &str| scaling.as_ref().filter(|section| section.get(key).is_some());
        let (theta_key, default_theta) = match layer_type {
            None => (Some("rope_theta"), defaults.theta),
            Some(layer) => (layer.theta_key, layer.theta),
        };
        let theta = match in_section("rope_theta") {
            Some(section) => section.number("rope_theta")?,
            None => theta_key.map_or(Ok(default_theta), |key| top.number_or(key, default_theta))?,
        };
        let part = match in_section("partial_rotary_factor") {
            Some(section) => section.number("partial_rotary_factor")?,
            None => {
                let default = defaults.partial_rotary_factor.unwrap_or(1.0);
                top.number_or("partial_rotary_factor", default)?
            }
        };
        let kind = scaling
            .as_ref()
            .and_then(|section| section.get("rope_type").or_else(|| section.get("type")))
            .and_then(Value::as_str)
            .unwrap_or("default");
        let kind = match kind {
            "su" | "yarn" if is_phi3 => "longrope", // so in transformers' Phi3Config
            "mrope" => "default",                   // of models of pictures; on text they are equal
            kind => kind,
        };
        // In models without a partial rotation of their own, transformers ignores the factor for the default type, and
        // fails for the others.
        let is_partial = defaults.partial_rotary_factor.is_some();
        let is_whole = kind == "proportional" || kind == "default" && !is_partial;
        let dim = if is_whole { head_dim } else { (head_dim as f64 * part) as i64 };
        if dim != head_dim && !is_partial {
            bail!("{path}: partial_rotary_factor {part} with rope type {kind:?} is not supported");
        }
        if dim < 2 || dim % 2 != 0 || dim > head_dim {
            bail!(
                "{path}: the rotary dimension is {dim}; it must be even and at most head_dim, {head_dim}"
            );
        }
        // Computed by libtorch in f32, like transformers: a difference in the last bit of a frequency grows with
        // the position, and after some thousand tokens it is visible in the entropies.
        let base_of = |theta: f64| -> anyhow::Result<Vec<f64>> {
            let base = Tensor::f_pow_scalar(theta, &exponents(dim)?)?.f_reciprocal()?;
            Ok(Vec::<f64>::try_from(base.f_to_kind(Kind::Double)?)?)
        };
        let base = base_of(theta)?;
        let plain =
            Rope { dim, frequencies: narrow(&base), factor: 1.0, long: None, query_scaling: None };
        let Some(scaling) = &scaling else { return Ok(plain) };
        // The key at the top level overrides that of the section; Phi3Config has a default for it.
        let original = || {
            let key = "original_max_position_embeddings";
            match top.get(key) {
                None if is_phi3 => Ok(4096),
                None => scaling.count_or(key, top.count("max_position_embeddings")?),
                Some(_) => top.count(key),
            }
        };
        match kind {
            "linear" | "llama3" | "dynamic" | "proportional" if is_phi3 => {
                bail!(
                    "{path}: rope type {kind:?} is not supported for phi3; default and longrope are"
                )
            }
            "default" => Ok(plain),
            "proportional" => {
                let factor = scaling.number_or("factor", 1.0)?;
                let turned = proportional::turned_pairs(head_dim, part, top)?;
                let frequencies = proportional::frequencies(&plain.frequencies, turned, factor);
                Ok(Rope { frequencies, ..plain })
            }
            "linear" => {
                let factor = scaling.number("factor")?;
                Ok(Rope {
                    frequencies: narrow(&base.iter().map(|f| f / factor).collect::<Vec<_>>()),
                    ..plain
                })
            }
            "llama3" => {
                Ok(Rope { frequencies: llama3(&base, scaling, original()? as f64)?, ..plain })
            }
            "yarn" => yarn(plain, &base, theta, scaling, original()? as f64, top),
            "longrope" => longrope(plain, &base, scaling, original()?, top),
            "dynamic" if dim == 2 => {
                bail!("{path}: rope type \"dynamic\" with a rotary dimension of 2 is not supported")
            }
            // A fixed alpha in place of the growth with the length.
            "dynamic" if is_model("hunyuan_v1_dense") && nonzero(scaling, "alpha")?.is_some() => {
                let theta = theta * scaling.number("alpha")?.powf(growth_exponent(dim));
                Ok(Rope { frequencies: narrow(&base_of(theta)?), ..plain })
            }
            "dynamic" => {
                let (factor, original) =
                    (scaling.number("factor")?, top.count("max_position_embeddings")?);
                let long = Some((original, LongFrequencies::Growing { theta, factor }));
                Ok(Rope { long, ..plain })
            }
            other => bail!(
                "{path}: rope type {other:?} is not supported; default, linear, llama3, yarn, longrope, dynamic and proportional are"
            ),
        }
    }

    /// An embedding that rotates nothing.
    pub(super) fn still() -> Rope {
        Rope { dim: 0, frequencies: Vec::new(), factor: 1.0, long: None, query_scaling: None }
    }

    /// Returns this embedding with queries scaled by their positions as well.
    pub(super) fn with_query_scaling(self, query_scaling: QueryScaling) -> Rope {
        Rope { query_scaling: Some(query_scaling), ..self }
    }

    /// dynamic: the context in tokens for which the base grows.
    pub(super) fn stretched_context(&self) -> Option<i64> {
        match &self.long {
            Some((original, LongFrequencies::Growing { factor, .. })) => {
                Some(*original.max(&((*original as f64 * factor) as i64)))
            }
            _ => None,
        }
    }

    /// Whether a sequence of `length` tokens has other frequencies than one with a token less.
    pub(super) fn changes_at(&self, length: i64) -> bool {
        match &self.long {
            None => false,
            Some((original, LongFrequencies::Fixed(_))) => length == original + 1,
            Some((original, LongFrequencies::Growing { .. })) => length > *original,
        }
    }

    /// Cosines and sines of `positions`, in f32; `lengths[i]` is the length of the sequence of `positions[i]`.
    pub(crate) fn table(
        &self,
        positions: &[i64],
        lengths: &[i64],
        device: Device,
    ) -> Result<RotaryTable, tch::TchError> {
        let turn = |frequencies: &Tensor| -> Result<Tensor, tch::TchError> {
            let positions = Tensor::f_from_slice(positions)?.f_to_kind(Kind::Float)?;
            positions.f_unsqueeze(1)?.f_mul(frequencies)
        };
        let mut angles = turn(&Tensor::f_from_slice(&self.frequencies)?)?;
        if let Some((original, frequencies)) = &self.long
            && lengths.iter().any(|length| length > original)
        {
            let long: Vec<bool> = lengths.iter().map(|length| length > original).collect();
            let long = Tensor::f_from_slice(&long)?.f_unsqueeze(1)?;
            let of_long = turn(&frequencies.of_lengths(*original, lengths, self.dim)?)?;
            angles = of_long.f_where_self(&long, &angles)?;
        }
        let scaled = |t: Tensor| -> Result<Tensor, tch::TchError> {
            let t = if self.factor == 1.0 { t } else { t.f_mul_scalar(self.factor)? };
            t.f_unsqueeze(1)?.f_to_device(device)
        };
        let query_scale = match self.query_scaling {
            None => None,
            Some(QueryScaling { beta, original, first }) => {
                let factor =
                    |p: &i64| (1.0 + beta * ((1 + (p + first) / original) as f64).ln()) as f32;
                let factors: Vec<f32> = positions.iter().map(factor).collect();
                Some(Tensor::f_from_slice(&factors)?.f_view([-1, 1, 1])?.f_to_device(device)?)
            }
        };
        let (cos, sin) = (scaled(angles.f_cos()?)?, scaled(angles.f_sin()?)?);
        Ok(RotaryTable { cos, sin, query_scale })
    }
}

/// Cosines and sines, each positions × 1 × (dim / 2).
pub(crate) struct RotaryTable {
    pub(crate) cos: Tensor,
    pub(crate) sin: Tensor,
    /// Factors of the rotated queries, positions × 1 × 1.
    pub(crate) query_scale: Option<Tensor>,
}

impl RotaryTable {
    /// Whether it turns any number.
    pub(super) fn rotates(&self) -> bool {
        self.cos.numel() > 0
    }

    /// Converts to another number type.
    pub(crate) fn to_kind(&self, kind: Kind) -> Result<RotaryTable, tch::TchError> {
        let query_scale = self.query_scale.as_ref().map(|t| t.f_to_kind(kind)).transpose()?;
        let (cos, sin) = (self.cos.f_to_kind(kind)?, self.sin.f_to_kind(kind)?);
        Ok(RotaryTable { cos, sin, query_scale })
    }
}

/// The number under a key; 0 counts as missing.
fn nonzero(scaling: &Config, key: &str) -> anyhow::Result<Option<f64>> {
    Ok(Some(scaling.number_or(key, 0.0)?).filter(|number| *number != 0.0))
}

fn narrow(frequencies: &[f64]) -> Vec<f32> {
    frequencies.iter().map(|f| *f as f32).collect()
}

fn llama3(base: &[f64], scaling: &Config, original: f64) -> anyhow::Result<Vec<f32>> {
    let factor = scaling.number("factor")?;
    let (low, high) = (scaling.number("low_freq_factor")?, scaling.number("high_freq_factor")?);
    let scaled = base.iter().map(|&f| {
        let wavelength = std::f64::consts::TAU / f;
        if wavelength < original / high {
            f
        } else if wavelength > original / low {
            f / factor
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            (1.0 - smooth) * f / factor + smooth * f
        }
    });
    Ok(scaled.map(|f| f as f32).collect())
}

/// YaRN's factor of attention for a context that is `scale` times as long.
pub(super) fn magnitude(scale: f64, m: f64) -> f64 {
    if scale <= 1.0 { 1.0 } else { 0.1 * m * scale.ln() + 1.0 }
}

fn yarn(
    plain: Rope,
    base: &[f64],
    theta: f64,
    scaling: &Config,
    original: f64,
    top: &Config,
) -> anyhow::Result<Rope> {
    let factor =
        scaling.number_or("factor", top.count("max_position_embeddings")? as f64 / original)?;
    let attention = match (nonzero(scaling, "mscale")?, nonzero(scaling, "mscale_all_dim")?) {
        _ if scaling.get("attention_factor").is_some() => scaling.number("attention_factor")?,
        (Some(m), Some(all)) => magnitude(factor, m) / magnitude(factor, all),
        _ => magnitude(factor, 1.0),
    };
    let dim = plain.dim as f64;
    let correction = |rotations: f64| {
        dim * (original / (rotations * std::f64::consts::TAU)).ln() / (2.0 * theta.ln())
    };
    let low = correction(nonzero(scaling, "beta_fast")?.unwrap_or(32.0));
    let high = correction(nonzero(scaling, "beta_slow")?.unwrap_or(1.0));
    let (low, high) =
        if scaling.flag_or("truncate", true)? { (low.floor(), high.ceil()) } else { (low, high) };
    let (low, high) = (low.max(0.0), high.min(dim - 1.0));
    let width = if low == high { 0.001 } else { high - low };
    let frequencies = base.iter().enumerate().map(|(i, &f)| {
        let ramp = ((i as f64 - low) / width).clamp(0.0, 1.0);
        f / factor * ramp + f * (1.0 - ramp)
    });
    Ok(Rope { frequencies: frequencies.map(|f| f as f32).collect(), factor: attention, ..plain })
}

fn longrope(
    plain: Rope,
    base: &[f64],
    scaling: &Config,
    original: i64,
    top: &Config,
) -> anyhow::Result<Rope> {
    let stretched = |key: &str| -> anyhow::Result<Vec<f32>> {
        let factors = scaling.numbers(key)?;
        if factors.len() != base.len() {
            let path = scaling.path().display();
            bail!("{path}: {key} has {} numbers, expected {}", factors.len(), base.len());
        }
        Ok(base.iter().zip(factors).map(|(f, by)| (f / by) as f32).collect())
    };
    let ratio = top.count("max_position_embeddings")? as f64 / original as f64;
    let factor = scaling.number_or("factor", ratio)?;
    let by_length =
        if factor <= 1.0 { 1.0 } else { (1.0 + factor.ln() / (original as f64).ln()).sqrt() };
    Ok(Rope {
        frequencies: stretched("short_factor")?,
        factor: scaling.number_or("attention_factor", by_length)?,
        long: Some((original, LongFrequencies::Fixed(stretched("long_factor")?))),
        ..plain
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequencies_equal_transformers_bit_for_bit() {
        let directory = tempfile::tempdir().unwrap();
        let text = r#"{"rope_theta": 500000.0, "max_position_embeddings": 8192}"#;
        std::fs::write(directory.path().join("config.json"), text).unwrap();
        let rope = Rope::read(&Config::read(directory.path()).unwrap(), 128, Defaults::LLAMA, None)
            .unwrap();
        // torch 2.11: 1.0 / (500000.0 ** (torch.arange(0, 128, 2).float() / 128))
        let expected = [
            (1, 0.814_617_216_587_066_7),
            (7, 0.238_053_813_576_698_3),
            (20, 0.016_560_440_883_040_428),
            (33, 0.001_152_042_648_755_014),
            (63, 2.455_140_702_295_466_3e-6),
        ];
        for (i, frequency) in expected {
            assert_eq!(f64::from(rope.frequencies[i]), frequency, "number {i}");
        }
    }
}
