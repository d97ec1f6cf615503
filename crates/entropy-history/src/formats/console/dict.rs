//! Dictionaries that programs print: Python's `{'a': 0.5}`, also over several lines as `pprint` breaks them,
//! and JSON objects.

use super::fields::is_entropy;
use super::line_patterns::Values;
use crate::formats::step_keys;
use crate::python_number::python_number;

/// Keys of a dictionary around the metrics, which are not part of their names.
const WRAPPERS: [&str; 6] = ["data", "metrics", "metric", "log", "logs", "values"];
/// First parts of keys of durations, which may end with "step".
const DURATIONS: [&str; 5] = ["time", "timing", "timing_s", "perf", "timers"];

/// Last parts of keys that count the steps of an environment.
const TOTALS: [&str; 3] = ["total_timesteps", "num_timesteps", "total_steps"];

/// Finds the end of a dictionary in a text that comes in pieces.
#[derive(Debug, Default)]
pub(crate) struct Brackets {
    quote: Option<u8>,
    escaped: bool,
    depth: usize,
}

impl Brackets {
    /// The offset behind the bracket that closes the first one; `None` if it is not in this piece.
    pub(crate) fn close(&mut self, piece: &str) -> Option<usize> {
        for (at, byte) in piece.bytes().enumerate() {
            match (self.quote, byte) {
                (Some(_), _) if self.escaped => self.escaped = false,
                (Some(_), b'\\') => self.escaped = true,
                (Some(open), _) => self.quote = Some(open).filter(|open| *open != byte),
                (None, b'\'' | b'"') => self.quote = Some(byte),
                (None, b'(' | b'[' | b'{') => self.depth += 1,
                (None, b')' | b']' | b'}') => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                (None, _) => {}
            }
        }
        None
    }
}

/// The offset of the first dictionary with a quoted key, from `from` on.
pub(crate) fn find(text: &str, from: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut from = from;
    loop {
        let at = from + memchr::memchr(b'{', &bytes[from..])?;
        let inside = text[at + 1..].trim_start();
        // At the end of a line the keys are on the next ones.
        if inside.starts_with(['\'', '"']) || inside.is_empty() {
            return Some(at);
        }
        from = at + 1;
    }
}

/// The content of a complete dictionary with quoted keys; nested keys are joined by slashes.
pub(crate) fn parse(text: &str) -> Option<Values> {
    let mut values = Vec::new();
    entries(text, "", 8, &mut values)?;
    Some(values)
}

fn entries(text: &str, path: &str, deepest: usize, values: &mut Values) -> Option<()> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    while !rest.is_empty() {
        let (key, behind) = quoted(rest)?;
        let behind = behind.trim_start().strip_prefix(':')?;
        let (value, behind) = split_at_comma(behind);
        rest = behind.trim_start();
        let key = match path {
            "" => key.to_owned(),
            path => format!("{path}/{key}"),
        };
        if value.starts_with('{') && deepest > 0 {
            let path = if WRAPPERS.contains(&key.as_str()) { "" } else { key.as_str() };
            let known = values.len();
            if entries(value, path, deepest - 1, values).is_none() {
                values.truncate(known);
                values.push((key, None));
            }
        } else if key == step_keys::OF_MOST {
            values.push((key, step_keys::of_text(value.trim_matches(['\'', '"']))));
        } else {
            values.push((key, python_number(value)));
        }
    }
    Some(())
}

/// Whether a text that is no dictionary names an entropy in quotes.
pub(crate) fn names_entropy(text: &str) -> bool {
    text.split(['\'', '"']).any(|part| part.len() < 100 && is_entropy(part))
}

/// The quoted text at the start, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let end = text[1..].find(quote)? + 1;
    Some((&text[1..end], &text[end + 1..]))
}

/// The value up to the first comma outside quotes and brackets, and what follows the comma.
fn split_at_comma(text: &str) -> (&str, &str) {
    let (mut quote, mut depth) = (None, 0_usize);
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => drop(bytes.next()),
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, b',') if depth == 0 => return (text[..at].trim(), &text[at + 1..]),
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    (text.trim(), "")
}

/// The step among the values of a row: the best-known step key, or one that ends with such a name. A
/// number of epochs is none.
pub(crate) fn own_step(values: &Values) -> Option<f64> {
    let rank = |key: &str| {
        let (first, last) = (key.split('/').next()?, key.rsplit('/').next()?);
        if last.eq_ignore_ascii_case("epoch") {
            return None;
        }
        if let Some(rank) = step_keys::rank(key) {
            return Some(rank);
        }
        if TOTALS.contains(&last) {
            return Some(100);
        }
        step_keys::rank(last).filter(|_| !DURATIONS.contains(&first)).map(|rank| 200 + rank)
    };
    let is_step = |step: &f64| step.is_finite() && step.fract() == 0.0 && *step >= 0.0;
    let steps = values.iter().filter_map(|(key, value)| Some((rank(key)?, value.filter(is_step)?)));
    steps.min_by_key(|(rank, _)| *rank).map(|(_, step)| step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Option<String> {
        let show = |(key, value): (String, Option<f64>)| match value {
            Some(value) => format!("{key}={value}"),
            None => format!("{key}=?"),
        };
        Some(parse(text)?.into_iter().map(show).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn dictionaries_of_python_and_json_are_parsed() {
        let same = |text, expected: &str| assert_eq!(values(text).as_deref(), Some(expected));
        same(
            "{'a': 'it\\'s {1}, \\\\', 'entropy': 2.5, 'epoch': 0.5}",
            "a=? entropy=2.5 epoch=0.5",
        );
        same("{'a': tensor(0.5, device='cuda:0'), 'b': [1, 2], 'c': None}", "a=0.5 b=? c=NaN");
        same(
            r#"{"step": 3, "metrics": {"critic/entropy/mean": 0.5}}"#,
            "step=3 critic/entropy/mean=0.5",
        );
        same("{'actor': {'entropy': '0.5'}, 'n': 1,}", "actor/entropy=0.5 n=1");
        same("{'global_step/max_steps': '5/16'}", "global_step/max_steps=5");
        same("{}", "");
        for text in ["{1, 2}", "{'a'}", "{'a': 1", "{a: 1}", "{'a' 1}"] {
            assert_eq!(values(text), None, "{text}");
        }
    }

    #[test]
    fn brackets_are_counted_over_pieces() {
        let mut brackets = Brackets::default();
        assert_eq!(brackets.close("{'a': '}', 'b': ["), None);
        assert_eq!(brackets.close("1], 'c': \"{\"} {"), Some(13));
    }

    #[test]
    fn step_is_the_best_key_and_no_duration() {
        let step = |text| own_step(&parse(text).unwrap());
        assert_eq!(step("{'train/step': 3, 'loss': 1}"), Some(3.0));
        assert_eq!(step("{'system/step': 0}"), Some(0.0));
        assert_eq!(step("{'timing_s/step': 31, 'epoch': 2}"), None);
        assert_eq!(step("{'steps': 5, 'global_step': 4}"), Some(4.0));
        assert_eq!(step("{'step': 4.5}"), None);
    }
}
