//! Files with a value in each line, of which a run has one for each metric.

use std::io::{self, BufRead, Read};
use std::path::Path;

use super::log_note::LogNote;
use super::series_builder::SeriesBuilder;
use crate::text::plural;

/// A longer line is not a value.
const LONGEST_LINE: u64 = 1 << 14;

/// Reads such files, and collects what is unusual about them.
#[derive(Default)]
pub(crate) struct ValueLines {
    cut: Option<(usize, String)>, // the lines before it, and the file
    malformed: usize,
}

impl ValueLines {
    /// Passes each complete line to `add` with its number from 1; it returns whether the line is valid.
    pub(crate) fn read(
        &mut self,
        source: &mut dyn BufRead,
        path: &Path,
        mut add: impl FnMut(usize, &[u8]) -> bool,
    ) -> io::Result<()> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if source.take(LONGEST_LINE).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            if line.last() == Some(&b'\n') {
                self.malformed += usize::from(!add(number, &line));
            } else if line.len() as u64 == LONGEST_LINE {
                self.malformed += 1;
                break;
            } else {
                // The last number may be incomplete.
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.cut.get_or_insert((number - 1, format!("{name}, line {number}")));
            }
        }
        Ok(())
    }

    /// Adds the notes about the files.
    pub(crate) fn add_notes(self, builder: &mut SeriesBuilder<'_>) {
        if self.malformed > 0 {
            let lines = plural(self.malformed, "line is", "lines are");
            let what = format!("{lines} not a value with its step, and skipped");
            builder.note(LogNote::Odd(what));
        }
        if let Some((read, place)) = self.cut {
            builder.note(LogNote::Cut { unit: "line", read, place });
        }
    }
}
