//! JSON as Python writes it: a streaming scanner, a fast path for repeated rows, and number formatting.

mod number;
mod row_template;
mod scanner;
mod search;
mod shape;
mod write;

pub use number::Value;
pub use row_template::{RowTemplate, ScannerMark};
pub use scanner::{ScalarKind, ScanError, Scanner, TextPosition};
pub use shape::{Shape, ValueKind, shape};
pub(crate) use write::number_text;
