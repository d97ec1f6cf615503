//! Matrix products x·Wᵀ of decoding steps, on the CPU in f32: x has one row per sequence, so few rows.
//!
//! A BLAS packs W for every product, which costs more than a product with few rows. This kernel reads W once, as it
//! is stored. Each row is summed in the same order whatever the number of rows, so that sampled tokens do not depend
//! on the batch. For the same reason scoring, with few or many rows, always uses the BLAS.

#![cfg(target_arch = "x86_64")]

use std::cell::Cell;

use entropy_kernels::matmul as kernel;
use tch::{Device, Kind, TchError, Tensor};

use crate::torch;

/// Number of rows of x up to which this is faster than the BLAS.
const MAX_ROWS: usize = 32;

thread_local! {
    static IN_DECODE_STEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs a decoding step with this kernel, on rayon's threads. libtorch's own threads are reduced to one meanwhile:
/// they wait for work by spinning and would compete for the cores.
pub(super) fn with_decode_matmul<T>(step: impl FnOnce() -> T) -> T {
    tch::set_num_threads(1);
    IN_DECODE_STEP.set(true);
    let result = step();
    IN_DECODE_STEP.set(false);
    tch::set_num_threads(rayon::current_num_threads() as i32);
    result
}

/// Whether the kernel supports this number of rows on this processor.
pub(super) fn supports(rows: usize) -> bool {
    (1..=MAX_ROWS).contains(&rows) && kernel::available()
}

/// x·Wᵀ, or `None` if the kernel does not apply: outside of [`with_decode_matmul`], or for unsupported operands or
/// processors.
pub(super) fn matmul(x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>, TchError> {
    let supported = |t: &Tensor| {
        t.kind() == Kind::Float && t.device() == Device::Cpu && t.is_contiguous() && t.dim() == 2
    };
    if !IN_DECODE_STEP.get() || !supported(x) || !supported(weight) {
        return Ok(None);
    }
    let (rows, columns, outputs) = (x.size()[0], x.size()[1] as usize, weight.size()[0]);
    if !supports(rows as usize) || weight.numel() == 0 || !columns.is_multiple_of(kernel::COLUMNS) {
        return Ok(None);
    }
    let mut result = Tensor::f_empty([rows, outputs], (Kind::Float, Device::Cpu))?;
    kernel::multiply(torch::slice(x), torch::slice(weight), torch::slice_mut(&mut result), columns);
    Ok(Some(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_libtorch_for_all_tile_sizes() {
        tch::manual_seed(1);
        for rows in [1, 2, 3, 4, 5, 7, 16, 32] {
            for (columns, outputs) in [(16, 1), (48, 7), (64, 97), (256, 200)] {
                let x = Tensor::randn([rows, columns], (Kind::Float, Device::Cpu));
                let w = Tensor::randn([outputs, columns], (Kind::Float, Device::Cpu));
                let Some(ours) = with_decode_matmul(|| matmul(&x, &w)).unwrap() else { return };
                let exact = x.to_kind(Kind::Double).matmul(&w.to_kind(Kind::Double).tr());
                let off = f64::try_from((ours.to_kind(Kind::Double) - exact).abs().max()).unwrap();
                assert!(off < 2e-5, "{rows} × {columns} × {outputs}: {off}");
            }
        }
    }

    #[test]
    fn row_does_not_depend_on_other_rows() {
        tch::manual_seed(2);
        let x = Tensor::randn([11, 80], (Kind::Float, Device::Cpu));
        let w = Tensor::randn([50, 80], (Kind::Float, Device::Cpu));
        let Some(together) = with_decode_matmul(|| matmul(&x, &w)).unwrap() else { return };
        for i in 0..11 {
            let alone = with_decode_matmul(|| matmul(&x.narrow(0, i, 1).contiguous(), &w))
                .unwrap()
                .unwrap();
            assert_eq!(
                Vec::<f32>::try_from(alone.view([50])).unwrap(),
                Vec::<f32>::try_from(together.get(i)).unwrap()
            );
        }
    }

    #[test]
    fn unsupported_operands_are_left_to_libtorch() {
        let many = Tensor::zeros([33, 16], (Kind::Float, Device::Cpu));
        let odd = Tensor::zeros([2, 17], (Kind::Float, Device::Cpu));
        let half = Tensor::zeros([2, 16], (Kind::BFloat16, Device::Cpu));
        for x in [many, odd, half] {
            assert!(with_decode_matmul(|| matmul(&x, &x)).unwrap().is_none());
        }
    }
}
