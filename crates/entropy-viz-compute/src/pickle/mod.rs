//! Reads Python pickles as data. Nothing in a pickle is ever called, imported or looked up.
//!
//! A pickle is a program for a stack machine; Python runs it and may call any function that it names. Here a global
//! is only a name, which must be in the list of [`globals`]; calling it (`REDUCE`), creating an instance of it
//! (`NEWOBJ`) and setting its state (`BUILD`) all give an inert [`Value::Object`] that records the arguments. Any
//! other global is an error with its name, unless only some texts of a file are needed ([`Globals::Any`]).
//!
//! Values live in one table and refer to each other by index, so that deep nesting, sharing and cycles need neither
//! recursion nor copies. The number of values is limited, and every length is checked against the bytes that are left.
//!
//! This module depends on nothing else in the crate: `fuzz/` includes it by its path.

mod globals;
mod machine;
#[cfg(test)]
mod tests;
pub(crate) mod zip;

use std::borrow::Cow;

/// A pickle larger than this is an error, in bytes. That of a model with 100,000 tensors has about 100 MB.
const MAX_BYTES: usize = 512 << 20;

/// Bounds of the memory that a pickle may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Maximum number of values, of entries on the stack, and in the memo.
    values: usize,
    /// Maximum number of elements in all containers together.
    elements: usize,
}

const LIMITS: Limits = Limits { values: 16 << 20, elements: 64 << 20 };

/// The index of a value in its [`Pickle`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ValueId(u32);

/// A value of a pickle. Texts and bytes are borrowed from it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
    Bytes(&'a [u8]),
    Tuple(Vec<ValueId>),
    /// A list or a set.
    List(Vec<ValueId>),
    /// A `dict` or `OrderedDict`, in the order of the file.
    Dict(Vec<(ValueId, ValueId)>),
    /// A known class, function or constant, by the last part of its name: `"DTensor"`, `"float32"`.
    Global(&'static str),
    /// What Python would get by calling a global with a tuple of arguments.
    Object {
        class: &'static str,
        arguments: ValueId,
        state: Option<ValueId>,
    },
    /// An object outside the pickle: for torch, the tuple `("storage", type, key, device, numel)`.
    Persistent(ValueId),
}

/// Why a pickle cannot be read, and the position in it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{fault} (byte {position} of the pickle)")]
pub(crate) struct PickleError {
    pub(crate) position: usize,
    pub(crate) fault: Fault,
}

/// Why a pickle cannot be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it ends early")]
    Truncated,
    #[error("it names {0}, which is not data of a checkpoint")]
    RefusedGlobal(String),
    #[error("it calls a value of its own instead of a known class")]
    RefusedCall,
    #[error("it has the operation {0:#04x}, which checkpoints do not need")]
    UnknownOpcode(u8),
    #[error("it has an integer of {0} bytes")]
    HugeInteger(usize),
    #[error("it has more than {0}")]
    TooLarge(&'static str),
    #[error("{0}")]
    Malformed(&'static str),
}

/// A pickle that was read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    values: Vec<Value<'a>>,
    root: ValueId,
}

/// Which globals a pickle may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Globals {
    /// Those in the list of [`globals`].
    Known,
    /// All: unknown ones become inert objects without a name. For files of which only some texts are needed.
    Any,
}

/// Reads the pickle at the start of `bytes`; what follows its end is ignored.
///
/// # Errors
/// If it is damaged, too large, or needs more than data.
pub(crate) fn read(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    read_with(bytes, Globals::Known)
}

/// Like [`read`], with these globals.
pub(crate) fn read_with(bytes: &[u8], globals: Globals) -> Result<Pickle<'_>, PickleError> {
    if bytes.len() > MAX_BYTES {
        return Err(PickleError { position: 0, fault: Fault::TooLarge("512 MiB") });
    }
    machine::run(bytes, LIMITS, globals)
}

impl<'a> Pickle<'a> {
    pub(crate) fn root(&self) -> ValueId {
        self.root
    }

    pub(crate) fn get(&self, id: ValueId) -> &Value<'a> {
        &self.values[id.0 as usize]
    }

    /// The entries of a dictionary.
    pub(crate) fn entries(&self, id: ValueId) -> Option<&[(ValueId, ValueId)]> {
        match self.get(id) {
            Value::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    /// The elements of a tuple, list or set.
    pub(crate) fn elements(&self, id: ValueId) -> Option<&[ValueId]> {
        match self.get(id) {
            Value::Tuple(elements) | Value::List(elements) => Some(elements),
            _ => None,
        }
    }

    pub(crate) fn text(&self, id: ValueId) -> Option<&'a str> {
        match self.get(id) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn int(&self, id: ValueId) -> Option<i64> {
        match self.get(id) {
            Value::Int(int) => Some(*int),
            _ => None,
        }
    }

    /// A tuple or list of integers.
    pub(crate) fn ints(&self, id: ValueId) -> Option<Vec<i64>> {
        self.elements(id)?.iter().map(|id| self.int(*id)).collect()
    }

    /// The name of a global.
    pub(crate) fn global(&self, id: ValueId) -> Option<&'static str> {
        match self.get(id) {
            Value::Global(name) => Some(name),
            _ => None,
        }
    }

    /// The class and the arguments of an object.
    pub(crate) fn object(&self, id: ValueId) -> Option<(&'static str, &[ValueId])> {
        match self.get(id) {
            Value::Object { class, arguments, .. } => Some((class, self.elements(*arguments)?)),
            _ => None,
        }
    }

    /// The value of a text key: of a dictionary, or of the attributes of an object. The last one counts, as in Python.
    pub(crate) fn field(&self, id: ValueId, key: &str) -> Option<ValueId> {
        let attributes = match self.get(id) {
            Value::Object { state, .. } => state.as_ref()?,
            _ => &id,
        };
        // A class with `__slots__` has the state (dict or None, dict of slots).
        let dicts = match self.get(*attributes) {
            Value::Tuple(parts) => Cow::Borrowed(parts.as_slice()),
            _ => Cow::Owned(vec![*attributes]),
        };
        let mut entries = dicts.iter().rev().filter_map(|id| self.entries(*id)).flatten().rev();
        entries.find(|(name, _)| self.text(*name) == Some(key)).map(|(_, value)| *value)
    }

    /// A short name of the kind of a value, for messages.
    pub(crate) fn kind(&self, id: ValueId) -> &'static str {
        match self.get(id) {
            Value::None => "None",
            Value::Bool(_) => "a bool",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Text(_) => "a string",
            Value::Bytes(_) => "bytes",
            Value::Tuple(_) => "a tuple",
            Value::List(_) => "a list",
            Value::Dict(_) => "a dictionary",
            Value::Global(name) | Value::Object { class: name, .. } => name,
            Value::Persistent(_) => "a storage",
        }
    }
}
