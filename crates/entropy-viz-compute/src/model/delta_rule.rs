//! The gated delta rule (Yang, Kautz and Hatamizadeh 2024), in f32.
//!
//! Per head of values, a state S (key × value, from zeros) changes with each token's query q, key k, value v, write strength
//! β and decay e^g:
//!
//! ```text
//! S ← e^g·S      S ← S + k ⊗ β·(v − Sᵀk)      o = Sᵀq
//! ```
//!
//! where q and k are L2-normalised and q is divided by √(key dimension). [`step`] is this. [`scan`] computes the same in chunks,
//! as transformers' `torch_chunk_gated_delta_rule`: within a chunk, the corrections of all tokens are the solution of a
//! triangular system, and only the states between chunks are sequential.

use tch::{Kind, TchError, Tensor};

use super::chunks::{self, Block, Chunks, Decays, Ended, per_head};
use super::mixer_spec::DeltaSpec;
use super::recurrent::STATE_KIND;
use super::scan::ScanPlan;

/// Added to the square of a norm.
const NORM_EPSILON: f64 = 1e-6;

/// The inputs of the rule, one row per token.
pub(super) struct Inputs {
    /// Queries, keys and values: rows × channels.
    pub(super) qkv: Tensor,
    /// Write strengths β: rows × heads of values, f32.
    pub(super) beta: Tensor,
    /// Logarithms g of the decays, at most 0: rows × heads of values, f32.
    pub(super) log_decay: Tensor,
}

/// Runs packed sequences from zero states. `inputs` have a last row of zeros, which stands for padding. Returns tokens ×
/// heads of values × value dimension, f32.
pub(super) fn scan(
    spec: DeltaSpec,
    inputs: &Inputs,
    plan: &ScanPlan,
    ended: &mut Ended,
) -> Result<Tensor, TchError> {
    let state = [spec.value_heads, spec.key_dim, spec.value_dim];
    let prepare = |block: &Block| prepare(spec, inputs, block);
    chunks::scan(plan, state, inputs.qkv.device(), &prepare, ended)
}

/// Runs one new token per sequence. `state` is sequences × heads × key × value and becomes the next one. Returns sequences ×
/// heads of values × value dimension, f32.
pub(super) fn step(
    spec: DeltaSpec,
    inputs: &Inputs,
    state: &mut Tensor,
) -> Result<Tensor, TchError> {
    let DeltaSpec { key_heads, value_heads, value_dim, .. } = spec;
    let shared = value_heads / key_heads;
    let [q, k, v] = heads(spec, &inputs.qkv)?;
    let by_value_head = |x: &Tensor| x.f_repeat_interleave_self_int(shared, 1, None);
    let (q, k) = (by_value_head(&q)?, by_value_head(&k)?);
    let decay = inputs.log_decay.f_exp()?.f_unsqueeze(2)?;
    // Sᵀk and Sᵀq of the old state in one reading of it; the new state's Sᵀq follows from both.
    let read = Tensor::f_stack(&[&k, &q], 2)?.f_matmul(state)?;
    let (read_k, read_q) =
        (read.f_select(2, 0)?.f_mul(&decay)?, read.f_select(2, 1)?.f_mul(&decay)?);
    let change = v.f_sub(&read_k)?.f_mul(&inputs.beta.f_unsqueeze(2)?)?;
    let _ = state
        .f_mul_(&decay.f_unsqueeze(3)?)?
        .f_addcmul_(&k.f_unsqueeze(3)?, &change.f_unsqueeze(2)?)?;
    let overlap = q.f_mul(&k)?.f_sum_dim_intlist(-1, true, None::<Kind>)?;
    read_q.f_addcmul(&overlap, &change)?.f_view([-1, value_heads, value_dim])
}

/// Queries and keys, rows × heads of keys × key dimension, normalised and scaled, and values, rows × heads of values × value
/// dimension; in f32.
fn heads(spec: DeltaSpec, qkv: &Tensor) -> Result<[Tensor; 3], TchError> {
    let DeltaSpec { key_heads, value_heads, key_dim, value_dim, .. } = spec;
    let part = |start: i64, heads: i64, size: i64| {
        let part = qkv.f_narrow(1, start, heads * size)?.f_to_kind(STATE_KIND)?;
        part.f_reshape([-1, heads, size])
    };
    let normed = |x: &Tensor, factor: f64| {
        let squares = x.f_mul(x)?.f_sum_dim_intlist(-1, true, None::<Kind>)?;
        x.f_mul(&squares.f_add_scalar(NORM_EPSILON)?.f_rsqrt()?.f_mul_scalar(factor)?)
    };
    Ok([
        normed(&part(0, key_heads, key_dim)?, (key_dim as f64).powf(-0.5))?,
        normed(&part(spec.keys(), key_heads, key_dim)?, 1.0)?,
        part(2 * spec.keys(), value_heads, value_dim)?,
    ])
}

fn prepare(spec: DeltaSpec, inputs: &Inputs, block: &Block) -> Result<Chunks, TchError> {
    let DeltaSpec { key_heads, key_dim, value_dim, .. } = spec;
    let number = |x: &Tensor| block.grouped(&block.rows(x)?.f_unsqueeze(2)?, key_heads);
    let [q, k, v] = heads(spec, &block.rows(&inputs.qkv)?)?;
    let (q, k) = (block.chunked(&q)?.f_contiguous()?, block.chunked(&k)?.f_contiguous()?);
    let (v, beta) = (block.grouped(&v, key_heads)?, number(&inputs.beta)?);
    let decays = Decays::of(&number(&inputs.log_decay)?)?;
    let k_t = k.f_transpose(2, 3)?;
    let system = k.f_matmul(&k_t)?.f_unsqueeze(2)?.f_mul(&decays.between)?.f_mul_(&beta)?;
    let weights = q.f_matmul(&k_t)?.f_unsqueeze(2)?.f_mul(&decays.between)?;
    let (q, k) = (q.f_unsqueeze(2)?, k.f_unsqueeze(2)?);
    let right = [v.f_mul(&beta)?, k.f_mul(&beta.f_mul(&decays.since_start)?)?];
    let solved =
        system.f_linalg_solve_triangular(&Tensor::f_cat(&right, -1)?, false, true, true)?;
    Ok(Chunks {
        values: per_head(&solved.f_narrow(4, 0, value_dim)?)?,
        reads: Some(per_head(&solved.f_narrow(4, value_dim, key_dim)?)?),
        queries: per_head(&q.f_mul(&decays.since_start)?)?,
        keys: per_head(&k.f_mul(&decays.until_end)?)?,
        weights: per_head(&weights)?,
        decay: per_head(&decays.whole)?,
    })
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::super::mixer_spec::DeltaInputs;
    use super::super::packed::Packed;
    use super::*;

    const LENGTHS: [usize; 7] = [200, 65, 64, 64, 63, 20, 1];

    fn spec(key_heads: i64, value_heads: i64, key_dim: i64, value_dim: i64) -> DeltaSpec {
        DeltaSpec {
            key_heads,
            value_heads,
            key_dim,
            value_dim,
            kernel: 4,
            inputs: DeltaInputs::Separate,
        }
    }

    /// Random inputs, with a row of zeros behind them.
    fn inputs(spec: DeltaSpec, tokens: i64) -> Inputs {
        tch::manual_seed(5);
        let random = |columns: i64| Tensor::randn([tokens, columns], (Kind::Float, Device::Cpu));
        let padded = |x: Tensor| x.constant_pad_nd([0, 0, 0, 1]);
        Inputs {
            qkv: padded(random(spec.channels())),
            beta: padded(random(spec.value_heads).sigmoid()),
            log_decay: padded(-(random(spec.value_heads) * 2.0).exp() * 0.1),
        }
    }

    /// The recurrence as it is written above, in f64, token by token: the outputs and the last state of one sequence.
    fn reference(
        spec: DeltaSpec,
        inputs: &Inputs,
        first: usize,
        length: usize,
    ) -> (Vec<f64>, Vec<f64>) {
        let row = |x: &Tensor, i: usize| {
            Vec::<f64>::try_from(x.get(i as i64).to_kind(Kind::Double)).unwrap()
        };
        let (key_dim, value_dim) = (spec.key_dim as usize, spec.value_dim as usize);
        let shared = (spec.value_heads / spec.key_heads) as usize;
        let heads = spec.value_heads as usize;
        let mut states = vec![vec![vec![0.0; value_dim]; key_dim]; heads];
        let mut outputs = Vec::new();
        for token in first..first + length {
            let (qkv, beta, g) =
                (row(&inputs.qkv, token), row(&inputs.beta, token), row(&inputs.log_decay, token));
            for (head, s) in states.iter_mut().enumerate() {
                let normed = |start: usize| -> Vec<f64> {
                    let start = start + head / shared * key_dim;
                    let x = &qkv[start..start + key_dim];
                    let norm = (x.iter().map(|x| x * x).sum::<f64>() + 1e-6).sqrt();
                    x.iter().map(|x| x / norm).collect()
                };
                let (q, k) = (normed(0), normed(spec.keys() as usize));
                let v = &qkv[2 * spec.keys() as usize + head * value_dim..][..value_dim];
                for j in 0..value_dim {
                    for column in s.iter_mut() {
                        column[j] *= g[head].exp();
                    }
                    let read: f64 = (0..key_dim).map(|i| s[i][j] * k[i]).sum();
                    for i in 0..key_dim {
                        s[i][j] += k[i] * beta[head] * (v[j] - read);
                    }
                    let read: f64 = (0..key_dim).map(|i| s[i][j] * q[i]).sum();
                    outputs.push(read / (spec.key_dim as f64).sqrt());
                }
            }
        }
        (outputs, states.concat().concat())
    }

    fn numbers(x: &Tensor) -> Vec<f64> {
        Vec::<f64>::try_from(x.to_kind(Kind::Double).contiguous().view([-1])).unwrap()
    }

    #[track_caller]
    fn assert_close(ours: &[f64], expected: &[f64], what: &str) {
        assert_eq!(ours.len(), expected.len(), "{what}");
        let off = ours.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        let size = expected.iter().fold(0.0f64, |size, x| size.max(x.abs()));
        assert!(size > 0.05 && off < 1e-5, "{what}: off by {off:e} of {size}");
    }

    #[test]
    fn chunks_equal_the_recurrence() {
        for spec in [spec(2, 6, 8, 12), spec(3, 3, 16, 4), spec(1, 2, 1, 3)] {
            let ids = [0i64; 200];
            let packed = Packed::new(LENGTHS.iter().map(|length| &ids[..*length]));
            let inputs = inputs(spec, packed.ids.len() as i64);
            let plan = ScanPlan::new(&packed, 1, Device::Cpu).unwrap();
            let mut states = vec![Vec::new(); LENGTHS.len()];
            let mut keep = |sequences: &[usize], state: &Tensor| {
                for (i, sequence) in sequences.iter().enumerate() {
                    states[*sequence] = numbers(&state.get(i as i64));
                }
                Ok(())
            };
            let outputs = scan(spec, &inputs, &plan, &mut keep).unwrap();
            let mut first = 0;
            for (i, &length) in LENGTHS.iter().enumerate() {
                let (expected, state) = reference(spec, &inputs, first, length);
                let ours = numbers(&outputs.narrow(0, first as i64, length as i64));
                assert_close(&ours, &expected, &format!("{spec:?}, length {length}"));
                assert_close(&states[i], &state, &format!("{spec:?}, state of {length}"));
                first += length;
            }
        }
    }

    #[test]
    fn steps_equal_the_recurrence() {
        let spec = spec(2, 6, 8, 12);
        let inputs = inputs(spec, 200);
        let (expected, last) = reference(spec, &inputs, 0, 200);
        let mut state = Tensor::zeros([1, 6, 8, 12], (Kind::Float, Device::Cpu));
        let mut ours = Vec::new();
        for token in 0..200 {
            let row = |x: &Tensor| x.narrow(0, token, 1);
            let one = Inputs {
                qkv: row(&inputs.qkv),
                beta: row(&inputs.beta),
                log_decay: row(&inputs.log_decay),
            };
            ours.extend(numbers(&step(spec, &one, &mut state).unwrap()));
        }
        assert_close(&ours, &expected, "outputs");
        assert_close(&numbers(&state), &last, "state");
    }

    #[test]
    fn blocks_do_not_change_the_numbers() {
        let spec = spec(2, 6, 8, 12);
        let ids = [0i64; 200];
        let packed = Packed::new(LENGTHS.iter().map(|length| &ids[..*length]));
        let inputs = inputs(spec, packed.ids.len() as i64);
        let run = |numbers_per_token: i64| {
            let plan = ScanPlan::new(&packed, numbers_per_token, Device::Cpu).unwrap();
            numbers(&scan(spec, &inputs, &plan, &mut |_, _| Ok(())).unwrap())
        };
        // 65,536 numbers per token leave room for one or two chunks in a block.
        assert_close(&run(1 << 16), &run(1), "outputs");
    }
}
