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

impl Form {
    /// The form of a tensor's numbers after [`arrange`].
    fn of(tensor: &Tensor) -> Form {
        #[cfg(target_arch = "x86_64")]
        if tensor.kind() == Kind::Float
            && tensor.device() == tch::Device::Cpu
            && tensor.numel() > 0
            && entropy_kernels::gemm::available()
        {
            return Form::Packed;
        }
        Form::Rows
    }
}

/// Arranges the numbers of a matrix, outputs × columns, or of each of a stack of matrices, in the memory of the tensor, which
/// no other may use.
pub(super) fn arrange(tensor: Tensor) -> Result<Tensor, TchError> {
    match Form::of(&tensor) {
        Form::Rows => Ok(tensor),
        #[cfg(target_arch = "x86_64")]
        Form::Packed => {
            let size = tensor.size();
            let (columns, matrix) = match size[..] {
                [.., outputs, columns] => (columns as usize, (outputs * columns) as usize),
                _ => return Err(TchError::Shape(format!("{size:?} is not the size of a matrix"))),
            };
            let mut tensor = tensor.f_contiguous()?;
            for matrix in crate::torch::slice_mut(&mut tensor).chunks_exact_mut(matrix) {
                entropy_kernels::gemm::pack(matrix, columns);
            }
            Ok(tensor)
        }
    }
}

impl Matrix {
    /// Takes a tensor, outputs × columns. Its memory is rearranged: no other tensor may use it.
    pub(super) fn new(tensor: Tensor) -> Result<Matrix, TchError> {
        Ok(Matrix::arranged(arrange(tensor)?))
    }

    /// Takes a tensor after [`arrange`], which several matrices may have in common.
    pub(super) fn arranged(tensor: Tensor) -> Matrix {
        let form = Form::of(&tensor);
        Matrix { tensor, form }
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

/// Weight matrices of one shape, outputs × columns, each for a group of rows.
#[derive(Debug)]
pub(super) struct MatrixStack {
    tensor: Tensor,
    form: Form,
}

impl MatrixStack {
    /// Takes matrices × outputs × columns after [`arrange`].
    pub(super) fn arranged(tensor: Tensor) -> MatrixStack {
        let form = Form::of(&tensor);
        MatrixStack { tensor, form }
    }

    /// x·Wᵀ + bias, where the first `counts[0]` rows of the result are products with the first matrix, and so on; its i-th row is
    /// that of the row `order[i]` of `x`, … × columns. `biases` are matrices × outputs.
    pub(super) fn product(
        &self,
        x: &Tensor,
        order: Option<&Tensor>,
        counts: &[i64],
        biases: Option<&Tensor>,
    ) -> Result<Tensor, TchError> {
        let ends = counts.iter().scan(0, |end, count| {
            *end += count;
            Some(*end)
        });
        let groups = counts.iter().zip(ends).enumerate().filter(|(_, (count, _))| **count > 0);
        let groups = groups.map(|(matrix, (count, end))| (matrix as i64, end - count, *count));
        let bias = |matrix| biases.map(|biases| biases.f_get(matrix)).transpose();
        match self.form {
            Form::Rows => {
                let x = order
                    .map_or_else(|| Ok(x.shallow_clone()), |order| x.f_index_select(0, order))?;
                let product = |(matrix, start, count)| {
                    let rows = x.f_narrow(0, start, count)?;
                    rows.f_linear(&self.tensor.f_get(matrix)?, bias(matrix)?.as_ref())
                };
                Tensor::f_cat(&groups.map(product).collect::<Result<Vec<_>, TchError>>()?, 0)
            }
            #[cfg(target_arch = "x86_64")]
            Form::Packed => {
                let (_, outputs, columns) = self.tensor.size3()?;
                let shape = [counts.iter().sum(), outputs];
                let mut product = Tensor::f_empty(shape, (Kind::Float, tch::Device::Cpu))?;
                let order = order.map(Vec::<i64>::try_from).transpose()?;
                let indices = |integers: &[i64]| integers.iter().map(|i| *i as usize).collect();
                let order: Option<Vec<usize>> = order.as_deref().map(indices);
                entropy_kernels::gemm::multiply_groups(
                    crate::torch::slice(&x.f_contiguous()?),
                    order.as_deref(),
                    &indices(counts),
                    crate::torch::slice(&self.tensor),
                    crate::torch::slice_mut(&mut product),
                    columns as usize,
                );
                if biases.is_some() {
                    for (matrix, start, count) in groups {
                        if let Some(bias) = bias(matrix)? {
                            let _ = product.f_narrow(0, start, count)?.f_add_(&bias)?;
                        }
                    }
                }
                Ok(product)
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
