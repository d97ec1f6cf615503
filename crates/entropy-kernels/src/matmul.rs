//! The product of `skinny`, on slices: tiles of dot products in registers.
//!
//! Apart from libtorch, so that a sanitizer can run it (`make sanitize`).

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use rayon::prelude::*;

/// Rows of W that one task multiplies: some 100 KiB to 1 MiB.
const ROWS_A_TASK: usize = 96;
/// Multiplications from which a second thread is worth waking: some 20 microseconds of one.
const WORTH_SHARING: usize = 1 << 20;
/// What the number of columns must be a multiple of: the widest register.
pub const COLUMNS: usize = 16;

/// Whether the processor has the instructions.
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Rows × columns times the outputs × columns of W, into rows × outputs. Call it where it is
/// `available`.
pub fn multiply(x: &[f32], weight: &[f32], result: &mut [f32], columns: usize) {
    let part = if is_x86_feature_detected!("avx512f") { part_avx512 } else { part_avx2 };
    multiply_by(part, x, weight, result, columns);
}

type Part = unsafe fn(&Job, usize, usize);

fn multiply_by(part: Part, x: &[f32], weight: &[f32], result: &mut [f32], columns: usize) {
    assert!(available(), "BUG: this processor lacks AVX2 or FMA");
    assert!(columns > 0 && columns.is_multiple_of(COLUMNS), "BUG: {columns} columns");
    let (rows, outputs) = (x.len() / columns, weight.len() / columns);
    assert!(
        x.len() == rows * columns
            && weight.len() == outputs * columns
            && result.len() == rows * outputs,
        "BUG: the sizes of a product do not fit"
    );
    let result = result.as_mut_ptr();
    let job = Job { x: x.as_ptr(), weight: weight.as_ptr(), result, rows, columns, outputs };
    let task = |task: usize| {
        let first = task * ROWS_A_TASK;
        // SAFETY: the processor and the sizes were checked; the slices outlive the tasks, and a task
        // writes only the columns of the result that are its own.
        unsafe { part(&job, first, (first + ROWS_A_TASK).min(outputs)) }
    };
    let tasks = outputs.div_ceil(ROWS_A_TASK);
    if rows * columns * outputs < WORTH_SHARING {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
}

/// What the tasks share.
struct Job {
    x: *const f32,
    weight: *const f32,
    result: *mut f32,
    rows: usize,
    columns: usize,
    outputs: usize,
}

// SAFETY: see `multiply_by`: tasks share what they read and part what they write.
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
        // SAFETY: only `part_avx512` uses these, which runs only where they exist.
        unsafe { _mm512_setzero_ps() }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        // SAFETY: as the caller promises; unaligned addresses are allowed.
        unsafe { _mm512_loadu_ps(at) }
    }
    #[inline(always)]
    fn multiply_add(self, by: __m512, to: __m512) -> __m512 {
        // SAFETY: as in `zero`.
        unsafe { _mm512_fmadd_ps(self, by, to) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        // SAFETY: as in `zero`.
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
        // SAFETY: as the caller promises; unaligned addresses are allowed.
        unsafe { _mm256_loadu_ps(at) }
    }
    #[inline(always)]
    fn multiply_add(self, by: __m256, to: __m256) -> __m256 {
        // SAFETY: as in `zero`.
        unsafe { _mm256_fmadd_ps(self, by, to) }
    }
    #[inline(always)]
    fn sum(self) -> f32 {
        let mut lanes = [0.0; 8];
        // SAFETY: as in `zero`; eight numbers have room there.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), self) };
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// # Safety
/// The processor must have AVX-512F, the pointers be those of the job's sizes, and nobody else write these outputs.
#[target_feature(enable = "avx512f")]
unsafe fn part_avx512(job: &Job, first: usize, end: usize) {
    // SAFETY: as the caller promises.
    unsafe { part::<__m512, 6>(job, first, end) }
}

/// # Safety
/// The processor must have AVX2 and FMA, the pointers be those of the job's sizes, and nobody else write these outputs.
#[target_feature(enable = "avx2,fma")]
unsafe fn part_avx2(job: &Job, first: usize, end: usize) {
    // SAFETY: as the caller promises.
    unsafe { part::<__m256, 2>(job, first, end) }
}

/// Outputs `first` to `end` of every row, `N` rows of W at a time.
///
/// # Safety
/// As of `part_avx512` and `part_avx2`, by the register; `end` is at most the job's outputs.
#[inline(always)]
unsafe fn part<L: Lanes, const N: usize>(job: &Job, first: usize, end: usize) {
    let mut output = first;
    // SAFETY: `across` is given outputs below `end` alone.
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
///
/// # Safety
/// As of `part`: `N` outputs from `output` on are the job's.
#[inline(always)]
unsafe fn across<L: Lanes, const N: usize>(job: &Job, output: usize) {
    let mut row = 0;
    // SAFETY: `tile` is given rows below the job's alone.
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
///
/// # Safety
/// As of `across`; `M` rows from `row` on are the job's, and its columns a multiple of the register.
#[inline(always)]
unsafe fn tile<L: Lanes, const M: usize, const N: usize>(job: &Job, row: usize, output: usize) {
    let mut sums = [[L::zero(); N]; M];
    let mut k = 0;
    // SAFETY: rows, outputs and `k` + a register are below the job's sizes, which are those of the memory.
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

    /// Small whole numbers, whose products and sums f32 holds exactly.
    fn whole(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7 + seed * 13 + i / 11) % 17) as f32 - 8.0).collect()
    }

    fn parts() -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        if available() {
            parts.push(part_avx2);
        }
        if available() && is_x86_feature_detected!("avx512f") {
            parts.push(part_avx512);
        }
        parts
    }

    #[test]
    fn every_size_of_tile_is_exact_and_stays_in_its_place() {
        for part in parts() {
            for rows in [1, 2, 3, 4, 5, 7, 32] {
                for (columns, outputs) in [(16, 1), (48, 7), (64, 97), (256, 200)] {
                    let (x, w) = (whole(rows * columns, 1), whole(outputs * columns, 2));
                    // On the heap, with nothing behind: a sanitizer sees a step beyond any of the three.
                    let mut result = vec![f32::NAN; rows * outputs];
                    multiply_by(part, &x, &w, &mut result, columns);
                    for (i, row) in x.chunks(columns).enumerate() {
                        for (j, weights) in w.chunks(columns).enumerate() {
                            let exact: f32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
                            assert_eq!(result[i * outputs + j], exact, "{rows} {columns} {i} {j}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_product_shared_by_threads_is_the_same() {
        for part in parts() {
            let (rows, columns, outputs) = (4, 512, 1_000);
            let (x, w) = (whole(rows * columns, 3), whole(outputs * columns, 4));
            let mut shared = vec![f32::NAN; rows * outputs];
            multiply_by(part, &x, &w, &mut shared, columns);
            let mut alone = vec![f32::NAN; outputs];
            for (i, row) in x.chunks(columns).enumerate() {
                for (w, alone) in w.chunks(columns * 50).zip(alone.chunks_mut(50)) {
                    multiply_by(part, row, w, alone, columns);
                }
                assert_eq!(alone, shared[i * outputs..][..outputs]);
            }
        }
    }

    #[test]
    #[should_panic(expected = "the sizes of a product do not fit")]
    fn memory_that_is_too_small_is_refused() {
        multiply(&[0.0; 32], &[0.0; 32], &mut [0.0; 3], 16);
    }
}
