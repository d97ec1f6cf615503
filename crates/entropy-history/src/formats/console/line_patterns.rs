//! Recognises what a segment of a console log is: a progress bar, a row, a line of YAML, or other text.

use memchr::{memchr, memmem};

use crate::python_number::python_number;

/// The keys and values of a row; `None` for a value that is not a number.
pub(crate) type Values = Vec<(String, Option<f64>)>;

/// A progress bar: `  8%|▊         | 1/12 [00:00<00:04,  2.32it/s]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ProgressBar {
    pub(crate) done: u64,
    pub(crate) total: u64,
    /// Whether it may be the Trainer's bar, which has no text before it and no bar above it.
    pub(crate) is_topmost: bool,
}

impl ProgressBar {
    /// The first bar in a segment, a row before it, and the text after it.
    pub(crate) fn split(text: &[u8]) -> Option<(&[u8], ProgressBar, &[u8])> {
        let percent = memmem::find(text, b"%|")?;
        let row = text[..percent].iter().rposition(|b| *b == b'}').map_or(0, |end| end + 1);
        let (row, text) = text.split_at(row);
        let (bar, behind) = ProgressBar::read(text)?;
        Some((row, bar, behind))
    }

    /// The bar in a segment, and the text after it.
    fn read(text: &[u8]) -> Option<(ProgressBar, &[u8])> {
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
        let value = value.trim();
        let value = value.split_once(" [repeated ").map_or(value, |(value, _)| value); // Ray's
        if !value.is_empty() {
            self.values.push((self.path.join("/"), python_number(value)));
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
    use crate::text::without_ansi;

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
