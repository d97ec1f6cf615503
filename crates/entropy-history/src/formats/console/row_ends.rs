//! Recognises rows of fields that were cut.

use super::line_patterns::Values;

/// At most this many last keys of rows are remembered.
const MOST_LAST_KEYS: usize = 32;

/// Where the rows of a log end.
#[derive(Debug, Default)]
pub(crate) struct RowEnds {
    first_key: String,
    last_keys: Vec<String>,
    most_keys: usize, // of a row
}

impl RowEnds {
    /// Takes back the last value of a row that ends where no row before it did, with fewer keys: the row
    /// was cut, perhaps inside this value.
    pub(crate) fn doubt_end(&mut self, values: &mut Values) {
        let keys = values.len();
        let Some((first, _)) = values.first() else { return };
        if self.first_key.is_empty() {
            self.first_key.clone_from(first);
        }
        if *first != self.first_key {
            return; // a row of another kind
        }
        let Some((last, value)) = values.last_mut() else { return };
        if !self.last_keys.contains(last) {
            if !self.last_keys.is_empty() && keys < self.most_keys {
                *value = None;
            }
            if self.last_keys.len() < MOST_LAST_KEYS {
                self.last_keys.push(last.clone());
            }
        }
        self.most_keys = self.most_keys.max(keys);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(ends: &mut RowEnds, keys: &str) -> Option<f64> {
        let mut values: Values = keys.split(' ').map(|key| (key.to_owned(), Some(0.5))).collect();
        ends.doubt_end(&mut values);
        values.last().unwrap().1
    }

    #[test]
    fn last_value_of_a_cut_row_is_taken_back() {
        let mut ends = RowEnds::default();
        assert_eq!(last(&mut ends, "a b c"), Some(0.5));
        assert_eq!(last(&mut ends, "a b"), None);
        assert_eq!(last(&mut ends, "val"), Some(0.5));
        assert_eq!(last(&mut ends, "a b c d"), Some(0.5));
        assert_eq!(last(&mut ends, "a b c"), Some(0.5));
    }
}
