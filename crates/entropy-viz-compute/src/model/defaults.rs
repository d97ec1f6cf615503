//! Values of keys that config.json may omit, and limits of those that it has.

/// Values of keys that config.json may omit, where architectures differ.
#[derive(Debug, Clone, Copy)]
pub(super) struct Defaults {
    /// `None`: `hidden_size` / heads.
    pub(super) head_dim: Option<i64>,
    /// `None`: the number of heads.
    pub(super) kv_heads: Option<i64>,
    /// The key of the norms' epsilon.
    pub(super) epsilon_key: &'static str,
    /// The width of the MLP; `None`: it must not be omitted.
    pub(super) intermediate: Option<i64>,
    pub(super) epsilon: f64,
    pub(super) theta: f64,
    pub(super) tie_word_embeddings: bool,
    /// The default of `partial_rotary_factor`; `None` if the model has no partial rotation.
    pub(super) partial_rotary_factor: Option<f64>,
}

impl Defaults {
    pub(super) const LLAMA: Defaults = Defaults {
        head_dim: None,
        kv_heads: None,
        epsilon_key: "rms_norm_eps",
        intermediate: None,
        epsilon: 1e-6,
        theta: 10_000.0,
        tie_word_embeddings: false,
        partial_rotary_factor: None,
    };
}

/// Maximum of sizes in config.json, so that no product of two of them overflows. They are compared with the weights
/// later.
pub(super) const MAX_SIZE: i64 = 1 << 30;
/// Maximum dimension of a head: the rotary frequencies are computed before the weights are opened.
pub(super) const MAX_HEAD_DIM: i64 = 1 << 16;
