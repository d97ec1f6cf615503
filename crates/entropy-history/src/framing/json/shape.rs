//! The shape of a JSON text, from which formats are recognised.

use super::scanner::{ScanError, Scanner};

/// The kind of value of a top-level key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueKind {
    /// A number, a string, a boolean or null.
    Scalar,
    /// An object.
    Object,
    /// An array whose first element is an object.
    ArrayOfObjects,
    /// Any other array.
    Array,
}

/// The shape of the start of a JSON text.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// An array that does not start with an object.
    Array,
    /// An empty array.
    EmptyArray,
    /// An array of objects: the keys of the first one.
    Rows(Vec<(String, ValueKind)>),
    /// An object: its keys.
    Object(Vec<(String, ValueKind)>),
    /// Nothing but white space.
    Blank,
    /// Not JSON.
    NotJson,
}

/// The shape of the first bytes of a file. If they end inside an object, only the keys before the end are known.
pub fn shape(head: &[u8]) -> Shape {
    let mut source = head;
    let Ok(mut scanner) = Scanner::small(&mut source) else { return Shape::NotJson };
    match scanner.peek() {
        Ok(Some(b'{')) if is_text_in_brackets(head) => Shape::NotJson,
        Ok(Some(b'{')) => Shape::Object(keys(&mut scanner)),
        Ok(Some(b'[')) => {
            scanner.pos += 1;
            match scanner.peek() {
                Ok(Some(b'{')) => Shape::Rows(keys(&mut scanner)),
                Ok(Some(b']')) => Shape::EmptyArray,
                Ok(_) if is_text_in_brackets(head) => Shape::NotJson,
                _ => Shape::Array,
            }
        }
        Ok(None) => Shape::Blank,
        _ => Shape::NotJson,
    }
}

/// Whether a text begins with a bracket that is not JSON's: `[2026-04-02 10:00] step`, `[INFO]`, `{'a': 1}`.
fn is_text_in_brackets(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    let Some((bracket, inside)) = head.split_first() else { return false };
    let inside = inside.trim_ascii_start();
    match (bracket, inside.first()) {
        (b'{', Some(first)) => !matches!(first, b'"' | b'}'),
        (b'[', Some(b'-' | b'0'..=b'9')) => {
            let is_part = |at: &usize| match inside[*at] {
                b'-' | b'+' => matches!(inside[*at - 1], b'e' | b'E'),
                byte => byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E'),
            };
            let number = (1..inside.len()).take_while(is_part);
            // A number is followed by a comma or the end of the array, which is the end of the text.
            match inside[1 + number.count()..].trim_ascii_start() {
                [b',', ..] | [] => false,
                [b']', rest @ ..] => !rest.trim_ascii().is_empty(),
                _ => true,
            }
        }
        (b'[', Some(first)) => {
            let is_word = [&b"true"[..], b"false", b"null", b"NaN", b"Infinity"];
            first.is_ascii_alphabetic() && !is_word.iter().any(|word| inside.starts_with(word))
        }
        _ => false,
    }
}

fn keys(scanner: &mut Scanner<'_>) -> Vec<(String, ValueKind)> {
    let mut keys = Vec::new();
    // An error only means that the head ends here or is not JSON; the reader will report it.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_is_read_from_incomplete_head() {
        let text = br#"{"step":1,"data":{"a":1},"rows":[{"x":1}],"xs":[1"#;
        let keys = [
            ("step", ValueKind::Scalar),
            ("data", ValueKind::Object),
            ("rows", ValueKind::ArrayOfObjects),
            ("xs", ValueKind::Array),
        ];
        assert_eq!(shape(text), Shape::Object(keys.map(|(k, h)| (k.to_owned(), h)).to_vec()));
        assert_eq!(shape(b" [ ]"), Shape::EmptyArray);
        assert_eq!(shape(b"\xef\xbb\xbf[{"), Shape::Rows(vec![]));
        assert_eq!(shape(b"\n \n"), Shape::Blank);
        assert_eq!(shape(b"\x89PNG"), Shape::NotJson);
    }

    #[test]
    fn text_in_brackets_is_not_json() {
        for text in ["[2026-04-02 10:00] x", "[INFO] x", "[0] step", "{'a': 1}", "[rank0]: x"] {
            assert_eq!(shape(text.as_bytes()), Shape::NotJson, "{text}");
        }
        for text in ["[1, 2", "[1.5]", "[-1e-5,", "[\"a\"", "[NaN", "[null", "[", "[12"] {
            assert_eq!(shape(text.as_bytes()), Shape::Array, "{text}");
        }
    }
}
