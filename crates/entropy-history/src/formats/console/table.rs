//! Tables that trainers draw: a name and a number side by side, or fields in a box.
//!
//! ```text
//! | train/          |       |   Stable-Baselines3; the section is part of the name
//! |    entropy_loss | -1.34 |
//! │ a/entropy/avg │ 1.2e-01 │ a/loss/avg │ 3.4e-02 │   AReaL
//! │ Global Step: 3/1000   entropy_loss=0.123        │   RLinf
//! | step | loss | entropy |                             a header; each line below it is a row
//! | 3    | 0.01 | 0.123   |
//! ```

use super::fields::{fields, is_entropy};
use super::label::StepLabel;
use super::line_patterns::Values;
use crate::python_number::python_number;

/// What a line is to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableLine {
    Row,
    /// A line between rows, or the first or the last one.
    Border,
    /// The last line.
    Bottom,
    Other,
}

impl TableLine {
    pub(crate) fn of(text: &str) -> TableLine {
        let text = text.trim();
        let Some(first) = text.chars().next() else { return TableLine::Other };
        if is_bar(first) && text.chars().filter(|c| is_bar(*c)).count() > 1 {
            // Between the bars of a border there are only dashes.
            let is_border = text.chars().all(|c| is_bar(c) || is_line(c) || c == ':');
            return if is_border { TableLine::Border } else { TableLine::Row };
        }
        match first {
            '╰' | '└' | '╘' | '┗' | '╚' => TableLine::Bottom,
            '─'..='╿' => TableLine::Border, // a title may be set into it
            '-' | '+' | '=' if text.len() > 4 && text.chars().all(is_line) => TableLine::Border,
            _ => TableLine::Other,
        }
    }
}

fn is_bar(c: char) -> bool {
    matches!(c, '|' | '│' | '┃' | '║')
}

fn is_line(c: char) -> bool {
    matches!(c, '-' | '+' | '=' | '─'..='╿')
}

/// A table that is being read.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) prefix: String,
    /// The line where it begins, from 1.
    pub(crate) line: usize,
    pub(crate) values: Values,
    pub(crate) label: Option<f64>,
    /// The names of the columns, if each line is a row.
    pub(crate) header: Vec<String>,
    /// The line that was taken last, if it is a row by itself.
    pub(crate) row: Option<Values>,
    section: String,
    /// Whether the line before was a border.
    pub(crate) after_border: bool,
}

impl Table {
    pub(crate) fn new(prefix: &str, line: usize) -> Table {
        Table {
            prefix: prefix.to_owned(),
            line,
            values: Values::new(),
            label: None,
            header: Vec::new(),
            row: None,
            section: String::new(),
            after_border: false,
        }
    }

    /// Adds a row; `false` if it repeats a name, so that it belongs to another table.
    pub(crate) fn take(&mut self, text: &str) -> bool {
        let cells: Vec<&str> = text.trim().trim_matches(is_bar).split(is_bar).collect();
        if self.take_wide(&cells) {
            return true;
        }
        let known = self.values.len();
        let mut name: Option<&str> = None;
        for cell in &cells {
            let content = cell.trim();
            if content.is_empty() {
                continue;
            }
            if let Some(number) = python_number(content) {
                if let Some(name) = name.take() {
                    self.add(name, Some(number));
                }
                continue;
            }
            if let Some(name) = name.filter(|name| is_entropy(name)) {
                self.add(name, None);
            }
            name = None;
            if let Some(label) = StepLabel::find(content) {
                self.label = Some(label.step);
            }
            let inside = fields(content);
            if inside.is_empty() {
                name = Some(cell);
            } else {
                self.values.extend(inside);
            }
        }
        if let Some(section) = name.filter(|name| name.trim_end().ends_with('/')) {
            section.trim().clone_into(&mut self.section);
        }
        let (before, added) = self.values.split_at(known);
        let repeats = added.iter().any(|(key, _)| before.iter().any(|(other, _)| other == key));
        if repeats {
            self.values.truncate(known);
        }
        !repeats
    }

    /// Takes a header, or a row below one.
    fn take_wide(&mut self, cells: &[&str]) -> bool {
        let cells = cells.iter().map(|cell| cell.trim());
        if self.header.len() == cells.len() {
            let values = self.header.iter().zip(cells);
            let values = values.map(|(name, cell)| (name.clone(), python_number(cell)));
            let values: Values = values.collect();
            let is_row = values.first().is_some_and(|(_, value)| value.is_some());
            self.row = Some(values).filter(|_| is_row);
            return is_row;
        }
        let is_name = |cell: &str| !cell.is_empty() && python_number(cell).is_none();
        let is_header = cells.len() > 1 && cells.clone().all(is_name);
        if is_header && cells.clone().any(is_entropy) {
            self.header = cells.map(str::to_owned).collect();
        }
        is_header && !self.header.is_empty()
    }

    fn add(&mut self, name: &str, value: Option<f64>) {
        // Stable-Baselines3 indents the names below a section.
        let is_inside = !self.section.is_empty() && name.starts_with("   ");
        let name = name.trim();
        let name = if is_inside { format!("{}{name}", self.section) } else { name.to_owned() };
        if StepLabel::find(&format!("{name} 1")).is_some_and(|label| label.start == 0) {
            self.label = value.or(self.label);
        }
        self.values.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(lines: &[&str]) -> (String, Option<f64>) {
        let mut table = Table::new("", 1);
        for line in lines {
            assert!(TableLine::of(line) != TableLine::Other, "{line}");
            if TableLine::of(line) == TableLine::Row {
                assert!(table.take(line), "{line}");
            }
        }
        let show = |(key, value): &(String, Option<f64>)| format!("{key}={value:?}");
        (table.values.iter().map(show).collect::<Vec<_>>().join(" "), table.label)
    }

    #[test]
    fn names_are_in_their_sections() {
        let (values, _) = table(&[
            "-----------------------------------------",
            "| rollout/                |             |",
            "|    ep_rew_mean          | 1.53        |",
            "| train/                  |             |",
            "|    entropy_loss         | -1.34       |",
            "-----------------------------------------",
        ]);
        assert_eq!(values, "rollout/ep_rew_mean=Some(1.53) train/entropy_loss=Some(-1.34)");
    }

    #[test]
    fn names_and_numbers_alternate() {
        let (values, _) = table(&[
            "╒═══════════════╤════════════╤═════════╤════════════╕",
            "│ a/entropy/avg │ 1.2000e-01 │ a/n     │ 3.0000e+00 │",
            "├───────────────┼────────────┼─────────┼────────────┤",
            "│ a/loss/avg    │ 2.0000e-01 │         │            │",
            "╘═══════════════╧════════════╧═════════╧════════════╛",
        ]);
        assert_eq!(values, "a/entropy/avg=Some(0.12) a/n=Some(3.0) a/loss/avg=Some(0.2)");
    }

    #[test]
    fn each_line_below_a_header_is_a_row() {
        let mut table = Table::new("", 1);
        assert!(table.take("| step | loss | entropy |") && table.row.is_none());
        assert!(table.take("|    3 | 0.01 | 0.123   |"));
        let row = [("step", 3.0), ("loss", 0.01), ("entropy", 0.123)];
        assert_eq!(table.row, Some(row.map(|(key, value)| (key.to_owned(), Some(value))).to_vec()));
    }

    #[test]
    fn box_may_hold_fields_and_the_step() {
        let (values, step) = table(&[
            "╭────────────── Metric Table ──────────────╮",
            "│ Global Step: 3/1000 │ Elapsed 00:01:02   │",
            "│ actor/entropy_loss=0.123  actor/kl=0.01  │",
            "╰──────────────────────────────────────────╯",
        ]);
        assert!(values.ends_with("actor/entropy_loss=Some(0.123) actor/kl=Some(0.01)"), "{values}");
        assert_eq!(step, Some(3.0));
    }
}
