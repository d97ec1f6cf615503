//! From logs to a comparison: read in parallel, join what belongs together, name, and say what was
//! odd.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;
use rayon::prelude::*;
use regex::Regex;
use thiserror::Error;

use super::curves::{self, AuxRequest, Clock, Draft, Reader};
use super::labels::{Labels, Name};
use entropy_history::discover::{self, Input, Location, Origin};
use entropy_history::formats::{self, Format, SeriesSelector};
use entropy_history::history::{Comparison, History, Point, Run};
use entropy_history::stages::concat_stages;
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::plural;
use entropy_shell::{Failure, WithHint};

/// The largest vocabulary in use in 2026 has 262,144 tokens; no mean of token entropies is above its
/// logarithm.
pub(super) const LARGEST_VOCABULARY: u32 = 262_144;

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

pub(super) fn format_by_name(name: &str) -> Result<&'static Format, String> {
    let names = || formats::FORMATS.iter().map(|f| f.name).collect::<Vec<_>>().join(", ");
    formats::by_name(name).ok_or_else(|| format!("known are {}", names()))
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

impl Reading {
    /// Reads the inputs in parallel; one that was named must be usable, one that was found may be
    /// skipped with a warning, and what holds no entropy among scanned files is counted. The same holds
    /// for what is to stand beside the entropy.
    pub(super) fn load(
        &self,
        inputs: Vec<Input>,
        unreadable: &[String],
        labels: &Labels<'_>,
        besides: &AuxRequest<'_>,
        terminal: &Terminal,
    ) -> Result<(Comparison, Outcome), Failure> {
        let wanted = self.wanted()?;
        let wanted = wanted
            .with_rewards(besides.rewards)
            .map_err(|(text, why)| anyhow!("--reward {text:?} is not a glob pattern: {why}"))
            .hint("put * ? or [ in brackets, as in [*], to mean the character")?;
        let clock = besides.clock != Clock::Unasked;
        let wanted = if clock { wanted.with_clock() } else { wanted };
        let vocabulary = self.vocabulary.unwrap_or(LARGEST_VOCABULARY);
        let reader = Reader { format: self.format, wanted: &wanted, besides, vocabulary };
        let start = Instant::now();
        let progress = terminal.progress("reading", inputs.len());
        let results: Vec<Result<curves::Outcome, Failure>> = inputs
            .par_iter()
            .map(|input| {
                let read = reader.read(input);
                progress.advance(1);
                read
            })
            .collect();
        drop(progress);

        for directory in unreadable {
            terminal.warn(&format!("skipped {directory}"));
        }
        let mut drafts: Vec<(&Input, Draft)> = Vec::new();
        let (mut without, mut others, mut unread) = (Vec::new(), 0, 0);
        for (input, result) in inputs.iter().zip(results) {
            match result {
                Ok(curves::Outcome::Curves(curves, failures)) => {
                    for failure in failures {
                        terminal.warn(&format!("left out: {:#}", failure.error));
                    }
                    drafts.extend(curves.into_iter().map(|curve| (input, curve)));
                }
                Ok(curves::Outcome::NoEntropy(why)) => without.push(why),
                Ok(curves::Outcome::NoLog) => others += 1,
                Err(failure) if input.origin == Origin::Named => return Err(failure),
                Err(failure) => {
                    terminal.warn(&format!("skipped: {:#}", failure.error));
                    unread += 1;
                }
            }
        }
        if others > 0 {
            terminal.verbose(|| plural(others, "file is no log", "files are no logs"));
        }
        leave_out_copies(&mut drafts).iter().for_each(|note| terminal.info(note));
        unread += leave_out_lacking(&mut drafts, terminal)?;
        if drafts.is_empty() {
            let found: Vec<String> = inputs.iter().map(Input::name).collect();
            return Err(nothing_read(&found, unread, &without));
        }
        if !without.is_empty() {
            without.iter().for_each(|why| terminal.verbose(|| why.clone()));
            terminal.info(&left_out(without.len()));
        }
        let names: Vec<Name<'_>> = drafts
            .iter()
            .map(|(input, draft)| Name {
                input,
                run: draft.name.as_deref(),
                metric: &draft.run.metric,
            })
            .collect();
        let labels = labels.of(&names, unread)?;
        let mut runs = Vec::new();
        for ((_, Draft { run, asides, .. }), label) in drafts.into_iter().zip(labels) {
            for warning in &run.warnings {
                terminal.warn(&format!("{}: {warning}", run.source));
            }
            terminal.verbose(|| describe(&run, &asides));
            runs.push(Run { history: run.history.relabelled(label), ..run });
        }
        let points: usize = runs.iter().map(|run| run.history.points().len()).sum();
        terminal.verbose(|| {
            let points = plural(points, "point", "points");
            let runs = plural(runs.len(), "run", "runs");
            format!("read {points} of {runs} in {:.1?}", start.elapsed())
        });
        let comparison = Comparison::new(self.chained(runs, terminal)?)?;
        warn_of_mixed_kinds(&comparison, terminal);
        Ok((comparison, self.outcome(unread + unreadable.len())))
    }

    /// How it ended where so many files or directories that were found could not be used.
    pub(super) fn outcome(&self, unread: usize) -> Outcome {
        if unread > 0 && !self.allow_partial { Outcome::Partial } else { Outcome::Done }
    }

    /// What `--metric` asks for.
    pub(super) fn wanted(&self) -> Result<SeriesSelector, Failure> {
        let wanted = SeriesSelector::metrics(&self.metric);
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
        let (chained, _) = concat_stages(runs, place).hint("name the runs, or another --chain")?;
        if alone > 0 {
            let runs = plural(alone, "run is", "runs are");
            terminal.warn(&format!("{runs} in no chain: --chain does not match the label"));
        }
        Ok(chained)
    }
}

/// Files were found, and none is known as a log of entropies.
#[derive(Debug, Error)]
#[error("no entropy found: {0} as a log that holds one")]
pub(super) struct NoLogs(String);

/// How many of the files found hold no entropy, in words.
pub(super) fn left_out(files: usize) -> String {
    let files = match files {
        1 => "1 other file holds no entropy and was left out".to_owned(),
        n => format!("{n} other files hold no entropy and were left out"),
    };
    format!("{files} (-v says which)")
}

/// The error of files of which none could be used.
pub(super) fn nothing_read(found: &[String], unread: usize, without: &[String]) -> Failure {
    let (error, hint) = match (found, without) {
        ([name], []) if unread == 0 => {
            let hint = format!("`entropy-viz inspect {name}` says what is in it");
            (NoLogs(format!("{name} is not recognised")).into(), hint)
        }
        (_, []) if unread == 0 => (
            NoLogs(format!("none of the {} files found is recognised", found.len())).into(),
            "`entropy-viz formats` lists what can be read".to_owned(),
        ),
        (_, []) => {
            let what = match found.len() {
                1 => "the file found could not be read".to_owned(),
                n => format!("none of the {n} files found could be read"),
            };
            (anyhow!(what), "the warnings above say why".to_owned())
        }
        (_, [why]) => (
            anyhow!("no entropy found in {why}"),
            "--metric KEY names the series to take".to_owned(),
        ),
        (_, [why, ..]) => (
            anyhow!("none of the {} files found holds an entropy; {why}", found.len()),
            "--metric KEY names the series to take; `entropy-viz inspect FILE` lists what is there"
                .to_owned(),
        ),
    };
    Failure { error, hint: Some(hint) }
}

/// Trainers log one run in several files of its directory: a history, event files, `progress.csv`.
/// Those that hold the same points would be drawn over each other. Returns which were left out, in words.
pub(super) fn leave_out_copies(drafts: &mut Vec<(&Input, Draft)>) -> Vec<String> {
    let mut logs_of: BTreeMap<PathBuf, Vec<usize>> = BTreeMap::new(); // by the directory of the run
    let mut copies: BTreeMap<usize, usize> = BTreeMap::new();
    for (i, (input, draft)) in drafts.iter().enumerate() {
        let own = discover::run_directory(input);
        if input.origin == Origin::Scanned {
            // Its own directory, and those above the one that it is in.
            let path = input.segments.first().and_then(Location::absolute);
            let above = path.iter().flat_map(|path| path.ancestors().skip(2));
            let directories = own.iter().map(PathBuf::as_path).chain(above);
            let mut earlier = directories.filter_map(|d| logs_of.get(d)).flatten();
            let same = |j: &&usize| same_points(&drafts[**j].1.run.history, &draft.run.history);
            match earlier.find(same) {
                // The one that has what is asked for beside the entropy counts.
                Some(original) if drafts[*original].1.lacks.is_some() && draft.lacks.is_none() => {
                    copies.insert(*original, i);
                }
                Some(original) => {
                    copies.insert(i, *original);
                    continue;
                }
                None => {}
            }
        }
        if let Some(own) = own {
            logs_of.entry(own).or_default().push(i);
        }
    }
    let source = |i: usize| &drafts[i].1.run.source;
    let again = copies.iter().map(|(copy, original)| {
        format!("{} holds the points of {} again", source(*copy), source(*original))
    });
    let again = again.collect();
    let mut i = 0..;
    drafts.retain(|_| i.next().is_some_and(|i| !copies.contains_key(&i)));
    again
}

/// Leaves out runs without what is to stand beside their entropy: an error for a log that was named, a
/// warning for one that was found, or for a run of several in a log. Returns how many logs are left out.
fn leave_out_lacking(
    drafts: &mut Vec<(&Input, Draft)>,
    terminal: &Terminal,
) -> Result<usize, Failure> {
    if drafts.iter().all(|(_, draft)| draft.lacks.is_none()) {
        return Ok(0);
    }
    let (lacking, whole) = std::mem::take(drafts).into_iter().partition(|(_, d)| d.lacks.is_some());
    *drafts = whole;
    let lacking: Vec<(&Input, Draft)> = lacking;
    let mut unread = 0;
    for (input, Draft { lacks, name, .. }) in lacking {
        let Some(failure) = lacks else { continue };
        if drafts.iter().any(|(other, _)| std::ptr::eq(*other, input)) {
            let run = name.map_or(String::new(), |name| format!("{name}: "));
            terminal.warn(&format!("left out: {run}{:#}", failure.error));
        } else if input.origin == Origin::Named {
            return Err(failure);
        } else {
            terminal.warn(&format!("skipped: {:#}", failure.error));
            unread += 1;
        }
    }
    Ok(unread)
}

/// Whether two histories are one, as far as 32-bit floats tell.
fn same_points(a: &History, b: &History) -> bool {
    let same = |(a, b): (&Point, &Point)| {
        a.step == b.step && (a.entropy - b.entropy).abs() <= 1e-6 * a.entropy.abs()
    };
    a.points().len() == b.points().len() && a.points().iter().zip(b.points()).all(same)
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

fn describe(run: &Run, asides: &[String]) -> String {
    let points = plural(run.history.points().len(), "point", "points");
    let mut text = format!("{}: {} read as {}, {points}", run.source, run.metric, run.format);
    for aside in asides {
        text.push_str("; ");
        text.push_str(aside);
    }
    text
}
