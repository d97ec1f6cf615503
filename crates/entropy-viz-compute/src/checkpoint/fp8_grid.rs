//! How the scales of 8-bit numbers belong to their matrices.

use anyhow::{anyhow, bail};

use super::tensor_file::shape_text;

/// The blocks of a matrix, or of a stack of matrices.
#[derive(Debug, PartialEq)]
pub(super) struct Fp8Grid {
    /// Matrices × rows × columns of the numbers.
    pub(super) numbers: [i64; 3],
    /// Matrices × blocks of rows × blocks of columns.
    pub(super) scales: [i64; 3],
    /// Rows × columns of a block.
    pub(super) block: [i64; 2],
}

impl Fp8Grid {
    /// The blocks by the shapes of numbers and scales. `block` is `weight_block_size` of config.json.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub(super) fn new(
        numbers: &[i64],
        scales: &[i64],
        block: Option<[i64; 2]>,
    ) -> anyhow::Result<Fp8Grid> {
        let (matrices, rows, columns) = match *numbers {
            [rows, columns] => (1, rows, columns),
            [matrices, rows, columns] => (matrices, rows, columns),
            _ => bail!(
                "it has the shape {}; only matrices and stacks of matrices may have 8 bits",
                shape_text(numbers)
            ),
        };
        let misfit = |required: String| {
            anyhow!(
                "it has the shape {}, which requires {required}, but they have the shape {}",
                shape_text(numbers),
                shape_text(scales)
            )
        };
        let found = match *scales {
            [rows, columns] if numbers.len() == 2 => [1, rows, columns],
            [stacked, rows, columns] if numbers.len() == 3 && stacked == matrices => {
                [matrices, rows, columns]
            }
            // One for each matrix.
            _ if scales.len() <= 1 && scales.iter().product::<i64>() == matrices => {
                [matrices, 1, 1]
            }
            _ => return Err(misfit("a scale for each block of each matrix".to_owned())),
        };
        let sizes = [rows, columns];
        let block = match block {
            // The last block of a matrix may be cut off, as in DeepSeek-V3. In stacks there are several readings of that.
            Some(block) => {
                let count = |size: i64, step: i64| size / step + i64::from(size % step != 0);
                let blocks = [0, 1].map(|dim| count(sizes[dim], block[dim]));
                let is_cut = (0..2).any(|dim| sizes[dim] % block[dim] != 0);
                if found[1..] != blocks || (numbers.len() == 3 && is_cut) {
                    let of = shape_text(&block);
                    return Err(misfit(match numbers.len() == 3 && is_cut {
                        true => format!("blocks of {of} (weight_block_size) that divide it"),
                        false => format!(
                            "scales of {} for its blocks of {of} (weight_block_size)",
                            shape_text(&blocks)
                        ),
                    }));
                }
                block
            }
            None => {
                let is_even =
                    (0..2).all(|dim| found[dim + 1] > 0 && sizes[dim] % found[dim + 1] == 0);
                if !is_even {
                    return Err(misfit("scales that divide it into equal blocks".to_owned()));
                }
                [0, 1].map(|dim| (sizes[dim] / found[dim + 1]).max(1))
            }
        };
        Ok(Fp8Grid { numbers: [matrices, rows, columns], scales: found, block })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(numbers: &[i64], scales: &[i64], block: Option<[i64; 2]>) -> Result<[i64; 2], String> {
        Fp8Grid::new(numbers, scales, block).map(|grid| grid.block).map_err(|e| e.to_string())
    }

    #[test]
    fn last_blocks_of_a_matrix_may_be_cut_off() {
        // kv_a_proj_with_mqa of DeepSeek-V3.
        assert_eq!(block(&[576, 7168], &[5, 56], Some([128, 128])), Ok([128, 128]));
        for scales in [[4, 56], [5, 57], [56, 5], [1, 1]] {
            let refused = block(&[576, 7168], &scales, Some([128, 128])).unwrap_err();
            assert!(refused.contains("requires scales of 5×56"), "{refused}");
        }
        assert_eq!(block(&[2, 256, 128], &[2, 2, 1], Some([128, 128])), Ok([128, 128]));
        let refused = block(&[2, 192, 128], &[2, 2, 1], Some([128, 128])).unwrap_err();
        assert!(refused.contains("blocks of 128×128 (weight_block_size) that divide"), "{refused}");
    }

    #[test]
    fn without_a_size_the_scales_divide_the_matrix() {
        for (numbers, scales, expected) in [
            (&[6, 4][..], &[][..], [6, 4]),
            (&[6, 4], &[1], [6, 4]),
            (&[6, 4], &[1, 1], [6, 4]),
            (&[6, 4], &[6, 1], [1, 4]),
            (&[6, 4], &[2, 2], [3, 2]),
            (&[3, 6, 4], &[3], [6, 4]),
            (&[3, 6, 4], &[3, 2, 1], [3, 4]),
        ] {
            assert_eq!(block(numbers, scales, None), Ok(expected), "{numbers:?} {scales:?}");
        }
        for (numbers, scales) in [
            (&[6, 4][..], &[4, 1][..]),
            (&[6, 4], &[0, 1]),
            (&[6, 4], &[6]),
            (&[6, 4], &[1, 1, 1]),
            (&[3, 6, 4], &[]),
            (&[3, 6, 4], &[2, 1, 1]),
            (&[4], &[1]),
            (&[2, 2, 2, 2], &[1]),
        ] {
            assert!(block(numbers, scales, None).is_err(), "{numbers:?} {scales:?}");
        }
    }
}
