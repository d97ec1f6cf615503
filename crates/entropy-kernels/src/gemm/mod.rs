//! Matrix products x·Wᵀ in f32 with weights that are rearranged once.
//!
//! A BLAS rearranges W in every product, which costs more than a product with few rows, and takes memory each time.
//! Here W is rearranged in place when it is loaded ([`pack`]), and [`multiply`] serves one row as well as thousands.
//! Every number of the result is summed in the same order, whatever the number of rows, threads or the processor, so
//! a row does not depend on the others.

#![allow(unsafe_code)]

mod tile;

use std::cell::RefCell;

use rayon::prelude::*;

use tile::{Kernel, Shape, Tile};

/// Outputs (rows of W) per panel. In a panel, the weights of one column are adjacent.
const PANEL: usize = 32;
/// Columns per pass. Their products are summed on their own, then added to the result: long sums are more accurate in
/// parts. The weights of a tile, 32 or 96 KiB, stay in the L1 or L2 cache for the tiles below it.
const DEPTH: usize = 256;
/// Rows per pass: their tiles of x, at most 384 KiB, stay in the L2 cache.
const BLOCK_ROWS: usize = 384;
/// Maximum number of panels per task.
const TASK_PANELS: usize = 12;
/// Multiplications above which several threads are used: about 20 µs of one thread.
const PARALLEL_THRESHOLD: usize = 1 << 20;

/// Whether the processor has AVX2 and FMA, which [`multiply`] requires.
pub fn available() -> bool {
    tile::kernel().is_some()
}

/// Rearranges W, outputs × `columns`, for [`multiply`].
///
/// # Panics
/// If the size is not a multiple of `columns`.
pub fn pack(weight: &mut [f32], columns: usize) {
    transpose_panels(weight, columns, |panel, width, copy| {
        for (row, from) in copy.chunks_exact(columns).enumerate() {
            for (column, value) in from.iter().enumerate() {
                panel[column * width + row] = *value;
            }
        }
    });
}

/// The inverse of [`pack`].
///
/// # Panics
/// If the size is not a multiple of `columns`.
pub fn unpack(weight: &mut [f32], columns: usize) {
    transpose_panels(weight, columns, |panel, width, copy| {
        for (column, from) in copy.chunks_exact(width).enumerate() {
            for (row, value) in from.iter().enumerate() {
                panel[row * columns + column] = *value;
            }
        }
    });
}

fn transpose_panels(
    weight: &mut [f32],
    columns: usize,
    transpose: impl Fn(&mut [f32], usize, &[f32]) + Sync,
) {
    assert!(columns > 0 && weight.len().is_multiple_of(columns), "BUG: {columns} columns");
    weight.par_chunks_mut(PANEL * columns).for_each_init(Vec::new, |copy, panel| {
        copy.clear();
        copy.extend_from_slice(panel);
        transpose(panel, panel.len() / columns, copy);
    });
}

/// Copies a row of W as it was before [`pack`].
///
/// # Panics
/// If there is no such row, or `row` has not `columns` numbers.
pub fn row(packed: &[f32], columns: usize, index: usize, row: &mut [f32]) {
    let (panel, lane) = (index / PANEL, index % PANEL);
    let panel = &packed[panel * PANEL * columns..];
    let panel = &panel[..panel.len().min(PANEL * columns)];
    let width = panel.len() / columns;
    assert!(lane < width && row.len() == columns, "BUG: row {index}");
    for (column, value) in row.iter_mut().enumerate() {
        *value = panel[column * width + lane];
    }
}

/// Computes x·Wᵀ in f32: `x` is rows × `columns`, `packed` is W after [`pack`], `result` is rows × outputs.
///
/// # Panics
/// If the processor is not [`available`], or the sizes do not match.
pub fn multiply(x: &[f32], packed: &[f32], result: &mut [f32], columns: usize) {
    let Some(kernel) = tile::kernel() else { panic!("BUG: this processor lacks AVX2 or FMA") };
    multiply_with(kernel, x, packed, result, columns);
}

thread_local! {
    /// Memory for x, kept from product to product.
    static PACKED_X: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

fn multiply_with(kernel: Kernel, x: &[f32], packed: &[f32], result: &mut [f32], columns: usize) {
    assert!(columns > 0, "BUG: no columns");
    let (rows, outputs) = (x.len() / columns, packed.len() / columns);
    assert!(
        x.len() == rows * columns
            && packed.len() == outputs * columns
            && result.len() == rows * outputs,
        "BUG: the sizes of a product do not fit"
    );
    if rows == 0 || outputs == 0 {
        return;
    }
    let shape = Shape::of(rows);
    let mut packed_x = PACKED_X.take();
    pack_rows(x, columns, shape, &mut packed_x);
    let product = Product {
        x: &packed_x,
        packed,
        result: result.as_mut_ptr(),
        rows,
        columns,
        outputs,
        shape,
        kernel,
    };
    let panels = outputs.div_ceil(PANEL);
    if rows * columns * outputs < PARALLEL_THRESHOLD {
        product.panels(0, panels);
    } else {
        let per_task = (panels / (4 * rayon::current_num_threads())).clamp(1, TASK_PANELS);
        let per_task = per_task.next_multiple_of(shape.panels());
        (0..panels.div_ceil(per_task)).into_par_iter().for_each(|task| {
            let first = task * per_task;
            product.panels(first, (first + per_task).min(panels));
        });
    }
    PACKED_X.set(packed_x);
}

/// Rearranges x into blocks of columns, in these into tiles of rows, in these by columns.
fn pack_rows(x: &[f32], columns: usize, shape: Shape, to: &mut Vec<f32>) {
    let rows = x.len() / columns;
    to.resize(rows * columns, 0.0);
    to.par_chunks_mut(DEPTH * rows).enumerate().for_each(|(block, to)| {
        let first = block * DEPTH;
        let depth = DEPTH.min(columns - first);
        for (start, count) in tiles(rows, shape) {
            let to = &mut to[start * depth..(start + count) * depth];
            for row in 0..count {
                let from = &x[(start + row) * columns + first..][..depth];
                for (to, value) in to[row..].iter_mut().step_by(count).zip(from) {
                    *to = *value;
                }
            }
        }
    });
}

/// The first row and the number of rows of each tile. Their numbers differ by at most one.
fn tiles(rows: usize, shape: Shape) -> impl Iterator<Item = (usize, usize)> {
    let tiles = rows.div_ceil(shape.rows());
    (0..tiles).map(move |i| {
        let start = i * rows / tiles;
        (start, (i + 1) * rows / tiles - start)
    })
}

/// The operands, shared by all tasks.
struct Product<'a> {
    x: &'a [f32],
    packed: &'a [f32],
    result: *mut f32,
    rows: usize,
    columns: usize,
    outputs: usize,
    shape: Shape,
    kernel: Kernel,
}

// SAFETY: tasks only read `x` and `packed`, and write disjoint columns of `result`.
unsafe impl Sync for Product<'_> {}

impl Product<'_> {
    /// Computes the outputs of the panels `first..end`. No other task may compute these.
    fn panels(&self, first: usize, end: usize) {
        let tiles: Vec<(usize, usize)> = tiles(self.rows, self.shape).collect();
        let step = self.shape.panels();
        for block in tiles.chunks(BLOCK_ROWS / self.shape.rows()) {
            for column in (0..self.columns).step_by(DEPTH) {
                for panel in (first..end).step_by(step) {
                    self.pass(block, panel, step.min(end - panel), column);
                }
            }
        }
    }

    /// Adds the products of one block of columns from `column` on to the outputs of some panels.
    fn pass(&self, tiles: &[(usize, usize)], panel: usize, panels: usize, column: usize) {
        let output = panel * PANEL;
        if output + panels * PANEL > self.outputs {
            let whole = panels - 1;
            if whole > 0 {
                self.pass(tiles, panel, whole, column);
            }
            return self.last_panel(tiles, panel + whole, column);
        }
        let weights = self.packed[output * self.columns + column * PANEL..].as_ptr();
        for &(row, rows) in tiles {
            let tile = Tile {
                x: self.tile_of_x(row, rows, column),
                rows,
                weights,
                panels,
                panel_stride: PANEL * self.columns,
                // SAFETY: within the result, as the sizes were checked.
                to: unsafe { self.result.add(row * self.outputs + output) },
                stride: self.outputs,
                is_first: column == 0,
            };
            // SAFETY: the kernel is one of this processor. The rows and panels are within the operands, and only this
            // task writes to these outputs.
            unsafe { (self.kernel)(&tile) };
        }
    }

    /// Like `pass`, for the last panel if it is narrower than the others.
    fn last_panel(&self, tiles: &[(usize, usize)], panel: usize, column: usize) {
        let output = panel * PANEL;
        let width = self.outputs - output;
        let depth = DEPTH.min(self.columns - column);
        let weights = &self.packed[output * self.columns + column * width..][..depth * width];
        let mut wide = vec![0.0; depth * PANEL];
        for (wide, weights) in wide.chunks_exact_mut(PANEL).zip(weights.chunks_exact(width)) {
            wide[..width].copy_from_slice(weights);
        }
        let mut sums = vec![0.0; self.shape.rows() * PANEL];
        for &(row, rows) in tiles {
            let place = |i: usize| {
                // SAFETY: the `width` outputs of this row are within the result, and only this task uses them.
                unsafe {
                    let at = self.result.add((row + i) * self.outputs + output);
                    std::slice::from_raw_parts_mut(at, width)
                }
            };
            if column > 0 {
                for (i, sums) in sums.chunks_exact_mut(PANEL).take(rows).enumerate() {
                    sums[..width].copy_from_slice(place(i));
                }
            }
            let tile = Tile {
                x: self.tile_of_x(row, rows, column),
                rows,
                weights: wide.as_ptr(),
                panels: 1,
                panel_stride: 0,
                to: sums.as_mut_ptr(),
                stride: PANEL,
                is_first: column == 0,
            };
            // SAFETY: as in `pass`; weights and outputs are those of the vectors.
            unsafe { (self.kernel)(&tile) };
            for (i, sums) in sums.chunks_exact(PANEL).take(rows).enumerate() {
                place(i).copy_from_slice(&sums[..width]);
            }
        }
    }

    /// The numbers of x for a tile, in one block of columns.
    fn tile_of_x(&self, row: usize, rows: usize, column: usize) -> &[f32] {
        let depth = DEPTH.min(self.columns - column);
        &self.x[column * self.rows + row * depth..][..rows * depth]
    }
}

#[cfg(test)]
mod tests;
