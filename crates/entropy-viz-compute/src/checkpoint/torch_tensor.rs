//! The tensors of a `torch.save` file, as positions in the mapped file.

use std::ops::Range;

use anyhow::{Context, anyhow, bail};
use tch::Kind;

use super::torch_file::TorchFile;
use crate::pickle::{Value, ValueId};

/// A tensor in a mapped file. It is checked to lie within its storage.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct StoredTensor {
    pub(super) kind: Kind,
    /// The bytes of its storage, which may be larger than the tensor.
    pub(super) storage: Range<usize>,
    /// The first element, counted from the start of the storage.
    pub(super) offset: usize,
    pub(super) size: Vec<i64>,
    /// Steps between neighbours, in elements.
    pub(super) stride: Vec<i64>,
}

/// A value of a state dict: a whole tensor, a shard, or another object.
pub(super) enum StateValue {
    Tensor(StoredTensor),
    /// A shard of a tensor: the `DTensor`, which `fsdp` reads.
    Distributed(ValueId),
    Other(&'static str),
}

/// The most objects around the data of a tensor: a `Parameter`, and its attributes.
const MAX_WRAPPERS: usize = 4;

/// Reads a value of a state dict.
pub(super) fn state_value(file: &TorchFile<'_>, mut id: ValueId) -> anyhow::Result<StateValue> {
    let pickle = &file.pickle;
    for _ in 0..MAX_WRAPPERS {
        let Some((class, arguments)) = pickle.object(id) else {
            return Ok(StateValue::Other(pickle.kind(id)));
        };
        // A tensor with attributes of its own: (function, class, arguments, state).
        let (function, arguments) = match (class, arguments) {
            ("_rebuild_from_type_v2", [function, class, arguments, ..]) => {
                match pickle.global(*class) {
                    Some("DTensor") => return Ok(StateValue::Distributed(id)),
                    Some("Parameter" | "Tensor") => {}
                    _ => return Ok(StateValue::Other(pickle.kind(*class))),
                }
                let arguments = pickle.elements(*arguments).unwrap_or_default();
                (pickle.global(*function).unwrap_or_default(), arguments)
            }
            other => other,
        };
        match (function, arguments) {
            ("_rebuild_parameter" | "_rebuild_parameter_with_state" | "Parameter", [data, ..]) => {
                id = *data;
            }
            ("_rebuild_tensor_v2" | "_rebuild_tensor_v3", arguments) => {
                return tensor(file, function, arguments).map(StateValue::Tensor);
            }
            _ => return Ok(StateValue::Other(class)),
        }
    }
    bail!("it is nested too deeply")
}

/// `_rebuild_tensor_v2(storage, offset, size, stride, …)`; v3 has the number type as its seventh argument.
fn tensor(
    file: &TorchFile<'_>,
    function: &str,
    arguments: &[ValueId],
) -> anyhow::Result<StoredTensor> {
    let pickle = &file.pickle;
    let malformed = || anyhow!("its arguments are not those of {function}");
    let [storage, offset, size, stride, rest @ ..] = arguments else { return Err(malformed()) };
    let Value::Persistent(storage) = pickle.get(*storage) else { return Err(malformed()) };
    let [tag, storage_class, key, ..] = pickle.elements(*storage).unwrap_or_default() else {
        return Err(malformed());
    };
    if pickle.text(*tag) != Some("storage") {
        return Err(malformed());
    }
    // requires_grad and hooks, in v3 the number type, and then what torch's views leave to be done.
    let pending = rest.get(if function == "_rebuild_tensor_v3" { 3 } else { 2 });
    if pending.is_some_and(|id| pickle.entries(*id).is_some_and(|entries| !entries.is_empty())) {
        bail!(
            "it is a view that negates or conjugates its values; save a copy (tensor.resolve_neg())"
        );
    }
    let kind_name = match function {
        "_rebuild_tensor_v3" => rest.get(2).and_then(|id| pickle.global(*id)),
        _ => pickle.global(*storage_class),
    };
    let kind = kind(kind_name.ok_or_else(malformed)?)?;
    let bytes = file.storage(pickle.text(*key).ok_or_else(malformed)?)?;
    let tensor = StoredTensor {
        kind,
        storage: bytes,
        offset: pickle.int(*offset).and_then(|n| usize::try_from(n).ok()).ok_or_else(malformed)?,
        size: pickle.ints(*size).ok_or_else(malformed)?,
        stride: pickle.ints(*stride).ok_or_else(malformed)?,
    };
    tensor.check()?;
    Ok(tensor)
}

fn kind(name: &str) -> anyhow::Result<Kind> {
    Ok(match name {
        "float64" | "DoubleStorage" => Kind::Double,
        "float32" | "FloatStorage" => Kind::Float,
        "float16" | "HalfStorage" => Kind::Half,
        "bfloat16" | "BFloat16Storage" => Kind::BFloat16,
        "int64" | "LongStorage" => Kind::Int64,
        "int32" | "IntStorage" => Kind::Int,
        "int16" | "ShortStorage" => Kind::Int16,
        "int8" | "CharStorage" => Kind::Int8,
        "uint8" | "ByteStorage" => Kind::Uint8,
        "bool" | "BoolStorage" => Kind::Bool,
        other => bail!("its number type {other} is not supported"),
    })
}

/// The number of elements of a shape. `None` if it is negative or larger than any tensor, so that sums over the parts
/// of tensors do not overflow.
pub(super) fn elements_of(size: &[i64]) -> Option<i64> {
    const MAX: i64 = 1 << 48;
    let within = |n: &i64| (0..=MAX).contains(n);
    let product = size.iter().try_fold(1i64, |product, n| product.checked_mul(*n).filter(within));
    product.filter(|_| size.iter().all(within))
}

impl StoredTensor {
    /// The number of elements.
    pub(super) fn numel(&self) -> i64 {
        self.size.iter().product()
    }

    /// The bytes from its first to its last element in the mapped file. It must have elements.
    pub(super) fn span(&self) -> Range<usize> {
        let steps: i64 =
            self.size.iter().zip(&self.stride).map(|(n, stride)| (n - 1) * stride).sum();
        let width = self.kind.elt_size_in_bytes();
        let first = self.storage.start + self.offset * width;
        first..first + (steps as usize + 1) * width
    }

    /// Checks that all elements are in the storage, and that sizes do not overflow.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        let elements = self.storage.len() / self.kind.elt_size_in_bytes();
        let fits = || {
            let numel = elements_of(&self.size)?;
            if numel == 0 {
                return Some(true);
            }
            let steps = self.size.iter().zip(&self.stride).try_fold(0i64, |sum, (n, stride)| {
                sum.checked_add((n - 1).checked_mul(*stride)?)
            })?;
            let last = usize::try_from(steps).ok()?.checked_add(self.offset)?;
            Some(last < elements)
        };
        let is_regular = self.size.len() == self.stride.len()
            && self.size.iter().chain(&self.stride).all(|n| *n >= 0);
        if is_regular && fits() == Some(true) {
            return Ok(());
        }
        Err(anyhow!(
            "the shape {:?} with strides {:?} from {} on does not fit its storage of {elements} elements",
            self.size,
            self.stride,
            self.offset
        ))
    }
}

/// The tensors of a file whose pickle is a state dict: names and values in the order of the file. An object that is
/// not a tensor is an error, because weights could be in it.
pub(super) fn state_dict(file: &TorchFile<'_>) -> anyhow::Result<Vec<(String, StateValue)>> {
    let path = file.path().display();
    let pickle = &file.pickle;
    let Some(entries) = pickle.entries(pickle.root()) else {
        bail!(
            "cannot use {path}: it contains {}, not a dictionary of tensors",
            pickle.kind(pickle.root())
        );
    };
    let mut values = Vec::with_capacity(entries.len());
    for (name, value) in entries {
        let Some(name) = pickle.text(*name) else {
            bail!("cannot use {path}: a name of a tensor is {}", pickle.kind(*name));
        };
        let value = state_value(file, *value)
            .with_context(|| format!("cannot use {path}: the tensor {name}"))?;
        if let StateValue::Other(kind) = value {
            bail!("cannot use {path}: {name:?} is {kind}, not a tensor");
        }
        values.push((name.to_owned(), value));
    }
    Ok(values)
}
