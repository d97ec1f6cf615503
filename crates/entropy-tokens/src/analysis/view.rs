//! The responses of a source at a step.

use crate::floats::Floats;
use crate::response::Response;
use crate::stats::order::Scan;
use crate::table::TokenTable;

/// The responses of a source at a step.
pub(crate) struct StepView<'a> {
    pub(crate) table: &'a TokenTable,
    pub(crate) source: u32,
    pub(crate) step: u64,
    /// Indices of the responses in the table, in order.
    pub(crate) responses: Vec<usize>,
}

impl<'a> StepView<'a> {
    /// The response at an index of this step.
    pub(crate) fn response(&self, at: usize) -> &'a Response {
        &self.table.responses()[self.responses[at]]
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'a Response> {
        self.responses.iter().map(|&index| &self.table.responses()[index])
    }

    /// The highest entropy of a token; −∞ without one.
    pub(crate) fn max_entropy(&self) -> f64 {
        self.iter().map(|response| response.entropy_max).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The entropies of all tokens of a step.
pub(crate) struct Entropies<'a, 'b>(pub(crate) &'b StepView<'a>);

impl Scan for Entropies<'_, '_> {
    fn scan(&self, visit: impl FnMut(Floats<'_>)) {
        self.0.iter().filter_map(|response| self.0.table.entropies(response)).for_each(visit);
    }
}
