//! x·Wᵀ for few rows of x, on the CPU in f32: what each step of decoding is made of.
//!
//! A BLAS rearranges W for every product, which for the one row a sequence that decoding has costs
//! more than the product itself. Here W is read once, as it lies: tiles of a few rows of x by a few
//! rows of W, each a dot product in registers. A row's numbers are summed in the same order however
//! many rows there are, so what is sampled does not depend on the batch. For the same reason scoring,
//! whose batches may have few rows or many, is left to the BLAS throughout.

#![cfg(target_arch = "x86_64")]
#![allow(unsafe_code)]

use std::arch::x86_64::*;
use std::cell::Cell;

use rayon::prelude::*;
use tch::{Device, Kind, TchError, Tensor};

/// Rows of x up to which this is faster than the BLAS.
const MOST_ROWS: usize = 32;
/// Rows of W that one task multiplies: some 100 KiB to 1 MiB.
const ROWS_A_TASK: usize = 96;
/// Multiplications from which a second thread is worth waking: some 20 microseconds of one.
const WORTH_SHARING: usize = 1 << 20;

thread_local! {
    static STEPPING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a step of decoding: its products are made here, by rayon's threads. libtorch's own, which wait
/// for work by spinning, would only stand in their way and are sent away.
pub(super) fn stepping<T>(step: impl FnOnce() -> T) -> T {
    tch::set_num_threads(1);
    STEPPING.set(true);
    let result = step();
    STEPPING.set(false);
    tch::set_num_threads(rayon::current_num_threads() as i32);
    result
}

/// Whether products of so many rows are made here.
pub(super) fn takes(rows: usize) -> bool {
    (1..=MOST_ROWS).contains(&rows)
        && is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
}

/// x·Wᵀ, or `None` outside of a step, or where the product has not the form or the processor not the
/// instructions.
pub(super) fn product(x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>, TchError> {
    let plain = |t: &Tensor| {
        t.kind() == Kind::Float && t.device() == Device::Cpu && t.is_contiguous() && t.dim() == 2
    };
    if !STEPPING.get() || !plain(x) || !plain(weight) {
        return Ok(None);
    }
    let (rows, columns, outputs) =
        (x.size()[0] as usize, x.size()[1] as usize, weight.size()[0] as usize);
    if !takes(rows) || columns % 16 != 0 {
        return Ok(None);
    }
    let multiply = if is_x86_feature_detected!("avx512f") { part_avx512 } else { part_avx2 };
    let result = Tensor::f_empty([rows as i64, outputs as i64], (Kind::Float, Device::Cpu))?;
    let job = Job {
        x: x.data_ptr().cast(),
        weight: weight.data_ptr().cast(),
        result: result.data_ptr().cast(),
        rows,
        columns,
        outputs,
    };
    // SAFETY: the pointers are those of contiguous f32 tensors of the job's sizes, which outlive it; a
    // task writes only the columns of the result that are its own.
    let task = |task: usize| unsafe {
        let first = task * ROWS_A_TASK;
        multiply(&job, first, (first + ROWS_A_TASK).min(outputs));
    };
    let tasks = outputs.div_ceil(ROWS_A_TASK);
    if rows * columns * outputs < WORTH_SHARING {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
    Ok(Some(result))
}

/// Rows × columns times outputs × columns makes rows × outputs.
struct Job {
    x: *const f32,
    weight: *const f32,
    result: *mut f32,
    rows: usize,
    columns: usize,
    outputs: usize,
}

// SAFETY: see `product`: tasks share what they read and part what they write.
unsafe impl Sync for Job {}

/// A register of f32s.
trait Lanes: Copy {
    const COUNT: usize;
    fn zero() -> Self;
    /// # Safety
    /// `COUNT` numbers must be readable there.
    unsafe fn load(at: *const f32) -> Self;
    fn multiply_add(self, by: Self, to: Self) -> Self;
    /// Asks for numbers that will be read soon; any address will do.
    #[inline(always)]
    fn fetch(at: *const f32) {
        // SAFETY: a prefetch of an address that is not mapped does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
    fn sum(self) -> f32;
}

impl Lanes for __m512 {
    const COUNT: usize = 16;
    #[inline(always)]
    fn zero() -> __m512 {
        // SAFETY: here and below, only `part_avx512` uses these, which runs only where they exist.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(at) }
    }
    #[inline(always)]
    fn multiply_add(self, by: __m512, to: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(self, by, to) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        unsafe { _mm512_reduce_add_ps(self) }
    }
}

impl Lanes for __m256 {
    const COUNT: usize = 8;
    #[inline(always)]
    fn zero() -> __m256 {
        // SAFETY: as above, with `part_avx2`.
        unsafe { _mm256_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(at) }
    }
    #[inline(always)]
    fn multiply_add(self, by: __m256, to: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(self, by, to) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; 8];
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), self) };
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// # Safety
/// The processor must have AVX-512F, and the pointers be those of the job's sizes.
#[target_feature(enable = "avx512f")]
unsafe fn part_avx512(job: &Job, first: usize, end: usize) {
    unsafe { part::<__m512, 6>(job, first, end) }
}

/// # Safety
/// The processor must have AVX2 and FMA, and the pointers be those of the job's sizes.
#[target_feature(enable = "avx2,fma")]
unsafe fn part_avx2(job: &Job, first: usize, end: usize) {
    unsafe { part::<__m256, 2>(job, first, end) }
}

/// Outputs `first` to `end` of every row, `N` rows of W at a time.
#[inline(always)]
unsafe fn part<L: Lanes, const N: usize>(job: &Job, first: usize, end: usize) {
    let mut output = first;
    unsafe {
        while output + N <= end {
            across::<L, N>(job, output);
            output += N;
        }
        while output < end {
            across::<L, 1>(job, output);
            output += 1;
        }
    }
}

/// `N` outputs of every row, four rows at a time.
#[inline(always)]
unsafe fn across<L: Lanes, const N: usize>(job: &Job, output: usize) {
    let mut row = 0;
    unsafe {
        while row + 4 <= job.rows {
            tile::<L, 4, N>(job, row, output);
            row += 4;
        }
        match job.rows - row {
            3 => tile::<L, 3, N>(job, row, output),
            2 => tile::<L, 2, N>(job, row, output),
            1 => tile::<L, 1, N>(job, row, output),
            _ => {}
        }
    }
}

/// `M` rows of x times `N` rows of W.
#[inline(always)]
unsafe fn tile<L: Lanes, const M: usize, const N: usize>(job: &Job, row: usize, output: usize) {
    let mut sums = [[L::zero(); N]; M];
    let mut k = 0;
    unsafe {
        while k < job.columns {
            let mut weights = [L::zero(); N];
            for (n, weight) in weights.iter_mut().enumerate() {
                let at = job.weight.wrapping_add((output + n) * job.columns + k);
                *weight = L::load(at);
                if row == 0 {
                    L::fetch(at.wrapping_add(2 * N * job.columns)); // the rows after the next
                }
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                let x = L::load(job.x.add((row + m) * job.columns + k));
                for n in 0..N {
                    sums[n] = x.multiply_add(weights[n], sums[n]);
                }
            }
            k += L::COUNT;
        }
        for (m, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                *job.result.add((row + m) * job.outputs + output + n) = sum.sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_libtorch_at_every_size_of_tile() {
        tch::manual_seed(1);
        for rows in [1, 2, 3, 4, 5, 7, 16, 32] {
            for (columns, outputs) in [(16, 1), (48, 7), (64, 97), (256, 200)] {
                let x = Tensor::randn([rows, columns], (Kind::Float, Device::Cpu));
                let w = Tensor::randn([outputs, columns], (Kind::Float, Device::Cpu));
                let Some(ours) = stepping(|| product(&x, &w)).unwrap() else { return };
                let exact = x.to_kind(Kind::Double).matmul(&w.to_kind(Kind::Double).tr());
                let off = f64::try_from((ours.to_kind(Kind::Double) - exact).abs().max()).unwrap();
                assert!(off < 2e-5, "{rows} × {columns} × {outputs}: {off}");
            }
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_company() {
        tch::manual_seed(2);
        let x = Tensor::randn([11, 80], (Kind::Float, Device::Cpu));
        let w = Tensor::randn([50, 80], (Kind::Float, Device::Cpu));
        let Some(together) = stepping(|| product(&x, &w)).unwrap() else { return };
        for i in 0..11 {
            let alone = stepping(|| product(&x.narrow(0, i, 1).contiguous(), &w)).unwrap().unwrap();
            assert_eq!(
                Vec::<f32>::try_from(alone.view([50])).unwrap(),
                Vec::<f32>::try_from(together.get(i)).unwrap()
            );
        }
    }

    #[test]
    fn what_it_is_not_made_for_is_left_to_libtorch() {
        let many = Tensor::zeros([33, 16], (Kind::Float, Device::Cpu));
        let odd = Tensor::zeros([2, 17], (Kind::Float, Device::Cpu));
        let half = Tensor::zeros([2, 16], (Kind::BFloat16, Device::Cpu));
        for x in [many, odd, half] {
            assert!(stepping(|| product(&x, &x)).unwrap().is_none());
        }
    }
}
