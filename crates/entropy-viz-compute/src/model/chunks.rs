//! Recurrences S ← e^g·S + k ⊗ v with outputs o = Sᵀq, in chunks: within a chunk all tokens at once, and only the states between
//! chunks in sequence. In the delta rule, v depends on the state, too.

use tch::{Device, Kind, TchError, Tensor};

use super::recurrent::STATE_KIND;
use super::scan::{ScanBlock, ScanPlan};

/// Called with sequences that end, by their index in the pack, and their states: sequences × heads × key × value.
pub(super) type Ended<'a> = dyn FnMut(&[usize], &Tensor) -> Result<(), TchError> + 'a;

/// What the chunks of a block need of their own tokens; each is chunks × heads × width × …
pub(super) struct Chunks {
    /// What is written for a state of zeros: value dimension.
    pub(super) values: Tensor,
    /// What is subtracted from it per number of the state, key dimension; in the delta rule.
    pub(super) reads: Option<Tensor>,
    /// Decayed since the chunk began: key dimension.
    pub(super) queries: Tensor,
    /// Decayed until the chunk ends: key dimension.
    pub(super) keys: Tensor,
    /// Weights of what is written in the outputs: width.
    pub(super) weights: Tensor,
    /// Decay of the state over the chunk: 1 × 1.
    pub(super) decay: Tensor,
}

/// Runs packed sequences from zero states of shape heads × key × value. `prepare` makes the chunks of a block. Returns tokens ×
/// heads × value dimension, f32.
pub(super) fn scan(
    plan: &ScanPlan,
    [heads, key_dim, value_dim]: [i64; 3],
    device: Device,
    prepare: &dyn Fn(&Block) -> Result<Chunks, TchError>,
    ended: &mut Ended,
) -> Result<Tensor, TchError> {
    let options = (STATE_KIND, device);
    let mut done = Tensor::f_empty([plan.tokens + 1, heads, value_dim], options)?;
    for set in &plan.sets {
        let sequences = set.sequences.len() as i64;
        let mut state = Tensor::f_zeros([sequences, heads, key_dim, value_dim], options)?;
        for ScanBlock { counts, indices } in set.blocks()? {
            let block = Block { indices, width: set.width };
            let chunks = prepare(&block)?;
            let mut outputs = Vec::with_capacity(counts.len());
            let mut first = 0;
            for count in counts {
                let going_on = state.size()[0];
                if count < going_on {
                    let ends = state.f_narrow(0, count, going_on - count)?;
                    ended(&set.sequences[count as usize..going_on as usize], &ends)?;
                    state = state.f_narrow(0, 0, count)?;
                }
                let (output, next) = chunks.run(first, count, &state)?;
                outputs.push(output);
                state = next;
                first += count;
            }
            let outputs = Tensor::f_cat(&outputs, 0)?.f_transpose(1, 2)?.f_flatten(0, 1)?;
            let _ = done.f_index_copy_(0, &block.indices, &outputs)?;
        }
        ended(&set.sequences[..state.size()[0] as usize], &state)?;
    }
    done.f_narrow(0, 0, plan.tokens)
}

impl Chunks {
    /// Runs `count` chunks from `first` on, one per sequence, from the states before them. Returns their outputs, chunks ×
    /// heads × width × value dimension, and the states after them.
    fn run(&self, first: i64, count: i64, state: &Tensor) -> Result<(Tensor, Tensor), TchError> {
        let of = |x: &Tensor| x.f_narrow(0, first, count);
        let mut written = of(&self.values)?;
        if let Some(reads) = &self.reads {
            written = written.f_sub(&of(reads)?.f_matmul(state)?)?;
        }
        let output =
            of(&self.queries)?.f_matmul(state)?.f_add_(&of(&self.weights)?.f_matmul(&written)?)?;
        let change = of(&self.keys)?.f_transpose(2, 3)?.f_matmul(&written)?;
        Ok((output, state.f_mul(&of(&self.decay)?)?.f_add_(&change)?))
    }
}

/// The tokens of some chunks.
pub(super) struct Block {
    /// Of the tokens in the pack: chunks · width.
    indices: Tensor,
    pub(super) width: i64,
}

impl Block {
    /// The rows of these tokens.
    pub(super) fn rows(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_index_select(0, &self.indices)
    }

    /// Rows × heads × size as chunks × heads × width × size.
    pub(super) fn chunked(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (heads, size) = (x.size()[1], x.size()[2]);
        x.f_view([-1, self.width, heads, size])?.f_transpose(1, 2)
    }

    /// Rows × heads × size as chunks × key heads × heads per key head × width × size.
    pub(super) fn grouped(&self, x: &Tensor, key_heads: i64) -> Result<Tensor, TchError> {
        let (heads, size) = (x.size()[1], x.size()[2]);
        self.chunked(x)?.f_reshape([-1, key_heads, heads / key_heads, self.width, size])
    }
}

/// Decays within chunks; each is chunks × key heads × heads per key head × …
pub(super) struct Decays {
    /// From key j to query i; 0 where j is after i: width × width.
    pub(super) between: Tensor,
    /// From the beginning of the chunk to each token: width × 1.
    pub(super) since_start: Tensor,
    /// From each token to the end of the chunk: width × 1.
    pub(super) until_end: Tensor,
    /// Over the chunk: 1 × 1.
    pub(super) whole: Tensor,
}

impl Decays {
    /// `logs` are those of each token, … × width × 1.
    pub(super) fn of(logs: &Tensor) -> Result<Decays, TchError> {
        let width = logs.size()[3];
        let total = logs.f_cumsum(3, None)?;
        let later = Tensor::f_ones([width, width], (Kind::Bool, total.device()))?.f_triu(1)?;
        let end = total.f_narrow(3, width - 1, 1)?;
        Ok(Decays {
            between: total
                .f_sub(&total.f_transpose(3, 4)?)?
                .f_masked_fill(&later, f64::NEG_INFINITY)?
                .f_exp_()?,
            since_start: total.f_exp()?,
            until_end: end.f_sub(&total)?.f_exp_()?,
            whole: end.f_exp()?,
        })
    }
}

/// Key heads and the heads of each as one dimension.
pub(super) fn per_head(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_flatten(1, 2)
}
