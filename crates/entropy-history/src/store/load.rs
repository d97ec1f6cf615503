//! The runs of one log: its files read, joined where they are segments of one run, and validated.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use super::error::{AuxError, LoadError};
use super::join::{FileSeries, JoinedSeries, join};
use super::options::{ClockRequest, LoadOptions};
use crate::discover::{Input, Location, Origin};
use crate::formats::{
    self, Confidence, Format, Log, LogNote, RawAux, ReadAhead, ReadError, SeriesSelector, Source,
    TrackioError,
};
use crate::history::{AuxSeries, History, Run};
use crate::quantity::Sign;
use crate::x_axis::{TimeUnit, XAxis, XAxisError, reindex};

/// Files of at least this many bytes are read ahead on a second core.
const READ_AHEAD_BYTES: u64 = 8 << 20;

/// A validated run that has no label yet.
pub(super) struct UnlabelledRun {
    /// The run; its label is empty.
    pub(super) run: Run,
    /// The name of the run in the log, if there is one.
    pub(super) name: Option<String>,
    /// Facts about the files that are not warnings.
    pub(super) remarks: Vec<String>,
    /// The log has no steps, so the steps of the run are the numbers of its rows.
    pub(super) is_numbered: bool,
    /// Index of the `--metric` pattern that selected the series, if there are any.
    pub(super) pattern: usize,
    /// Set when a requested reward or wall-clock series is missing.
    pub(super) missing_aux: Option<AuxError>,
}

/// What a log holds.
pub(super) enum LogContents {
    /// At least one run, and the reasons why other series are not usable.
    Runs(Vec<UnlabelledRun>, Vec<LoadError>),
    /// A log without an entropy.
    NoEntropy {
        /// The log, or the file of it that was read.
        log: String,
        /// Why it has none.
        error: ReadError,
    },
    /// A file that is not a log.
    NotALog,
}

/// The series of one file; `None` if the file is not a log; an error with the name of the file.
pub(super) type FileResult = Result<Option<FileSeries>, (ReadError, String)>;

/// Whether logs are read once or followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadMode {
    /// Each log is read once, from its start.
    Once,
    /// A reader keeps what it needs to read only what is appended.
    Follow,
}

/// How the files of logs are read and their series validated.
#[derive(Debug)]
pub(super) struct LogLoader {
    pub(super) options: LoadOptions,
    pub(super) selector: Arc<SeriesSelector>,
    pub(super) mode: ReadMode,
}

impl LogLoader {
    /// A loader with these options.
    ///
    /// # Errors
    /// When a metric or a reward is not a valid glob.
    pub(super) fn new(options: LoadOptions, mode: ReadMode) -> Result<LogLoader, LoadError> {
        let selector = Arc::new(options.selector()?);
        Ok(LogLoader { options, selector, mode })
    }

    /// The runs of one log whose files were read.
    ///
    /// # Errors
    /// When a file cannot be read, or the log holds no entropy and was not found by scanning a directory.
    pub(super) fn runs(
        &self,
        input: &Input,
        results: impl Iterator<Item = FileResult>,
    ) -> Result<LogContents, LoadError> {
        let mut files = Vec::new();
        let mut first_error = None;
        for result in results {
            match result {
                Ok(Some(file)) => files.push(file),
                Ok(None) => {}
                // A text that nobody knows may be a log of an unknown trainer.
                Err((ReadError::NoRows(_), _)) if input.origin == Origin::Scanned => {}
                // Of several files of a directory, some may hold other things.
                Err((error, log)) if input.directory.is_some() && holds_no_entropy(&error) => {
                    first_error.get_or_insert((error, log));
                }
                Err((error, log))
                    if input.origin == Origin::Scanned && holds_no_entropy(&error) =>
                {
                    return Ok(LogContents::NoEntropy { log, error });
                }
                Err((error, log)) => return Err(LoadError::Read { log, error }),
            }
        }
        if files.is_empty() {
            return match first_error {
                Some((error, _)) if input.origin == Origin::Scanned => {
                    Ok(LogContents::NoEntropy { log: input.name(), error })
                }
                Some((error, log)) => Err(LoadError::Read { log, error }),
                None => Ok(LogContents::NotALog),
            };
        }
        // Of several runs in one log, those without a finite value are left out.
        let (mut runs, mut errors) = (Vec::new(), Vec::new());
        for series in in_order_of_patterns(join(input, files)?) {
            match self.validate(input.name(), series) {
                Ok(run) => runs.push(run),
                Err(error) => errors.push(error),
            }
        }
        match errors.pop() {
            Some(last) if runs.is_empty() => Err(last),
            last => Ok(LogContents::Runs(runs, errors.into_iter().chain(last).collect())),
        }
    }

    /// Takes the selected series of one file that was read.
    pub(super) fn select(
        &self,
        file: String,
        read: Result<(&'static Format, Log), ReadError>,
    ) -> FileResult {
        let (format, log) = match read {
            Ok(read) => read,
            Err(error) => return Err((error, file)),
        };
        let purge_from_step = log.purge_from_step;
        let needs_keys = !self.options.aux.quantities.is_empty();
        let keys = if needs_keys { log.keys.clone() } else { Vec::new() };
        match log.choose(&self.selector, format) {
            Ok((series, notes)) => {
                Ok(Some(FileSeries { format, series, purge_from_step, keys, notes, file }))
            }
            Err(error) => Err((error, file)),
        }
    }

    fn validate(&self, log: String, joined: JoinedSeries) -> Result<UnlabelledRun, LoadError> {
        let JoinedSeries { format, mut series, keys, notes } = joined;
        let quantities = self.quantities(&log, std::mem::take(&mut series.quantities), &keys);
        let clock = self.clock(&log, std::mem::take(&mut series.clocks));
        let (kind, sign) = series.quantity(format);
        if sign == Sign::Flipped {
            series.points.iter_mut().for_each(|point| point.entropy = -point.entropy);
        }
        let (history, repairs) = match History::from_raw("", kind, series.points) {
            Ok(history) => history,
            Err(error) => {
                return Err(LoadError::History { log, metric: series.metric, error });
            }
        };
        let is_numbered = notes.iter().any(|note| matches!(note, LogNote::RowsNumbered));
        let (warnings, remarks): (Vec<_>, Vec<_>) =
            notes.iter().partition(|note| note.is_warning());
        let warnings = warnings.iter().map(ToString::to_string).collect();
        let mut run = Run::new(history, log, format.name, series.metric);
        run = Run { sign, repairs, warnings, total_steps: series.total_steps, ..run };
        let mut missing_aux = None;
        for quantity in quantities {
            run.quantities.push(match quantity {
                Ok(series) => Some(series),
                Err(error) => {
                    if self.options.aux.requires_quantities {
                        missing_aux = missing_aux.or(Some(error));
                    } else if !matches!(error, AuxError::NoQuantity { .. }) {
                        run.warnings.push(format!("a quantity is left out: {}", error.reason()));
                    } // else the command counts the runs without it
                    None
                }
            });
        }
        match clock {
            Ok(clock) => run.clock = clock,
            Err(error) => missing_aux = Some(error),
        }
        if let (Some(_), Err(error)) =
            (&run.clock, reindex(&run, XAxis::WallTime(TimeUnit::Seconds)))
        {
            if self.options.aux.clock == ClockRequest::Optional {
                run.clock = None;
            } else {
                missing_aux = Some(AuxError::Clock { log: run.source.clone(), error });
            }
        }
        let remarks = remarks.iter().map(ToString::to_string).collect();
        let (name, pattern) = (series.run, series.rank.pattern);
        Ok(UnlabelledRun { run, name, remarks, is_numbered, pattern, missing_aux })
    }

    /// The requested quantities.
    fn quantities(
        &self,
        log: &str,
        found: Vec<RawAux>,
        keys: &[String],
    ) -> Vec<Result<AuxSeries, AuxError>> {
        let requested = self.options.aux.quantities.iter().enumerate();
        let mut by_quantity: Vec<Vec<RawAux>> = requested.clone().map(|_| Vec::new()).collect();
        found.into_iter().for_each(|aux| by_quantity[aux.quantity].push(aux));
        requested
            .zip(by_quantity)
            .map(|((_, patterns), found)| quantity(log, patterns, found, keys))
            .collect()
    }

    /// The best clock of the log; `None` if none is requested, or none is required and it has none.
    fn clock(&self, log: &str, mut found: Vec<RawAux>) -> Result<Option<AuxSeries>, AuxError> {
        if self.options.aux.clock == ClockRequest::Skip {
            return Ok(None);
        }
        found.sort_by_key(|aux| aux.rank);
        let clock = found.into_iter().find_map(|aux| AuxSeries::from_raw(aux.metric, aux.rows));
        if clock.is_none() && self.options.aux.clock == ClockRequest::Required {
            return Err(AuxError::Clock { log: log.to_owned(), error: XAxisError::NoClock });
        }
        Ok(clock)
    }
}

/// The series that fits the patterns best.
fn quantity(
    log: &str,
    patterns: &[String],
    found: Vec<RawAux>,
    keys: &[String],
) -> Result<AuxSeries, AuxError> {
    let log = log.to_owned();
    // A key that holds nothing but texts or nulls does not hide another one.
    let has_value = |aux: &&RawAux| aux.rows.iter().any(|(_, value)| value.is_finite());
    let ranks = || found.iter().map(|aux| aux.rank);
    let Some(best) = found.iter().filter(has_value).map(|aux| aux.rank).min().or(ranks().min())
    else {
        let first = patterns.first().map_or("", String::as_str);
        let found = formats::nearest_rewards(keys.to_vec(), first);
        return Err(AuxError::NoQuantity { log, requested: patterns.to_vec(), found });
    };
    let mut matches: Vec<RawAux> = found.into_iter().filter(|aux| aux.rank == best).collect();
    if matches.len() > 1 {
        let matches = matches.into_iter().map(|aux| aux.metric).collect();
        let matches = formats::nearest_rewards(matches, "");
        let pattern = patterns[best.pattern].clone();
        return Err(AuxError::Ambiguous { log, pattern, matches });
    }
    let RawAux { metric, rows, .. } = matches.remove(0);
    AuxSeries::from_raw(metric.clone(), rows).ok_or(AuxError::NotFinite { log, metric })
}

/// The series of each run in the order of the `--metric` patterns that they match, those of one pattern in the order of
/// their keys; runs keep their order. A user gives labels and expects colours in this order, and each log may hold its keys
/// in another one.
fn in_order_of_patterns(mut series: Vec<JoinedSeries>) -> Vec<JoinedSeries> {
    let mut names: Vec<Option<String>> = series.iter().map(|s| s.series.run.clone()).collect();
    names.dedup();
    let place = |s: &JoinedSeries| {
        (names.iter().position(|name| *name == s.series.run), s.series.rank.pattern)
    };
    series.sort_by(|a, b| {
        let of_keys = || alphanumeric_sort::compare_str(&a.series.metric, &b.series.metric);
        place(a).cmp(&place(b)).then_with(of_keys)
    });
    series
}

/// Whether a file that was found among other files looks like a log.
///
/// # Errors
/// When it cannot be read.
pub fn looks_like_log(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let claims = formats::claims(Source { reader: &mut file, path: Some(path) })?;
    // A console log may begin with lines that are not recognised.
    let is_console = path.extension().is_some_and(|e| e == "out" || e == "log");
    let required = if is_console { Confidence::Maybe } else { Confidence::Likely };
    Ok(claims.iter().any(|(_, claim)| *claim >= required))
}

/// Opens a log; a large file is read ahead.
///
/// # Errors
/// When the file cannot be opened.
pub fn open_log(location: &Location) -> io::Result<(Box<dyn Read + '_>, Option<&Path>)> {
    let Location::File(path) = location else { return Ok((Box::new(io::stdin().lock()), None)) };
    let file = File::open(path)?;
    let is_large = file.metadata().is_ok_and(|metadata| metadata.len() >= READ_AHEAD_BYTES);
    // Asked for large files only: the answer takes longer than reading a small file.
    let has_cores = || std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1);
    let reader: Box<dyn Read> =
        if is_large && has_cores() { Box::new(ReadAhead::new(file)) } else { Box::new(file) };
    Ok((reader, Some(path)))
}

/// Whether the error means that the file is intact and holds no entropy.
pub fn holds_no_entropy(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NoMetric { .. }
            | ReadError::NoStep { .. }
            | ReadError::Nothing(_)
            | ReadError::Trackio(TrackioError::Foreign(_))
            | ReadError::Unrecognised(_)
            | ReadError::NoRows(_)
    )
}
