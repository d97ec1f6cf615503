//! Numbers of 8 and 4 bits with scales, as numbers of the type that a model computes in.
//!
//! Each number is multiplied by its scale in f32 and then rounded once. This is done some rows at a time, on the device of
//! the result, so that it takes little more memory than the result.

use tch::{Device, Kind, TchError, Tensor};

/// Numbers that are dequantised at once: 2 MiB of f32.
const BLOCK_ELEMENTS: i64 = 512 << 10;

/// Numbers of MXFP4 that share a scale: 16 bytes.
pub(super) const MXFP4_GROUP: i64 = 32;

/// The numbers of E2M1 by their 4 bits: sign, two bits of exponent, one of mantissa (OCP Microscaling Formats 1.0).
const E2M1: [f32; 16] =
    [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, -0.0, -0.5, -1.0, -1.5, -2.0, -3.0, -4.0, -6.0];

/// Writes matrices × rows × columns of 8 bits, times their scales, to `to`. `scales` are f32, matrices × blocks of rows ×
/// blocks of columns; `block` is the size of a block, of which the last ones may be cut off.
pub(super) fn fp8(
    weights: &Tensor,
    scales: &Tensor,
    block: [i64; 2],
    to: &Tensor,
) -> Result<(), TchError> {
    let (matrices, rows, columns) = weights.size3()?;
    let device = to.device();
    let scales = scales.f_to_device(device)?;
    // libtorch converts numbers of 8 bits one by one; looking them up takes half the time.
    let bytes: Vec<u8> = (0..=255).collect();
    let numbers = Tensor::f_from_slice(&bytes)?.f_view_dtype(weights.kind())?;
    let numbers = numbers.f_to_kind(Kind::Float)?.f_to_device(device)?;
    for matrix in 0..matrices {
        let (from, to) = (weights.f_get(matrix)?, to.f_get(matrix)?);
        let scales = scales.f_get(matrix)?;
        by_rows(rows, columns, |first, count| {
            let blocks = Tensor::f_arange_start(first, first + count, (Kind::Int64, device))?
                .f_floor_divide_scalar(block[0])?;
            let scales = scales
                .f_index_select(0, &blocks)?
                .f_repeat_interleave_self_int(block[1].min(columns), 1, None)?
                .f_narrow(1, 0, columns)?;
            let bytes = from.f_narrow(0, first, count)?.f_view_dtype(Kind::Uint8)?;
            let mut products = look_up(&numbers, &bytes)?.f_view([count, columns])?;
            to.f_narrow(0, first, count)?.f_copy_(&products.f_mul_(&scales)?)
        })?;
    }
    Ok(())
}

/// Writes numbers of 4 bits, times their scales, to `to`, matrices × columns × rows: they are stored with rows and columns
/// the other way round. `blocks` are bytes, matrices × rows × groups × 16, with the first of two numbers in the low bits;
/// `scales` are bytes of [`powers_of_two`], matrices × rows × groups.
pub(super) fn mxfp4(blocks: &Tensor, scales: &Tensor, to: &Tensor) -> Result<(), TchError> {
    let [matrices, rows, groups] = scales.size()[..] else {
        return Err(TchError::Shape(format!("BUG: scales of shape {:?}", scales.size())));
    };
    let columns = groups * MXFP4_GROUP;
    let to = to.f_transpose(1, 2)?;
    let device = to.device();
    let pairs: Vec<f32> =
        (0..256).flat_map(|byte: usize| [E2M1[byte & 15], E2M1[byte >> 4]]).collect();
    // A pair as one element of 8 bytes, which is copied in a third of the time.
    let pairs = Tensor::f_from_slice(&pairs)?.f_view_dtype(Kind::Int64)?.f_to_device(device)?;
    for matrix in 0..matrices {
        let (blocks, scales, to) =
            (blocks.f_get(matrix)?, scales.f_get(matrix)?, to.f_get(matrix)?);
        by_rows(rows, columns, |first, count| {
            let numbers = look_up(&pairs, &blocks.f_narrow(0, first, count)?)?;
            let scales = powers_of_two(&scales.f_narrow(0, first, count)?, device)?;
            let numbers = numbers
                .f_view_dtype(Kind::Float)?
                .f_view([count, groups, MXFP4_GROUP])?
                .f_mul_(&scales.f_unsqueeze(2)?)?
                .f_view([count, columns])?;
            to.f_narrow(0, first, count)?.f_copy_(&numbers)
        })?;
    }
    Ok(())
}

/// 2^(byte − 127) in f32, of the same shape; 255 is NaN (E8M0).
pub(super) fn powers_of_two(bytes: &Tensor, device: Device) -> Result<Tensor, TchError> {
    let power = |byte: u32| match byte {
        0 => f32::from_bits(1 << 22), // below the smallest normal number
        255 => f32::NAN,
        byte => f32::from_bits(byte << 23),
    };
    let table: Vec<f32> = (0..256).map(power).collect();
    let table = Tensor::f_from_slice(&table)?.f_to_device(device)?;
    look_up(&table, bytes)?.f_view(bytes.size().as_slice())
}

/// The elements of a table of 256 that bytes stand for, in one dimension, on the device of the table.
fn look_up(table: &Tensor, bytes: &Tensor) -> Result<Tensor, TchError> {
    let index = bytes.f_to_device(table.device())?.f_to_kind(Kind::Int)?.f_reshape([-1])?;
    table.f_index_select(0, &index)
}

/// Calls `work` with the first and the number of some rows, until all are done.
fn by_rows(
    rows: i64,
    columns: i64,
    mut work: impl FnMut(i64, i64) -> Result<(), TchError>,
) -> Result<(), TchError> {
    if columns == 0 {
        return Ok(());
    }
    let step = (BLOCK_ELEMENTS / columns).max(1);
    let mut first = 0;
    while first < rows {
        let count = step.min(rows - first);
        work(first, count)?;
        first += count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn difference(a: &Tensor, b: &Tensor) -> f64 {
        f64::try_from((a - b).abs().max()).unwrap()
    }

    /// More rows than are done at once.
    #[test]
    fn rows_keep_their_scales_in_large_matrices() {
        tch::manual_seed(1);
        let numbers = Tensor::randn([2, 3001, 401], F32).to_kind(Kind::Float8e4m3fn);
        let scales = Tensor::rand([2, 24, 4], F32);
        let mut ours = Tensor::zeros([2, 3001, 401], F32);
        fp8(&numbers, &scales, [128, 128], &ours).unwrap();
        let whole = scales.repeat_interleave_self_int(128, 1, None);
        let whole = whole.repeat_interleave_self_int(128, 2, None);
        let whole = whole.narrow(1, 0, 3001).narrow(2, 0, 401);
        assert!(ours.numel() as i64 > 4 * BLOCK_ELEMENTS);
        assert_eq!(difference(&ours, &(numbers.to_kind(Kind::Float) * whole)), 0.0);

        let blocks = Tensor::randint(256, [2, 2001, 20, 16], (Kind::Uint8, Device::Cpu));
        let exponents = Tensor::randint(9, [2, 2001, 20], (Kind::Uint8, Device::Cpu)) + 120;
        ours = Tensor::zeros([2, 640, 2001], F32);
        mxfp4(&blocks, &exponents, &ours).unwrap();
        assert!(ours.numel() as i64 > 4 * BLOCK_ELEMENTS);
        for (matrix, row, column) in [(0, 0, 0), (0, 2000, 639), (1, 818, 33), (1, 819, 638)] {
            let (group, byte) = (column / 32, column % 32 / 2);
            let pair = blocks.int64_value(&[matrix, row, group, byte]);
            let code = if column % 2 == 0 { pair & 15 } else { pair >> 4 };
            let power = exponents.int64_value(&[matrix, row, group]) - 127;
            let expected = f64::from(E2M1[code as usize]) * 2f64.powi(power as i32);
            assert_eq!(ours.double_value(&[matrix, column, row]), expected, "{row}, {column}");
        }
    }

    #[test]
    fn powers_are_those_of_e8m0() {
        let bytes = Tensor::from_slice(&[0u8, 1, 126, 127, 128, 254, 255]);
        let powers = Vec::<f32>::try_from(powers_of_two(&bytes, Device::Cpu).unwrap()).unwrap();
        let expected = [-127, -126, -1, 0, 1, 127].map(|power| 2f64.powi(power) as f32);
        assert_eq!(powers[..6], expected);
        assert!(powers[6].is_nan());
    }
}
