//! The responses of a source at a step.

use crate::stats::order::Scan;
use crate::table::{Response, TokenTable};

/// The responses of a source at a step.
pub(super) struct StepView<'a> {
    pub(super) table: &'a TokenTable,
    pub(super) source: u32,
    pub(super) step: u64,
    /// Indices of the responses in the table, in order.
    pub(super) responses: Vec<usize>,
}

impl<'a> StepView<'a> {
    /// The response at an index of this step.
    pub(super) fn response(&self, at: usize) -> &'a Response {
        &self.table.responses()[self.responses[at]]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'a Response> {
        self.responses.iter().map(|&index| &self.table.responses()[index])
    }

    /// The highest entropy of a token; −∞ without one.
    pub(super) fn max_entropy(&self) -> f64 {
        let mut max = f64::NEG_INFINITY;
        Entropies(self).scan(|entropy| max = max.max(entropy));
        max
    }
}

/// The entropies of all tokens of a step.
pub(super) struct Entropies<'a, 'b>(pub(super) &'b StepView<'a>);

impl Scan for Entropies<'_, '_> {
    fn scan(&self, mut visit: impl FnMut(f64)) {
        for response in self.0.iter() {
            if let Some(entropies) = self.0.table.entropies(response) {
                entropies.each(&mut visit);
            }
        }
    }
}
