//! A history that is recorded during training, so that a run that crashes has one too.
//!
//! R-Zero writes `entropy_history_<run>.json` once, when training ends successfully. A [`Recording`]
//! holds the same rows, adds each step as it arrives, and can return the whole file at any time.

use thiserror::Error;

use crate::formats::rzero;
use crate::formats::{
    self, KeyRank, LiveConsole, LiveRow, LogNote, ReadError, SeriesSelector, Source,
};
use crate::history::Point;

/// Why a line has no step.
#[derive(Debug, Error)]
pub enum LineError {
    /// It is not UTF-8.
    #[error("it is not UTF-8 text")]
    NoText,
    /// Several of its keys are selected, but a history has one value per step.
    #[error("several of its keys match: {0}")]
    Several(String),
    /// It is neither JSON nor two numbers.
    #[error("{0:?} is neither a JSON object nor a step and a value")]
    Shape(String),
    /// It is JSON, but not a row with a step and the metric.
    #[error(transparent)]
    Row(#[from] ReadError),
}

/// The content of a line.
#[derive(Debug, Default)]
pub struct ParsedLine {
    /// The points of its rows.
    pub rows: Vec<Point>,
    /// The key of their values, if they have one.
    pub key: Option<String>,
    /// The message about an incomplete row, if there is one.
    pub cut: Option<String>,
}

/// The points of a run, with strictly increasing steps; values may be NaN.
#[derive(Debug, Default)]
pub struct Recording {
    rows: Vec<Point>,
    /// The rows of an earlier recording.
    resumed: Vec<Point>,
}

impl Recording {
    /// Continues an earlier recording, whose rows are in log order.
    pub fn resume(rows: Vec<Point>) -> Recording {
        let mut recording = Recording::default();
        rows.into_iter().for_each(|row| recording.take(row));
        recording.resumed.clone_from(&recording.rows);
        recording
    }

    /// Forgets the rows that were taken since the recording was begun or resumed.
    pub fn start_over(&mut self) {
        self.rows.clone_from(&self.resumed);
    }

    /// Adds a step, replacing an earlier value of it: a resumed run logs its steps again.
    pub fn take(&mut self, row: Point) {
        let at = self.rows.partition_point(|known| known.step < row.step);
        match self.rows.get_mut(at) {
            Some(known) if known.step == row.step => *known = row,
            _ => self.rows.insert(at, row),
        }
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.rows.len()
    }

    /// The last step; `None` if there is none.
    pub fn last_step(&self) -> Option<f64> {
        self.rows.last().map(|row| row.step)
    }

    /// The file, in R-Zero's format.
    pub fn to_json(&self) -> Vec<u8> {
        rzero::history_file(&self.rows)
    }
}

/// What was found in a line of input.
#[derive(Debug, Default)]
pub struct TakenLine {
    /// The points of the rows that are complete with this line.
    pub rows: Vec<Point>,
    /// The message about a row that cannot be read, if there is one.
    pub problem: Option<String>,
    /// Whether the line is the output of another program and not a row.
    pub is_foreign: bool,
    /// Number of its rows that have another entropy than the one that is recorded.
    pub other_keys: usize,
    /// The keys before and now, if the entropy of these rows is better known: the rows before are those of another series.
    pub better_key: Option<(String, String)>,
}

/// Reads the steps of a run from lines of any kind: two numbers, JSON, or the console output of a trainer.
pub struct LineReader<'s> {
    selector: &'s SeriesSelector,
    console: LiveConsole,
    training: usize,
    /// Added to the numbers of rows without a step.
    base: f64,
    numbered: usize,                // JSON rows
    key: Option<(KeyRank, String)>, // of the recorded values
}

/// What a key is to the one that is recorded.
enum Compared {
    Same,
    Worse,
    Better(String),
}

impl<'s> LineReader<'s> {
    /// A reader of the selected series. Rows without a step are numbered after `last_step`.
    pub fn new(selector: &'s SeriesSelector, last_step: Option<f64>) -> LineReader<'s> {
        let base = last_step.unwrap_or(0.0);
        let console = LiveConsole::new();
        LineReader { selector, console, training: 0, base, numbered: 0, key: None }
    }

    /// Compares the key of a value with the recorded one, which it replaces if it is better known: of a whole log, that one is read.
    /// A value that is not finite does not bring its key.
    fn compare(&mut self, key: &str, value: f64) -> Compared {
        let rank = self.selector.rank(&[], key).unwrap_or(KeyRank::GUESS);
        match &self.key {
            Some((_, known)) if known == key => Compared::Same,
            Some((known, _)) if rank >= *known || !value.is_finite() => Compared::Worse,
            _ => match self.key.replace((rank, key.to_owned())) {
                None => Compared::Same,
                Some((_, before)) => Compared::Better(before),
            },
        }
    }

    /// The points whose key is that of the recorded series, with the rest of the line.
    fn of_recorded_key(&mut self, rows: Vec<(Option<String>, Point)>) -> TakenLine {
        let mut taken = TakenLine::default();
        for (key, point) in rows {
            match key.as_deref().map_or(Compared::Same, |key| self.compare(key, point.entropy)) {
                Compared::Same => taken.rows.push(point),
                Compared::Worse => taken.other_keys += 1,
                Compared::Better(before) => {
                    taken.rows = vec![point];
                    taken.better_key = Some((before, key.unwrap_or_default()));
                }
            }
        }
        taken
    }

    /// Takes a line without its line feed; `is_complete` says whether there was one. `last_step` is the last
    /// step of the recording.
    pub fn take(&mut self, line: &[u8], is_complete: bool, last_step: Option<f64>) -> TakenLine {
        if line.trim_ascii().is_empty() {
            self.console.take(line, is_complete, self.selector); // it ends a row of several lines
            return TakenLine::default();
        }
        let inside = line.trim_ascii_start().strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
        let is_json = inside.is_some_and(|inside| inside.starts_with(b"\""));
        let parsed = match parse_line(line, self.selector) {
            // Python dictionaries are read by the console reader.
            _ if inside.is_some() && !is_json => Err(LineError::NoText),
            Err(LineError::Row(ReadError::NoStep { .. })) => self.numbered_row(line, last_step),
            parsed => parsed,
        };
        let error = match parsed {
            Ok(line) => {
                let problem = line.cut.map(|why| format!("is recorded only partly: {why}"));
                let rows = line.rows.into_iter().map(|point| (line.key.clone(), point));
                let taken = self.of_recorded_key(rows.collect());
                return TakenLine { problem, ..taken };
            }
            Err(error) => error,
        };
        let found = self.console.take(line, is_complete, self.selector);
        let rows = self.points(found.rows, last_step);
        let has_rows = !rows.is_empty();
        let problem = found.problem.or_else(|| {
            let is_row = match &error {
                LineError::Row(ReadError::NoMetric { .. }) => false, // a row of something else
                LineError::Row(_) => is_json,
                LineError::Several(_) => true,
                LineError::NoText | LineError::Shape(_) => false,
            };
            (is_row && !has_rows).then(|| error.to_string())
        });
        let is_foreign = found.is_foreign && problem.is_none();
        let problem = problem.map(|why| format!("is not recorded: {why}"));
        TakenLine { problem, is_foreign, ..self.of_recorded_key(rows) }
    }

    /// Ends the input. `last_step` is the last step of the recording.
    pub fn finish(&mut self, last_step: Option<f64>) -> TakenLine {
        let found = self.console.finish(self.selector);
        let rows = self.points(found.rows, last_step);
        let problem = found.problem.map(|why| format!("is not recorded: {why}"));
        TakenLine { problem, ..self.of_recorded_key(rows) }
    }

    /// Reads a JSON object that has no step: it is the next one after all rows so far.
    fn numbered_row(
        &mut self,
        line: &[u8],
        last_step: Option<f64>,
    ) -> Result<ParsedLine, LineError> {
        let text = std::str::from_utf8(line).map_err(|_| LineError::NoText)?.trim();
        let numbered = self.base + self.numbered as f64;
        let step = last_step.map_or(numbered, |last| last.floor().max(numbered)) + 1.0;
        let line = format!("{{\"step\": {step}, {}", &text[1..]);
        let parsed = parse_line(line.as_bytes(), self.selector)?;
        if !parsed.rows.is_empty() {
            (self.base, self.numbered) = (step, 0);
        }
        Ok(parsed)
    }

    /// The points of rows. Rows without steps continue the numbering, so that a second training does not replace the
    /// first.
    fn points(
        &mut self,
        rows: Vec<LiveRow>,
        last_step: Option<f64>,
    ) -> Vec<(Option<String>, Point)> {
        let mut points: Vec<(Option<String>, Point)> = Vec::new();
        for LiveRow { training, key, mut point } in rows {
            if self.console.is_numbered() {
                if training != self.training {
                    let last = points.last().map(|(_, point)| point.step).or(last_step);
                    self.base = last.unwrap_or(self.base);
                }
                point.step += self.base;
            }
            self.training = training;
            points.push((Some(key), point));
        }
        points
    }
}

/// Parses a line of input: `12 0.53`, or JSON objects with a step and the metric, in any layout that
/// trainers write. A blank line has no rows. A line that two writers share has several, the last of
/// which may be incomplete.
///
/// # Errors
/// When the line is neither, or several of its keys are selected.
pub fn parse_line(line: &[u8], selector: &SeriesSelector) -> Result<ParsedLine, LineError> {
    let line = std::str::from_utf8(line).map_err(|_| LineError::NoText)?.trim();
    if line.is_empty() {
        return Ok(ParsedLine::default());
    }
    if line.starts_with('{') {
        let source = Source { reader: &mut line.as_bytes(), path: None };
        let (format, log) = formats::read(source, None, selector)?;
        let cut = log.notes.iter().find(|note| matches!(note, LogNote::Cut { .. }));
        let cut = cut.map(ToString::to_string);
        let (series, _) = log.choose(selector, format)?;
        if let [_, _, ..] = &series[..] {
            let keys: Vec<String> = series.into_iter().map(|series| series.metric).collect();
            return Err(LineError::Several(keys.join(", ")));
        }
        let series = series.into_iter().next();
        let (key, rows) = series.map(|series| (series.metric, series.points)).unzip();
        return Ok(ParsedLine { rows: rows.unwrap_or_default(), key, cut });
    }
    let words: Vec<&str> = line.split([' ', '\t', ',']).filter(|word| !word.is_empty()).collect();
    let numbers: Option<Vec<f64>> = words.iter().map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some([step, entropy]) if step.is_finite() => {
            let rows = vec![Point { step: *step, entropy: *entropy }];
            Ok(ParsedLine { rows, ..ParsedLine::default() })
        }
        _ => Err(LineError::Shape(line.chars().take(40).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(line: &str) -> Option<(f64, f64)> {
        let rows = parse_line(line.as_bytes(), &SeriesSelector::default_keys()).unwrap().rows;
        assert!(rows.len() <= 1, "{rows:?}");
        rows.first().map(|p| (p.step, p.entropy))
    }

    #[test]
    fn line_is_two_numbers_or_a_json_row() {
        assert_eq!(point("12 0.53"), Some((12.0, 0.53)));
        assert_eq!(point(" 12,\t0.53 \r\n"), Some((12.0, 0.53)));
        assert_eq!(point(r#"{"step": 3, "entropy": 1.5, "loss": 2}"#), Some((3.0, 1.5)));
        assert_eq!(point(r#"{"step":3,"data":{"actor/entropy":1.5}}"#), Some((3.0, 1.5)));
        assert_eq!(point(r#"{"step":3,"actor":{"entropy_loss":1.5}}"#), Some((3.0, 1.5)));
        assert!(point(r#"{"step": 3, "entropy": NaN}"#).unwrap().1.is_nan());
        assert_eq!(point("  "), None);
    }

    #[test]
    fn two_rows_on_one_line_are_both_taken() {
        let line = br#"{"step":17,"entropy":2}{"step":18,"entropy":3}"#;
        let rows = parse_line(line, &SeriesSelector::default_keys()).unwrap().rows;
        assert_eq!(rows, [17.0, 18.0].map(|step| Point { step, entropy: step - 15.0 }));
        let line = parse_line(
            br#"{"step":17,"entropy":2}{"step":18,"ent"#,
            &SeriesSelector::default_keys(),
        )
        .unwrap();
        assert_eq!((line.rows.len(), line.cut.is_some()), (1, true), "{line:?}");
    }

    #[test]
    fn rejects_line_with_several_selected_keys() {
        let selector = SeriesSelector::metrics(&["actor/*".to_owned()]).unwrap();
        let line = br#"{"step":1,"actor/entropy":2,"actor/entropy_b":3}"#;
        let error = parse_line(line, &selector).unwrap_err().to_string();
        assert_eq!(error, "several of its keys match: actor/entropy, actor/entropy_b");
    }

    #[test]
    fn rejects_lines_that_are_not_steps() {
        for line in [
            "hello",
            "1",
            "1 2 3",
            "inf 2",
            "{\"step\": 1}",
            "{\"entropy\": 1}",
            "{\"step\": 1, \"entropy\"",
        ] {
            assert!(
                parse_line(line.as_bytes(), &SeriesSelector::default_keys()).is_err(),
                "{line}"
            );
        }
        assert!(parse_line(b"\xff 1", &SeriesSelector::default_keys()).is_err());
    }

    #[test]
    fn resumed_run_replaces_repeated_steps() {
        let row = |step, entropy| Point { step, entropy };
        let mut recording = Recording::resume(vec![row(1.0, 3.0), row(2.0, 2.0), row(3.0, 1.0)]);
        recording.take(row(2.0, 2.5));
        recording.take(row(4.0, f64::NAN));
        assert_eq!((recording.steps(), recording.last_step()), (4, Some(4.0)));
        // json.dumps of the same rows in Python 3.11, with None for NaN, indent=2, without white space.
        let text: String = String::from_utf8(recording.to_json()).unwrap();
        let packed: String = text.split_whitespace().collect();
        assert_eq!(
            packed,
            r#"[{"step":1,"entropy":3.0},{"step":2,"entropy":2.5},{"step":3,"entropy":1.0},{"step":4,"entropy":null}]"#
        );
    }
}
