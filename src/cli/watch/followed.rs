//! One log that is followed: what was read of it, and what of that to believe while it is being written.
//!
//! A trainer that writes its file anew leaves, for a moment, the start of it. What holds less than before and
//! whose end is missing waits until the file is whole, or until nothing has been written for [`HOLD`].

use std::time::{Duration, Instant};

use anyhow::anyhow;

use super::super::curves::{Draft, Outcome, Reader, Segment, holds_no_entropy, may_be_log};
use super::follow::Problem;
use entropy_history::discover::{Input, Location, Origin};
use entropy_history::formats::{Log, LogNote, ReadError};
use entropy_history::tail::FileTail;
use entropy_shell::{Failure, WithHint};

/// A file whose end is missing is in the middle of being written, unless nothing is written to it for so
/// long: then it is a file that was cut.
const HOLD: Duration = Duration::from_secs(30);

/// A log that is followed.
pub(super) struct Followed<'a> {
    pub(super) place: usize,
    pub(super) input: Input,
    pub(super) tails: Vec<FileTail<'a>>,
    pub(super) drafts: Vec<Draft>,
    /// What is wrong with it, if anything.
    pub(super) said: Option<String>,
    /// Why others in it are no curves.
    pub(super) lesser: Vec<String>,
    /// Since when a reading waits to be taken: its end is missing.
    held: Option<Instant>,
    /// What is shown was read from a file whose end was missing, and was never seen otherwise.
    pub(super) unsure: bool,
    /// It was found once, and its files are gone.
    pub(super) lost: bool,
}

/// What a look at one log brought.
pub(super) enum Look {
    /// It was not written to, or waits for its end.
    Same,
    /// There are other points; what is wrong with series in it that are no curves.
    Grew(Vec<Failure>),
    /// It ends inside a row for good; what is there is taken.
    Settled(Failure),
    /// It cannot be read, which was not said before.
    Failed(Problem),
    /// It holds nothing to draw, or what it fails of was said before.
    Nothing,
}

impl<'a> Followed<'a> {
    /// A log to follow; what is known of its files is kept.
    pub(super) fn new(
        place: usize,
        input: Input,
        before: Option<Followed<'a>>,
        reader: &Reader<'a>,
    ) -> Result<Followed<'a>, Failure> {
        let mut log = before.unwrap_or_else(|| Followed {
            place,
            input: input.clone(),
            tails: Vec::new(),
            drafts: Vec::new(),
            said: None,
            lesser: Vec::new(),
            held: None,
            unsure: false,
            lost: false,
        });
        let mut known = std::mem::take(&mut log.tails);
        let mut tails = Vec::new();
        for segment in &input.segments {
            let Location::File(path) = segment else {
                return Err(anyhow!("cannot follow stdin: it is read once"))
                    .hint("write it to a file, as with `tee run.jsonl`, and name that");
            };
            let at = known.iter().position(|tail| tail.path() == path);
            let tail = at.map(|at| known.swap_remove(at));
            tails.push(
                tail.unwrap_or_else(|| FileTail::new(path.clone(), reader.format, reader.wanted)),
            );
        }
        Ok(Followed { place, input, tails, lost: false, ..log })
    }

    /// Whether none of its files is there.
    pub(super) fn is_deleted(&self) -> bool {
        self.tails.iter().all(|tail| !tail.path().exists())
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = String> {
        self.drafts.iter().map(|draft| draft.run.source.clone())
    }

    /// Reads the files of the log if one of them changed.
    pub(super) fn look(&mut self, reader: &Reader<'_>, now: Instant) -> Look {
        let waited = self.held.is_some_and(|since| now.saturating_duration_since(since) >= HOLD);
        let settled = waited && !self.tails.iter().any(FileTail::is_another);
        if !settled && !self.tails.iter().any(|tail| tail.has_changed(now)) {
            return Look::Same;
        }
        let scanned = self.input.origin == Origin::Scanned && reader.format.is_none();
        let must_look_like_one = scanned && self.drafts.is_empty();
        let mut segments: Vec<Segment> = Vec::new();
        let mut why_cut: Option<String> = None;
        let mut is_rewritten = false;
        for tail in &mut self.tails {
            let name = tail.path().to_string_lossy().into_owned();
            if must_look_like_one && !may_be_log(tail.path()).unwrap_or(true) {
                tail.pass_over();
                segments.push(Ok(None));
                continue;
            }
            let read = tail.read(now);
            let why = match &read {
                Ok((_, log)) => cut(log).map(ToString::to_string),
                // Before its first bytes are there, a file that is written anew is empty.
                Err(error) => holds_no_entropy(error).then(|| error.to_string()),
            };
            // What is appended to ends inside a row most of the time, and is none the worse for it.
            let is_console = matches!(&read, Ok((format, _)) if format.is_console);
            is_rewritten |= why.is_some() && !tail.is_incremental() && !is_console;
            why_cut = why_cut.or(why.map(|why| format!("{name}: {why}")));
            segments.push(reader.part(name, read));
        }
        let is_empty = |segment: &Segment| match segment {
            Ok(None) => true,
            Ok(Some(_)) => false,
            // What is no log at the start will be none.
            Err((ReadError::Unrecognised(_), _)) => false,
            Err((error, _)) => holds_no_entropy(error),
        };
        let may_come = segments.iter().all(is_empty);
        let is_first = self.drafts.is_empty();
        let may_be_half = why_cut.is_some() && !is_first && !settled;
        // What could be read once keeps its curve: it may be in the middle of being written.
        let failure = match reader.curves(&self.input, segments.into_iter()) {
            Ok(Outcome::Curves(drafts, failures)) => {
                if may_be_half && points(&drafts) < points(&self.drafts) {
                    return self.hold(now);
                }
                self.drafts = drafts;
                self.said = None;
                self.unsure = is_first && is_rewritten;
                self.held = self.unsure.then_some(now);
                return match why_cut.filter(|_| settled) {
                    Some(why) => {
                        let failure = Failure::from(anyhow!("{why}"));
                        self.said = Some(text(&failure));
                        Look::Settled(failure)
                    }
                    None => Look::Grew(failures),
                };
            }
            _ if may_be_half => return self.hold(now),
            Ok(Outcome::NoEntropy(why)) if !is_first => Failure::from(anyhow!("cannot read {why}")),
            Ok(Outcome::NoEntropy(_) | Outcome::NoLog) => {
                (self.held, self.said) = (None, None);
                return Look::Nothing;
            }
            Err(failure) => failure,
        };
        self.held = None;
        let words = text(&failure);
        if self.said.as_ref() == Some(&words) {
            return Look::Nothing;
        }
        self.said = Some(words);
        Look::Failed(Problem { failure, origin: self.input.origin, may_come })
    }

    /// Waits for the rest of a file; meanwhile what was read before is shown.
    fn hold(&mut self, now: Instant) -> Look {
        (self.held, self.said) = (Some(now), None);
        Look::Same
    }
}

/// The points of curves.
fn points(drafts: &[Draft]) -> usize {
    drafts.iter().map(|draft| draft.run.history.points().len()).sum()
}

/// A failure in words.
pub(super) fn text(failure: &Failure) -> String {
    format!("{:#}", failure.error)
}

/// Why the end of a log is missing, if it is.
fn cut(log: &Log) -> Option<&LogNote> {
    log.notes.iter().find(|note| matches!(note, LogNote::Cut { .. } | LogNote::CompressionCut(_)))
}
