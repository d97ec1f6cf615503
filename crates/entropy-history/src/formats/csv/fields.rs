//! The fields of a table: splitting rows, and numbers.

use std::io::Read;

use csv::ByteRecord;

use crate::python_number::python_number;

/// Texts that mean NaN.
const NOT_NUMBERS: [&str; 7] = ["nan", "none", "null", "na", "n/a", "<na>", "-nan"];

pub(super) fn names(header: &ByteRecord) -> Vec<String> {
    let text = |field: &[u8]| {
        String::from_utf8_lossy(field).trim().trim_start_matches('\u{feff}').to_owned()
    };
    header.iter().map(text).collect()
}

pub(super) fn reader<R: Read>(delimiter: u8, source: R) -> csv::Reader<R> {
    let mut builder = csv::ReaderBuilder::new();
    builder.delimiter(delimiter).comment(Some(b'#')).has_headers(false).flexible(true);
    builder.from_reader(source)
}

/// The number in a field. With semicolons as delimiter, a comma is the decimal point.
pub(super) fn number(field: &[u8], delimiter: u8) -> Option<f64> {
    let text = std::str::from_utf8(field.trim_ascii()).ok()?;
    match fast_float2::parse(text) {
        Ok(number) => Some(number),
        Err(_) if delimiter == b';' && text.contains(',') => {
            text.replacen(',', ".", 1).parse().ok()
        }
        Err(_) if NOT_NUMBERS.iter().any(|word| text.eq_ignore_ascii_case(word)) => Some(f64::NAN),
        Err(_) => python_number(text),
    }
}
