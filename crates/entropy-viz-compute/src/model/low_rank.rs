//! Low-rank changes of a weight matrix W that several models have in common: (W + B·A)·x = W·x + B·(A·x).

use tch::{TchError, Tensor};

use super::matrix::Matrix;
use crate::checkpoint::weights::{TensorOptions, Weights};

/// The changes of a stack of modules with the same input.
#[derive(Debug)]
pub(super) struct LowRank {
    /// The A of all changed modules: ranks × columns.
    down: Matrix,
    ups: Vec<Up>,
}

/// The change of one module.
#[derive(Debug)]
struct Up {
    /// The first output of the module, and their number.
    start: i64,
    outputs: i64,
    /// The first row in `down`, and their number.
    first: i64,
    rank: i64,
    /// B, outputs × rank.
    matrix: Matrix,
}

impl LowRank {
    /// Takes the changes of the tensors `parts` (name, outputs), each outputs × `columns`, that an adapter has and that need not
    /// be merged; `None` if there are none.
    pub(super) fn load(
        weights: &mut Weights,
        parts: &[(String, i64)],
        columns: i64,
        options: TensorOptions,
    ) -> anyhow::Result<Option<LowRank>> {
        let (mut downs, mut ups) = (Vec::new(), Vec::new());
        let (mut start, mut first) = (0, 0);
        for (name, outputs) in parts {
            if let Some([down, up]) = weights.low_rank(name, [*outputs, columns], options)? {
                let rank = down.size()[0];
                let matrix = Matrix::new(up)?;
                ups.push(Up { start, outputs: *outputs, first, rank, matrix });
                downs.push(down);
                first += rank;
            }
            start += outputs;
        }
        if ups.is_empty() {
            return Ok(None);
        }
        Ok(Some(LowRank { down: Matrix::new(Tensor::f_cat(&downs, 0)?)?, ups }))
    }

    /// Adds B·(A·x) to the products with W; `x` is … × columns, `products` … × outputs.
    pub(super) fn add(&self, x: &Tensor, products: &Tensor) -> Result<(), TchError> {
        let down = self.down.product(x, None)?;
        for Up { start, outputs, first, rank, matrix } in &self.ups {
            let change = matrix.product(&down.f_narrow(-1, *first, *rank)?, None)?;
            let _ = products.f_narrow(-1, *start, *outputs)?.f_add_(&change)?;
        }
        Ok(())
    }
}
