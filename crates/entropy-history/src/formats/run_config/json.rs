//! JSON as a tree, with numbers as the file writes them.

use crate::framing::json::{ScalarKind, ScanError, Scanner};
use crate::run_config::{ConfigValue, DEEPEST, Tree};

/// Parses a JSON text whose top value is an object.
///
/// # Errors
/// When it is not JSON, or its top value is not an object.
pub(crate) fn parse_json(text: &[u8]) -> Result<Tree, ScanError> {
    let mut source = text;
    let mut scanner = Scanner::new(&mut source)?;
    let tree = object(&mut scanner, 0)?;
    nothing_follows(&mut scanner)?;
    Ok(tree)
}

/// Parses a JSON value, such as the number `1e-06`.
///
/// # Errors
/// When it is not JSON.
pub(crate) fn parse_json_value(text: &[u8]) -> Result<Tree, ScanError> {
    // The scanner takes a number at the end of its input for one that may go on.
    let text = [text, b" "].concat();
    let mut source = &text[..];
    let mut scanner = Scanner::small(&mut source)?;
    let tree = value(&mut scanner, 0)?;
    nothing_follows(&mut scanner)?;
    Ok(tree)
}

fn nothing_follows(scanner: &mut Scanner<'_>) -> Result<(), ScanError> {
    match scanner.peek()? {
        None => Ok(()),
        Some(_) => {
            let (place, what) = (scanner.place(), "text follows the end of the value".to_owned());
            Err(ScanError::Syntax { place, what })
        }
    }
}

fn value(scanner: &mut Scanner<'_>, depth: usize) -> Result<Tree, ScanError> {
    match scanner.peek()? {
        Some(b'{' | b'[') if depth >= DEEPEST => scanner.skip().map(|()| Tree::LeftOut),
        Some(b'{') => object(scanner, depth),
        Some(b'[') => {
            let mut items = Vec::new();
            scanner.array::<ScanError>(|scanner| {
                items.push(value(scanner, depth + 1)?);
                Ok(())
            })?;
            Ok(Tree::List(items))
        }
        _ => {
            let mut text = String::new();
            Ok(Tree::Leaf(match scanner.scalar(&mut text)? {
                ScalarKind::Quoted => ConfigValue::quoted(text),
                ScalarKind::Plain => ConfigValue::plain(&text),
            }))
        }
    }
}

fn object(scanner: &mut Scanner<'_>, depth: usize) -> Result<Tree, ScanError> {
    let mut parts = Vec::new();
    scanner.object::<ScanError>(|scanner, name| {
        parts.push((name.to_owned(), value(scanner, depth + 1)?));
        Ok(())
    })?;
    Ok(Tree::Map(parts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::RunConfig;

    fn entries(text: &str) -> Vec<String> {
        let config = RunConfig::from_tree(&parse_json(text.as_bytes()).unwrap(), "");
        config.entries().iter().map(|(key, v)| format!("{key}={}", v.text())).collect()
    }

    #[test]
    fn numbers_keep_the_form_of_the_file() {
        let text = r#"{"lr": 1e-06, "n": 12345678901234567890, "x": {"y": 0.10, "z": NaN},
                       "s": "a \"b\" \ud83d\ude00", "t": true, "e": [], "l": [1.0, "c"]}"#;
        let expected = [
            "lr=1e-06",
            "n=12345678901234567890",
            "x.y=0.10",
            "x.z=NaN",
            "s=a \"b\" 😀",
            "t=true",
            "e=[]",
            "l=[1.0, c]",
        ];
        assert_eq!(entries(text), expected);
    }

    #[test]
    fn deep_nesting_is_left_out_and_counted() {
        let text = format!("{}1{}", "{\"a\":".repeat(500), "}".repeat(500));
        let config = RunConfig::from_tree(&parse_json(text.as_bytes()).unwrap(), "");
        assert_eq!((config.entries().len(), config.left_out()), (0, 1));
    }

    #[test]
    fn single_values_and_errors() {
        let leaf = parse_json_value(b"1e-06").unwrap();
        assert_eq!(leaf, Tree::Leaf(ConfigValue::plain("1e-06")));
        assert!(parse_json_value(b"1e-0x").is_err() && parse_json_value(b"").is_err());
        assert!(parse_json(b"{} {}").is_err());
        assert!(parse_json(b"[1]").is_err() && parse_json(b"{\"a\": ").is_err());
    }
}
