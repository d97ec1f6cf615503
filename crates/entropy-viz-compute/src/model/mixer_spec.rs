//! The settings of a layer's token mixer.

/// What mixes the tokens of a sequence in a layer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MixerSpec {
    /// Attention, as the decoder's `AttentionSpec` says.
    Attention,
    /// Gated DeltaNet, as in Qwen3-Next.
    DeltaNet(DeltaSpec),
    /// A short gated convolution, as in LFM2.
    ShortConv(ShortConvSpec),
    /// Mamba 2, as in Nemotron-H.
    Mamba2(MambaSpec),
    /// Attention and Mamba 2 beside each other, as in Falcon-H1.
    AttentionAndMamba2(MambaSpec, ParallelScales),
    /// None: the layer has only a feed-forward part.
    None,
}

impl MixerSpec {
    /// The tokens that its causal convolution sees, with the current one; `None` if it has none.
    pub(super) fn kernel(self) -> Option<i64> {
        match self {
            MixerSpec::Attention | MixerSpec::None => None,
            MixerSpec::DeltaNet(delta) => Some(delta.kernel),
            MixerSpec::ShortConv(conv) => Some(conv.kernel),
            MixerSpec::Mamba2(mamba) | MixerSpec::AttentionAndMamba2(mamba, _) => {
                Some(mamba.kernel)
            }
        }
    }

    /// Whether it keeps keys and values.
    pub(super) fn has_attention(self) -> bool {
        matches!(self, MixerSpec::Attention | MixerSpec::AttentionAndMamba2(..))
    }

    /// What it keeps of a sequence besides keys and values; `None` if nothing.
    pub(super) fn state_shape(self) -> Option<StateShape> {
        match self {
            MixerSpec::Attention | MixerSpec::None => None,
            MixerSpec::Mamba2(mamba) | MixerSpec::AttentionAndMamba2(mamba, _) => {
                Some(StateShape {
                    state: [mamba.heads, mamba.state, mamba.head_dim],
                    tail: [mamba.kernel - 1, mamba.channels()],
                })
            }
            MixerSpec::DeltaNet(delta) => Some(StateShape {
                state: [delta.value_heads, delta.key_dim, delta.value_dim],
                tail: [delta.kernel - 1, delta.channels()],
            }),
            MixerSpec::ShortConv(conv) => {
                Some(StateShape { state: [0; 3], tail: [conv.kernel - 1, conv.channels] })
            }
        }
    }

    /// Numbers per token in the largest tensor of its recurrence; `None` if it has none.
    pub(super) fn scan_numbers(self) -> Option<i64> {
        match self {
            MixerSpec::Attention | MixerSpec::ShortConv(_) | MixerSpec::None => None,
            MixerSpec::Mamba2(mamba) | MixerSpec::AttentionAndMamba2(mamba, _) => {
                Some(mamba.heads * mamba.state.max(mamba.head_dim))
            }
            MixerSpec::DeltaNet(delta) => {
                Some(delta.value_heads * delta.key_dim.max(delta.value_dim))
            }
        }
    }
}

/// The shape of what a recurrent mixer keeps of a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateShape {
    /// heads × key dimension × value dimension; zeros if there is only a convolution.
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

/// The sizes of a short gated convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShortConvSpec {
    pub(crate) channels: i64,
    /// Tokens that the convolution sees, with the current one.
    pub(crate) kernel: i64,
    /// Whether its modules have biases.
    pub(crate) bias: bool,
}

/// The sizes of a Mamba 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct MambaSpec {
    pub(crate) heads: i64,
    pub(crate) head_dim: i64,
    /// Groups of heads with the same B and C.
    pub(crate) groups: i64,
    /// Numbers of B, and of C, per group.
    pub(crate) state: i64,
    /// Tokens that the convolution sees, with the current one.
    pub(crate) kernel: i64,
    /// Minimum and maximum of the step Δ.
    pub(crate) min_step: f64,
    pub(crate) max_step: f64,
    pub(crate) conv_bias: bool,
    /// Whether the projections have biases.
    pub(crate) input_bias: bool,
    pub(crate) output_bias: bool,
    pub(crate) norm: MambaNorm,
    /// Factors of z, x, B, C and Δ behind the projection.
    pub(crate) input_scales: Option<[f64; 5]>,
}

/// The norm of the groups of a Mamba 2's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MambaNorm {
    /// Only the gate.
    None,
    BeforeGate,
    AfterGate,
}

/// Factors of the inputs and outputs of mixers beside each other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ParallelScales {
    pub(crate) attention_input: f64,
    pub(crate) attention_output: f64,
    pub(crate) mamba_input: f64,
    pub(crate) mamba_output: f64,
}

impl MambaSpec {
    /// Width of all heads.
    pub(super) fn wide(self) -> i64 {
        self.heads * self.head_dim
    }

    /// Width of x, B and C together.
    pub(super) fn channels(self) -> i64 {
        self.wide() + 2 * self.groups * self.state
    }
}
