//! x·Wᵀ for few rows of x, on the CPU in f32: what each step of decoding is made of.
//!
//! A BLAS rearranges W for every product, which for the one row a sequence that decoding has costs
//! more than the product itself. Here W is read once, as it lies: tiles of a few rows of x by a few
//! rows of W, each a dot product in registers. A row's numbers are summed in the same order however
//! many rows there are, so what is sampled does not depend on the batch. For the same reason scoring,
//! whose batches may have few rows or many, is left to the BLAS throughout.

#![cfg(target_arch = "x86_64")]

use std::cell::Cell;

use entropy_kernels::matmul;
use tch::{Device, Kind, TchError, Tensor};

use crate::torch;

/// Rows of x up to which this is faster than the BLAS.
const MOST_ROWS: usize = 32;

thread_local! {
    static STEPPING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a step of decoding: its products are made here, by rayon's threads. libtorch's own, which wait
/// for work by spinning, would only stand in their way and are sent away.
pub(super) fn stepping<T>(step: impl FnOnce() -> T) -> T {
    tch::set_num_threads(1);
    STEPPING.set(true);
    let result = step();
    STEPPING.set(false);
    tch::set_num_threads(rayon::current_num_threads() as i32);
    result
}

/// Whether products of so many rows are made here.
pub(super) fn takes(rows: usize) -> bool {
    (1..=MOST_ROWS).contains(&rows) && matmul::available()
}

/// x·Wᵀ, or `None` outside of a step, or where the product has not the form or the processor not the
/// instructions.
pub(super) fn product(x: &Tensor, weight: &Tensor) -> Result<Option<Tensor>, TchError> {
    let plain = |t: &Tensor| {
        t.kind() == Kind::Float && t.device() == Device::Cpu && t.is_contiguous() && t.dim() == 2
    };
    if !STEPPING.get() || !plain(x) || !plain(weight) {
        return Ok(None);
    }
    let (rows, columns, outputs) = (x.size()[0], x.size()[1] as usize, weight.size()[0]);
    if !takes(rows as usize) || weight.numel() == 0 || !columns.is_multiple_of(matmul::COLUMNS) {
        return Ok(None);
    }
    let mut result = Tensor::f_empty([rows, outputs], (Kind::Float, Device::Cpu))?;
    matmul::multiply(torch::slice(x), torch::slice(weight), torch::slice_mut(&mut result), columns);
    Ok(Some(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_libtorch_at_every_size_of_tile() {
        tch::manual_seed(1);
        for rows in [1, 2, 3, 4, 5, 7, 16, 32] {
            for (columns, outputs) in [(16, 1), (48, 7), (64, 97), (256, 200)] {
                let x = Tensor::randn([rows, columns], (Kind::Float, Device::Cpu));
                let w = Tensor::randn([outputs, columns], (Kind::Float, Device::Cpu));
                let Some(ours) = stepping(|| product(&x, &w)).unwrap() else { return };
                let exact = x.to_kind(Kind::Double).matmul(&w.to_kind(Kind::Double).tr());
                let off = f64::try_from((ours.to_kind(Kind::Double) - exact).abs().max()).unwrap();
                assert!(off < 2e-5, "{rows} × {columns} × {outputs}: {off}");
            }
        }
    }

    #[test]
    fn a_row_is_the_same_in_any_company() {
        tch::manual_seed(2);
        let x = Tensor::randn([11, 80], (Kind::Float, Device::Cpu));
        let w = Tensor::randn([50, 80], (Kind::Float, Device::Cpu));
        let Some(together) = stepping(|| product(&x, &w)).unwrap() else { return };
        for i in 0..11 {
            let alone = stepping(|| product(&x.narrow(0, i, 1).contiguous(), &w)).unwrap().unwrap();
            assert_eq!(
                Vec::<f32>::try_from(alone.view([50])).unwrap(),
                Vec::<f32>::try_from(together.get(i)).unwrap()
            );
        }
    }

    #[test]
    fn what_it_is_not_made_for_is_left_to_libtorch() {
        let many = Tensor::zeros([33, 16], (Kind::Float, Device::Cpu));
        let odd = Tensor::zeros([2, 17], (Kind::Float, Device::Cpu));
        let half = Tensor::zeros([2, 16], (Kind::BFloat16, Device::Cpu));
        for x in [many, odd, half] {
            assert!(stepping(|| product(&x, &x)).unwrap().is_none());
        }
    }
}
