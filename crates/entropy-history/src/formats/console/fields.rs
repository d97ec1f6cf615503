//! Rows of fields in one line, in whatever way a trainer separates them:
//!
//! ```text
//! step:  12  loss/entropy/mean: 0.21  loss/pg/mean: 0.012
//! Step 12 |  1m 3s | Loss 0.0123 | Entropy 0.2123 | Mismatch KL 0.0004
//! step=12 entropy=0.21, loss=0.01
//! ```

use super::line_patterns::Values;
use crate::python_number::python_number;

/// A key has at most this many words; prose has more.
const MOST_WORDS: usize = 5;
/// Words of prose, which are not in keys.
const PROSE: [&str; 12] =
    ["the", "is", "of", "a", "an", "was", "with", "and", "that", "has", "are", "to"];
/// Words before a key that do not belong to it.
const LEVELS: [&str; 9] =
    ["info", "debug", "warning", "error", "success", "trace", "notice", "critical", "-"];

/// Whether a key names an entropy, and not a setting or another loss that only has the word in its name.
pub(crate) fn is_entropy(key: &str) -> bool {
    const OTHER: [&str; 11] = [
        "coef",
        "target",
        "thresh",
        "bonus",
        "weight",
        "beta",
        "chunk",
        "checkpoint",
        "from_logits",
        "cross",
        "scale",
    ];
    let key = key.to_lowercase();
    key.contains("entropy") && !OTHER.iter().any(|other| key.contains(other))
}

/// Whether a row has a value, readable or not, of an entropy.
pub(crate) fn holds_entropy(values: &Values) -> bool {
    values.iter().any(|(key, _)| is_entropy(key))
}

/// The fields of a line, in order.
pub(crate) fn fields(line: &str) -> Values {
    let mut values = Values::new();
    cells(line, |cell| read_cell(cell, &mut values));
    values
}

/// Calls `each` with the parts of a line between bars, commas, semicolons, tabs, dashes and wide gaps.
fn cells<'t>(line: &'t str, mut each: impl FnMut(&'t str)) {
    let bytes = line.as_bytes();
    let (mut start, mut depth, mut at) = (0, 0_usize, 0);
    while at < bytes.len() {
        let rest = &bytes[at..];
        let is_call = at > 0
            && (bytes[at - 1].is_ascii_alphanumeric()
                || matches!(bytes[at - 1], b'=' | b'_' | b'('));
        let width = match rest[0] {
            b'(' | b'[' if depth > 0 || is_call => {
                depth += 1;
                0
            }
            b')' | b']' => {
                depth = depth.saturating_sub(1);
                0
            }
            _ if depth > 0 => 0,
            b'|' | b',' | b';' | b'\t' => 1,
            b' ' if rest.starts_with(b" - ") => 3,
            b' ' if rest.starts_with(b"  ") => 2,
            0xe2 if rest.starts_with("│".as_bytes()) || rest.starts_with("┃".as_bytes()) => 3,
            _ => 0,
        };
        if width > 0 {
            each(&line[start..at]);
            start = at + width;
        }
        at += width.max(1);
    }
    each(&line[start..]);
}

/// Reads the fields of a cell, each of which is a key and a number.
fn read_cell(cell: &str, values: &mut Values) {
    let mut key: Vec<&str> = Vec::new();
    let mut expects_value = false; // after `key:` or `key=`
    for word in words(cell) {
        if expects_value {
            let value = of_word(word);
            push(&mut key, value, values);
            expects_value = false;
            continue;
        }
        let bare = without_brackets(word);
        if bare.contains(".py:") {
            key.clear(); // a place in a program
        } else if let Some((name, value)) = split_field(bare) {
            key.push(name);
            if value.is_empty() {
                expects_value = true;
            } else {
                push(&mut key, of_word(value), values);
            }
        } else if let Some(number) = of_word(word).or_else(|| of_word(bare)) {
            push(&mut key, Some(number), values);
        } else if LEVELS.iter().any(|level| bare.eq_ignore_ascii_case(level)) || is_stamp(bare) {
            key.clear();
        } else {
            key.push(bare);
        }
    }
}

fn push(key: &mut Vec<&str>, value: Option<f64>, values: &mut Values) {
    let is_prose =
        key.iter().any(|word| PROSE.iter().any(|prose| word.eq_ignore_ascii_case(prose)));
    if !key.is_empty() && key.len() <= MOST_WORDS && !is_prose {
        values.push((key.join(" ").trim_matches(['\'', '"']).to_owned(), value));
    }
    key.clear();
}

/// Splits `key=value`, `key:value`, `key=` and `key:`.
fn split_field(word: &str) -> Option<(&str, &str)> {
    let has_name = |name: &str| name.bytes().any(|b| b.is_ascii_alphabetic());
    if let Some((name, value)) = word.split_once('=').filter(|(name, _)| has_name(name)) {
        return Some((name, value));
    }
    if let Some(name) = word.strip_suffix(':') {
        return has_name(name).then_some((name, "")).filter(|_| python_number(name).is_none());
    }
    // A key may contain colons: `loss:sum:0.5`.
    let (name, value) = word.rsplit_once(':')?;
    (has_name(name) && of_word(value).is_some()).then_some((name, value))
}

/// A word without the brackets around it; those of a call belong to it.
fn without_brackets(word: &str) -> &str {
    let word = word.trim_start_matches(['[', '(']);
    match word.contains(['(', '[']) {
        true => word.trim_end_matches(','),
        false => word.trim_end_matches([']', ')', ',']),
    }
}

/// A number, also with a unit that has no gap before it, or the first one of `12/400`.
fn of_word(word: &str) -> Option<f64> {
    let word = word.trim_end_matches([',', ';', ':', '%']);
    python_number(word).or_else(|| {
        let (done, total) = word.split_once('/')?;
        total.parse::<u64>().ok()?;
        done.parse().ok()
    })
}

/// Whether a word is a time: `10:00:01`, `2026-04-02`.
fn is_stamp(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    digits > 0
        && word.contains([':', '-', '/'])
        && python_number(word).is_none()
        && digits * 2 >= word.len()
}

/// Splits at white space outside the brackets of a call.
fn words(cell: &str) -> impl Iterator<Item = &str> {
    let mut rest = cell.trim();
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let (mut depth, mut before) = (0_usize, ' ');
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            match c {
                '(' | '['
                    if depth > 0 || before.is_alphanumeric() || matches!(before, '=' | '_') =>
                {
                    depth += 1
                }
                ')' | ']' => depth = depth.saturating_sub(1),
                c if c.is_whitespace() && depth == 0 => {
                    end = at;
                    break;
                }
                _ => {}
            }
            before = c;
        }
        let (word, behind) = rest.split_at(end);
        rest = behind;
        Some(word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(line: &str) -> String {
        let field = |(key, value): (String, Option<f64>)| match value {
            Some(value) => format!("{key}={value}"),
            None => format!("{key}=?"),
        };
        fields(line).into_iter().map(field).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn fields_are_read_whatever_separates_them() {
        let torchtitan = "[titan] 2026-04-02 10:00:00,100 - root - INFO - step:  1  loss/entropy/mean: 1.40  loss/pg/mean: 0.012  ";
        assert!(
            show(torchtitan).ends_with("loss/entropy/mean=1.4, loss/pg/mean=0.012"),
            "{}",
            show(torchtitan)
        );
        let prime = "10:00:01    INFO Step 0 |  12.34s | Loss 0.0100 | Entropy 1.3845 | Mismatch KL 0.0001 | Throughput 5000 tokens/s";
        assert_eq!(
            show(prime),
            "Step=0, Loss=0.01, Entropy=1.3845, Mismatch KL=0.0001, Throughput=5000"
        );
        assert_eq!(show("step=12 entropy=0.21, loss=0.01"), "step=12, entropy=0.21, loss=0.01");
        assert_eq!(show("[step 12] entropy 0.52 reward 0.3"), "step=12, entropy=0.52, reward=0.3");
        assert_eq!(show("Iter 12/400: entropy: 0.5, loss: 0.1"), "Iter=12, entropy=0.5, loss=0.1");
        assert_eq!(
            show("entropy: tensor(0.5, device='cuda:0') loss=np.float32(0.1)"),
            "entropy=0.5, loss=0.1"
        );
        assert_eq!(show("entropy=<object> loss=0.1"), "entropy=?, loss=0.1");
        assert_eq!(show("a.py:12 INFO entropy_loss:sum:0.5"), "entropy_loss:sum=0.5");
    }

    #[test]
    fn prose_has_no_fields() {
        assert_eq!(show("The entropy of the system is 5.76 at 300 K"), "at=300");
        assert_eq!(show("In step 3 the entropy falls."), "In step=3");
    }

    #[test]
    fn settings_are_not_entropies() {
        for key in
            ["entropy", "policy/policy_entropy", "Entropy", "train/entropy_loss", "entropy/mean"]
        {
            assert!(is_entropy(key), "{key}");
        }
        for key in [
            "entropy_coeff",
            "cross_entropy",
            "target_entropy",
            "entropy_from_logits_with_chunking",
            "loss",
        ] {
            assert!(!is_entropy(key), "{key}");
        }
    }
}
