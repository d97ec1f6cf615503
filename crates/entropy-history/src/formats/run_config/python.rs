//! Dictionaries as Python's `print` and `pprint` write them.
//!
//! ```text
//! {'actor': {'optim': {'lr': 1e-06, 'betas': (0.9, 0.999)}, 'prompt': 'a '
//!                                                                     'b'},
//!  'use_kl_loss': True, 'path': None}
//! ```
//!
//! `pprint` breaks a long text into several in quotes. Anything else, such as `np.float64(0.5)`, is kept as its text.

use crate::run_config::{ConfigValue, DEEPEST, Tree};

/// Parses a complete dictionary; `None` if the text is not one.
pub(crate) fn parse_python(text: &str) -> Option<Tree> {
    let mut reader = Reader { text, at: 0 };
    reader.skip_space();
    if reader.peek() != Some(b'{') {
        return None;
    }
    let tree = reader.value(0)?;
    reader.skip_space();
    (reader.at == text.len()).then_some(tree)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Consumes a byte behind white space if it is the next one; returns whether it was.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: usize) -> Option<Tree> {
        if depth > DEEPEST {
            return None;
        }
        self.skip_space();
        match self.peek()? {
            b'{' => self.dictionary(depth),
            b'[' => self.list(b']', depth),
            b'(' => self.list(b')', depth),
            b'\'' | b'"' => self.strings().map(Tree::Leaf),
            _ => self.plain().map(|text| Tree::Leaf(ConfigValue::plain(text))),
        }
    }

    fn dictionary(&mut self, depth: usize) -> Option<Tree> {
        self.at += 1;
        let mut parts = Vec::new();
        while !self.take(b'}') {
            let Tree::Leaf(name) = self.value(depth + 1)? else { return None };
            let part = if self.take(b':') { self.value(depth + 1)? } else { return None };
            parts.push((name.text().to_owned(), part));
            if !self.take(b',') {
                return self.take(b'}').then_some(Tree::Map(parts));
            }
        }
        Some(Tree::Map(parts))
    }

    /// A list or a tuple; a text in parentheses is that text.
    fn list(&mut self, close: u8, depth: usize) -> Option<Tree> {
        self.at += 1;
        let mut items = Vec::new();
        while !self.take(close) {
            items.push(self.value(depth + 1)?);
            if !self.take(b',') {
                let is_one = close == b')' && items.len() == 1;
                let tree = if is_one { items.remove(0) } else { Tree::List(items) };
                return self.take(close).then_some(tree);
            }
        }
        Some(Tree::List(items))
    }

    /// Texts in quotes that follow each other, joined.
    fn strings(&mut self) -> Option<ConfigValue> {
        let mut text = String::new();
        while let Some(quote @ (b'\'' | b'"')) = self.peek() {
            self.at += 1;
            self.string(char::from(quote), &mut text)?;
            self.skip_space();
        }
        Some(ConfigValue::quoted(text))
    }

    fn string(&mut self, quote: char, text: &mut String) -> Option<()> {
        let mut chars = self.text[self.at..].char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next()?.1 {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    c @ ('\\' | '\'' | '"') => text.push(c),
                    c => text.extend(['\\', c]), // \x1b and \u200b stay as they are
                },
                c if c == quote => {
                    self.at += at + 1;
                    return Some(());
                }
                c => text.push(c),
            }
        }
        None
    }

    /// The text up to the comma, colon or bracket that ends a value.
    fn plain(&mut self) -> Option<&'t str> {
        let (start, mut depth) = (self.at, 0_usize);
        while let Some(byte) = self.peek() {
            match byte {
                b'(' | b'[' | b'{' | b'<' => depth += 1,
                b',' | b':' | b')' | b']' | b'}' if depth == 0 => break,
                b')' | b']' | b'}' | b'>' => depth = depth.saturating_sub(1),
                b'\'' | b'"' => {
                    self.at += 1;
                    self.string(char::from(byte), &mut String::new())?;
                    continue;
                }
                _ => {}
            }
            self.at += 1;
        }
        let text = self.text[start..self.at].trim();
        (!text.is_empty()).then_some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_config::RunConfig;

    fn entries(text: &str) -> Option<Vec<String>> {
        let config = RunConfig::from_tree(&parse_python(text)?, "");
        let show = |(key, v): &(String, ConfigValue)| format!("{key}={} {:?}", v.text(), v.kind());
        Some(config.entries().iter().map(show).collect())
    }

    #[test]
    fn values_are_those_of_python() {
        // ast.literal_eval of Python 3.11 gives these values.
        let text = "{'a': {'lr': 1e-06, 'betas': (0.9, 0.999), 'on': True},\n 'p': 'it\\'s '\n 'long',\n\
                    'none': None, 'q': (\"x\"\n 'y'), 'empty': [], 1: -3}";
        let expected = [
            "a.lr=1e-06 Number",
            "a.betas=[0.9, 0.999] List",
            "a.on=True Bool",
            "p=it's long Text",
            "none=null Null",
            "q=xy Text",
            "empty=[] List",
            "1=-3 Number",
        ];
        assert_eq!(entries(text).unwrap(), expected);
    }

    #[test]
    fn objects_are_kept_as_their_text() {
        let text = "{'e': np.float64(0.5), 'k': <Kind.A: 'a'>, 'd': torch.bfloat16}";
        let expected = ["e=np.float64(0.5) Text", "k=<Kind.A: 'a'> Text", "d=torch.bfloat16 Text"];
        assert_eq!(entries(text).unwrap(), expected);
    }

    #[test]
    fn rejects_what_is_not_one_whole_dictionary() {
        for text in ["", "[1]", "{'a': 1", "{'a'}", "{'a' 1}", "{'a': 1} x", "{'a': }", "{'a': 'b}"]
        {
            assert_eq!(entries(text), None, "{text}");
        }
        let deep = format!("{}1{}", "{'a':".repeat(5000), "}".repeat(5000));
        assert_eq!(parse_python(&deep), None);
    }
}
