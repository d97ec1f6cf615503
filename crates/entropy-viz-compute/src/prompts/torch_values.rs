//! Values of a pickle as JSON: Python's plain data, and the numbers of tensors and NumPy arrays.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::arrow_limits::{Budget, Exhausted};
use super::raw::PromptError;
use crate::pickle::{Pickle, Value, ValueId};

/// Maximum depth of a value; a pickle may contain itself.
const MAX_DEPTH: usize = 32;

/// The values of a file of `torch.save`.
pub(super) struct Values<'a> {
    pub(super) pickle: &'a Pickle<'a>,
    /// The bytes of tensors by their keys.
    pub(super) storages: HashMap<&'a str, &'a [u8]>,
}

/// Why a value cannot be read.
#[derive(Debug)]
pub(super) enum ValueError {
    /// What it is, and why that cannot be read.
    Unusable(String),
    Exhausted(Exhausted),
}

impl From<Exhausted> for ValueError {
    fn from(exhausted: Exhausted) -> ValueError {
        ValueError::Exhausted(exhausted)
    }
}

impl ValueError {
    /// The error of the value under a key of a row.
    pub(super) fn of(self, place: &str, key: &str) -> PromptError {
        match self {
            ValueError::Exhausted(exhausted) => exhausted.into(),
            ValueError::Unusable(reason) => PromptError::at(place, format!("{key:?} {reason}")),
        }
    }
}

fn unusable(reason: impl Into<String>) -> ValueError {
    ValueError::Unusable(reason.into())
}

/// Numbers in memory, little-endian; `offset` and `stride` count elements.
struct Numbers<'a> {
    bytes: &'a [u8],
    kind: NumberKind,
    offset: usize,
    size: Vec<usize>,
    stride: Vec<usize>,
}

/// The type of numbers in memory.
#[derive(Debug, Clone, Copy)]
enum NumberKind {
    Float(usize),
    BFloat16,
    Signed(usize),
    Unsigned(usize),
    Bool,
}

impl Values<'_> {
    /// Whether a value is a number or a boolean.
    pub(super) fn is_number(&self, id: ValueId) -> bool {
        match self.pickle.get(id) {
            Value::Bool(_) | Value::Int(_) | Value::Float(_) => true,
            Value::Object { class, .. } => *class == "scalar",
            _ => false,
        }
    }

    /// A value as JSON. NaN and infinite numbers are null, as in the other formats.
    pub(super) fn json(&self, id: ValueId, budget: &mut Budget) -> Result<Json, ValueError> {
        self.nested(id, 0, budget)
    }

    fn nested(&self, id: ValueId, depth: usize, budget: &mut Budget) -> Result<Json, ValueError> {
        budget.take_value(0)?;
        if depth > MAX_DEPTH {
            return Err(unusable("is nested too deeply"));
        }
        let pickle = self.pickle;
        match pickle.get(id) {
            Value::None => Ok(Json::Null),
            Value::Bool(value) => Ok((*value).into()),
            Value::Int(value) => Ok((*value).into()),
            Value::Float(value) => Ok((*value).into()),
            Value::Text(text) => {
                budget.take_value(text.len())?;
                Ok(Json::from(*text))
            }
            Value::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => {
                    budget.take_value(text.len())?;
                    Ok(Json::from(text))
                }
                Err(_) => Err(unusable("has bytes that are not a text")),
            },
            Value::Tuple(items) | Value::List(items) => {
                items.iter().map(|item| self.nested(*item, depth + 1, budget)).collect()
            }
            Value::Dict(entries) => {
                let mut keys = Map::new();
                for (name, value) in entries {
                    // Python's json.dump writes integers as texts too.
                    let name = match pickle.get(*name) {
                        Value::Text(text) => (*text).to_owned(),
                        Value::Int(int) => int.to_string(),
                        _ => {
                            let found = pickle.kind(*name);
                            return Err(unusable(format!("has a dictionary whose key is {found}")));
                        }
                    };
                    budget.take_value(name.len())?;
                    keys.insert(name, self.nested(*value, depth + 1, budget)?);
                }
                Ok(Json::Object(keys))
            }
            Value::Object { .. } => self.object(id, budget),
            Value::Global(name) => Err(unusable(format!("has {name}, which is not plain data"))),
            Value::Persistent(_) => Err(unusable("has a storage, which is not plain data")),
        }
    }

    /// A tensor, a NumPy array, a NumPy number, or bytes.
    fn object(&self, id: ValueId, budget: &mut Budget) -> Result<Json, ValueError> {
        let pickle = self.pickle;
        let kind = pickle.kind(id);
        let malformed = || unusable(format!("has {kind} in an unknown form"));
        let (class, arguments) = pickle.object(id).ok_or_else(malformed)?;
        match (class, arguments) {
            ("bytes", []) => Ok(Json::from("")),
            ("scalar", [dtype, data]) => {
                let (bytes, kind) = (self.bytes(*data).ok_or_else(malformed)?, self.dtype(*dtype)?);
                kind.number(&bytes, 0).ok_or_else(malformed)
            }
            ("_reconstruct", _) => {
                let Value::Object { state: Some(state), .. } = pickle.get(id) else {
                    return Err(malformed());
                };
                let Some([_, shape, dtype, fortran, data]) = pickle.elements(*state) else {
                    return Err(malformed());
                };
                let is_fortran = matches!(pickle.get(*fortran), Value::Bool(true));
                self.array(*shape, *dtype, is_fortran, *data, budget)?.ok_or_else(malformed)
            }
            ("_frombuffer", [data, dtype, shape, order]) => {
                let is_fortran = pickle.text(*order) == Some("F");
                self.array(*shape, *dtype, is_fortran, *data, budget)?.ok_or_else(malformed)
            }
            ("_rebuild_tensor_v2", [storage, offset, size, stride, ..]) => {
                let Value::Persistent(storage) = pickle.get(*storage) else {
                    return Err(malformed());
                };
                let Some([_, class, key, ..]) = pickle.elements(*storage) else {
                    return Err(malformed());
                };
                let name = pickle.global(*class).ok_or_else(malformed)?;
                let kind = NumberKind::of_storage(name)
                    .ok_or_else(|| unusable(format!("is a tensor with a {name}")))?;
                let key = pickle.text(*key).ok_or_else(malformed)?;
                let bytes = self.storages.get(key).ok_or_else(malformed)?;
                let numbers = Numbers {
                    bytes,
                    kind,
                    offset: pickle
                        .int(*offset)
                        .and_then(|n| usize::try_from(n).ok())
                        .ok_or_else(malformed)?,
                    size: self.sizes(*size).ok_or_else(malformed)?,
                    stride: self.sizes(*stride).ok_or_else(malformed)?,
                };
                numbers.json(budget)?.ok_or_else(malformed)
            }
            (class, _) => Err(unusable(format!("has {class}, which is not plain data"))),
        }
    }

    /// A NumPy array; `None` if its parts do not fit.
    fn array(
        &self,
        shape: ValueId,
        dtype: ValueId,
        is_fortran: bool,
        data: ValueId,
        budget: &mut Budget,
    ) -> Result<Option<Json>, ValueError> {
        let kind = self.dtype(dtype)?;
        let (Some(size), Some(bytes)) = (self.sizes(shape), self.bytes(data)) else {
            return Ok(None);
        };
        let mut stride = vec![1_usize; size.len()];
        let mut step = 1_usize;
        let order: Vec<usize> =
            if is_fortran { (0..size.len()).collect() } else { (0..size.len()).rev().collect() };
        for at in order {
            stride[at] = step;
            step = step.saturating_mul(size[at]);
        }
        Numbers { bytes: &bytes, kind, offset: 0, size, stride }.json(budget)
    }

    fn sizes(&self, id: ValueId) -> Option<Vec<usize>> {
        self.pickle.ints(id)?.into_iter().map(|n| usize::try_from(n).ok()).collect()
    }

    /// The bytes of an array. Protocol 2 has them as a text of Latin-1 characters.
    fn bytes(&self, id: ValueId) -> Option<Vec<u8>> {
        if let Value::Bytes(bytes) = self.pickle.get(id) {
            return Some(bytes.to_vec());
        }
        match self.pickle.object(id)? {
            ("bytes", []) => Some(Vec::new()),
            ("encode", [text, encoding]) if self.pickle.text(*encoding) == Some("latin1") => {
                self.pickle.text(*text)?.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect()
            }
            _ => None,
        }
    }

    /// The type of a NumPy array: `dtype("f8", False, True)` with the state `(3, "<", …)`.
    fn dtype(&self, id: ValueId) -> Result<NumberKind, ValueError> {
        let pickle = self.pickle;
        let name = match pickle.object(id) {
            Some(("dtype", [name, ..])) => pickle.text(*name).unwrap_or_default(),
            _ => "",
        };
        let order = match pickle.get(id) {
            Value::Object { state: Some(state), .. } => {
                pickle.elements(*state).and_then(|parts| pickle.text(*parts.get(1)?))
            }
            _ => None,
        };
        let kind = NumberKind::of_numpy(name).filter(|_| order != Some(">"));
        kind.ok_or_else(|| {
            unusable(format!("has a NumPy value of type {name:?}, not little-endian numbers"))
        })
    }
}

impl NumberKind {
    fn of_storage(name: &str) -> Option<NumberKind> {
        Some(match name {
            "DoubleStorage" => NumberKind::Float(8),
            "FloatStorage" => NumberKind::Float(4),
            "HalfStorage" => NumberKind::Float(2),
            "BFloat16Storage" => NumberKind::BFloat16,
            "LongStorage" => NumberKind::Signed(8),
            "IntStorage" => NumberKind::Signed(4),
            "ShortStorage" => NumberKind::Signed(2),
            "CharStorage" => NumberKind::Signed(1),
            "ByteStorage" => NumberKind::Unsigned(1),
            "BoolStorage" => NumberKind::Bool,
            _ => return None,
        })
    }

    fn of_numpy(name: &str) -> Option<NumberKind> {
        Some(match name {
            "f8" => NumberKind::Float(8),
            "f4" => NumberKind::Float(4),
            "f2" => NumberKind::Float(2),
            "i8" => NumberKind::Signed(8),
            "i4" => NumberKind::Signed(4),
            "i2" => NumberKind::Signed(2),
            "i1" => NumberKind::Signed(1),
            "u8" => NumberKind::Unsigned(8),
            "u4" => NumberKind::Unsigned(4),
            "u2" => NumberKind::Unsigned(2),
            "u1" => NumberKind::Unsigned(1),
            "b1" => NumberKind::Bool,
            _ => return None,
        })
    }

    fn width(self) -> usize {
        match self {
            NumberKind::Float(width) | NumberKind::Signed(width) | NumberKind::Unsigned(width) => {
                width
            }
            NumberKind::BFloat16 => 2,
            NumberKind::Bool => 1,
        }
    }

    /// The number at an index; `None` if it is beyond the bytes.
    fn number(self, bytes: &[u8], index: usize) -> Option<Json> {
        let width = self.width();
        let start = index.checked_mul(width)?;
        let own = bytes.get(start..start.checked_add(width)?)?;
        let unsigned = own.iter().rev().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
        Some(match self {
            NumberKind::Float(8) => f64::from_bits(unsigned).into(),
            NumberKind::Float(4) => f32::from_bits(unsigned as u32).into(),
            NumberKind::Float(_) => half::f16::from_bits(unsigned as u16).to_f64().into(),
            NumberKind::BFloat16 => half::bf16::from_bits(unsigned as u16).to_f64().into(),
            NumberKind::Signed(width) => {
                let unused = 64 - 8 * width as u32;
                ((unsigned << unused) as i64 >> unused).into()
            }
            NumberKind::Unsigned(_) => unsigned.into(),
            NumberKind::Bool => (unsigned != 0).into(),
        })
    }
}

impl Numbers<'_> {
    /// Nested lists; `None` if an element is beyond the bytes.
    fn json(&self, budget: &mut Budget) -> Result<Option<Json>, ValueError> {
        if self.size.len() != self.stride.len() || self.size.len() > MAX_DEPTH {
            return Ok(None);
        }
        self.part(0, self.offset, budget)
    }

    fn part(
        &self,
        level: usize,
        at: usize,
        budget: &mut Budget,
    ) -> Result<Option<Json>, ValueError> {
        budget.take_value(0)?;
        let Some(count) = self.size.get(level) else { return Ok(self.kind.number(self.bytes, at)) };
        let mut items = Vec::new();
        for index in 0..*count {
            let step = index.checked_mul(self.stride[level]).and_then(|step| step.checked_add(at));
            let item = step.map(|at| self.part(level + 1, at, budget)).transpose()?.flatten();
            let Some(item) = item else { return Ok(None) };
            items.push(item);
        }
        Ok(Some(Json::Array(items)))
    }
}
