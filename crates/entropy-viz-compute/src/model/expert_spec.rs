//! The settings of a mixture of experts.

use anyhow::{Context as _, bail};

use super::defaults::MAX_SIZE;
use super::routing::Routing;
use crate::checkpoint::config::Config;

/// The settings of a mixture of experts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExpertSpec {
    pub(crate) count: i64,
    pub(crate) experts_per_token: i64,
    pub(crate) intermediate: i64,
    /// Width of the experts' inputs and outputs, if it is not that of the model, as in Nemotron 3.
    pub(crate) latent: Option<i64>,
    pub(crate) routing: Routing,
    /// Which layers have experts instead of an MLP.
    pub(crate) layers: Vec<bool>,
    /// An MLP that takes every token besides.
    pub(crate) shared: Option<SharedExpert>,
    pub(crate) names: ExpertNames,
}

/// An MLP beside the experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SharedExpert {
    pub(crate) width: i64,
    pub(crate) name: &'static str,
    /// The module of a gate, whose σ multiplies the output, as in Qwen2-MoE.
    pub(crate) gate: Option<&'static str>,
}

impl SharedExpert {
    /// That of Qwen's mixtures, with a gate.
    pub(super) fn gated(config: &Config, width: i64) -> anyhow::Result<SharedExpert> {
        Ok(SharedExpert {
            width: config.count_or("shared_expert_intermediate_size", width)?,
            name: "shared_expert",
            gate: Some("shared_expert_gate"),
        })
    }
}

impl ExpertSpec {
    /// The settings, if they fit each other.
    pub(super) fn checked(self, config: &Config) -> anyhow::Result<ExpertSpec> {
        if self.experts_per_token > self.count {
            bail!(
                "{}: num_experts_per_tok is {}, but there are only {} experts",
                config.path().display(),
                self.experts_per_token,
                self.count
            );
        }
        let shared = self.shared.map_or(1, |shared| shared.width);
        for (what, size) in [
            ("the number of experts", self.count),
            ("moe_intermediate_size", self.intermediate),
            ("the width of the shared experts", shared),
        ] {
            if !(1..=MAX_SIZE).contains(&size) {
                bail!("{}: {what} is {size}, not from 1 to {MAX_SIZE}", config.path().display());
            }
        }
        self.routing
            .check(self.count, self.experts_per_token)
            .with_context(|| config.path().display().to_string())?;
        Ok(self)
    }
}

/// Names of the tensors of a mixture of experts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExpertNames {
    /// The module of router and experts in a layer.
    pub(crate) module: &'static str,
    /// The router in this module; if there are several names, the first that is stored.
    pub(crate) router: &'static [&'static str],
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
    /// Gate and up, and down, of all experts, if the files have them as one tensor each.
    pub(crate) fused: Option<[&'static str; 2]>,
    pub(crate) layout: ExpertLayout,
    pub(crate) biases: ExpertBiases,
}

/// Which parts of a mixture of experts have biases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpertBiases {
    None,
    /// The router, and all experts in one tensor: `gate_up_proj_bias`, experts × 2·intermediate, and `down_proj_bias`,
    /// experts × hidden.
    All,
}

/// The order of dimensions of experts that are stored as one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpertLayout {
    /// Experts × out × in; if the shape says so, experts × in × out.
    OutputFirst,
    /// Always experts × in × out.
    InputFirst,
    /// Always experts × in × out; the outputs of gate and up take turns, as in gpt-oss.
    Interleaved,
}

impl ExpertNames {
    /// The module of router and experts in the files: transformers 5 has `mlp` for all in memory, and so have trainers'
    /// shards. `is_stored` tells whether the layer has a tensor of a name.
    pub(super) fn stored_module(&self, is_stored: impl Fn(&str) -> bool) -> &'static str {
        let in_memory = ExpertNames::QWEN.module;
        let is_there = |router: &&str| is_stored(&format!("{in_memory}.{router}.weight"));
        if self.router.iter().any(is_there) { in_memory } else { self.module }
    }

    pub(super) const QWEN: ExpertNames = ExpertNames {
        module: "mlp",
        router: &["gate"],
        gate: "gate_proj",
        up: "up_proj",
        down: "down_proj",
        fused: None,
        layout: ExpertLayout::OutputFirst,
        biases: ExpertBiases::None,
    };
    pub(super) const MIXTRAL: ExpertNames = ExpertNames {
        module: "block_sparse_moe",
        gate: "w1",
        up: "w3",
        down: "w2",
        ..ExpertNames::QWEN
    };
}
