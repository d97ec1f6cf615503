//! The settings of a layer's token mixer.

/// What mixes the tokens of a sequence in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MixerSpec {
    /// Attention, as the decoder's `AttentionSpec` says.
    Attention,
    /// Gated DeltaNet, as in Qwen3-Next.
    DeltaNet(DeltaSpec),
}

impl MixerSpec {
    /// The tokens that its causal convolution sees, with the current one; `None` if it has none.
    pub(super) fn kernel(self) -> Option<i64> {
        match self {
            MixerSpec::Attention => None,
            MixerSpec::DeltaNet(delta) => Some(delta.kernel),
        }
    }

    /// What it keeps of a sequence besides keys and values; `None` if nothing.
    pub(super) fn state_shape(self) -> Option<StateShape> {
        match self {
            MixerSpec::Attention => None,
            MixerSpec::DeltaNet(delta) => Some(StateShape {
                state: [delta.value_heads, delta.key_dim, delta.value_dim],
                tail: [delta.kernel - 1, delta.channels()],
            }),
        }
    }

    /// Numbers per token in the largest tensor of its recurrence; `None` if it has none.
    pub(super) fn scan_numbers(self) -> Option<i64> {
        match self {
            MixerSpec::Attention => None,
            MixerSpec::DeltaNet(delta) => {
                Some(delta.value_heads * delta.key_dim.max(delta.value_dim))
            }
        }
    }
}

/// The shape of what a recurrent mixer keeps of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateShape {
    /// heads × key dimension × value dimension.
    pub(super) state: [i64; 3],
    /// The last inputs of the convolution: (kernel - 1) × channels.
    pub(super) tail: [i64; 2],
}

/// The sizes of a Gated DeltaNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeltaSpec {
    /// Heads of queries and keys; each serves `value_heads / key_heads` consecutive heads of values.
    pub(crate) key_heads: i64,
    pub(crate) value_heads: i64,
    /// Width of a head of queries or keys.
    pub(crate) key_dim: i64,
    /// Width of a head of values.
    pub(crate) value_dim: i64,
    /// Tokens that the causal convolution sees, with the current one.
    pub(crate) kernel: i64,
    pub(crate) inputs: DeltaInputs,
}

impl DeltaSpec {
    /// Width of all queries, or of all keys.
    pub(super) fn keys(self) -> i64 {
        self.key_heads * self.key_dim
    }

    /// Width of all values.
    pub(super) fn values(self) -> i64 {
        self.value_heads * self.value_dim
    }

    /// Width of queries, keys and values together.
    pub(super) fn channels(self) -> i64 {
        2 * self.keys() + self.values()
    }
}

/// The tensors that make queries, keys, values, output gates z, β and decays of a Gated DeltaNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeltaInputs {
    /// `in_proj_qkv`, `in_proj_z`, `in_proj_b` and `in_proj_a`, as in Qwen3.5.
    Separate,
    /// `in_proj_qkvz` and `in_proj_ba`, whose rows are ordered by key head, as in Qwen3-Next.
    ByKeyHead,
}
