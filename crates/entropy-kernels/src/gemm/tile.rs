//! The innermost loops: a tile of a few rows and panels of outputs, in AVX-512 or AVX2 registers.

use std::arch::x86_64::*;

use super::PANEL;

/// Maximum rows of a tile.
pub(super) const ROWS: usize = 4;
/// Maximum panels of a tile: memory gives several places at once faster than one. With AVX-512, 24 registers have the
/// sums, which leaves eight for the operands.
pub(super) const PANELS: usize = 3;

/// The operands of a tile, for a part of a block of columns. `x` is columns × rows; the weights of a panel are columns ×
/// `PANEL`.
pub(super) struct Tile<'a> {
    pub(super) x: &'a [f32],
    pub(super) rows: usize,
    /// The weights of the first panel.
    pub(super) weights: *const f32,
    pub(super) panels: usize,
    /// From the weights of one panel to those of the next.
    pub(super) panel_stride: usize,
    /// Weights of later parts that are fetched meanwhile, with the same stride; may be null.
    pub(super) next: *const f32,
    /// The number of their columns.
    pub(super) next_columns: usize,
    /// The sums of earlier parts of this block of columns, rows × panels · `PANEL` numbers in the order of the kernel.
    pub(super) sums: *mut f32,
    /// Whether this is the first part: there are no sums yet.
    pub(super) begins: bool,
    /// Whether this is the last part: the sums go to the outputs.
    pub(super) ends: bool,
    /// The outputs, rows × panels · `PANEL` numbers.
    pub(super) to: *mut f32,
    /// From one row to the next.
    pub(super) stride: usize,
    /// Whether the sums replace what is there, instead of being added.
    pub(super) is_first: bool,
}

/// Computes a tile.
///
/// Requires the instructions of the kernel, at most [`ROWS`] rows and [`PANELS`] panels, operands of these sizes, and
/// exclusive access to sums and outputs.
pub(super) type Kernel = unsafe fn(&Tile);

/// The kernel for this processor, if there is one.
pub(super) fn kernel() -> Option<Kernel> {
    kernels().next()
}

/// All kernels that this processor can run, the fastest first.
pub(super) fn kernels() -> impl Iterator<Item = Kernel> {
    let avx512 = is_x86_feature_detected!("avx512f").then_some(kernel_avx512 as Kernel);
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    avx512.filter(|_| avx2).into_iter().chain(avx2.then_some(kernel_avx2 as Kernel))
}

/// A SIMD register of f32 lanes.
trait Register: Copy {
    const LANES: usize;
    fn splat(value: f32) -> Self;
    /// # Safety
    /// `LANES` floats must be readable at `at`.
    unsafe fn load(at: *const f32) -> Self;
    /// # Safety
    /// `LANES` floats must be writable at `at`.
    unsafe fn store(self, at: *mut f32);
    /// self · by + to, rounded once.
    fn multiply_add(self, by: Self, to: Self) -> Self;
    /// self + other.
    fn add(self, other: Self) -> Self;
}

impl Register for __m512 {
    const LANES: usize = 16;
    #[inline(always)]
    fn splat(value: f32) -> __m512 {
        // SAFETY: only used by `kernel_avx512`, which runs only on processors with AVX-512F.
        unsafe { _mm512_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m512 {
        // SAFETY: as the caller promises; unaligned addresses are allowed.
        unsafe { _mm512_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: as the caller promises; unaligned addresses are allowed.
        unsafe { _mm512_storeu_ps(at, self) }
    }
    #[inline(always)]
    fn multiply_add(self, by: __m512, to: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_fmadd_ps(self, by, to) }
    }
    #[inline(always)]
    fn add(self, other: __m512) -> __m512 {
        // SAFETY: as in `splat`.
        unsafe { _mm512_add_ps(self, other) }
    }
}

impl Register for __m256 {
    const LANES: usize = 8;
    #[inline(always)]
    fn splat(value: f32) -> __m256 {
        // SAFETY: only used by `kernel_avx2`, which runs only on processors with AVX2 and FMA.
        unsafe { _mm256_set1_ps(value) }
    }
    #[inline(always)]
    unsafe fn load(at: *const f32) -> __m256 {
        // SAFETY: as the caller promises; unaligned addresses are allowed.
        unsafe { _mm256_loadu_ps(at) }
    }
    #[inline(always)]
    unsafe fn store(self, at: *mut f32) {
        // SAFETY: as the caller promises; unaligned addresses are allowed.
        unsafe { _mm256_storeu_ps(at, self) }
    }
    #[inline(always)]
    fn multiply_add(self, by: __m256, to: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_fmadd_ps(self, by, to) }
    }
    #[inline(always)]
    fn add(self, other: __m256) -> __m256 {
        // SAFETY: as in `splat`.
        unsafe { _mm256_add_ps(self, other) }
    }
}

/// See [`Kernel`].
#[target_feature(enable = "avx512f")]
unsafe fn kernel_avx512(tile: &Tile) {
    // SAFETY: as the caller promises.
    unsafe { registers_of_tile::<__m512, 2>(tile, 0) };
}

/// See [`Kernel`].
#[target_feature(enable = "avx2,fma")]
unsafe fn kernel_avx2(tile: &Tile) {
    for output in (0..PANEL).step_by(__m256::LANES) {
        // SAFETY: as the caller promises.
        unsafe { registers_of_tile::<__m256, 1>(tile, output) };
    }
}

/// Computes `N` registers of outputs from `output` on, of each row and panel.
///
/// # Safety
/// See [`Kernel`].
#[inline(always)]
unsafe fn registers_of_tile<R: Register, const N: usize>(tile: &Tile, output: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        match (tile.panels, tile.rows) {
            (1, 1) => registers::<R, 1, 1, N>(tile, output),
            (1, 2) => registers::<R, 2, 1, N>(tile, output),
            (1, 3) => registers::<R, 3, 1, N>(tile, output),
            (1, 4) => registers::<R, 4, 1, N>(tile, output),
            (2, 1) => registers::<R, 1, 2, N>(tile, output),
            (2, 2) => registers::<R, 2, 2, N>(tile, output),
            (2, 3) => registers::<R, 3, 2, N>(tile, output),
            (2, 4) => registers::<R, 4, 2, N>(tile, output),
            (3, 1) => registers::<R, 1, 3, N>(tile, output),
            (3, 2) => registers::<R, 2, 3, N>(tile, output),
            (3, 3) => registers::<R, 3, 3, N>(tile, output),
            (3, 4) => registers::<R, 4, 3, N>(tile, output),
            (panels, rows) => unreachable!("BUG: a tile of {rows} rows and {panels} panels"),
        }
    }
}

/// Computes `N` registers of outputs from `output` on, of `M` rows and `P` panels.
///
/// # Safety
/// See [`Kernel`].
#[inline(always)]
unsafe fn registers<R: Register, const M: usize, const P: usize, const N: usize>(
    tile: &Tile,
    output: usize,
) {
    debug_assert!(M == tile.rows && P == tile.panels && output + N * R::LANES <= PANEL);
    let mut sums = [[[R::splat(0.0); N]; P]; M];
    // SAFETY: `x` has columns × rows numbers, and the caller promises those of the weights, of the sums and of `to`. A
    // prefetch may have any address.
    unsafe {
        let kept = tile.sums.add(output * M * P);
        let place = |i: usize| kept.add(i * R::LANES);
        if !tile.begins {
            for (i, sum) in sums.as_flattened_mut().as_flattened_mut().iter_mut().enumerate() {
                *sum = R::load(place(i));
            }
        }
        // The columns of the next part are fetched at an even pace.
        let mut next = tile.next;
        let is_fetched = output == 0 && !next.is_null() && tile.next_columns > 0;
        let columns = tile.x.len() / M;
        let pace = if is_fetched { (columns / tile.next_columns).max(1) } else { usize::MAX };
        let mut left = pace;
        let mut weights = tile.weights.add(output);
        for x in tile.x.chunks_exact(M) {
            left -= 1;
            if left == 0 {
                left = pace;
                for p in 0..P {
                    let next = next.wrapping_add(p * tile.panel_stride);
                    _mm_prefetch::<_MM_HINT_T0>(next.cast());
                    _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(PANEL / 2).cast());
                }
                next = next.wrapping_add(PANEL);
            }
            let mut columns = [[R::splat(0.0); N]; P];
            for (p, columns) in columns.iter_mut().enumerate() {
                for (n, column) in columns.iter_mut().enumerate() {
                    *column = R::load(weights.add(p * tile.panel_stride + n * R::LANES));
                }
            }
            for (x, sums) in x.iter().zip(&mut sums) {
                let x = R::splat(*x);
                for (sums, columns) in sums.iter_mut().zip(&columns) {
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = x.multiply_add(*column, *sum);
                    }
                }
            }
            weights = weights.add(PANEL);
        }
        if !tile.ends {
            for (i, sum) in sums.as_flattened().as_flattened().iter().enumerate() {
                sum.store(place(i));
            }
            return;
        }
        let to = tile.to.add(output);
        for (m, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                for (n, sum) in sums.iter().enumerate() {
                    let to = to.add(m * tile.stride + p * PANEL + n * R::LANES);
                    let sum = if tile.is_first { *sum } else { R::load(to).add(*sum) };
                    sum.store(to);
                }
            }
        }
    }
}
