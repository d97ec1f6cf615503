//! Weight matrices and their products.

use tch::{Kind, TchError, Tensor};

/// A weight matrix W, outputs × columns.
///
/// In f32 on the CPU it is rearranged once for a kernel of our own: no product has to rearrange it again, and a row of
/// a product has the same bits whatever the other rows, so that what is sampled or scored does not depend on the batch.
/// Other number types, GPUs, and processors that are not x86-64 with AVX2 use libtorch.
#[derive(Debug)]
pub(super) struct Matrix {
    tensor: Tensor,
    form: Form,
}

/// How the numbers of a matrix are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Rows,
    /// See [`entropy_kernels::gemm::pack`].
    #[cfg(target_arch = "x86_64")]
    Packed,
}

impl Matrix {
    /// Takes a tensor, outputs × columns. Its memory is rearranged: no other tensor may use it.
    pub(super) fn new(tensor: Tensor) -> Result<Matrix, TchError> {
        #[cfg(target_arch = "x86_64")]
        if tensor.kind() == Kind::Float
            && tensor.device() == tch::Device::Cpu
            && tensor.numel() > 0
            && entropy_kernels::gemm::available()
        {
            let columns = tensor.size()[1] as usize;
            let mut tensor = tensor.f_contiguous()?;
            entropy_kernels::gemm::pack(crate::torch::slice_mut(&mut tensor), columns);
            return Ok(Matrix { tensor, form: Form::Packed });
        }
        Ok(Matrix { tensor, form: Form::Rows })
    }

    /// x·Wᵀ + bias; `x` is … × columns, the result … × outputs.
    pub(super) fn product(&self, x: &Tensor, bias: Option<&Tensor>) -> Result<Tensor, TchError> {
        match self.form {
            Form::Rows => x.f_linear(&self.tensor, bias),
            #[cfg(target_arch = "x86_64")]
            Form::Packed => {
                let columns = self.tensor.size()[1] as usize;
                let mut shape = x.size();
                if let Some(last) = shape.last_mut() {
                    *last = self.tensor.size()[0];
                }
                let x = x.f_contiguous()?;
                let mut product = Tensor::f_empty(&shape, (Kind::Float, x.device()))?;
                entropy_kernels::gemm::multiply(
                    crate::torch::slice(&x),
                    crate::torch::slice(&self.tensor),
                    crate::torch::slice_mut(&mut product),
                    columns,
                );
                match bias {
                    Some(bias) => product.f_add_(bias),
                    None => Ok(product),
                }
            }
        }
    }

    /// The rows with these indices, an integer tensor; indices × columns.
    pub(super) fn rows(&self, indices: &[i64]) -> Result<Tensor, TchError> {
        match self.form {
            Form::Rows => {
                let indices = Tensor::f_from_slice(indices)?.f_to_device(self.tensor.device())?;
                self.tensor.f_index_select(0, &indices)
            }
            #[cfg(target_arch = "x86_64")]
            Form::Packed => {
                let (outputs, columns) = self.tensor.size2()?;
                let shape = [indices.len() as i64, columns];
                let mut rows = Tensor::f_empty(shape, (Kind::Float, tch::Device::Cpu))?;
                let to = crate::torch::slice_mut(&mut rows).chunks_exact_mut(columns as usize);
                for (to, index) in to.zip(indices) {
                    if !(0..outputs).contains(index) {
                        return Err(TchError::Shape(format!(
                            "index {index} is outside of {outputs} rows"
                        )));
                    }
                    let packed = crate::torch::slice(&self.tensor);
                    entropy_kernels::gemm::row(packed, columns as usize, *index as usize, to);
                }
                Ok(rows)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn products_and_rows_agree_with_libtorch() {
        tch::manual_seed(1);
        for (kind, tolerance) in [(Kind::Float, 1e-4), (Kind::BFloat16, 0.6)] {
            for rows in [1, 3, 16, 40] {
                for (columns, outputs) in [(16, 1), (47, 7), (300, 200)] {
                    let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
                    let x = random(&[2, rows, columns]).to_kind(kind);
                    let (w, bias) = (random(&[outputs, columns]).to_kind(kind), random(&[outputs]));
                    let matrix = Matrix::new(w.copy()).unwrap();
                    let ours = matrix.product(&x, Some(&bias.to_kind(kind))).unwrap();
                    let exact = x.to_kind(Kind::Double).matmul(&w.to_kind(Kind::Double).tr())
                        + bias.to_kind(kind).to_kind(Kind::Double);
                    let off =
                        f64::try_from((ours.to_kind(Kind::Double) - exact).abs().max()).unwrap();
                    assert!(off < tolerance, "{kind:?} {rows} × {columns} × {outputs}: {off}");
                    let indices = [outputs - 1, 0];
                    let expected = w.index_select(0, &Tensor::from_slice(&indices));
                    assert!(matrix.rows(&indices).unwrap().equal(&expected));
                }
            }
        }
    }

    #[test]
    fn rows_outside_of_the_matrix_are_an_error() {
        let matrix = Matrix::new(Tensor::zeros([3, 4], (Kind::Float, Device::Cpu))).unwrap();
        assert!(matrix.rows(&[3]).is_err());
        assert!(matrix.rows(&[-1]).is_err());
    }
}
