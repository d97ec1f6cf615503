//! From logs to a comparison: read in parallel, join what belongs together, name, and say what was
//! odd.

use std::fs::File;
use std::io::{self, Read};
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Args;
use rayon::prelude::*;
use regex::Regex;

use super::Outcome;
use super::failure::{Failure, WithHint};
use super::inputs::{plural, say};
use super::labels::{Labels, Name};
use super::terminal::Terminal;
use crate::chain::chain;
use crate::discover::{Input, Location, Origin};
use crate::history::{Comparison, History, Point, Run};
use crate::input::{self, Confidence, Format, Note, ReadAhead, ReadError, Series, Source, Wanted};
use crate::quantity::Sign;

/// Files from so many bytes on are read ahead, where a second core can do it.
const LARGE: u64 = 8 << 20;
/// The largest vocabulary in use in 2026 has 262,144 tokens; no mean of token entropies is above its
/// logarithm.
const LARGEST_VOCABULARY: u32 = 262_144;

/// How logs are read.
#[derive(Debug, Args)]
pub(super) struct Reading {
    /// The series to take, where a log has several: a key, or a quoted glob; may be given again for
    /// more series.
    #[arg(long, value_name = "KEY")]
    metric: Vec<String>,
    /// The format of the logs, instead of recognising it (see `entropy-viz formats`).
    #[arg(long, value_name = "NAME", value_parser = format_by_name)]
    format: Option<&'static Format>,
    /// Lay rounds of training end to end: the first group names the chain, the second orders it, as
    /// in '(.*)_v([0-9]+)'.
    #[arg(long, value_name = "REGEX", value_parser = two_groups)]
    chain: Option<Regex>,
    /// Tokens in the vocabulary: a mean above its logarithm is a warning [default: 262144].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..))]
    vocabulary: Option<u32>,
    /// Leave with 0 even if files found by a pattern could not be used.
    #[arg(long)]
    allow_partial: bool,
}

fn format_by_name(name: &str) -> Result<&'static Format, String> {
    let names = || input::FORMATS.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    input::by_name(name).ok_or_else(|| format!("known are {}", names()))
}

fn two_groups(text: &str) -> Result<Regex, String> {
    let regex = Regex::new(text).map_err(|e| {
        let text = e.to_string();
        text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })?;
    match regex.captures_len() {
        3 => Ok(regex),
        n => Err(format!("it has {} groups in parentheses, not two", n - 1)),
    }
}

/// A curve on its way to its name.
struct Draft {
    run: Run,             // its label is not its own yet
    name: Option<String>, // of the run, as the log has it
    asides: Vec<String>,
}

/// What became of a log that need not be one.
enum Read1 {
    Curves(Vec<Draft>),
    NoEntropy(String),
}

impl Reading {
    /// Reads the inputs in parallel; one that was named must be usable, one that was found may be
    /// skipped with a warning, and what holds no entropy among scanned files is counted.
    pub(super) fn load(
        &self,
        inputs: Vec<Input>,
        unreadable: &[String],
        labels: &Labels<'_>,
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), Failure> {
        let wanted = self.wanted()?;
        let start = Instant::now();
        let progress = terminal.progress("reading", inputs.len());
        let results: Vec<Result<Read1, Failure>> = inputs
            .par_iter()
            .map(|input| {
                let read = self.read(input, &wanted);
                progress.advance();
                read
            })
            .collect();
        drop(progress);

        let mut partial = !unreadable.is_empty();
        for directory in unreadable {
            terminal.warn(&format!("skipped {directory}"));
        }
        let mut drafts: Vec<(&Input, Draft)> = Vec::new();
        let mut without = Vec::new();
        for (input, result) in inputs.iter().zip(results) {
            match result {
                Ok(Read1::Curves(curves)) => drafts.extend(curves.into_iter().map(|c| (input, c))),
                Ok(Read1::NoEntropy(why)) => without.push(why),
                Err(failure) if input.origin == Origin::Named => return Err(failure),
                Err(failure) => {
                    terminal.warn(&format!("skipped: {:#}", failure.error));
                    partial = true;
                }
            }
        }
        leave_out_copies(&mut drafts, terminal);
        if drafts.is_empty() {
            return Err(nothing_read(inputs.len(), &without));
        }
        if !without.is_empty() {
            without.iter().for_each(|why| terminal.explain(|| why.clone()));
            let files = plural(without.len(), "other file holds", "other files hold");
            terminal.note(
                &format!("{files} no entropy and was left out (-v says which)")
                    .replace("hold no entropy and was", "hold no entropy and were"),
            );
        }
        let names: Vec<Name<'_>> = drafts
            .iter()
            .map(|(input, draft)| Name {
                input,
                run: draft.name.as_deref(),
                metric: &draft.run.metric,
            })
            .collect();
        let labels = labels.of(&names)?;
        let mut runs = Vec::new();
        for ((_, Draft { run, asides, .. }), label) in drafts.into_iter().zip(labels) {
            for warning in &run.warnings {
                terminal.warn(&format!("{}: {warning}", run.source));
            }
            terminal.explain(|| describe(&run, &asides));
            runs.push(Run { history: run.history.relabelled(label), ..run });
        }
        let points: usize = runs.iter().map(|run| run.history.points().len()).sum();
        terminal.explain(|| {
            format!("read {points} points of {} runs in {:.1?}", runs.len(), start.elapsed())
        });
        let comparison = Comparison::new(self.chained(runs, terminal)?)?;
        warn_of_mixed_kinds(&comparison, terminal);
        let outcome = if partial && !self.allow_partial { Outcome::Partial } else { Outcome::Done };
        Ok((comparison, outcome))
    }

    /// What `--metric` asks for.
    pub(super) fn wanted(&self) -> Result<Wanted, Failure> {
        let wanted = Wanted::metrics(&self.metric);
        wanted
            .map_err(|(text, why)| anyhow!("--metric {text:?} is not a glob pattern: {why}"))
            .hint("put * ? or [ in brackets, as in [*], to mean the character")
    }

    /// The format that `--format` names.
    pub(super) fn format(&self) -> Option<&'static Format> {
        self.format
    }

    fn chained(&self, runs: Vec<Run>, terminal: &Terminal) -> Result<Vec<Run>, Failure> {
        let Some(regex) = &self.chain else { return Ok(runs) };
        let place = |label: &str| {
            let groups = regex.captures(label)?;
            Some((groups.get(1)?.as_str().to_owned(), groups.get(2)?.as_str().to_owned()))
        };
        let labels: Vec<String> = runs.iter().map(|run| run.history.label().to_owned()).collect();
        let alone = labels.iter().filter(|label| place(label).is_none()).count();
        if alone == runs.len() {
            return Err(anyhow!("--chain {regex} matches none of the runs: {}", labels.join(", ")))
                .hint("the pattern is matched against labels, as in '(.*)_v([0-9]+)'");
        }
        let (chained, _) = chain(runs, place).hint("name the runs, or another --chain")?;
        if alone > 0 {
            let runs = plural(alone, "run is", "runs are");
            terminal.warn(&format!("{runs} in no chain: --chain does not match the label"));
        }
        Ok(chained)
    }

    /// The curves of one log.
    fn read(&self, input: &Input, wanted: &Wanted) -> Result<Read1, Failure> {
        let mut parts = Vec::new();
        let mut first_error = None;
        for location in &input.segments {
            match self.read_segment(location, input.origin, wanted) {
                Ok(Some(part)) => parts.push(part),
                Ok(None) => {}
                // Of several files of a directory, some may hold other things.
                Err((error, name)) if input.directory.is_some() && holds_no_entropy(&error) => {
                    first_error.get_or_insert((error, name));
                }
                Err((error, name))
                    if input.origin == Origin::Scanned && holds_no_entropy(&error) =>
                {
                    return Ok(Read1::NoEntropy(format!("{name}: {error}")));
                }
                Err((error, name)) => return Err(explain(&name, error)),
            }
        }
        if parts.is_empty() {
            return match first_error {
                Some((error, _)) if input.origin == Origin::Scanned => {
                    Ok(Read1::NoEntropy(format!("{}: {error}", input.name())))
                }
                Some((error, name)) => Err(explain(&name, error)),
                None => {
                    Ok(Read1::NoEntropy(format!("{}: no log is recognised in it", input.name())))
                }
            };
        }
        let curves = join(input, parts)?.into_iter().map(|curve| self.draft(input, curve));
        Ok(Read1::Curves(curves.collect::<Result<_, _>>()?))
    }

    /// What one file holds; none if it is not recognised, and need not be.
    fn read_segment(
        &self,
        location: &Location,
        origin: Origin,
        wanted: &Wanted,
    ) -> Result<Option<Part>, (ReadError, String)> {
        let name = location.name();
        let in_file = |e: io::Error| (ReadError::Io(e), name.clone());
        if let (Location::File(path), Origin::Scanned, None) = (location, origin, self.format) {
            let mut file = File::open(path).map_err(in_file)?;
            let source = Source { reader: &mut file, path: Some(path) };
            let claims = input::claims(source).map_err(in_file)?;
            if claims.iter().all(|(_, claim)| *claim < Confidence::Likely) {
                return Ok(None);
            }
        }
        let (mut reader, path) = open(location).map_err(in_file)?;
        let source = Source { reader: &mut *reader, path };
        let read = input::read(source, self.format, wanted);
        let (format, log) = read.map_err(|e| (e, name.clone()))?;
        let taken_back_to = log.taken_back_to;
        let (series, notes) = log.choose(wanted, format).map_err(|e| (e, name.clone()))?;
        Ok(Some(Part { format, series, taken_back_to, notes, name }))
    }

    fn draft(&self, input: &Input, curve: Curve) -> Result<Draft, Failure> {
        let source = input.name();
        let Curve { format, mut series, notes } = curve;
        let (kind, sign) = series.quantity(format.name);
        if sign == Sign::Flipped {
            series.points.iter_mut().for_each(|point| point.entropy = -point.entropy);
        }
        let (history, repairs) = History::from_raw("", kind, series.points)
            .with_context(|| format!("cannot use {source}: {:?}", series.metric))
            .hint(
                "the trainer logged nothing usable under this metric; --metric KEY takes another",
            )?;
        let (loud, quiet): (Vec<_>, Vec<_>) = notes.iter().partition(|note| note.is_warning());
        let warnings = loud.iter().map(ToString::to_string).collect();
        let run = Run::new(history, source, format.name, series.metric);
        let mut run = Run { sign, repairs, warnings, ..run };
        run.warnings.extend(oddities(&run, self.vocabulary.unwrap_or(LARGEST_VOCABULARY)));
        Ok(Draft { run, name: series.run, asides: quiet.iter().map(ToString::to_string).collect() })
    }
}

/// What one file of a log holds.
struct Part {
    format: &'static Format,
    series: Vec<Series>,
    taken_back_to: Option<f64>,
    notes: Vec<Note>,
    name: String,
}

/// A series with all that is odd about it and its file.
struct Curve {
    format: &'static Format,
    series: Series,
    notes: Vec<Note>,
}

/// Opens a log; a large file is read ahead.
pub(super) fn open(
    location: &Location,
) -> io::Result<(Box<dyn Read + '_>, Option<&std::path::Path>)> {
    let Location::File(path) = location else { return Ok((Box::new(io::stdin().lock()), None)) };
    let file = File::open(path)?;
    let large = file.metadata().is_ok_and(|metadata| metadata.len() >= LARGE);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let reader: Box<dyn Read> =
        if large && cores > 1 { Box::new(ReadAhead::new(file)) } else { Box::new(file) };
    Ok((reader, Some(path)))
}

/// Joins the files of one run: the rows of a later file come after those of an earlier, so that of a
/// step logged in both the later counts.
fn join(input: &Input, parts: Vec<Part>) -> Result<Vec<Curve>, Failure> {
    let several = parts.len() > 1;
    let mut curves: Vec<Curve> = Vec::new();
    let alone = |part: &Part| part.series.len() == 1;
    let one_each = parts.iter().all(alone);
    for part in parts {
        let Part { format, series, taken_back_to, notes, name } = part;
        for (i, mut series) in series.into_iter().enumerate() {
            let own = std::mem::take(&mut series.notes);
            let shared = if i == 0 { notes.clone() } else { Vec::new() };
            let notes: Vec<Note> = shared.into_iter().chain(own).collect();
            let same = |curve: &&mut Curve| {
                one_each
                    || (&curve.series.run, &curve.series.metric) == (&series.run, &series.metric)
            };
            let Some(curve) = curves.iter_mut().find(same).filter(|_| several) else {
                curves.push(Curve { format, series, notes });
                continue;
            };
            let (kind, other) =
                (curve.series.quantity(curve.format.name).0, series.quantity(format.name).0);
            if kind != other {
                return Err(anyhow!(
                    "cannot join {}: it holds {} and {name} holds {}",
                    input.name(),
                    kind.words(),
                    other.words()
                ))
                .hint("--metric KEY takes the same series of each");
            }
            let starts = |points: &[Point]| points.first().map(|p| p.step);
            if starts(&series.points) < starts(&curve.series.points) {
                curve.notes.push(Note::Odd(format!(
                    "{name} starts before the segment that it follows; where both log a step, {name} counts"
                )));
            }
            if let Some(step) = taken_back_to {
                let rows = curve.series.points.len();
                curve.series.points.retain(|point| point.step < step);
                let void = plural(rows - curve.series.points.len(), "row", "rows");
                curve.notes.push(Note::Aside(format!(
                    "{void} from step {step} on are void: the run was taken back to it"
                )));
            }
            // The end of a segment that another carries on is where its job was killed.
            curve.notes.retain(|note| !matches!(note, Note::Cut { .. }));
            curve.series.points.append(&mut series.points);
            curve.notes.extend(notes);
            curve.notes.push(Note::Aside(format!("carried on in {name}")));
        }
    }
    Ok(curves)
}

fn holds_no_entropy(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NoMetric { .. }
            | ReadError::NoStep { .. }
            | ReadError::Nothing(_)
            | ReadError::Unrecognised(_)
    )
}

fn nothing_read(found: usize, without: &[String]) -> Failure {
    let (error, hint) = match without {
        [] => {
            (anyhow!("none of the {found} files found could be read"), "the warnings above say why")
        }
        [why] => (anyhow!("no entropy found in {why}"), "--metric KEY names the series to take"),
        [why, ..] => (
            anyhow!("none of the {found} files found holds an entropy; {why}"),
            "--metric KEY names the series to take; `entropy-viz inspect FILE` lists what is there",
        ),
    };
    Failure { error, hint: Some(hint.to_owned()) }
}

/// R-Zero's directory of a run holds its history, and TensorBoard and W&B files of the same numbers:
/// those would be drawn over it.
fn leave_out_copies(drafts: &mut Vec<(&Input, Draft)>, terminal: &Terminal) {
    let history_of_directory = |input: &Input| {
        let [Location::File(path)] = &input.segments[..] else { return None };
        let directory = path.parent()?;
        let name = directory.file_name()?.to_string_lossy().into_owned();
        let file = path.file_name()?.to_string_lossy().into_owned();
        (file == format!("entropy_history_{name}.json")).then(|| directory.to_owned())
    };
    let histories: Vec<_> = drafts
        .iter()
        .filter_map(|(input, draft)| {
            Some((
                history_of_directory(input)?,
                draft.run.history.clone(),
                draft.run.source.clone(),
            ))
        })
        .collect();
    drafts.retain(|(input, draft)| {
        if input.origin != Origin::Scanned {
            return true;
        }
        let Some(Location::File(path)) = input.segments.first() else { return true };
        let original = histories.iter().find(|(directory, history, _)| {
            path.starts_with(directory) && same_points(history, &draft.run.history)
        });
        if let Some((_, _, source)) = original {
            terminal.note(&format!("{} holds the points of {source} again", draft.run.source));
        }
        original.is_none()
    });
}

/// Whether two histories are one, as far as 32-bit floats tell.
fn same_points(a: &History, b: &History) -> bool {
    let same = |(a, b): (&Point, &Point)| {
        a.step == b.step && (a.entropy - b.entropy).abs() <= 1e-6 * a.entropy.abs()
    };
    a.points().len() == b.points().len() && a.points().iter().zip(b.points()).all(same)
}

/// The error with what to do about it.
pub(super) fn explain(source: &str, error: ReadError) -> Failure {
    let hint = match &error {
        ReadError::NoMetric { .. } => match error.near_miss() {
            Some(key) => format!("try --metric {key}"),
            None => "--metric KEY names the series to take".to_owned(),
        },
        ReadError::NoStep { .. } => "each row needs a \"step\"".to_owned(),
        ReadError::Unrecognised(what) if what.contains("UTF-16") => {
            "convert it: iconv -f UTF-16 -t UTF-8".to_owned()
        }
        ReadError::Unrecognised(_) => "`entropy-viz formats` lists what can be read".to_owned(),
        ReadError::Nothing(_) => {
            "the trainer may not have logged yet, or may write only when training ends".to_owned()
        }
        ReadError::Scan(_) | ReadError::Row { .. } => {
            "repair the file there, or leave it out".to_owned()
        }
        ReadError::Record { .. } => {
            "the file is damaged, or --format names what it is not".to_owned()
        }
        ReadError::Io(_) => "check that it is a file that you may read".to_owned(),
    };
    let error = match &error {
        ReadError::Io(e) | ReadError::Scan(input::frame::json::ScanError::Io(e)) => {
            anyhow!("cannot read {source}: {}", say(e))
        }
        _ => anyhow!("cannot read {source}: {error}"),
    };
    Failure { error, hint: Some(hint) }
}

fn warn_of_mixed_kinds(comparison: &Comparison, terminal: &Terminal) {
    let kinds = comparison.kinds();
    if kinds.len() > 1 {
        let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let names = names.join(" and ");
        terminal.warn(&format!(
            "the runs hold different quantities ({names}); their values do not compare"
        ));
    }
}

/// What was put right in a run, and what looks wrong and was left.
fn oddities(run: &Run, vocabulary: u32) -> Vec<String> {
    let mut odd = Vec::new();
    let repairs = run.repairs;
    if run.sign == Sign::Flipped {
        odd.push(format!(
            "{:?} holds −H, as Stable-Baselines3 logs it; the sign was turned",
            run.metric
        ));
    }
    if repairs.not_finite > 0 {
        let what = plural(repairs.not_finite, "value is", "values are");
        odd.push(format!("{what} not finite; the line breaks there"));
    }
    if repairs.relogged > 0 {
        let what = plural(repairs.relogged, "row was", "rows were");
        odd.push(format!("{what} logged again for the same step; the later one counts"));
    }
    // A resumed run goes back to the steps that it logs again: that is said already.
    if repairs.reordered > 0 && repairs.relogged == 0 {
        let what = plural(repairs.reordered, "row stands", "rows stand");
        odd.push(format!("{what} behind a later step; rows were sorted by step"));
    }
    let points = run.history.points();
    let negative = points.iter().filter(|p| p.entropy < 0.0).count();
    if negative > 0 {
        let what = plural(negative, "value is", "values are");
        odd.push(format!("{what} below 0, which the entropy of a token cannot be"));
    }
    if let Some(ceiling) = run.history.kind().ceiling(f64::from(vocabulary)) {
        let above = points.iter().filter(|p| p.entropy > ceiling).count();
        if above > 0 {
            let what = plural(above, "value is", "values are");
            odd.push(format!(
                "{what} above {ceiling:.2}, the logarithm of a vocabulary of {vocabulary}: no entropy of a token is"
            ));
        }
    }
    if points.iter().all(|p| p.entropy == 0.0) {
        odd.push("every value is 0: entropy was not recorded".to_owned());
    }
    // A run that logs every 5 steps starts at step 5; one that starts at 21 and logs each is a rest.
    if let [first, second, ..] = points
        && first.step > 1.0
        && first.step > second.step - first.step
    {
        let step = crate::plot::exact(first.step);
        odd.push(format!("starts at step {step}: its baseline is not the start of training"));
    }
    odd
}

fn describe(run: &Run, asides: &[String]) -> String {
    let points = run.history.points().len();
    let mut text =
        format!("{}: {} read as {}, {points} points", run.source, run.metric, run.format);
    for aside in asides {
        text.push_str("; ");
        text.push_str(aside);
    }
    text
}
