//! From the runs of all logs to labelled runs, each once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use regex::Regex;

use super::config::ConfigReader;
use super::error::LoadError;
use super::load::UnlabelledRun;
use super::log_record::LogRecord;
use super::name::{GivenLabels, LabelSource, RunName};
use super::notice::Notice;
use super::options::{LabelFrom, LoadOptions};
use super::same_run::{RecordOfRun, runs_of};
use super::warnings::data_warnings;
use crate::discover::{self, Location, Origin};
use crate::formats::by_name;
use crate::history::{Comparison, Run};
use crate::number::exact;
use crate::run_config::{RunConfig, columns, run_name};
use crate::stages::concat_stages;
use crate::text::plural;

/// Up to this number of runs with several records, the records of each are listed without `--verbose`.
const RUNS_LISTED: usize = 5;

/// The runs of all logs.
#[derive(Debug, Default)]
pub(super) struct Assembled {
    /// The runs, each with a label of its own; `None` if there is none.
    pub(super) comparison: Option<Comparison>,
    /// When the log of each run was last written to.
    pub(super) modified: Vec<Option<SystemTime>>,
    /// For each run, whether it may be the start of a file that is being written.
    pub(super) provisional: Vec<bool>,
    /// The files of each run that is recorded in several.
    pub(super) records: Vec<RunRecords>,
    /// How many logs are left out, because a requested series is missing in them.
    pub(super) incomplete: usize,
}

/// The files that hold records of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecords {
    /// The label of the run.
    pub label: String,
    /// The log whose values are used.
    pub used: String,
    /// The other logs, each with what was taken from it.
    pub others: Vec<(String, String)>,
}

/// A run of a log: a record of some run.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    log: &'a LogRecord,
    run: &'a UnlabelledRun,
    resumed: usize, // how often the run had been resumed when this record began
}

/// Finds the records of each run, labels the runs, and joins training stages. `unread` logs could not be
/// read.
///
/// # Errors
/// When a named log lacks a requested series, or labels do not fit the runs.
pub(super) fn assemble(
    logs: &[LogRecord],
    options: &LoadOptions,
    labels: &GivenLabels<'_>,
    unread: usize,
    reader: &mut ConfigReader,
    notices: &mut Vec<Notice>,
) -> Result<Assembled, LoadError> {
    let mut groups = records_by_run(logs, notices);
    let incomplete = leave_out_incomplete(&mut groups, notices)?;
    let names: Vec<RunName<'_>> = groups.iter().map(|records| name(records)).collect();
    let assignment = labels.assignment(&names);
    let configs = options.needs_config().then(|| configs_of(&groups, reader, notices));
    let source = label_source(options, configs.as_deref())?;
    let labels = labels.label(&names, unread + incomplete, &source)?;
    notices.extend(assignment.map(Notice::Info));

    let mut assembled = Assembled { incomplete, ..Assembled::default() };
    let mut runs = Vec::new();
    for (i, (records, label)) in groups.iter().zip(labels).enumerate() {
        let used = records[0].run;
        let history = used.run.history.clone().relabelled(label);
        let config = configs.as_ref().map(|configs| Arc::clone(&configs[i]));
        let mut run = Run { history, config, ..used.run.clone() };
        if records.len() > 1 {
            let (longer, files) = combined(run, records);
            assembled.records.push(files);
            run = longer;
        }
        run.warnings.extend(data_warnings(&run, options.vocabulary));
        let warnings = run.warnings.iter();
        notices.extend(warnings.map(|text| Notice::Warning(format!("{}: {text}", run.source))));
        notices.push(Notice::Verbose(describe(&run, &used.remarks)));
        assembled.modified.push(records.iter().filter_map(|record| record.log.modified()).max());
        assembled.provisional.push(records[0].log.is_provisional());
        runs.push(run);
    }
    notices.extend(assembled.records.iter().map(|files| {
        let text = files.to_string();
        if assembled.records.len() > RUNS_LISTED {
            Notice::Verbose(text)
        } else {
            Notice::Info(text)
        }
    }));
    if assembled.records.len() > RUNS_LISTED {
        let files = assembled.records.iter().map(|files| files.others.len()).sum();
        notices.push(Notice::OtherRecords(files));
    }
    if let Some(pattern) = &options.stages {
        runs = join_stages(runs, pattern, notices)?;
    }
    if !runs.is_empty() {
        let comparison = Comparison::new(runs)?;
        notices.extend(mixed_kinds(&comparison));
        assembled.comparison = Some(comparison);
    }
    Ok(assembled)
}

/// The configuration of each run, from all its records: what the one that is used lacks is taken from the others.
fn configs_of(
    groups: &[Vec<Candidate<'_>>],
    reader: &mut ConfigReader,
    notices: &mut Vec<Notice>,
) -> Vec<Arc<RunConfig>> {
    reader.forget_empty();
    let of_run = |records: &Vec<Candidate<'_>>| {
        let mut config = RunConfig::default();
        for Candidate { log, run, .. } in records {
            config.add_missing(reader.of_run(&log.input, run.run.format, run.name.as_deref()));
        }
        Arc::new(config)
    };
    let configs = groups.iter().map(of_run).collect();
    notices.extend(reader.take_problems().into_iter().map(Notice::Warning));
    configs
}

/// What the labels are made from.
///
/// # Errors
/// When no configuration has a key that labels are made from, or it may be several keys.
fn label_source<'o>(
    options: &'o LoadOptions,
    configs: Option<&[Arc<RunConfig>]>,
) -> Result<LabelSource<'o>, LoadError> {
    Ok(match &options.label_from {
        None => LabelSource::Names,
        Some(LabelFrom::Path(pattern)) => LabelSource::Path(pattern),
        Some(LabelFrom::Config(keys)) => {
            let configs: Vec<&RunConfig> =
                configs.iter().copied().flatten().map(|c| &**c).collect();
            let columns = columns(keys, &configs)?;
            let labels = (0..configs.len()).map(|run| run_name(&columns, run)).collect();
            LabelSource::Config { keys, labels }
        }
    })
}

/// The records of each run; the one to use comes first. Logs that a user chose are kept as runs of their own,
/// with a warning: the user may want to compare two records.
fn records_by_run<'a>(logs: &'a [LogRecord], notices: &mut Vec<Notice>) -> Vec<Vec<Candidate<'a>>> {
    let (mut all, mut records) = (Vec::new(), Vec::new());
    for (number, log) in logs.iter().enumerate() {
        let file = log.input.segments.first().and_then(Location::absolute);
        let directory = file.as_deref().and_then(Path::parent);
        let run_directory = discover::run_directory(&log.input);
        for run in &log.runs {
            let mut record = RecordOfRun::new(run.run.history.points(), number);
            record.is_numbered = run.is_numbered;
            record.name = run.name.as_deref();
            record.format = run.run.format;
            if let Some(format) = by_name(run.run.format) {
                record.identity = format.identity;
            }
            record.directory = directory.map(Path::to_owned);
            record.run_directory.clone_from(&run_directory);
            record.lacks_aux = run.missing_aux.is_some();
            record.is_deleted = log.is_deleted();
            records.push(record);
            all.push(Candidate { log, run, resumed: 0 });
        }
    }
    let mut groups: Vec<Vec<Candidate<'a>>> = Vec::new();
    for groups_of_run in runs_of(&records) {
        let mut by_place: Vec<Vec<Candidate<'a>>> = Vec::new();
        for (resumed, group) in groups_of_run.into_iter().enumerate() {
            let mut first_places: Vec<Candidate<'a>> = Vec::new();
            for record in group.into_iter().map(|i| Candidate { resumed, ..all[i] }) {
                let place = record.log.input.place;
                let is_same =
                    |other: &Candidate<'_>| place.is_some() && other.log.input.place == place;
                if !first_places.iter().any(is_same) {
                    first_places.push(record);
                }
                match by_place.iter_mut().find(|records| is_same(&records[0])) {
                    Some(records) => records.push(record),
                    None => by_place.push(vec![record]),
                }
            }
            if let [first, second, ..] = &first_places[..] {
                notices.push(Notice::Warning(format!(
                    "{} and {} hold the same values: they may be records of one run",
                    first.run.run.source, second.run.run.source
                )));
            }
        }
        groups.append(&mut by_place);
    }
    groups
}

/// Leaves out runs without a requested auxiliary series: an error for a log that was named, a warning for one
/// that was found and for one of several runs of a log. Returns how many logs are left out.
fn leave_out_incomplete(
    groups: &mut Vec<Vec<Candidate<'_>>>,
    notices: &mut Vec<Notice>,
) -> Result<usize, LoadError> {
    let is_incomplete = |records: &mut Vec<Candidate<'_>>| records[0].run.missing_aux.is_some();
    let incomplete: Vec<_> = groups.extract_if(.., is_incomplete).collect();
    let mut logs = 0;
    for records in incomplete {
        let Candidate { log, run, .. } = records[0];
        let Some(error) = &run.missing_aux else { continue };
        if groups.iter().flatten().any(|other| std::ptr::eq(other.log, log)) {
            let name = run.name.as_ref().map_or(String::new(), |name| format!("{name}: "));
            notices.push(Notice::Warning(format!("left out: {name}{error}")));
        } else if log.input.origin == Origin::Named {
            return Err(error.clone().into());
        } else {
            notices.push(Notice::Warning(format!("skipped: {error}")));
            logs += 1;
        }
    }
    Ok(logs)
}

/// What the label of a run is made from: of its records, the one with a name in its log, else the one
/// highest up, in the directory of the run.
fn name<'a>(records: &[Candidate<'a>]) -> RunName<'a> {
    let depth = |record: &Candidate<'_>| {
        discover::run_directory(&record.log.input).map_or(usize::MAX, |d| d.components().count())
    };
    let is_shown = |record: &&Candidate<'_>| record.log.input.label.is_some();
    let labelled = records.iter().find(is_shown);
    let named = || records.iter().find(|record| record.run.name.is_some());
    let highest = || records.iter().min_by_key(|record| depth(record));
    let record = labelled.or_else(named).or_else(highest).expect("BUG: a run has a record");
    RunName::new(&record.log.input, record.run)
}

/// A run with the points that only other records of it have: before its first step, after its last step, and
/// from the step on where it was resumed.
fn combined(mut run: Run, records: &[Candidate<'_>]) -> (Run, RunRecords) {
    let mut others = Vec::new();
    let mut resumed = records[0].resumed;
    for record in &records[1..] {
        let UnlabelledRun { run: other, is_numbered, .. } = record.run;
        let points = plural(other.history.points().len(), "point", "points");
        let relation = if record.resumed > resumed {
            resumed = record.resumed;
            supersede(&mut run, other);
            format!("{points}, used from step {} on", exact(other.history.first_step()))
        } else {
            let more = match is_numbered {
                true => None, // its steps may be others
                false => {
                    add_missing_quantities(&mut run, other);
                    extend(&mut run, other)
                }
            };
            more.map_or(points.clone(), |more| format!("{points}, {more} of them only there"))
        };
        others.push((other.source.clone(), relation));
    }
    let label = run.history.label().to_owned();
    let files = RunRecords { label, used: run.source.clone(), others };
    (run, files)
}

/// Takes the quantities that another record of the same steps has and the run lacks.
fn add_missing_quantities(run: &mut Run, other: &Run) {
    for (own, other) in run.quantities.iter_mut().zip(&other.quantities) {
        if own.is_none() {
            own.clone_from(other);
        }
    }
}

/// Adds the points before the first and after the last step that only `other` has; returns how many, if any.
fn extend(run: &mut Run, other: &Run) -> Option<usize> {
    let longer = run.history.extended_by(&other.history);
    let more = longer.points().len() - run.history.points().len();
    if more == 0 {
        return None;
    }
    let range = (run.history.first_step(), run.history.last_step());
    let others = other.quantities.iter().chain([&other.clock]);
    for (own, other) in run.quantities.iter_mut().chain([&mut run.clock]).zip(others) {
        if let (Some(own), Some(other)) = (own, other) {
            *own = own.extended_by(other, range);
        }
    }
    run.history = longer;
    Some(more)
}

/// Replaces the points from the first step of `later` on by those of `later`.
fn supersede(run: &mut Run, later: &Run) {
    let first = later.history.first_step();
    let label = run.history.label().to_owned();
    let before = run.history.between(f64::NEG_INFINITY, first);
    let longer = before.map_or(later.history.clone(), |before| later.history.extended_by(&before));
    let laters = later.quantities.iter().chain([&later.clock]);
    for (own, later) in run.quantities.iter_mut().chain([&mut run.clock]).zip(laters) {
        if let (Some(own), Some(later)) = (own, later) {
            *own = later.extended_by(own, (first, f64::INFINITY));
        }
    }
    run.history = longer.relabelled(label);
}

impl std::fmt::Display for RunRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: read from {}; also recorded in ", self.label, self.used)?;
        for (i, (file, relation)) in self.others.iter().enumerate() {
            write!(f, "{}{file} ({relation})", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
/// Joins the training stages of runs whose labels match; the others stay as they are.
fn join_stages(
    runs: Vec<Run>,
    pattern: &Regex,
    notices: &mut Vec<Notice>,
) -> Result<Vec<Run>, LoadError> {
    let stage = |label: &str| {
        let groups = pattern.captures(label)?;
        Some((groups.get(1)?.as_str().to_owned(), groups.get(2)?.as_str().to_owned()))
    };
    let labels: Vec<String> = runs.iter().map(|run| run.history.label().to_owned()).collect();
    let without = labels.iter().filter(|label| stage(label).is_none()).count();
    if without == runs.len() {
        return Err(LoadError::NoStages { pattern: pattern.to_string(), labels });
    }
    // Warnings of the stages are among the notices already.
    let known: BTreeSet<String> = runs.iter().flat_map(|run| run.warnings.clone()).collect();
    let runs = concat_stages(runs, stage)?;
    for run in &runs {
        let new = run.warnings.iter().filter(|text| !known.contains(*text));
        let label = run.history.label();
        notices.extend(new.map(|text| Notice::Warning(format!("{label}: {text}"))));
    }
    if without > 0 {
        notices.push(Notice::WithoutStage(without));
    }
    Ok(runs)
}

fn mixed_kinds(comparison: &Comparison) -> Option<Notice> {
    let kinds = comparison.kinds();
    let names: Vec<_> = kinds.iter().map(|kind| kind.words()).collect();
    let names = names.join(" and ");
    (kinds.len() > 1).then(|| {
        Notice::Warning(format!(
            "the runs hold different quantities ({names}); their values do not compare"
        ))
    })
}

fn describe(run: &Run, remarks: &[String]) -> String {
    let points = plural(run.history.points().len(), "point", "points");
    let text = format!("{}: {} read as {}, {points}", run.source, run.metric, run.format);
    [&[text], remarks].concat().join("; ")
}
