//! Parses a console log line by line, with the lines that belong together.

use super::broken_lines::{Joint, joint};
use super::complete_rows::CompleteRows;
use super::dict::{self, Brackets};
use super::fields::{fields, holds_entropy};
use super::label::StepLabel;
use super::line_patterns::{ProgressBar, YamlBlock, split_prefix};
use super::open_row::{DictLabel, OpenDict, OpenFields, OpenRow};
use super::rows::{ConsoleRow, Shape};
use super::segments::{LONGEST, Segment};
use super::table::{Table, TableLine};
use super::verl_row;
use crate::formats::log_note::LogNote;
use crate::text::without_ansi;

/// A dictionary of more lines is not a row.
const MOST_LINES: usize = 4096;
/// Other lines between the lines of a dictionary are skipped, up to this many.
const MOST_FOREIGN: usize = 8;

/// What verl prints before its first step (0.4 to 0.9, `RayPPOTrainer._create_dataloader`).
const TOTAL_STEPS: &str = "Total training steps: ";

/// A line without escape sequences.
#[derive(Clone, Copy)]
struct Line<'t> {
    /// The prefix that names its process.
    prefix: &'t str,
    /// The line without the prefix.
    text: &'t str,
    whole: &'t str,
    /// Whether its end was written.
    is_complete: bool,
    /// Whether it is a whole line of the file.
    is_line: bool,
}

/// What a line is to the open row.
enum Resumed {
    /// A part of it.
    Taken,
    /// Its end is before this line.
    Ended,
    /// Of another process: the row is still open.
    Elsewhere(OpenRow),
}

/// The state of parsing a console log.
#[derive(Default)]
pub(crate) struct ConsoleParser {
    rows: CompleteRows,
    open: Option<OpenRow>,
    header: Vec<String>, // of the table before
    has_broken: bool,
    ends_inside: bool,
    total_steps: Option<f64>, // that verl names before its first step
}

impl ConsoleParser {
    /// Takes the next segment of the log.
    pub(crate) fn take(&mut self, segment: &Segment<'_>) {
        if segment.is_wipe() {
            self.rows.progress.wipe();
        } else if self.open.is_some() || segment.is_marked {
            self.look_at(segment);
        }
        self.rows.lines += usize::from(segment.after == Some(b'\n'));
    }

    /// Ends the log.
    pub(crate) fn finish(&mut self) {
        if let Some(open) = self.open.take() {
            match open {
                OpenRow::Fields(row) if self.has_broken && !row.is_joined => {
                    self.ends_inside = true; // its second line is not written yet
                }
                OpenRow::Fields(_) => self.close(open),
                OpenRow::Table(table) if table.after_border => self.close(OpenRow::Table(table)),
                OpenRow::Table(table) => self.ends_inside |= holds_entropy(&table.values),
                OpenRow::Dict(dict) => {
                    self.ends_inside |= dict.label.is_some() || dict.text.starts_with("{'");
                }
                OpenRow::Yaml(_) => self.ends_inside = true,
            }
        }
        self.rows.collector.finish();
    }

    /// The shape of the rows, once it is known.
    pub(crate) fn shape(&self) -> Option<Shape> {
        self.rows.collector.shape
    }

    /// The rows that were found since the last call.
    pub(crate) fn take_rows(&mut self) -> Vec<ConsoleRow> {
        std::mem::take(&mut self.rows.collector.rows)
    }

    /// Lets the first row with an entropy decide which rows are read, for a log that is used before its end.
    pub(crate) fn decide_at_once(&mut self) {
        self.rows.collector.is_eager = true;
    }

    /// Whether the next line may continue a row.
    pub(crate) fn is_inside_row(&self) -> bool {
        self.open.is_some()
    }

    /// Whether rows were numbered because nothing shows their steps.
    pub(crate) fn is_numbered(&self) -> bool {
        self.rows.is_numbered()
    }

    /// Number of texts that look like rows and cannot be read.
    pub(crate) fn unreadable(&self) -> usize {
        self.rows.unreadable
    }

    /// What the user should know about the log, of which `rows` rows were read.
    pub(crate) fn notes(&self, rows: usize, too_long: usize) -> Vec<LogNote> {
        self.rows.notes(rows, self.ends_inside, too_long)
    }

    /// The step at which the training will end: as verl names it, or the length of the bar that the Trainer draws.
    pub(crate) fn total_steps(&self) -> Option<f64> {
        self.total_steps.or(self.rows.progress.length.map(|steps| steps as f64))
    }

    fn look_at(&mut self, segment: &Segment<'_>) {
        let mut text = segment.text;
        let mut has_bar = false;
        while let Some((before, bar, behind)) = ProgressBar::split(text) {
            has_bar = true;
            if !before.is_empty() {
                self.read_line(before, true, false);
            }
            self.rows.take_bar(bar, &text[..text.len() - behind.len()]);
            text = behind;
        }
        if has_bar && text.trim_ascii().is_empty() {
            return;
        }
        self.read_line(text, segment.after.is_some(), segment.is_line());
    }

    fn read_line(&mut self, text: &[u8], is_complete: bool, is_line: bool) {
        let text = String::from_utf8_lossy(text);
        let whole = without_ansi(&text);
        let (prefix, text) = split_prefix(&whole);
        let line = Line { prefix, text, whole: &whole, is_complete, is_line };
        if let Some(steps) = text.strip_prefix(TOTAL_STEPS).filter(|_| is_complete) {
            self.total_steps = steps.trim().parse().ok();
        }
        let kept = match self.open.take().map(|open| self.resume(open, &line)) {
            Some(Resumed::Taken) => return,
            Some(Resumed::Elsewhere(open)) => Some(open),
            Some(Resumed::Ended) | None => None,
        };
        self.start(&line);
        let Some(kept) = kept else { return };
        let new = self.open.take();
        if new.is_some() {
            self.close(kept);
            self.open = new;
        } else {
            self.open = Some(kept);
        }
    }

    /// Continues the open row with a line, or closes it.
    fn resume(&mut self, open: OpenRow, line: &Line<'_>) -> Resumed {
        match open {
            OpenRow::Yaml(mut block) => {
                if !line.is_line || block.prefix != line.prefix {
                    return Resumed::Elsewhere(OpenRow::Yaml(block));
                }
                if block.take(line.text) {
                    self.open = Some(OpenRow::Yaml(block));
                    return Resumed::Taken;
                }
                self.close(OpenRow::Yaml(block));
                Resumed::Ended
            }
            OpenRow::Dict(dict) => self.resume_dict(dict, line),
            OpenRow::Fields(row) => self.resume_fields(row, line),
            OpenRow::Table(table) => self.resume_table(table, line),
        }
    }

    fn resume_dict(&mut self, mut dict: OpenDict, line: &Line<'_>) -> Resumed {
        let piece = match line.prefix {
            prefix if prefix == dict.prefix => line.text,
            _ => line.whole, // a broken line has no prefix
        };
        let is_other = line.prefix != dict.prefix && !line.prefix.is_empty();
        if is_other || !dict.is_continued_by(piece) {
            dict.foreign += usize::from(!is_other);
            if dict.foreign > MOST_FOREIGN || dict.is_restarted_by(piece) {
                self.close(OpenRow::Dict(dict));
                return Resumed::Ended;
            }
            return Resumed::Elsewhere(OpenRow::Dict(dict));
        }
        let Some(end) = dict.brackets.close(piece) else {
            dict.text.push_str(piece);
            dict.lines += 1;
            let is_row = dict.lines <= MOST_LINES && dict.text.len() <= LONGEST;
            if is_row && line.is_complete {
                self.open = Some(OpenRow::Dict(dict));
            } else {
                self.ends_inside |= is_row;
            }
            return Resumed::Taken;
        };
        dict.text.push_str(&piece[..end]);
        self.rows.take_dict(&dict.text, dict.label, true);
        let rest = Line { text: &piece[end..], whole: &piece[end..], is_line: false, ..*line };
        if !rest.text.trim().is_empty() {
            self.start(&rest);
        }
        Resumed::Taken
    }

    fn resume_fields(&mut self, mut row: OpenFields, line: &Line<'_>) -> Resumed {
        let piece = match line.prefix {
            "" => line.whole,
            prefix if prefix == row.prefix => line.text,
            _ => return Resumed::Elsewhere(OpenRow::Fields(row)),
        };
        match joint(&row.text, piece, row.is_verl) {
            Joint::With(between) => {
                self.has_broken = true;
                row.is_joined = true;
                row.text.push_str(between);
                row.text.push_str(piece);
                if line.is_complete {
                    self.open = Some(OpenRow::Fields(row));
                } else {
                    self.ends_inside = true;
                }
                return Resumed::Taken;
            }
            Joint::Unclear => row.text.push(char::REPLACEMENT_CHARACTER), // no number any more
            Joint::None => {}
        }
        self.close(OpenRow::Fields(row));
        Resumed::Ended
    }

    fn resume_table(&mut self, mut table: Table, line: &Line<'_>) -> Resumed {
        if line.prefix != table.prefix {
            return Resumed::Elsewhere(OpenRow::Table(table));
        }
        match TableLine::of(line.text) {
            TableLine::Row if line.is_complete && table.take(line.text) => {
                if let Some(values) = table.row.take() {
                    self.rows.take_table_row(values, None);
                }
                table.after_border = false;
                self.open = Some(OpenRow::Table(table));
                return Resumed::Taken;
            }
            TableLine::Border if !table.after_border && line.is_complete => {
                table.after_border = true;
                self.open = Some(OpenRow::Table(table));
                return Resumed::Taken;
            }
            // The last line may still be written.
            _ if !line.is_complete && !table.after_border => self.ends_inside = true,
            _ => self.close(OpenRow::Table(table)),
        }
        Resumed::Ended
    }

    /// Finds the rows that begin in a line.
    fn start(&mut self, line: &Line<'_>) {
        let text = line.text;
        if let Some(at) = verl_row::find(text, 0) {
            let row = &text[at..];
            if line.is_complete {
                self.open_fields(line.prefix, row, true);
            } else {
                self.ends_inside = true; // its last value may be incomplete
                let complete = row.rfind("step:").unwrap_or(0);
                self.rows.take_verl(&row[..complete]);
            }
            return;
        }
        if self.start_dicts(line) {
            return;
        }
        match TableLine::of(text) {
            TableLine::Row if line.is_complete => {
                let mut table = Table::new(line.prefix, self.rows.line());
                table.header.append(&mut self.header); // of a table that other lines interrupt
                table.take(text);
                if let Some(values) = table.row.take() {
                    self.rows.take_table_row(values, None);
                }
                self.open = Some(OpenRow::Table(table));
                return;
            }
            TableLine::Other => {}
            _ => return,
        }
        let has_entropy = text.contains("ntropy") || text.contains("NTROPY");
        if has_entropy && is_row_of_fields(text) {
            match line.is_complete {
                true => self.open_fields(line.prefix, text, false),
                false => self.ends_inside = true,
            }
            return;
        }
        if text.contains("tep") && line.is_complete {
            self.rows.keep_label(line.prefix, text);
        }
        if line.is_line
            && let Some(block) = YamlBlock::begin(line.prefix, text)
        {
            self.open = Some(OpenRow::Yaml(block));
        }
    }

    fn open_fields(&mut self, prefix: &str, text: &str, is_verl: bool) {
        let (prefix, text) = (prefix.to_owned(), text.to_owned());
        self.open = Some(OpenRow::Fields(OpenFields { prefix, text, is_verl, is_joined: false }));
    }

    /// Reads the dictionaries of a line; `true` if one of them is a row, or may become one.
    fn start_dicts(&mut self, line: &Line<'_>) -> bool {
        let text = line.text;
        let (mut from, mut has_row) = (0, false);
        while let Some(at) = dict::find(text, from) {
            let before = &text[from..at];
            let is_first = before.trim().is_empty();
            let label = match StepLabel::find(before) {
                None if is_first => self.rows.label_above(line.prefix),
                label => label.map(|label| DictLabel { is_adjacent: label.ends(before), label }),
            };
            let mut brackets = Brackets::default();
            let Some(end) = brackets.close(&text[at..]) else {
                let row = &text[at..];
                if !is_first && label.is_none() && !row.contains("ntropy") {
                    return has_row;
                }
                if line.is_complete {
                    let (prefix, text) = (line.prefix.to_owned(), row.to_owned());
                    let dict = OpenDict { prefix, text, brackets, label, lines: 1, foreign: 0 };
                    self.open = Some(OpenRow::Dict(dict));
                } else {
                    self.ends_inside |= is_first || label.is_some();
                }
                return true;
            };
            has_row |= self.rows.take_dict(&text[at..at + end], label, is_first);
            from = at + end;
        }
        has_row
    }

    /// Closes a row that no line continues.
    fn close(&mut self, open: OpenRow) {
        match open {
            OpenRow::Yaml(block) => {
                if let Some((step, values)) = block.end() {
                    self.rows.take_yaml(step, values);
                }
            }
            OpenRow::Dict(dict) => self.rows.count_cut(&dict.text),
            OpenRow::Fields(row) if row.is_verl => self.rows.take_verl(&row.text),
            OpenRow::Fields(row) => self.rows.take_fields(&row.text),
            OpenRow::Table(mut table) => {
                self.header = std::mem::take(&mut table.header);
                self.rows.take_table(table);
            }
        }
    }
}

/// Whether a line with the word «entropy» is a row: it names a step, or has several fields.
fn is_row_of_fields(text: &str) -> bool {
    let values = fields(text);
    let is_named = StepLabel::find(text).is_some();
    holds_entropy(&values) && (is_named || values.len() > 1 && text.contains(['=', ':']))
}
