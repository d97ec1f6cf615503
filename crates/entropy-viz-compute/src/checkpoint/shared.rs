//! The tensors of a base model, for several models that are this base with adapters: each is in memory once.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tch::{Kind, Tensor};

/// Tensors that models have in common, by the names of the stored tensors that each was made of.
#[derive(Debug, Default)]
pub(crate) struct SharedTensors {
    by_names: RefCell<BTreeMap<String, Tensor>>,
    reused: Cell<u64>,
}

impl SharedTensors {
    /// The key of a tensor that was made of these in this number type.
    pub(super) fn key<'a>(names: impl Iterator<Item = &'a str>, kind: Kind) -> String {
        let names: Vec<&str> = names.collect();
        format!("{kind:?} {}", names.join(" "))
    }

    pub(super) fn get(&self, key: &str) -> Option<Tensor> {
        let tensor = self.by_names.borrow().get(key).map(Tensor::shallow_clone)?;
        self.reused.set(self.reused.get() + tensor.numel() as u64);
        Some(tensor)
    }

    pub(super) fn keep(&self, key: String, tensor: &Tensor) {
        self.by_names.borrow_mut().insert(key, tensor.shallow_clone());
    }

    /// How many parameters were in memory already since this was last asked.
    pub(crate) fn take_reused(&self) -> u64 {
        self.reused.take()
    }
}
