//! The rows of a console log that arrives line by line, each as soon as it is complete.

use super::parser::ConsoleParser;
use super::rows::ConsoleRow;
use super::segments::Segment;
use crate::entropy_name::is_entropy_like;
use crate::formats::format::Format;
use crate::history::Point;
use crate::quantity::{Sign, identify};
use crate::select::SeriesSelector;

/// What a line completes.
#[derive(Debug, Default)]
pub(crate) struct LiveRows {
    /// The rows with an entropy.
    pub(crate) rows: Vec<LiveRow>,
    /// What is wrong with a row.
    pub(crate) problem: Option<String>,
    /// Whether the line is not a part of a row.
    pub(crate) is_foreign: bool,
}

/// A row with an entropy.
#[derive(Debug)]
pub(crate) struct LiveRow {
    /// The number of the training, from 0.
    pub(crate) training: usize,
    /// The key of the entropy.
    pub(crate) key: String,
    pub(crate) point: Point,
}

/// A console log of which one line after the other is taken.
pub(crate) struct LiveConsole {
    parser: ConsoleParser,
    unreadable: usize, // that were reported
}

impl LiveConsole {
    pub(crate) fn new() -> LiveConsole {
        let mut parser = ConsoleParser::default();
        parser.decide_at_once();
        LiveConsole { parser, unreadable: 0 }
    }

    /// Whether rows were numbered because nothing shows their steps.
    pub(crate) fn is_numbered(&self) -> bool {
        self.parser.is_numbered()
    }

    /// Takes a line without its line feed; `is_complete` says whether there was one.
    pub(crate) fn take(
        &mut self,
        line: &[u8],
        is_complete: bool,
        selector: &SeriesSelector,
    ) -> LiveRows {
        let was_inside = self.parser.is_inside_row();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut before = b'\n';
        let mut pieces = line.split(|byte| *byte == b'\r').peekable();
        while let Some(text) = pieces.next() {
            let end = if is_complete { Some(b'\n') } else { None };
            let after = if pieces.peek().is_some() { Some(b'\r') } else { end };
            self.parser.take(&Segment { text, before, after, is_marked: true });
            before = b'\r';
        }
        let mut found = self.found(selector);
        let is_part = was_inside || self.parser.is_inside_row() || !found.rows.is_empty();
        found.is_foreign = !is_part && found.problem.is_none();
        found
    }

    /// Ends the log.
    pub(crate) fn finish(&mut self, selector: &SeriesSelector) -> LiveRows {
        self.parser.finish();
        self.found(selector)
    }

    fn found(&mut self, selector: &SeriesSelector) -> LiveRows {
        let mut found = LiveRows::default();
        if self.parser.unreadable() > self.unreadable {
            self.unreadable = self.parser.unreadable();
            found.problem = Some("it looks like a row, but is cut or cannot be read".to_owned());
        }
        let Some(format) = self.parser.shape().map(super::Shape::format) else { return found };
        for row in self.parser.take_rows() {
            match point(&row, format, selector) {
                Ok(Some((key, point))) => {
                    found.rows.push(LiveRow { training: row.training, key, point });
                }
                Ok(None) => {}
                Err(problem) => found.problem = Some(problem),
            }
        }
        found
    }
}

/// The key of the entropy of a row and its point; `None` if it has no entropy.
fn point(
    row: &ConsoleRow,
    format: &Format,
    selector: &SeriesSelector,
) -> Result<Option<(String, Point)>, String> {
    let ranked = row
        .values
        .iter()
        .filter_map(|(key, value)| Some((selector.rank(format.metrics, key)?, key, value)));
    let mut ranked: Vec<_> = ranked.collect();
    ranked.sort_by_key(|(rank, ..)| *rank);
    let chosen = match &ranked[..] {
        [(rank, key, _), (other, second, _), ..] if rank == other => {
            return Err(format!("several of its keys match: {key}, {second}"));
        }
        [(_, key, value), ..] => Some((*key, *value)),
        // A trainer that is not known.
        [] if selector.uses_default_keys() => {
            let mut own = row.values.iter().filter(|(key, _)| is_entropy_like(key));
            own.next().filter(|_| own.next().is_none()).map(|(key, value)| (key, value))
        }
        [] => None,
    };
    let Some((key, value)) = chosen else { return Ok(None) };
    let Some(value) = value else { return Err(format!("its {key:?} is not a number")) };
    let sign = identify(format.kinds, key, [*value].into_iter()).1;
    let entropy = if sign == Sign::Flipped { -value } else { *value };
    Ok(Some((key.clone(), Point { step: row.step, entropy })))
}
