//! Rows and layers of a tensor that is in parts, and the check that its parts make it up. Nothing is copied: the results
//! refer to the same bytes.

use anyhow::bail;

use super::torch_source::{Part, SourceTensor};

/// More parts than a tensor of any training has.
const MAX_PARTS: usize = 1 << 18;
/// Bound of the pairs that are compared, so that no file takes long to check.
const MAX_PAIRS: usize = 1 << 30;

impl SourceTensor {
    /// The rows in these ranges (first, number), one range after the other. They must be rows of the tensor.
    pub(super) fn rows(&self, ranges: &[(i64, i64)]) -> SourceTensor {
        let mut parts = Vec::new();
        let mut position = 0;
        for (first, count) in ranges {
            for part in &self.parts {
                let begin = part.start[0].max(*first);
                let end = (part.start[0] + part.tensor.size[0]).min(first + count);
                if begin < end {
                    let mut part = part.narrowed(begin, end - begin);
                    part.start[0] = position + begin - first;
                    parts.push(part);
                }
            }
            position += count;
        }
        let mut size = self.size.clone();
        size[0] = position;
        SourceTensor { kind: self.kind, size, is_flat: false, parts }
    }

    /// The tensors that are stacked on the first dimension.
    pub(super) fn unstacked(&self) -> Vec<SourceTensor> {
        let size = self.size[1..].to_vec();
        let empty = SourceTensor { kind: self.kind, size, is_flat: false, parts: Vec::new() };
        let mut tensors = vec![empty; self.size[0] as usize];
        for part in &self.parts {
            for index in part.start[0]..part.start[0] + part.tensor.size[0] {
                let mut part = part.narrowed(index, 1);
                part.start.remove(0);
                part.tensor.size.remove(0);
                part.tensor.stride.remove(0);
                tensors[index as usize].parts.push(part);
            }
        }
        tensors
    }
}

/// Checks that parts are within a tensor of this shape, and that each of its elements is in exactly one of them.
pub(super) fn check_cover(parts: &[Part], size: &[i64]) -> anyhow::Result<()> {
    if parts.len() > MAX_PARTS {
        bail!("it has more than {MAX_PARTS} parts");
    }
    for part in parts {
        let dims = size.iter().zip(&part.start).zip(&part.tensor.size);
        let is_inside = part.start.len() == size.len()
            && part.tensor.size.len() == size.len()
            && dims.into_iter().all(|((whole, start), n)| {
                *start >= 0 && *n >= 0 && start.checked_add(*n).is_some_and(|end| end <= *whole)
            });
        if !is_inside {
            bail!(
                "a part of {:?} at {:?} is not in its shape {size:?}",
                part.tensor.size,
                part.start
            );
        }
    }
    let found: i64 = parts.iter().map(|part| part.tensor.numel()).sum();
    if found != size.iter().product::<i64>() {
        bail!("its parts have {found} elements, but its shape is {size:?}");
    }
    let mut parts: Vec<&Part> = parts.iter().filter(|part| part.tensor.numel() > 0).collect();
    // As many elements as the whole has: if no two parts overlap, none is missing. Only parts that overlap in the
    // dimension that is cut most often are compared.
    let cuts = |dim: &usize| {
        let mut starts: Vec<i64> = parts.iter().map(|part| part.start[*dim]).collect();
        starts.sort_unstable();
        starts.dedup();
        starts.len()
    };
    let Some(dim) = (0..size.len()).max_by_key(cuts) else {
        return Ok(()); // a scalar
    };
    parts.sort_by_key(|part| part.start[dim]);
    let mut pairs = 0;
    for (i, a) in parts.iter().enumerate() {
        let end = a.start[dim] + a.tensor.size[dim];
        for b in parts[i + 1..].iter().take_while(|b| b.start[dim] < end) {
            pairs += 1;
            if pairs > MAX_PAIRS {
                bail!("it is cut into too many parts");
            }
            if overlap(a, b) {
                bail!("two of its parts overlap, at {:?} and at {:?}", a.start, b.start);
            }
        }
    }
    Ok(())
}

fn overlap(a: &Part, b: &Part) -> bool {
    let span = |part: &Part, dim: usize| (part.start[dim], part.start[dim] + part.tensor.size[dim]);
    (0..a.start.len()).all(|dim| {
        let ((a, a_end), (b, b_end)) = (span(a, dim), span(b, dim));
        a < b_end && b < a_end
    })
}

#[cfg(test)]
mod tests {
    use tch::Kind;

    use super::super::torch_tensor::StoredTensor;
    use super::*;

    fn part(start: &[i64], size: &[i64]) -> Part {
        let mut stride = vec![1; size.len()];
        for dim in (1..size.len()).rev() {
            stride[dim - 1] = stride[dim] * size[dim];
        }
        let (size, kind) = (size.to_vec(), Kind::Float);
        let tensor = StoredTensor { kind, storage: 0..4000, offset: 100, size, stride };
        Part { file: 0, tensor, start: start.to_vec() }
    }

    fn cover(parts: &[Part], size: &[i64]) -> String {
        check_cover(parts, size).err().map(|error| error.to_string()).unwrap_or_default()
    }

    #[test]
    fn parts_must_cover_a_tensor_exactly() {
        let whole = [part(&[0, 0], &[2, 3]), part(&[0, 3], &[4, 1]), part(&[2, 0], &[2, 3])];
        assert_eq!(cover(&whole, &[4, 4]), "");
        assert_eq!(cover(&[part(&[], &[])], &[]), "");
        assert!(cover(&whole[..2], &[4, 4]).contains("10 elements"));
        assert!(cover(&whole, &[4, 3]).contains("is not in its shape"));
        assert!(cover(&[part(&[-1], &[2])], &[2]).contains("is not in its shape"));
        assert!(cover(&[part(&[i64::MAX], &[2])], &[2]).contains("is not in its shape"));
        assert!(cover(&[part(&[0, 0], &[2, 2])], &[4]).contains("is not in its shape"));
        // One hole and one overlap.
        let twice = [part(&[0, 0], &[2, 4]), part(&[1, 0], &[2, 4])];
        assert!(cover(&twice, &[4, 4]).contains("overlap"));
    }

    #[test]
    fn rows_are_taken_from_the_parts_that_have_them() {
        let parts = vec![part(&[0, 0], &[3, 2]), part(&[3, 0], &[3, 2])];
        let tensor = SourceTensor { kind: Kind::Float, size: vec![6, 2], is_flat: false, parts };
        let rows = tensor.rows(&[(5, 1), (1, 3)]);
        assert_eq!(rows.size, [4, 2]);
        let places: Vec<_> = rows
            .parts
            .iter()
            .map(|part| (part.start[0], part.tensor.size[0], part.tensor.offset))
            .collect();
        assert_eq!(places, [(0, 1, 104), (1, 2, 102), (3, 1, 100)]);
    }

    #[test]
    fn stacked_tensors_are_taken_apart() {
        let parts = vec![part(&[0, 0, 0], &[2, 2, 2]), part(&[0, 2, 0], &[2, 1, 2])];
        let tensor = SourceTensor { kind: Kind::Float, size: vec![2, 3, 2], is_flat: false, parts };
        let [_, second] = &tensor.unstacked()[..] else { panic!("not two") };
        assert_eq!(second.size, [3, 2]);
        let places: Vec<_> =
            second.parts.iter().map(|part| (part.start.clone(), part.tensor.offset)).collect();
        assert_eq!(places, [(vec![0, 0], 104), (vec![2, 0], 102)]);
    }
}
