//! Turns the collected rows into a [`Log`] at the end of a file.

use super::{MissingMetric, SeriesBuilder, SeriesColumn};
use crate::formats::error::{ReadError, quoted};
use crate::formats::log::{Log, LogSeries, RawAux};
use crate::formats::log_note::LogNote;
use crate::formats::timestamps::normalize_unix_time;
use crate::framing::json::ScanError;
use crate::history::Point;
use crate::select::AuxKind;

impl SeriesBuilder<'_> {
    /// Ends the log. `outcome` says how reading ended; a truncated file keeps its complete rows.
    pub(crate) fn finish(mut self, outcome: Result<(), ReadError>) -> Result<Log, ReadError> {
        let is_nested = |column: &&mut SeriesColumn| {
            column.has_nested && column.points.iter().all(|point| !point.entropy.is_finite())
        };
        for column in self.columns.iter_mut().filter(is_nested) {
            column.points.clear();
            column.extent.rows = 0;
            self.runs[column.run].keys.remove(&column.key);
        }
        match outcome {
            Err(ReadError::Scan(ScanError::Cut(place))) if self.rows > 0 => {
                self.notes.push(LogNote::Cut {
                    unit: "row",
                    read: self.rows,
                    place: place.to_string(),
                });
            }
            Err(ReadError::Scan(ScanError::Cut(place))) => {
                return Err(ReadError::CutFirstRow(place));
            }
            outcome => outcome?,
        }
        if let (lines @ 1.., first) = self.skipped.other_text {
            self.notes.push(LogNote::OtherText { lines, first });
        }
        if self.skipped.broken_rows > 0 {
            let (rows, first) = (self.skipped.broken_rows, self.skipped.first_broken.clone());
            self.notes.push(LogNote::BrokenRows { rows, first });
        }
        let mut keys: Vec<String> = Vec::new();
        for key in self.runs.iter().flat_map(|run| run.keys.keys()) {
            keys.push(key.clone());
        }
        keys.sort_unstable();
        keys.dedup();
        let without_step = self.without_step();
        if self.in_parts {
            self.name_parts();
        }
        let nothing_kept = self.columns.iter().all(|column| column.extent.rows == 0);
        let is_selected = self.columns.iter().any(|column| column.rank.is_some());
        if self.rows == 0 && (keys.is_empty() || is_selected) {
            return Err(ReadError::Nothing("it holds no points"));
        }
        if nothing_kept && self.rows > 0 && without_step.0 == self.rows {
            let requested = self.selector.step_key().map(str::to_owned);
            return Err(ReadError::NoStep { requested, found: keys });
        }
        let (rows, first) = without_step;
        match (rows, self.missing_metric) {
            (0, _) => {}
            (_, MissingMetric::Warn) => {
                self.notes.push(LogNote::RowsWithout { key: "step".to_owned(), rows, first });
            }
            (_, MissingMetric::Count | MissingMetric::Expected) => {
                self.notes.push(LogNote::RowsWithoutStep(rows))
            }
        }
        let auxs = self.auxs();
        let (mut series, mut all_series) = (Vec::new(), Vec::new());
        for column in std::mem::take(&mut self.columns) {
            let run = &self.runs[column.run];
            if self.selector.list_all() && column.extent.rows > 0 {
                all_series.push((run.name.clone(), column.key.clone(), column.extent));
            }
            let Some(rank) = column.rank.filter(|_| !column.points.is_empty()) else { continue };
            let mut notes = Vec::new();
            match (column.missing, self.missing_metric) {
                ((0, _), _) | (_, MissingMetric::Expected) => {}
                ((rows, _), MissingMetric::Count) => notes.push(LogNote::OtherRows(rows)),
                ((rows, first), MissingMetric::Warn) => {
                    notes.push(LogNote::RowsWithout { key: column.key.clone(), rows, first });
                }
            }
            let of_run = auxs.iter().filter(|b| b.shared || b.run == column.run);
            let (clocks, quantities): (Vec<&AuxRows>, Vec<&AuxRows>) =
                of_run.partition(|rows| rows.aux.is_clock());
            let raw = |rows: Vec<&AuxRows>| rows.into_iter().map(AuxRows::to_raw).collect();
            let (quantities, clocks) = (raw(quantities), raw(clocks));
            let total_steps = run.total_steps;
            let run = run.name.clone().or_else(|| self.hint.run.clone());
            let tag = self.hint.tag.clone();
            let SeriesColumn { key: metric, points, .. } = column;
            let kind = None;
            series.push(LogSeries {
                run,
                metric,
                tag,
                rank,
                kind,
                points,
                quantities,
                clocks,
                total_steps,
                notes,
            });
        }
        let SeriesBuilder { step_key, purge_from_step, notes, .. } = self;
        Ok(Log { series, all_series, keys, step_key, purge_from_step, notes })
    }

    /// Whether the run has a selected series.
    fn has_selected(&self, run: usize) -> bool {
        let is_selected =
            |c: &SeriesColumn| c.run == run && c.rank.is_some() && !c.points.is_empty();
        self.columns.iter().any(is_selected)
    }

    /// Number of rows without a step, and the first of them. In a log of several parts, only parts with
    /// a selected series count, if there are any.
    fn without_step(&self) -> (usize, usize) {
        let mut parts: Vec<usize> = (0..self.runs.len()).collect();
        if self.in_parts && parts.iter().any(|&run| self.has_selected(run)) {
            parts.retain(|&run| self.has_selected(run));
        }
        let counts = parts.iter().map(|&run| self.runs[run].without_step);
        let missing = counts.filter(|(rows, _)| *rows > 0);
        missing.reduce(|(n, a), (m, b)| (n + m, a.min(b))).unwrap_or_default()
    }

    /// If only one part of a log has a selected series, it is the run, and the others are noted.
    fn name_parts(&mut self) {
        let (runs, others): (Vec<usize>, Vec<usize>) =
            (0..self.runs.len()).partition(|&run| self.has_selected(run));
        let others: Vec<String> =
            others.iter().filter_map(|&run| self.runs[run].name.clone()).collect();
        if let (false, Some(_)) = (others.is_empty(), runs.first()) {
            let what = format!("parts without the metric: {}", quoted(&others));
            self.note(LogNote::Remark(what));
        }
        match (&runs[..], self.runs.len()) {
            (&[only], _) => self.runs[only].name = None,
            (_, 1) => self.runs[0].name = None,
            _ => {}
        }
    }

    /// Takes the auxiliary series out of the columns, except those that are metrics too.
    fn auxs(&mut self) -> Vec<AuxRows> {
        let mut auxs = Vec::new();
        for column in &mut self.columns {
            let Some(aux) = column.aux.filter(|_| !column.points.is_empty()) else {
                continue;
            };
            let points = match column.rank {
                Some(_) => column.points.clone(),
                None => std::mem::take(&mut column.points),
            };
            let is_clock = aux.is_clock();
            let value =
                |p: &Point| if is_clock { normalize_unix_time(p.entropy) } else { p.entropy };
            auxs.push(AuxRows {
                run: column.run,
                shared: column.shared,
                aux,
                metric: column.key.clone(),
                rows: points.iter().map(|p| (p.step, value(p))).collect(),
            });
        }
        auxs
    }
}

/// An auxiliary series of one run, or of all.
struct AuxRows {
    run: usize,
    shared: bool,
    aux: AuxKind,
    metric: String,
    rows: Vec<(f64, f64)>,
}

impl AuxRows {
    fn to_raw(&self) -> RawAux {
        let (quantity, rank) = match self.aux {
            AuxKind::Quantity(index, rank) => (index, rank),
            AuxKind::Clock(rank) => (0, rank),
        };
        RawAux { metric: self.metric.clone(), quantity, rank, rows: self.rows.clone() }
    }
}
