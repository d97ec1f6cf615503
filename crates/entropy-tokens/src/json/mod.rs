//! JSON without building values: lines of dumps have lists of thousands of numbers.

mod scan;
mod values;

pub(crate) use scan::{Entries, ScanError, string};
pub(crate) use values::{Scalar, floats, ids, mask, quoted_texts, scalar, unwrap_list_of_one};
