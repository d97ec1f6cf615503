//! Names of the tensors of a layer, where architectures differ.

/// Names of the modules of attention in a layer, besides `q_proj`, `k_proj` and `v_proj`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AttentionNames {
    pub(crate) output: &'static str,
    pub(crate) q_norm: &'static str,
    pub(crate) k_norm: &'static str,
}

impl AttentionNames {
    pub(super) const LLAMA: AttentionNames =
        AttentionNames { output: "o_proj", q_norm: "q_norm", k_norm: "k_norm" };
}

/// Names of the modules of an MLP; a plain one has no gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MlpNames {
    /// The module of the MLP in a layer.
    pub(crate) module: &'static str,
    pub(crate) gate: &'static str,
    pub(crate) up: &'static str,
    pub(crate) down: &'static str,
}

impl MlpNames {
    pub(super) const LLAMA: MlpNames =
        MlpNames { module: "mlp", gate: "gate_proj", up: "up_proj", down: "down_proj" };
}
