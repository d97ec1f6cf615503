//! Applies a rotary embedding to heads.

use tch::{TchError, Tensor};

use super::rope::RotaryTable;
use super::spec::RopePairs;

/// Rotates the first numbers of each head, as many as the table is for, and keeps the others. `x` and the result are
/// tokens × heads × dimension.
pub(super) fn rotate(
    x: &Tensor,
    table: &RotaryTable,
    pairs: RopePairs,
) -> Result<Tensor, TchError> {
    if !table.rotates() {
        return Ok(x.shallow_clone());
    }
    let half = table.cos.size()[2];
    let (dim, head_dim) = (2 * half, x.size()[2]);
    let (a, b) = match pairs {
        RopePairs::Halves => (x.f_narrow(2, 0, half)?, x.f_narrow(2, half, half)?),
        RopePairs::Neighbours => {
            let every_second = |first| x.f_slice(2, first, dim, 2);
            (every_second(0)?, every_second(1)?)
        }
    };
    let rotated = [
        a.f_mul(&table.cos)?.f_sub(&b.f_mul(&table.sin)?)?,
        b.f_mul(&table.cos)?.f_add(&a.f_mul(&table.sin)?)?,
    ];
    let mut parts = match pairs {
        RopePairs::Halves => Vec::from(rotated),
        RopePairs::Neighbours => vec![Tensor::f_stack(&rotated, 3)?.f_flatten(2, 3)?],
    };
    if dim < head_dim {
        parts.push(x.f_narrow(2, dim, head_dim - dim)?);
    }
    Tensor::f_cat(&parts, 2)
}
