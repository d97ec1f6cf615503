//! Distinct names for runs of one log that share a name.

use std::collections::BTreeSet;

/// The names given so far.
#[derive(Default)]
pub(crate) struct RunNames {
    taken: BTreeSet<String>,
}

impl RunNames {
    /// `name`, or `name (2)` and so on if an earlier run has it.
    pub(crate) fn distinct(&mut self, name: &str) -> String {
        let numbered = (2..).map(|n| format!("{name} ({n})"));
        let free =
            std::iter::once(name.to_owned()).chain(numbered).find(|n| !self.taken.contains(n));
        let free = free.expect("BUG: one of the numbered names is free");
        self.taken.insert(free.clone());
        free
    }
}
