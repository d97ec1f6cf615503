//! Joins the files of one run: the rows of a later file follow those of an earlier one. If both log a
//! step, the later file counts.

use super::error::LoadError;
use crate::discover::Input;
use crate::formats::{Format, LogNote, LogSeries, RawAux};
use crate::history::Point;
use crate::text::plural;

/// Number of points that are compared to recognise a copy.
const MOST_COMPARED: usize = 64;

/// The selected series of one file of a log.
pub(super) struct FileSeries {
    pub(super) format: &'static Format,
    pub(super) series: Vec<LogSeries>,
    /// First step that this file overrides: points of earlier files at or after it are discarded.
    pub(super) purge_from_step: Option<f64>,
    /// All keys of the log, if a reward is requested.
    pub(super) keys: Vec<String>,
    pub(super) notes: Vec<LogNote>,
    /// The file, as the user would write it.
    pub(super) file: String,
}

/// A series of all files of a log, and what is unusual about it and its files.
pub(super) struct JoinedSeries {
    pub(super) format: &'static Format,
    pub(super) series: LogSeries,
    pub(super) keys: Vec<String>,
    pub(super) notes: Vec<LogNote>,
}

/// Joins the series of the files of a log that have the same run and key. Where each file has a single
/// series, these are joined whatever their keys.
///
/// # Errors
/// When two files hold different kinds of entropy.
pub(super) fn join(input: &Input, files: Vec<FileSeries>) -> Result<Vec<JoinedSeries>, LoadError> {
    let several_files = files.len() > 1;
    let one_each = files.iter().all(|file| file.series.len() == 1);
    let mut joined: Vec<JoinedSeries> = Vec::new();
    for mut file in files {
        for mut series in std::mem::take(&mut file.series) {
            let own = std::mem::take(&mut series.notes);
            let mut notes = std::mem::take(&mut file.notes); // notes about the file go to its first series
            notes.extend(own);
            let is_same = |other: &&mut JoinedSeries| {
                let other = &other.series;
                one_each || (&other.run, &other.metric) == (&series.run, &series.metric)
            };
            let earlier = joined.iter_mut().rfind(is_same).filter(|_| several_files);
            match earlier {
                Some(earlier)
                    if input.directory.is_some()
                        && file.purge_from_step.is_none()
                        && starts_again(earlier, &series) =>
                {
                    let attempts = joined.len() + 1;
                    series.run = Some(format!("attempt {attempts}"));
                    notes.push(LogNote::Odd(format!(
                        "{} counts its steps from the start again: it is taken as another run",
                        file.file
                    )));
                    let (format, keys) = (file.format, file.keys.clone());
                    joined.push(JoinedSeries { format, series, keys, notes });
                }
                Some(earlier) => append(earlier, series, notes, &file, input)?,
                None => {
                    let (format, keys) = (file.format, file.keys.clone());
                    joined.push(JoinedSeries { format, series, keys, notes });
                }
            }
        }
    }
    Ok(joined)
}

/// Whether a later event file of a directory begins at or before the first step of an earlier one, with other
/// values: another training, that was logged to the same directory.
fn starts_again(earlier: &JoinedSeries, series: &LogSeries) -> bool {
    let (earlier, later) = (&earlier.series.points, &series.points);
    let (Some(first), Some(again)) = (earlier.first(), later.first()) else { return false };
    let is_copy = |p: &Point| {
        earlier
            .iter()
            .all(|e| e.step != p.step || (e.entropy - p.entropy).abs() <= 1e-6 * p.entropy.abs())
    };
    let is_long = earlier.len() > 1 && later.len() > 1;
    is_long && again.step <= first.step && !later.iter().take(MOST_COMPARED).all(is_copy)
}

/// Appends a series of a later file.
fn append(
    earlier: &mut JoinedSeries,
    mut series: LogSeries,
    notes: Vec<LogNote>,
    file: &FileSeries,
    input: &Input,
) -> Result<(), LoadError> {
    let name = &file.file;
    let (kind, _) = earlier.series.quantity(earlier.format);
    let (other, _) = series.quantity(file.format);
    if kind != other {
        return Err(LoadError::MixedSegments {
            log: input.name(),
            kind: kind.words(),
            segment: name.clone(),
            other: other.words(),
        });
    }
    let first_step = |points: &[Point]| points.first().map(|point| point.step);
    if first_step(&series.points) < first_step(&earlier.series.points) {
        earlier.notes.push(LogNote::Odd(format!(
            "{name} starts before the segment that it follows; where both log a step, {name} counts"
        )));
    }
    if let Some(step) = file.purge_from_step {
        let rows = earlier.series.points.len();
        earlier.series.points.retain(|point| point.step < step);
        let purged = plural(rows - earlier.series.points.len(), "row", "rows");
        earlier.notes.push(LogNote::Remark(format!(
            "{purged} from step {step} on discarded: the run was resumed there"
        )));
    }
    // A file that is continued by another one may end inside a row, where its job was killed.
    earlier.notes.retain(|note| !matches!(note, LogNote::Cut { .. }));
    earlier.series.points.append(&mut series.points);
    append_aux(&mut earlier.series.quantities, series.quantities, file.purge_from_step);
    let mut is_restarted = false;
    for clock in &mut series.clocks {
        is_restarted |= offset_restarted_clock(clock, &earlier.series.clocks);
    }
    if is_restarted {
        earlier.notes.push(LogNote::Remark(format!(
            "the clock of {name} restarts; it is continued from the end of the previous segment"
        )));
    }
    append_aux(&mut earlier.series.clocks, series.clocks, file.purge_from_step);
    earlier.series.total_steps = series.total_steps.or(earlier.series.total_steps);
    earlier.keys.extend(file.keys.iter().cloned());
    earlier.keys.sort_unstable();
    earlier.keys.dedup();
    earlier.notes.extend(notes);
    earlier.notes.push(LogNote::Remark(format!("continued in {name}")));
    Ok(())
}

/// Appends auxiliary series of a later file; earlier rows at or after the purged step are discarded.
fn append_aux(earlier: &mut Vec<RawAux>, later: Vec<RawAux>, purge_from_step: Option<f64>) {
    if let Some(step) = purge_from_step {
        earlier.iter_mut().for_each(|aux| aux.rows.retain(|row| row.0 < step));
    }
    for aux in later {
        match earlier.iter_mut().find(|e| e.metric == aux.metric) {
            Some(same) => same.rows.extend(aux.rows),
            None => earlier.push(aux),
        }
    }
}

/// A clock that counts from the start of its process restarts in each file: continues it where the
/// earlier file ended. Returns whether it had restarted.
fn offset_restarted_clock(clock: &mut RawAux, earlier: &[RawAux]) -> bool {
    let Some(before) = earlier.iter().find(|e| e.metric == clock.metric) else { return false };
    let (Some(&(_, last)), Some(&(_, first))) = (before.rows.last(), clock.rows.first()) else {
        return false;
    };
    if first < last {
        clock.rows.iter_mut().for_each(|row| row.1 += last);
    }
    first < last
}
