//! Matrix products x·Wᵀ with few rows of x, in f32: tiles of dot products in AVX-512 or AVX2 registers.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use rayon::prelude::*;

/// Rows of W per task: about 100 KiB to 1 MiB.
const ROWS_PER_TASK: usize = 96;
/// Multiplications above which several threads are used: about 20 µs of one thread.
const PARALLEL_THRESHOLD: usize = 1 << 20;
/// The number of columns must be a multiple of this, the width of an AVX-512 register.
pub const COLUMNS: usize = 16;

/// Whether the processor has AVX2 and FMA, which [`multiply`] requires.
pub fn available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

/// Computes x·Wᵀ: `x` is rows × `columns`, `weight` is outputs × `columns`, `result` is rows × outputs.
///
/// # Panics
/// If the processor is not [`available`], or the sizes do not match.
pub fn multiply(x: &[f32], weight: &[f32], result: &mut [f32], columns: usize) {
    let kernel = if is_x86_feature_detected!("avx512f") { kernel_avx512 } else { kernel_avx2 };
    multiply_with(kernel, x, weight, result, columns);
}

/// Computes the outputs `first..end` of all rows.
type Kernel = unsafe fn(&Product, usize, usize);

fn multiply_with(kernel: Kernel, x: &[f32], weight: &[f32], result: &mut [f32], columns: usize) {
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
    let product =
        Product { x: x.as_ptr(), weight: weight.as_ptr(), result, rows, columns, outputs };
    let task = |task: usize| {
        let first = task * ROWS_PER_TASK;
        // SAFETY: the processor and the sizes were checked above. The slices outlive the tasks, and tasks write
        // disjoint columns of the result.
        unsafe { kernel(&product, first, (first + ROWS_PER_TASK).min(outputs)) }
    };
    let tasks = outputs.div_ceil(ROWS_PER_TASK);
    if rows * columns * outputs < PARALLEL_THRESHOLD {
        (0..tasks).for_each(task);
    } else {
        (0..tasks).into_par_iter().for_each(task);
    }
}

/// The operands, shared by all tasks.
struct Product {
    x: *const f32,
    weight: *const f32,
    result: *mut f32,
    rows: usize,
    columns: usize,
    outputs: usize,
}

// SAFETY: tasks only read `x` and `weight`, and write disjoint parts of `result`; see `multiply_with`.
unsafe impl Sync for Product {}

/// A SIMD register of f32 lanes.
trait Register: Copy {
    const COUNT: usize;
    fn zero() -> Self;
    /// # Safety
    /// `COUNT` floats must be readable at `at`.
    unsafe fn load(at: *const f32) -> Self;
    fn multiply_add(self, by: Self, to: Self) -> Self;
    /// Prefetches into the cache; any address is allowed.
    #[inline(always)]
    fn prefetch(at: *const f32) {
        // SAFETY: prefetching an unmapped address does nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at.cast()) }
    }
    fn sum(self) -> f32;
}

impl Register for __m512 {
    const COUNT: usize = 16;
    #[inline(always)]
    fn zero() -> __m512 {
        // SAFETY: only used by `kernel_avx512`, which runs only on processors with AVX-512F.
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

impl Register for __m256 {
    const COUNT: usize = 8;
    #[inline(always)]
    fn zero() -> __m256 {
        // SAFETY: only used by `kernel_avx2`, which runs only on processors with AVX2 and FMA.
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
        // SAFETY: as in `zero`; the array holds eight floats.
        unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), self) };
        let [a, b, c, d, e, f, g, h] = lanes;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}

/// # Safety
/// Requires AVX-512F, operands of the sizes in `product`, and exclusive access to the outputs `first..end`.
#[target_feature(enable = "avx512f")]
unsafe fn kernel_avx512(product: &Product, first: usize, end: usize) {
    // SAFETY: as the caller promises.
    unsafe { multiply_outputs::<__m512, 6>(product, first, end) }
}

/// # Safety
/// Requires AVX2 and FMA, operands of the sizes in `product`, and exclusive access to the outputs `first..end`.
#[target_feature(enable = "avx2,fma")]
unsafe fn kernel_avx2(product: &Product, first: usize, end: usize) {
    // SAFETY: as the caller promises.
    unsafe { multiply_outputs::<__m256, 2>(product, first, end) }
}

/// Computes the outputs `first..end` of all rows, `N` rows of W at a time.
///
/// # Safety
/// Requires the instructions of the register type, operands of the sizes in `product`, exclusive access to the
/// outputs, and `end` ≤ `product.outputs`.
#[inline(always)]
unsafe fn multiply_outputs<L: Register, const N: usize>(
    product: &Product,
    first: usize,
    end: usize,
) {
    let mut output = first;
    // SAFETY: all outputs passed on are below `end`.
    unsafe {
        while output + N <= end {
            multiply_columns::<L, N>(product, output);
            output += N;
        }
        while output < end {
            multiply_columns::<L, 1>(product, output);
            output += 1;
        }
    }
}

/// Computes `N` outputs of all rows, four rows at a time.
///
/// # Safety
/// As for `multiply_outputs`, with `output + N` ≤ `product.outputs`.
#[inline(always)]
unsafe fn multiply_columns<L: Register, const N: usize>(product: &Product, output: usize) {
    let mut row = 0;
    // SAFETY: all rows passed on are below `product.rows`.
    unsafe {
        while row + 4 <= product.rows {
            tile::<L, 4, N>(product, row, output);
            row += 4;
        }
        match product.rows - row {
            3 => tile::<L, 3, N>(product, row, output),
            2 => tile::<L, 2, N>(product, row, output),
            1 => tile::<L, 1, N>(product, row, output),
            _ => {}
        }
    }
}

/// Multiplies `M` rows of x by `N` rows of W.
///
/// # Safety
/// As for `multiply_columns`, with `row + M` ≤ `product.rows` and columns a multiple of the register width.
#[inline(always)]
unsafe fn tile<L: Register, const M: usize, const N: usize>(
    product: &Product,
    row: usize,
    output: usize,
) {
    let mut sums = [[L::zero(); N]; M];
    let mut k = 0;
    // SAFETY: rows, outputs and `k` plus a register are within the sizes in `product`, those of the operands.
    unsafe {
        while k < product.columns {
            let mut weights = [L::zero(); N];
            for (n, weight) in weights.iter_mut().enumerate() {
                let at = product.weight.wrapping_add((output + n) * product.columns + k);
                *weight = L::load(at);
                if row == 0 {
                    L::prefetch(at.wrapping_add(2 * N * product.columns)); // the tile after the next
                }
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                let x = L::load(product.x.add((row + m) * product.columns + k));
                for n in 0..N {
                    sums[n] = x.multiply_add(weights[n], sums[n]);
                }
            }
            k += L::COUNT;
        }
        for (m, sums) in sums.iter().enumerate() {
            for (n, sum) in sums.iter().enumerate() {
                *product.result.add((row + m) * product.outputs + output + n) = sum.sum();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Small integers, whose products and sums are exact in f32.
    fn whole(n: usize, seed: usize) -> Vec<f32> {
        (0..n).map(|i| ((i * 7 + seed * 13 + i / 11) % 17) as f32 - 8.0).collect()
    }

    fn kernels() -> Vec<Kernel> {
        let mut kernels: Vec<Kernel> = Vec::new();
        if available() {
            kernels.push(kernel_avx2);
        }
        if available() && is_x86_feature_detected!("avx512f") {
            kernels.push(kernel_avx512);
        }
        kernels
    }

    #[test]
    fn tiles_of_every_size_are_exact_and_within_bounds() {
        for kernel in kernels() {
            for rows in [1, 2, 3, 4, 5, 7, 32] {
                for (columns, outputs) in [(16, 1), (48, 7), (64, 97), (256, 200)] {
                    let (x, w) = (whole(rows * columns, 1), whole(outputs * columns, 2));
                    // Exact heap allocations: AddressSanitizer detects any access past the end.
                    let mut result = vec![f32::NAN; rows * outputs];
                    multiply_with(kernel, &x, &w, &mut result, columns);
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
    fn parallel_product_equals_sequential() {
        for kernel in kernels() {
            let (rows, columns, outputs) = (4, 512, 1_000);
            let (x, w) = (whole(rows * columns, 3), whole(outputs * columns, 4));
            let mut shared = vec![f32::NAN; rows * outputs];
            multiply_with(kernel, &x, &w, &mut shared, columns);
            let mut alone = vec![f32::NAN; outputs];
            for (i, row) in x.chunks(columns).enumerate() {
                for (w, alone) in w.chunks(columns * 50).zip(alone.chunks_mut(50)) {
                    multiply_with(kernel, row, w, alone, columns);
                }
                assert_eq!(alone, shared[i * outputs..][..outputs]);
            }
        }
    }

    #[test]
    #[should_panic(expected = "the sizes of a product do not fit")]
    fn rejects_result_of_wrong_size() {
        multiply(&[0.0; 32], &[0.0; 32], &mut [0.0; 3], 16);
    }
}
