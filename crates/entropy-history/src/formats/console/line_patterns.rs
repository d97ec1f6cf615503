//! Recognises what a segment of a console log is: a progress bar, a row, a line of YAML, or other text.

use std::borrow::Cow;

use memchr::{memchr, memmem};

pub(crate) type Values = Vec<(String, f64)>;

/// A progress bar: `  8%|▊         | 1/12 [00:00<00:04,  2.32it/s]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgressBar {
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Whether it may be the Trainer's bar, which has no text before it and no bar above it.
    pub(crate) is_topmost: bool,
}

impl ProgressBar {
    /// The bar in a segment, and the text after it.
    pub(crate) fn read(text: &[u8]) -> Option<(ProgressBar, &[u8])> {
        let percent = memmem::find(text, b"%|")?;
        let digits = text[..percent].iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let words = text[..percent - digits].trim_ascii();
        let counts = &text[percent + 2..];
        let counts = &counts[memchr(b'|', counts)? + 1..];
        let (counts, timing) = counts.split_at(memchr(b'[', counts)?);
        let (done, total) = std::str::from_utf8(counts).ok()?.trim().split_once('/')?;
        let behind = memchr(b']', timing).map_or(&[][..], |end| &timing[end + 1..]);
        let is_topmost = words.is_empty() && !behind.starts_with(b"\x1b[A"); // moves the cursor up a line
        Some((
            ProgressBar { done: done.parse().ok()?, total: total.parse().ok()?, is_topmost },
            behind,
        ))
    }
}

/// The text without escape sequences for colours and cursor movement.
pub(crate) fn without_ansi(text: &str) -> Cow<'_, str> {
    let mut parts = text.split('\x1b');
    let first = parts.next().unwrap_or_default();
    if first.len() == text.len() {
        return Cow::Borrowed(text);
    }
    let mut plain = first.to_owned();
    for part in parts {
        let sequence = part.strip_prefix('[').unwrap_or_default();
        let end = sequence.find(|c: char| ('@'..='~').contains(&c));
        plain.push_str(end.map_or(part, |end| &sequence[end + 1..]));
    }
    Cow::Owned(plain)
}

/// Splits a line into the prefix that names its process, and the rest: Ray writes `(TaskRunner pid=7,
/// ip=10.0.0.5) `, `torchrun --tee` writes `[default0]:`, `srun -l` writes `0: `.
pub(crate) fn split_prefix(line: &str) -> (&str, &str) {
    let is_word = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric());
    let end = match line.as_bytes().first() {
        Some(b'(') => line.find(')').filter(|end| line[..*end].contains("pid=")),
        Some(b'[') => line.find("]:").filter(|end| is_word(&line[1..*end])).map(|end| end + 1),
        Some(b'0'..=b'9') => line.find(": ").filter(|end| is_word(&line[..*end])),
        _ => None,
    };
    let Some(end) = end else { return ("", line) };
    let (prefix, rest) = line.split_at(end + 1);
    (prefix, rest.strip_prefix(' ').unwrap_or(rest))
}

/// A number as Python prints it: `0.5`, `'0.5'`, `np.float64(0.5)`, `nan`, `None`; PyYAML's `!!float
/// 'nan'`. Text after it is ignored: Ray adds `[repeated 3x across cluster]`.
fn number(text: &str) -> Option<f64> {
    let text = text.trim_start().trim_start_matches("!!float").split_whitespace().next()?;
    let text = match text.strip_suffix(')') {
        Some(call) => call.split_once('(')?.1,
        None => text.trim_matches(['\'', '"']),
    };
    if text == "None" { Some(f64::NAN) } else { text.parse().ok() }
}

/// verl's row: `step:12 - actor/entropy:0.53 - …`.
pub(crate) fn verl_row(text: &str) -> Option<(f64, Values)> {
    let mut fields = text.strip_prefix("step:")?.split(" - ");
    let step = number(fields.next()?).filter(|step| step.is_finite())?;
    let value = |field: &str| {
        let (key, value) = field.rsplit_once(':')?;
        Some((key.to_owned(), number(value)?))
    };
    let values: Values = fields.filter_map(value).collect();
    (!values.is_empty()).then_some((step, values))
}

/// The kind of a row that a Trainer logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    Training,
    Evaluation,
    /// The last row, with totals.
    Summary,
}

/// A dictionary that a Trainer prints; each has an `epoch`.
#[derive(Debug, PartialEq)]
pub(crate) struct TrainerRow {
    pub(crate) kind: RowKind,
    /// ms-swift includes it as `'global_step/max_steps': '5/16'`, others as a number.
    pub(crate) step: Option<f64>,
    pub(crate) epoch: f64,
    pub(crate) values: Values,
}

impl TrainerRow {
    /// Parses the row at the start of a text; `None` if its closing brace is missing.
    pub(crate) fn read(text: &str) -> Option<TrainerRow> {
        let mut rest = text.strip_prefix('{').filter(|rest| rest.starts_with('\''))?;
        let mut row =
            TrainerRow { kind: RowKind::Training, step: None, epoch: f64::NAN, values: Vec::new() };
        loop {
            let (key, _, behind) = literal(rest, b":")?;
            let (value, end, behind) = literal(behind, b",}")?;
            rest = behind;
            let key = key.trim_matches(['\'', '"']);
            match key {
                "train_runtime" => row.kind = RowKind::Summary,
                "global_step/max_steps" => {
                    row.step = value.trim_matches('\'').split_once('/').and_then(|s| number(s.0));
                }
                "step" | "global_step" => {
                    row.step = row.step.or(number(value).filter(|step| step.is_finite()));
                }
                _ if key.starts_with("eval_") => row.kind = RowKind::Evaluation,
                _ => {}
            }
            if let Some(value) = number(value) {
                if key == "epoch" {
                    row.epoch = value;
                }
                row.values.push((key.to_owned(), value));
            }
            if end == b'}' {
                return row.epoch.is_finite().then_some(row);
            }
        }
    }
}

/// Splits at the first of `stops` outside Python's quotes and brackets.
fn literal<'t>(text: &'t str, stops: &[u8]) -> Option<(&'t str, u8, &'t str)> {
    let (mut quote, mut depth) = (None, 0_usize);
    let mut bytes = text.bytes().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match (quote, byte) {
            (Some(_), b'\\') => drop(bytes.next()),
            (Some(open), _) => quote = Some(open).filter(|open| *open != byte),
            (None, _) if depth == 0 && stops.contains(&byte) => {
                return Some((text[..at].trim(), byte, &text[at + 1..]));
            }
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => depth += 1,
            (None, b')' | b']' | b'}') => depth = depth.checked_sub(1)?,
            (None, _) => {}
        }
    }
    None
}

/// EasyR1's row: `Step 12`, then YAML nested at the slashes of the names.
#[derive(Debug)]
pub(crate) struct YamlBlock {
    pub(crate) prefix: String,
    step: f64,
    path: Vec<String>,
    values: Values,
}

impl YamlBlock {
    /// Starts a row at a line `Step 12`.
    pub(crate) fn begin(prefix: &str, line: &str) -> Option<YamlBlock> {
        let step: u32 = line.strip_prefix("Step ")?.parse().ok()?;
        let (path, values) = (Vec::new(), Vec::new());
        Some(YamlBlock { prefix: prefix.to_owned(), step: step.into(), path, values })
    }

    /// Adds a line to the row; `false` if the line does not continue it.
    pub(crate) fn take(&mut self, line: &str) -> bool {
        let entry = line.trim_start_matches(' ');
        let depth = (line.len() - entry.len()) / 2;
        let Some((key, value)) = entry.split_once(':') else { return false };
        if key.is_empty() || key.contains(' ') || depth > self.path.len() {
            return false;
        }
        self.path.truncate(depth);
        self.path.push(key.trim_matches('\'').to_owned());
        if let Some(value) = number(value) {
            self.values.push((self.path.join("/"), value));
            self.path.pop();
        }
        true
    }

    /// The row; `None` if it is only a text that begins with `Step 12`, as a model may write.
    pub(crate) fn end(self) -> Option<(f64, Values)> {
        let is_nested = self.values.iter().any(|(key, _)| key.contains('/'));
        is_nested.then_some((self.step, self.values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_parsed_as_python_prints_them() {
        let same = |text, value: f64| {
            let found = number(text).unwrap();
            assert!(
                found.to_bits() == value.to_bits() || found.is_nan() && value.is_nan(),
                "{text}"
            );
        };
        same("0.5", 0.5);
        same("'-1.49e-08'", -1.49e-8);
        same("np.float64(0.53)", 0.53);
        same("np.float32(inf)", f64::INFINITY);
        same("-inf", f64::NEG_INFINITY);
        same("nan", f64::NAN);
        same("None", f64::NAN);
        same(" !!float 'nan'", f64::NAN);
        same("12 [repeated 3x across cluster] (Ray deduplicates logs by default.)", 12.0);
        for text in ["", "True", "'1m 35s'", "[1, 2]", "np.float64(", ")"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn complete_dictionary_with_epoch_is_a_row() {
        let row = TrainerRow::read(
            "{'a': 'it\\'s {1}, \\\\', 'entropy': 2.5, 'epoch': 0.5}[rank1]: late",
        );
        let values = vec![("entropy".to_owned(), 2.5), ("epoch".to_owned(), 0.5)];
        assert_eq!(row.unwrap().values, values);
        for text in [
            "{'entropy': 2.5}",
            "{'entropy': 2.5, 'epoch': 0.5",
            "{'epoch': {1}",
            "{'}",
            "{'epoch'}",
        ] {
            assert_eq!(TrainerRow::read(text), None, "{text}");
        }
    }

    #[test]
    fn progress_bar_is_recognised_by_its_counts() {
        let bar = |text: &'static str| {
            ProgressBar::read(text.as_bytes()).map(|(bar, behind)| (bar, behind.len()))
        };
        let at = |done, is_topmost| ProgressBar { done, total: 12, is_topmost };
        assert_eq!(bar("  8%|8   | 1/12 [00:00<00:04,  2.32it/s]"), Some((at(1, true), 0)));
        assert_eq!(bar("100%|####| 12/12 [00:01<00:00]\x1b[A"), Some((at(12, false), 3)));
        assert_eq!(bar("Map: 25%|#   | 3/12 [00:00"), Some((at(3, false), 0)));
        for text in ["8%|", "a|%|b| c [", "5%|#| 1/x [", "5%|#| 1/12"] {
            assert_eq!(bar(text), None, "{text}");
        }
    }

    #[test]
    fn colours_and_prefixes_are_removed() {
        let line = without_ansi(
            "\x1b[36m(TaskRunner pid=7, ip=10.0.0.5)\x1b[0m step:1 - a:2\x1b[32m!\x1b",
        );
        assert_eq!(split_prefix(&line), ("(TaskRunner pid=7, ip=10.0.0.5)", "step:1 - a:2!"));
        assert_eq!(split_prefix("0: {'a': 1}"), ("0:", "{'a': 1}"));
        assert_eq!(split_prefix("[default0]:{'a': 1}"), ("[default0]:", "{'a': 1}"));
        assert_eq!(split_prefix("[answer] {'a': 1}"), ("", "[answer] {'a': 1}"));
        assert_eq!(split_prefix("(a note) step:1 - a:2"), ("", "(a note) step:1 - a:2"));
    }
}
