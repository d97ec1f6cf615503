//! Matrix products x·Wᵀ in f32 with weights that are rearranged once.
//!
//! A BLAS rearranges W in every product, which costs more than a product with few rows, and takes memory each time.
//! Here W is rearranged in place when it is loaded ([`pack`]), and [`multiply`] serves one row as well as thousands;
//! [`multiply_groups`] does so for groups of rows with a W each. Every number of the result is summed in the same
//! order, whatever the number of rows, groups, threads or the processor, so a row does not depend on the others.

#![allow(unsafe_code)]

mod panels;
mod tile;

use std::cell::RefCell;
use std::mem::MaybeUninit;
use std::ops::Range;

use rayon::prelude::*;

pub use panels::{pack, row, unpack};
use tile::{Kernel, Tile};

/// Outputs (rows of W) per panel. In a panel, the weights of one column are adjacent.
const PANEL: usize = 32;
/// Columns whose products are summed on their own, then added to the result: long sums are more accurate in parts.
const DEPTH: usize = 256;
/// Columns of a part of these. Its weights, at most 12 KiB, stay in the L1 cache for all tiles of a block, while those
/// of the next part are fetched from memory.
const PART: usize = 32;
/// Rows per block. Their sums, at most 24 KiB, stay in the L2 cache between parts.
const BLOCK_ROWS: usize = 64;
/// Maximum number of panels per task.
const TASK_PANELS: usize = 12;
/// Multiplications above which several threads are used: about 20 µs of one thread.
const PARALLEL_THRESHOLD: usize = 1 << 20;
/// Numbers of x from which several threads rearrange them: about 20 µs of one thread.
const PARALLEL_COPY: usize = 1 << 16;

/// Whether the processor has AVX2 and FMA, which [`multiply`] requires.
pub fn available() -> bool {
    tile::kernel().is_some()
}

/// Computes x·Wᵀ in f32: `x` is rows × `columns`, `packed` is W after [`pack`], `result` is rows × outputs.
///
/// # Panics
/// If the processor is not [`available`], or the sizes do not match.
pub fn multiply(x: &[f32], packed: &[f32], result: &mut [f32], columns: usize) {
    assert!(columns > 0, "BUG: no columns");
    let counts = [x.len() / columns];
    multiply_with(processor(), Rows { x, columns, order: None }, &counts, packed, result);
}

/// Computes x·Wᵀ with a W for each group of rows. The i-th row of `result`, … × outputs, is that of the row `order[i]` of `x`,
/// … × `columns`; without an order, of the i-th. The first `counts[0]` rows of `result` are the first group, and so on;
/// `packed` has the W of all groups, one after the other, each outputs × `columns` after [`pack`].
///
/// # Panics
/// If the processor is not [`available`], the sizes do not match, or there is no such row of `x`.
pub fn multiply_groups(
    x: &[f32],
    order: Option<&[usize]>,
    counts: &[usize],
    packed: &[f32],
    result: &mut [f32],
    columns: usize,
) {
    multiply_with(processor(), Rows { x, columns, order }, counts, packed, result);
}

fn processor() -> Kernel {
    tile::kernel().unwrap_or_else(|| panic!("BUG: this processor lacks AVX2 or FMA"))
}

thread_local! {
    /// Memory for x, kept from product to product.
    static PACKED_X: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// The rows of x, in an order.
#[derive(Clone, Copy)]
struct Rows<'a> {
    x: &'a [f32],
    columns: usize,
    order: Option<&'a [usize]>,
}

impl<'a> Rows<'a> {
    fn count(&self) -> usize {
        self.order.map_or(self.x.len() / self.columns, <[usize]>::len)
    }

    fn row(&self, index: usize) -> &'a [f32] {
        let index = self.order.map_or(index, |order| order[index]);
        &self.x[index * self.columns..][..self.columns]
    }
}

fn multiply_with(
    kernel: Kernel,
    x: Rows<'_>,
    counts: &[usize],
    packed: &[f32],
    result: &mut [f32],
) {
    let columns = x.columns;
    assert!(columns > 0 && !counts.is_empty(), "BUG: no columns or no groups");
    let rows = x.count();
    let outputs = packed.len() / columns / counts.len();
    assert!(
        x.x.len().is_multiple_of(columns)
            && counts.iter().sum::<usize>() == rows
            && packed.len() == counts.len() * outputs * columns
            && result.len() == rows * outputs,
        "BUG: the sizes of a product do not fit"
    );
    if rows == 0 || outputs == 0 {
        return;
    }
    let mut packed_x = PACKED_X.take();
    pack_rows(x, counts, &mut packed_x);
    let mut products = Vec::with_capacity(counts.len());
    let mut start = 0;
    for (count, packed) in counts.iter().zip(packed.chunks_exact(outputs * columns)) {
        products.push(Product {
            x: &packed_x[start * columns..][..count * columns],
            packed,
            // SAFETY: the rows of all groups are within the result, as the sizes were checked.
            result: unsafe { result.as_mut_ptr().add(start * outputs) },
            rows: *count,
            columns,
            outputs,
            kernel,
        });
        start += count;
    }
    products.retain(|product| product.rows > 0);
    run(&products, rows * columns * outputs);
    PACKED_X.set(packed_x);
}

/// Computes all products, with several threads if there are enough multiplications.
fn run(products: &[Product<'_>], multiplications: usize) {
    let panels = |product: &Product<'_>| product.outputs.div_ceil(PANEL);
    if multiplications < PARALLEL_THRESHOLD {
        return products.iter().for_each(|product| product.panels(0, panels(product)));
    }
    let all: usize = products.iter().map(panels).sum();
    let per_task = (all / (4 * rayon::current_num_threads())).clamp(1, TASK_PANELS);
    let per_task = per_task.next_multiple_of(tile::PANELS);
    let tasks: Vec<(&Product<'_>, usize)> = products
        .iter()
        .flat_map(|product| (0..panels(product)).step_by(per_task).map(move |i| (product, i)))
        .collect();
    tasks.into_par_iter().for_each(|(product, first)| {
        product.panels(first, (first + per_task).min(panels(product)));
    });
}

/// Rearranges the rows of each group into blocks of columns, in these into tiles of rows, in these by columns.
fn pack_rows(x: Rows<'_>, counts: &[usize], to: &mut Vec<f32>) {
    to.resize(x.count() * x.columns, 0.0);
    let (mut blocks, mut rest, mut first_row) = (Vec::new(), &mut to[..], 0);
    for &rows in counts {
        for column in (0..x.columns).step_by(DEPTH) {
            let depth = DEPTH.min(x.columns - column);
            let (block, others) = rest.split_at_mut(rows * depth);
            blocks.push((first_row, column..column + depth, block));
            rest = others;
        }
        first_row += rows;
    }
    let pack = |(first_row, columns, to): (usize, Range<usize>, &mut [f32])| {
        let depth = columns.len();
        for (start, count) in tiles(to.len() / depth) {
            let to = &mut to[start * depth..(start + count) * depth];
            for row in 0..count {
                let from = &x.row(first_row + start + row)[columns.clone()];
                for (to, value) in to[row..].iter_mut().step_by(count).zip(from) {
                    *to = *value;
                }
            }
        }
    };
    if x.count() * x.columns < PARALLEL_COPY {
        blocks.into_iter().for_each(pack);
    } else {
        blocks.into_par_iter().for_each(pack);
    }
}

/// The first row and the number of rows of each tile. Their numbers differ by at most one.
fn tiles(rows: usize) -> impl Iterator<Item = (usize, usize)> {
    let tiles = rows.div_ceil(tile::ROWS);
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
    kernel: Kernel,
}

// SAFETY: tasks only read `x` and `packed`, and write disjoint columns of `result`.
unsafe impl Sync for Product<'_> {}

/// Sums of the tiles of a block of rows, between two parts.
#[repr(align(64))]
struct Sums(#[allow(dead_code)] [f32; BLOCK_ROWS * tile::PANELS * PANEL]);

/// Neighbouring panels and one block of their columns.
#[derive(Clone, Copy)]
struct Block {
    /// The first column, and their number.
    column: usize,
    depth: usize,
    /// The weights of the first panel, and the distance to those of the next one.
    weights: *const f32,
    panels: usize,
    panel_stride: usize,
    /// The weights that are needed after these, which may be null.
    next: *const f32,
    /// The outputs of the first row, and the distance to those of the next one.
    to: *mut f32,
    stride: usize,
}

impl Product<'_> {
    /// Computes the outputs of the panels `first..end`. No other task may compute these.
    fn panels(&self, first: usize, end: usize) {
        let whole = end.min(self.outputs / PANEL);
        let tiles: Vec<(usize, usize)> = tiles(self.rows).collect();
        let mut sums = MaybeUninit::<Sums>::uninit();
        let sums = sums.as_mut_ptr().cast();
        for tiles in tiles.chunks(BLOCK_ROWS / tile::ROWS) {
            for panel in (first..whole).step_by(tile::PANELS) {
                self.whole_panels(tiles, panel..whole.min(panel + tile::PANELS), sums);
            }
            if whole < end {
                self.last_panel(tiles, sums);
            }
        }
    }

    fn whole_panels(&self, tiles: &[(usize, usize)], panels: Range<usize>, sums: *mut f32) {
        let weights = |panel: usize, column: usize| {
            let at = panel * PANEL * self.columns + column * PANEL;
            self.packed.get(at..).map_or(std::ptr::null(), <[f32]>::as_ptr)
        };
        for column in (0..self.columns).step_by(DEPTH) {
            let depth = DEPTH.min(self.columns - column);
            let next = match column + depth < self.columns {
                true => weights(panels.start, column + depth),
                false => weights(panels.end, 0),
            };
            let block = Block {
                column,
                depth,
                weights: weights(panels.start, column),
                panels: panels.len(),
                panel_stride: PANEL * self.columns,
                next,
                // SAFETY: within the result, as the sizes were checked.
                to: unsafe { self.result.add(tiles[0].0 * self.outputs + panels.start * PANEL) },
                stride: self.outputs,
            };
            // SAFETY: the rows and panels are within the operands, and only this task writes to these outputs.
            unsafe { self.block(tiles, block, sums) };
        }
    }

    /// Like `whole_panels`, for a last panel that is narrower than the others: with copies that are filled up with
    /// zeros.
    fn last_panel(&self, tiles: &[(usize, usize)], sums: *mut f32) {
        let output = self.outputs / PANEL * PANEL;
        let width = self.outputs - output;
        let first = tiles[0].0;
        let rows: usize = tiles.iter().map(|(_, rows)| rows).sum();
        let mut outputs = vec![0.0; rows * PANEL];
        let mut wide = vec![0.0; DEPTH * PANEL];
        for column in (0..self.columns).step_by(DEPTH) {
            let depth = DEPTH.min(self.columns - column);
            let weights = &self.packed[output * self.columns + column * width..][..depth * width];
            for (wide, weights) in wide.chunks_exact_mut(PANEL).zip(weights.chunks_exact(width)) {
                wide[..width].copy_from_slice(weights);
            }
            let block = Block {
                column,
                depth,
                weights: wide.as_ptr(),
                panels: 1,
                panel_stride: 0,
                next: std::ptr::null(),
                to: outputs.as_mut_ptr(),
                stride: PANEL,
            };
            // SAFETY: the rows are those of `tiles`; weights and outputs are those of the vectors.
            unsafe { self.block(tiles, block, sums) };
        }
        for (row, outputs) in outputs.chunks_exact(PANEL).enumerate() {
            // SAFETY: the `width` outputs of this row are within the result, and only this task uses them.
            let to = unsafe {
                let at = self.result.add((first + row) * self.outputs + output);
                std::slice::from_raw_parts_mut(at, width)
            };
            to.copy_from_slice(&outputs[..width]);
        }
    }

    /// Adds the products of a block of columns to the outputs; those of the first block replace them.
    ///
    /// # Safety
    /// Weights and outputs of the block must have its sizes, and nothing else may use the outputs. `sums` has room for
    /// [`Sums`].
    unsafe fn block(&self, tiles: &[(usize, usize)], block: Block, sums: *mut f32) {
        let Block { column, depth, panel_stride, panels, .. } = block;
        let first = tiles[0].0;
        for part in (0..depth).step_by(PART) {
            let count = PART.min(depth - part);
            let ends = part + count == depth;
            // SAFETY: the part is within the weights.
            let (weights, following) = unsafe {
                (block.weights.add(part * PANEL), block.weights.add((part + count) * PANEL))
            };
            let next = if ends { block.next } else { following };
            for (i, &(row, rows)) in tiles.iter().enumerate() {
                let x = &self.x[column * self.rows + row * depth..][..rows * depth];
                let share = i * PART / tiles.len()..(i + 1) * PART / tiles.len();
                let tile = Tile {
                    x: &x[part * rows..(part + count) * rows],
                    rows,
                    weights,
                    panels,
                    panel_stride,
                    next: if next.is_null() {
                        next
                    } else {
                        next.wrapping_add(share.start * PANEL)
                    },
                    next_columns: share.len(),
                    // SAFETY: these rows of the block have room in the sums.
                    sums: unsafe { sums.add((row - first) * tile::PANELS * PANEL) },
                    begins: part == 0,
                    ends,
                    // SAFETY: and in the outputs.
                    to: unsafe { block.to.add((row - first) * block.stride) },
                    stride: block.stride,
                    is_first: column == 0,
                };
                // SAFETY: the kernel is one of this processor; the caller promises the operands.
                unsafe { (self.kernel)(&tile) };
            }
        }
    }
}

#[cfg(test)]
mod tests;
