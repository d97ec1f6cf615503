//! The arrangement of weights in memory: panels of [`PANEL`] outputs, in these by columns.

use rayon::prelude::*;

use super::PANEL;

/// Rearranges W, outputs × `columns`, for [`multiply`](super::multiply).
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
