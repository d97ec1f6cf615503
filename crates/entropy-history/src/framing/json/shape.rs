//! How a text begins: what formats recognise themselves by.

use super::{ScanError, Scanner};

/// What a top-level key of the first object holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A number, a string, a word.
    Scalar,
    /// An object.
    Object,
    /// An array whose first element is an object.
    ArrayOfObjects,
    /// Any other array.
    Array,
}

/// How a text begins: what the formats recognise themselves by.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// `[`, then no object.
    Array,
    /// `[]`.
    EmptyArray,
    /// `[{…`: the keys of the first element.
    Rows(Vec<(String, ValueKind)>),
    /// `{…`: its keys.
    Object(Vec<(String, ValueKind)>),
    /// Nothing but white space.
    Blank,
    /// Something else.
    NotJson,
}

/// Looks at the first bytes of a file; a head that is cut anywhere gives the keys up to there.
pub fn shape(mut head: &[u8]) -> Shape {
    let Ok(mut scanner) = Scanner::small(&mut head) else { return Shape::NotJson };
    match scanner.peek() {
        Ok(Some(b'{')) => Shape::Object(keys(&mut scanner)),
        Ok(Some(b'[')) => {
            scanner.pos += 1;
            match scanner.peek() {
                Ok(Some(b'{')) => Shape::Rows(keys(&mut scanner)),
                Ok(Some(b']')) => Shape::EmptyArray,
                _ => Shape::Array,
            }
        }
        Ok(None) => Shape::Blank,
        _ => Shape::NotJson,
    }
}

fn keys(scanner: &mut Scanner<'_>) -> Vec<(String, ValueKind)> {
    let mut keys = Vec::new();
    // An error only means that the head ends here or is no JSON further on: the reader will say.
    let _: Result<(), ScanError> = scanner.object(|scanner, key| {
        let mut first = None;
        let (holds, rest) = match scanner.next()? {
            b'[' => {
                let rest = scanner.array::<ScanError>(|scanner| {
                    first.get_or_insert(scanner.next()?);
                    scanner.skip()
                });
                (
                    if first == Some(b'{') { ValueKind::ArrayOfObjects } else { ValueKind::Array },
                    rest.map(drop),
                )
            }
            b'{' => (ValueKind::Object, scanner.skip()),
            _ => (ValueKind::Scalar, scanner.skip()),
        };
        keys.push((key.to_owned(), holds));
        rest
    });
    keys
}
