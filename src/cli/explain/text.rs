//! The sentences and tables on stdout.

use super::document::{Explanation, HEADS, heading, method, rows};
use super::words::Strength;
use crate::cli::table::aligned;
use crate::cli::tokens::cells::token;

/// The text of `explain`, for a terminal of `width` columns.
pub(super) fn render(explanation: &Explanation<'_>, width: usize) -> String {
    let mut text = String::new();
    let mut paragraph = |line: &str, first: &str| {
        text.push_str(&filled(line, first, width));
        text.push('\n');
    };
    for sentence in &explanation.sentences {
        let mark = match sentence.strength {
            Strength::Clear => "• ",
            Strength::NotClear => "? ",
        };
        paragraph(&sentence.text, mark);
    }
    for split in &explanation.changes.splits {
        paragraph("", "");
        paragraph(heading(split.by), "");
        // The table for a terminal leaves out the numbers of tokens; the page has them.
        let columns = [0, 3, 4, 5, 6, 7];
        let pick =
            |cells: &[String]| columns.iter().map(|&at| cells[at].clone()).collect::<Vec<_>>();
        let heads = pick(&HEADS.map(|head| head.trim().to_owned()));
        let mut lines: Vec<Vec<String>> = rows(split).iter().map(|row| pick(row)).collect();
        if let Some(last) = lines.last_mut() {
            "all groups".clone_into(&mut last[0]);
        }
        let mix = |interval| {
            super::document::with_interval(interval, |share| {
                crate::cli::tokens::cells::fixed(100.0 * share, 0)
            })
        };
        lines.push(vec![
            "mix".to_owned(),
            String::new(),
            String::new(),
            String::new(),
            super::document::with_interval(&split.mix, crate::cli::tokens::cells::number),
            mix(&split.mix_share),
        ]);
        paragraph(
            aligned(&heads, &lines, (1, usize::MAX), |_, _, cell| cell.to_owned()).trim_end(),
            "",
        );
        if let Some(note) = super::document::thin(split) {
            paragraph(&note, "");
        }
        if !split.kinds.is_empty() {
            let kinds: Vec<String> = split.kinds.iter().map(token).collect();
            paragraph(&kinds.join(" "), "kinds: ");
        }
    }
    paragraph("", "");
    for line in method(explanation.changes) {
        paragraph(&line, "");
    }
    if !explanation.missing.is_empty() {
        let parts = explanation
            .missing
            .iter()
            .map(|missing| format!("{} ({})", missing.part, missing.reason));
        paragraph(&parts.collect::<Vec<_>>().join("; "), "missing: ");
    }
    text
}

/// A paragraph broken at spaces; further lines are indented by two columns. Lines of a table stay as they are.
fn filled(text: &str, first: &str, width: usize) -> String {
    if text.contains('\n') {
        return text.to_owned();
    }
    let mut lines = vec![first.to_owned()];
    let mut is_start = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let line = lines.last_mut().expect("BUG: there is a line");
        if !is_start && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else {
            if !is_start {
                line.push(' ');
            }
            line.push_str(word);
        }
        is_start = false;
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_filled_and_tables_kept() {
        assert_eq!(filled("one two three", "• ", 10), "• one two\n  three");
        assert_eq!(filled("a  b\nc  d", "", 3), "a  b\nc  d");
        assert_eq!(filled("", "", 9), "");
    }
}
