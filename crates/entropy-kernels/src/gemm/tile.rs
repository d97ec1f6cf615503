//! The innermost loops: a tile of a few rows and one panel of outputs, in AVX-512 or AVX2 registers.

use std::arch::x86_64::*;

use super::PANEL;

/// The shape of the tiles of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Twelve rows and one panel: the least loads per multiplication.
    Tall,
    /// Four rows and three panels, for products with few rows. They wait for the weights, and memory gives several
    /// places at once faster than one.
    Wide,
}

impl Shape {
    /// The faster shape for this number of rows.
    pub(super) fn of(rows: usize) -> Shape {
        if rows <= 32 { Shape::Wide } else { Shape::Tall }
    }

    /// Maximum rows of a tile: with AVX-512, 24 registers have the sums, which leaves eight for the operands.
    pub(super) fn rows(self) -> usize {
        match self {
            Shape::Tall => 12,
            Shape::Wide => 4,
        }
    }

    /// Maximum panels of a tile.
    pub(super) fn panels(self) -> usize {
        match self {
            Shape::Tall => 1,
            Shape::Wide => 3,
        }
    }
}

/// The operands of a tile. `x` is columns × rows; the weights of a panel are columns × `PANEL`.
pub(super) struct Tile<'a> {
    pub(super) x: &'a [f32],
    pub(super) rows: usize,
    /// The weights of the first panel.
    pub(super) weights: *const f32,
    pub(super) panels: usize,
    /// From the weights of one panel to those of the next.
    pub(super) panel_stride: usize,
    /// rows × panels · `PANEL` numbers.
    pub(super) to: *mut f32,
    /// From one row to the next.
    pub(super) stride: usize,
    /// Whether the products replace what is there, instead of being added.
    pub(super) is_first: bool,
}

/// Computes a tile.
///
/// Requires the instructions of the kernel, rows and panels of one of the shapes, operands of these sizes, and exclusive
/// access to the outputs.
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
    unsafe {
        match (tile.panels, tile.rows) {
            (1, 12) => registers::<__m512, 12, 1, 2>(tile, 0, 0),
            (1, 11) => registers::<__m512, 11, 1, 2>(tile, 0, 0),
            (1, 10) => registers::<__m512, 10, 1, 2>(tile, 0, 0),
            (1, 9) => registers::<__m512, 9, 1, 2>(tile, 0, 0),
            (1, 8) => registers::<__m512, 8, 1, 2>(tile, 0, 0),
            (1, 7) => registers::<__m512, 7, 1, 2>(tile, 0, 0),
            (1, 6) => registers::<__m512, 6, 1, 2>(tile, 0, 0),
            (1, 5) => registers::<__m512, 5, 1, 2>(tile, 0, 0),
            (1, 4) => registers::<__m512, 4, 1, 2>(tile, 0, 0),
            (1, 3) => registers::<__m512, 3, 1, 2>(tile, 0, 0),
            (1, 2) => registers::<__m512, 2, 1, 2>(tile, 0, 0),
            (1, 1) => registers::<__m512, 1, 1, 2>(tile, 0, 0),
            (2, 4) => registers::<__m512, 4, 2, 2>(tile, 0, 0),
            (2, 3) => registers::<__m512, 3, 2, 2>(tile, 0, 0),
            (2, 2) => registers::<__m512, 2, 2, 2>(tile, 0, 0),
            (2, 1) => registers::<__m512, 1, 2, 2>(tile, 0, 0),
            (3, 4) => registers::<__m512, 4, 3, 2>(tile, 0, 0),
            (3, 3) => registers::<__m512, 3, 3, 2>(tile, 0, 0),
            (3, 2) => registers::<__m512, 2, 3, 2>(tile, 0, 0),
            (3, 1) => registers::<__m512, 1, 3, 2>(tile, 0, 0),
            (panels, rows) => unreachable!("BUG: a tile of {rows} rows and {panels} panels"),
        }
    }
}

/// See [`Kernel`].
#[target_feature(enable = "avx2,fma")]
unsafe fn kernel_avx2(tile: &Tile) {
    let step = if tile.panels == 1 { 2 * __m256::LANES } else { __m256::LANES };
    let most = if tile.panels == 1 { 6 } else { 4 };
    for row in (0..tile.rows).step_by(most) {
        for column in (0..PANEL).step_by(step) {
            // SAFETY: as the caller promises.
            unsafe {
                match (tile.panels, most.min(tile.rows - row)) {
                    (1, 6) => registers::<__m256, 6, 1, 2>(tile, row, column),
                    (1, 5) => registers::<__m256, 5, 1, 2>(tile, row, column),
                    (1, 4) => registers::<__m256, 4, 1, 2>(tile, row, column),
                    (1, 3) => registers::<__m256, 3, 1, 2>(tile, row, column),
                    (1, 2) => registers::<__m256, 2, 1, 2>(tile, row, column),
                    (1, 1) => registers::<__m256, 1, 1, 2>(tile, row, column),
                    (2, 4) => registers::<__m256, 4, 2, 1>(tile, row, column),
                    (2, 3) => registers::<__m256, 3, 2, 1>(tile, row, column),
                    (2, 2) => registers::<__m256, 2, 2, 1>(tile, row, column),
                    (2, 1) => registers::<__m256, 1, 2, 1>(tile, row, column),
                    (3, 4) => registers::<__m256, 4, 3, 1>(tile, row, column),
                    (3, 3) => registers::<__m256, 3, 3, 1>(tile, row, column),
                    (3, 2) => registers::<__m256, 2, 3, 1>(tile, row, column),
                    (3, 1) => registers::<__m256, 1, 3, 1>(tile, row, column),
                    (panels, rows) => {
                        unreachable!("BUG: a tile of {rows} rows and {panels} panels")
                    }
                }
            }
        }
    }
}

/// Computes `M` rows from `row` on, of each of `P` panels `N` registers of outputs from `output` on.
///
/// # Safety
/// See [`Kernel`].
#[inline(always)]
unsafe fn registers<R: Register, const M: usize, const P: usize, const N: usize>(
    tile: &Tile,
    row: usize,
    output: usize,
) {
    let depth = tile.x.len() / tile.rows;
    debug_assert!(row + M <= tile.rows && P == tile.panels && output + N * R::LANES <= PANEL);
    let mut sums = [[[R::splat(0.0); N]; P]; M];
    // SAFETY: `x` has depth × rows numbers, and the caller promises those of the weights and of `to`.
    unsafe {
        let to = tile.to.add(row * tile.stride + output);
        let at = |m: usize, p: usize, n: usize| to.add(m * tile.stride + p * PANEL + n * R::LANES);
        let mut x = tile.x.as_ptr().add(row);
        let mut weights = tile.weights.add(output);
        for _ in 0..depth {
            let mut columns = [[R::splat(0.0); N]; P];
            for (p, columns) in columns.iter_mut().enumerate() {
                for (n, column) in columns.iter_mut().enumerate() {
                    *column = R::load(weights.add(p * tile.panel_stride + n * R::LANES));
                }
            }
            for (m, sums) in sums.iter_mut().enumerate() {
                let x = R::splat(*x.add(m));
                for (sums, columns) in sums.iter_mut().zip(&columns) {
                    for (sum, column) in sums.iter_mut().zip(columns) {
                        *sum = x.multiply_add(*column, *sum);
                    }
                }
            }
            x = x.add(tile.rows);
            weights = weights.add(PANEL);
        }
        for (m, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                for (n, sum) in sums.iter().enumerate() {
                    let to = at(m, p, n);
                    let sum = if tile.is_first { *sum } else { R::load(to).add(*sum) };
                    sum.store(to);
                }
            }
        }
    }
}
