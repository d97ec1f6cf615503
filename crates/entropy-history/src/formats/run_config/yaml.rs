//! YAML as a tree, with numbers as the file writes them.
//!
//! The file is read as a stream of events. Aliases are left out and counted instead of expanded, so that no small file
//! takes much memory.

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

use crate::run_config::{ConfigValue, DEEPEST, Tree};

/// Parses the first document of a YAML text, whose top value is a map; an empty document has no keys.
///
/// # Errors
/// With line and column, when it is not YAML, or its top value is something else.
pub(crate) fn parse_yaml(text: &str) -> Result<Tree, String> {
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) =
            event.map_err(|error| format!("{}: {}", shown(*error.marker()), error.info()))?;
        let complete = match event {
            Event::MappingStart(..) => {
                open.push(Open::Map { parts: Vec::new(), name: None });
                continue;
            }
            Event::SequenceStart(..) if open.is_empty() => return Err(not_a_map(span.start)),
            Event::SequenceStart(..) => {
                open.push(Open::List(Vec::new()));
                continue;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let closed = open.pop().map_or(Tree::LeftOut, Open::closed);
                if open.len() >= DEEPEST { Tree::LeftOut } else { closed }
            }
            Event::Scalar(text, ScalarStyle::Plain, ..) => Tree::Leaf(ConfigValue::plain(&text)),
            Event::Scalar(text, ..) => Tree::Leaf(ConfigValue::quoted(text)),
            Event::Alias(_) => Tree::LeftOut,
            Event::DocumentEnd | Event::StreamEnd => break,
            _ => continue,
        };
        match (open.last_mut(), complete) {
            (Some(around), complete) => around.add(complete),
            (None, map @ Tree::Map(_)) => return Ok(map),
            (None, Tree::Leaf(value)) if value == ConfigValue::plain("") => break,
            (None, _) => return Err(not_a_map(span.start)),
        }
    }
    Ok(Tree::default())
}

fn not_a_map(place: Marker) -> String {
    format!("{}: its top value is not a map", shown(place))
}

fn shown(place: Marker) -> String {
    format!("line {}, column {}", place.line(), place.col() + 1)
}

/// A map or a list whose end was not read yet.
enum Open {
    Map { parts: Vec<(String, Tree)>, name: Option<String> },
    List(Vec<Tree>),
}

impl Open {
    fn add(&mut self, value: Tree) {
        match self {
            Open::List(items) => items.push(value),
            Open::Map { parts, name } => match (name.take(), value) {
                (Some(name), value) => parts.push((name, value)),
                (None, Tree::Leaf(value)) => *name = Some(value.text().to_owned()),
                (None, _) => *name = Some("?".to_owned()), // a list or a map as a name
            },
        }
    }

    fn closed(self) -> Tree {
        match self {
            Open::Map { parts, .. } => Tree::Map(parts),
            Open::List(items) => Tree::List(items),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::RunConfig;

    fn config(text: &str) -> RunConfig {
        RunConfig::from_tree(&parse_yaml(text).unwrap(), "")
    }

    fn entries(text: &str) -> Vec<String> {
        let show = |(key, v): &(String, ConfigValue)| format!("{key}={} {:?}", v.text(), v.kind());
        config(text).entries().iter().map(show).collect()
    }

    #[test]
    fn values_keep_the_form_of_the_file() {
        // PyYAML 6.0.3 gives these keys and texts; it takes 1e-06 for a text, as YAML 1.1 does.
        let text = "# by a trainer\noptim:\n  lr: 1e-06\n  betas: [0.9, 0.999]\nname: 'it''s: x'\n\
                    seed: \"1\"\nempty:\nflags: {a: true, b: ~}\nlist:\n- x\n- y: 1\n";
        let expected = [
            "optim.lr=1e-06 Number",
            "optim.betas=[0.9, 0.999] List",
            "name=it's: x Text",
            "seed=1 Text",
            "empty=null Null",
            "flags.a=true Bool",
            "flags.b=null Null",
            "list.0=x Text",
            "list.1.y=1 Number",
        ];
        assert_eq!(entries(text), expected);
        assert_eq!(entries("{}\n"), [""; 0]);
        assert_eq!(entries(""), [""; 0]);
        assert_eq!(entries("---\na: 1\n---\na: 2\n"), ["a=1 Number"]);
    }

    #[test]
    fn errors_have_line_and_column() {
        let error = |text: &str| parse_yaml(text).unwrap_err();
        assert!(error("a:\n\tb: 1\n").starts_with("line 2, column "), "{}", error("a:\n\tb: 1\n"));
        assert!(error("a: [1\nb: 2\n").starts_with("line "), "{}", error("a: [1\nb: 2\n"));
        assert_eq!(error("- 1\n- 2\n"), "line 1, column 1: its top value is not a map");
        assert!(error(&format!("a: {}", "[".repeat(9999))).contains("recursion limit"));
    }

    #[test]
    fn aliases_and_deep_parts_are_left_out_and_counted() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        assert_eq!(config(bomb).left_out(), 4);
        let deep = format!("{}1{}", "{a: ".repeat(100), "}".repeat(100));
        assert_eq!((config(&deep).entries().len(), config(&deep).left_out()), (0, 1));
    }
}
