//! Values of requested quantities that are not numbers: they count, and the entropy of the run remains good.

use super::{ColumnId, SeriesBuilder};
use crate::select::AuxKind;

impl SeriesBuilder<'_> {
    /// Whether the series is a quantity that was requested beside the entropy. A value that is not a number counts as not
    /// finite there: the entropy of the run remains good.
    pub(crate) fn is_quantity(&self, column: ColumnId) -> bool {
        matches!(self.columns[column.0].aux, Some(AuxKind::Quantity(..)))
    }

    /// Counts a value that is not a number, if its series is a quantity that was requested.
    pub(crate) fn set_not_a_number(&mut self, key: &str) {
        if let Some(column) = self.quantity_column(key) {
            self.set(column, f64::NAN);
        }
    }

    /// Counts an object under the key of a requested quantity as a value that is not a number; returns whether the key is one. A key
    /// that holds no number at all is left out at the end of the log.
    pub(crate) fn set_nested(&mut self, key: &str) -> bool {
        let Some(column) = self.quantity_column(key) else { return false };
        self.columns[column.0].has_nested = true;
        self.set(column, f64::NAN);
        true
    }

    /// Counts a text or a tensor that has a step of its own, under the key of a requested quantity or of a metric.
    pub(crate) fn push_nested(&mut self, key: &[u8], step: f64) {
        let Ok(key) = std::str::from_utf8(key) else { return };
        let metric = if self.is_metric(key) { self.column(key) } else { None };
        if let Some(column) = metric.or_else(|| self.quantity_column(key)) {
            self.columns[column.0].has_nested = true;
            self.push(column, step, f64::NAN);
        }
    }

    /// The series with this key, if it is a quantity that was requested; other keys do not become keys of the log.
    fn quantity_column(&mut self, key: &str) -> Option<ColumnId> {
        let is_quantity = matches!(self.selector.aux_kind(key), Some(AuxKind::Quantity(..)));
        if is_quantity { self.column(key) } else { None }
    }
}
