//! The curves of one log: its files read, joined where they are segments of a run, and checked.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, anyhow};

use super::across::CLOCKS;
use super::oddities::oddities;
use entropy_history::discover::{Input, Location, Origin};
use entropy_history::elapsed::{By, ElapsedError, since_start};
use entropy_history::formats::{
    self, Confidence, Format, Log, LogNote, LogSeries, RawAux, ReadAhead, ReadError,
    SeriesSelector, Source, TrackioError,
};
use entropy_history::history::{AuxSeries, History, Point, Run};
use entropy_history::quantity::Sign;
use entropy_shell::{Failure, WithHint};
use entropy_shell::{io_message, plural};

/// Files from so many bytes on are read ahead, where a second core can do it.
const LARGE: u64 = 8 << 20;

/// A curve on its way to its name.
pub(super) struct Draft {
    pub(super) run: Run,             // its label is not its own yet
    pub(super) name: Option<String>, // of the run, as the log has it
    pub(super) asides: Vec<String>,
    /// Why it has not all that is to stand beside its entropy.
    pub(super) lacks: Option<Failure>,
}

/// What is to stand beside the entropy of each run.
#[derive(Default)]
pub(super) struct AuxRequest<'a> {
    /// Keys or globs of its reward, the first that a log has counting; none: no reward.
    pub(super) rewards: &'a [String],
    /// When each step was logged.
    pub(super) clock: Clock,
}

/// Whether a run has to say when its steps were logged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Clock {
    /// Nobody asks.
    #[default]
    Unasked,
    /// It is taken where a log has one.
    IfAny,
    /// A run without one is of no use.
    Needed,
}

/// What became of a log that need not be one.
pub(super) enum Outcome {
    /// Its curves, at least one; and why others in it are none.
    Curves(Vec<Draft>, Vec<Failure>),
    /// It is a log without an entropy; why.
    NoEntropy(String),
    /// It is no log.
    NoLog,
}

/// How logs are read.
pub(super) struct Reader<'a> {
    /// The format of all of them, if it is not to be recognised.
    pub(super) format: Option<&'static Format>,
    /// The series to take.
    pub(super) wanted: &'a SeriesSelector,
    /// What is to stand beside them; asked for in `wanted` too.
    pub(super) besides: &'a AuxRequest<'a>,
    /// Tokens in the vocabulary.
    pub(super) vocabulary: u32,
}

impl Reader<'_> {
    /// The curves of one log.
    ///
    /// # Errors
    /// When it cannot be read; a log that was found among other files, and holds no entropy, is
    /// none.
    pub(super) fn read(&self, input: &Input) -> Result<Outcome, Failure> {
        let segments = input.segments.iter();
        self.curves(input, segments.map(|location| self.read_segment(location, input.origin)))
    }

    /// The curves of one log, of which these are the files.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(super) fn curves(
        &self,
        input: &Input,
        segments: impl Iterator<Item = Segment>,
    ) -> Result<Outcome, Failure> {
        let mut parts = Vec::new();
        let mut first_error = None;
        for segment in segments {
            match segment {
                Ok(Some(part)) => parts.push(part),
                Ok(None) => {}
                // Of several files of a directory, some may hold other things.
                Err((error, name)) if input.directory.is_some() && holds_no_entropy(&error) => {
                    first_error.get_or_insert((error, name));
                }
                Err((error, name))
                    if input.origin == Origin::Scanned && holds_no_entropy(&error) =>
                {
                    return Ok(Outcome::NoEntropy(format!("{name}: {error}")));
                }
                Err((error, name)) => return Err(explain(&name, error)),
            }
        }
        if parts.is_empty() {
            return match first_error {
                Some((error, _)) if input.origin == Origin::Scanned => {
                    Ok(Outcome::NoEntropy(format!("{}: {error}", input.name())))
                }
                Some((error, name)) => Err(explain(&name, error)),
                None => Ok(Outcome::NoLog),
            };
        }
        // Of several runs in one log, one without a finite value is left out.
        let (mut drafts, mut failures) = (Vec::new(), Vec::new());
        for curve in join(input, parts)? {
            match self.draft(input, curve) {
                Ok(draft) => drafts.push(draft),
                Err(failure) => failures.push(failure),
            }
        }
        match (drafts.is_empty(), failures.pop()) {
            (true, Some(failure)) => Err(failure),
            (_, last) => Ok(Outcome::Curves(drafts, failures.into_iter().chain(last).collect())),
        }
    }

    /// What one file holds; none if it is not recognised, and need not be.
    fn read_segment(&self, location: &Location, origin: Origin) -> Segment {
        let name = location.name();
        let in_file = |e: io::Error| (ReadError::Io(e), name.clone());
        if let (Location::File(path), Origin::Scanned, None) = (location, origin, self.format)
            && !may_be_log(path).map_err(in_file)?
        {
            return Ok(None);
        }
        let (mut reader, path) = open(location).map_err(in_file)?;
        let source = Source { reader: &mut *reader, path };
        self.part(name, formats::read(source, self.format, self.wanted))
    }

    /// What one file holds, as it was read.
    pub(super) fn part(
        &self,
        name: String,
        read: Result<(&'static Format, Log), ReadError>,
    ) -> Segment {
        let (format, log) = read.map_err(|e| (e, name.clone()))?;
        let purge_from_step = log.purge_from_step;
        let keys = if self.besides.rewards.is_empty() { Vec::new() } else { log.keys.clone() };
        let (series, notes) = log.choose(self.wanted, format).map_err(|e| (e, name.clone()))?;
        Ok(Some(Part { format, series, purge_from_step, keys, notes, name }))
    }

    fn draft(&self, input: &Input, curve: Curve) -> Result<Draft, Failure> {
        let source = input.name();
        let Curve { format, mut series, keys, notes } = curve;
        let reward = self.reward(&source, std::mem::take(&mut series.rewards), keys);
        let clock = self.clock(&source, std::mem::take(&mut series.clocks));
        let (kind, sign) = series.quantity(format);
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
        run.warnings.extend(oddities(&run, self.vocabulary));
        let mut lacks = None;
        match reward {
            Ok(reward) => run.reward = reward,
            Err(failure) => lacks = Some(failure),
        }
        match clock {
            Ok(clock) => run.clock = clock,
            Err(failure) => lacks = Some(failure),
        }
        if let (Some(_), Err(why)) = (&run.clock, since_start(&run, By::Time(1.0))) {
            if self.besides.clock == Clock::IfAny {
                run.clock = None;
            } else {
                let error = anyhow!("cannot place {} in time: {why}", run.source);
                lacks = Some(Failure { error, hint: Some(CLOCKS.to_owned()) });
            }
        }
        let asides = quiet.iter().map(ToString::to_string).collect();
        Ok(Draft { run, name: series.run, asides, lacks })
    }

    /// The reward that was asked for; none if none was.
    fn reward(
        &self,
        source: &str,
        asides: Vec<RawAux>,
        keys: Vec<String>,
    ) -> Result<Option<AuxSeries>, Failure> {
        let Some(asked) = self.besides.rewards.first() else { return Ok(None) };
        if let Some(best) = asides.iter().map(|aside| aside.rank).min() {
            let mut equals: Vec<RawAux> = asides.into_iter().filter(|a| a.rank == best).collect();
            if equals.len() > 1 {
                let pattern = &self.besides.rewards[best.pattern];
                let names = equals.into_iter().map(|aside| aside.metric).collect();
                let names = formats::nearest_rewards(names, "");
                let listed = formats::quoted(&names);
                let best = names.first().filter(|name| formats::is_reward_like(name));
                let name = best.map_or("KEY", String::as_str);
                return Err(anyhow!("cannot use {source}: the reward {pattern:?} may be {listed}"))
                    .hint(format!("name one of them: --reward {name}"));
            }
            let RawAux { metric, rows, .. } = equals.remove(0);
            let what = format!("cannot use {source}: no value of the reward {metric:?} is finite");
            return match AuxSeries::from_raw(metric, rows) {
                Some(reward) => Ok(Some(reward)),
                None => Err(anyhow!(what)).hint("--reward KEY takes another series"),
            };
        }
        let wanted: Vec<String> = self.besides.rewards.iter().map(|r| format!("{r:?}")).collect();
        let wanted = wanted.join(" or ");
        let found = formats::nearest_rewards(keys, asked);
        let hint = match found.first() {
            Some(key) if formats::is_reward_like(key) => format!("try --reward {key}"),
            _ => "`entropy-viz inspect` lists the series of a log; this one may hold no reward"
                .to_owned(),
        };
        let found = formats::quoted(&found);
        Err(anyhow!("cannot use {source}: no row has the reward {wanted}; the log has {found}"))
            .hint(hint)
    }

    /// The best clock that the log has, if clocks were asked for.
    fn clock(&self, source: &str, mut asides: Vec<RawAux>) -> Result<Option<AuxSeries>, Failure> {
        if self.besides.clock == Clock::Unasked {
            return Ok(None);
        }
        asides.sort_by_key(|aside| aside.rank);
        let clocks = asides.into_iter().map(|aside| AuxSeries::from_raw(aside.metric, aside.rows));
        match clocks.flatten().next() {
            Some(clock) => Ok(Some(clock)),
            None if self.besides.clock == Clock::IfAny => Ok(None),
            None => Err(anyhow!("cannot place {source} in time: {}", ElapsedError::NoClock))
                .hint(CLOCKS),
        }
    }
}

/// Whether a file that was found among others looks like a log.
///
/// # Errors
/// When it cannot be read.
pub(super) fn may_be_log(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let claims = formats::claims(Source { reader: &mut file, path: Some(path) })?;
    // The start of a console log may be noise alone.
    let is_console = path.extension().is_some_and(|e| e == "out" || e == "log");
    let least = if is_console { Confidence::Maybe } else { Confidence::Likely };
    Ok(claims.iter().any(|(_, claim)| *claim >= least))
}

/// What a file of a log holds; none if it is none; an error with the name of the file.
pub(super) type Segment = Result<Option<Part>, (ReadError, String)>;

/// What one file of a log holds.
pub(super) struct Part {
    format: &'static Format,
    series: Vec<LogSeries>,
    purge_from_step: Option<f64>,
    keys: Vec<String>, // all of the log, if a reward was asked for
    notes: Vec<LogNote>,
    name: String,
}

/// A series with all that is odd about it and its file.
struct Curve {
    format: &'static Format,
    series: LogSeries,
    keys: Vec<String>,
    notes: Vec<LogNote>,
}

/// Opens a log; a large file is read ahead.
pub(super) fn open(location: &Location) -> io::Result<(Box<dyn Read + '_>, Option<&Path>)> {
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
        let Part { format, series, purge_from_step, keys, notes, name } = part;
        for (i, mut series) in series.into_iter().enumerate() {
            let own = std::mem::take(&mut series.notes);
            let shared = if i == 0 { notes.clone() } else { Vec::new() };
            let notes: Vec<LogNote> = shared.into_iter().chain(own).collect();
            let same = |curve: &&mut Curve| {
                one_each
                    || (&curve.series.run, &curve.series.metric) == (&series.run, &series.metric)
            };
            let Some(curve) = curves.iter_mut().find(same).filter(|_| several) else {
                curves.push(Curve { format, series, keys: keys.clone(), notes });
                continue;
            };
            let (kind, other) = (curve.series.quantity(curve.format).0, series.quantity(format).0);
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
                curve.notes.push(LogNote::Odd(format!(
                    "{name} starts before the segment that it follows; where both log a step, {name} counts"
                )));
            }
            if let Some(step) = purge_from_step {
                let rows = curve.series.points.len();
                curve.series.points.retain(|point| point.step < step);
                let void = plural(rows - curve.series.points.len(), "row", "rows");
                curve.notes.push(LogNote::Remark(format!(
                    "{void} from step {step} on are void: the run was taken back to it"
                )));
            }
            // The end of a segment that another carries on is where its job was killed.
            curve.notes.retain(|note| !matches!(note, LogNote::Cut { .. }));
            curve.series.points.append(&mut series.points);
            carry_on(&mut curve.series.rewards, series.rewards, purge_from_step);
            let anew = series.clocks.iter_mut().map(|clock| go_on(clock, &curve.series.clocks));
            if anew.filter(|anew| *anew).count() > 0 {
                curve.notes.push(LogNote::Remark(format!(
                    "the clock of {name} starts anew; it goes on where the segment before ended"
                )));
            }
            carry_on(&mut curve.series.clocks, series.clocks, purge_from_step);
            curve.keys.extend(keys.iter().cloned());
            curve.keys.sort_unstable();
            curve.keys.dedup();
            curve.notes.extend(notes);
            curve.notes.push(LogNote::Remark(format!("carried on in {name}")));
        }
    }
    Ok(curves)
}

/// Appends what stands beside a later segment; what the run was taken back behind is void here too.
fn carry_on(earlier: &mut Vec<RawAux>, later: Vec<RawAux>, purge_from_step: Option<f64>) {
    if let Some(step) = purge_from_step {
        earlier.iter_mut().for_each(|aside| aside.rows.retain(|row| row.0 < step));
    }
    for aside in later {
        match earlier.iter_mut().find(|e| e.metric == aside.metric) {
            Some(same) => same.rows.extend(aside.rows),
            None => earlier.push(aside),
        }
    }
}

/// A clock that counts from the start of a process starts anew with each segment: there it goes on
/// where the segment before ended. Whether it did.
fn go_on(clock: &mut RawAux, earlier: &[RawAux]) -> bool {
    let Some(before) = earlier.iter().find(|e| e.metric == clock.metric) else { return false };
    let (Some(&(_, last)), Some(&(_, first))) = (before.rows.last(), clock.rows.first()) else {
        return false;
    };
    if first < last {
        clock.rows.iter_mut().for_each(|row| row.1 += last);
    }
    first < last
}

/// Whether a log is whole as far as it goes, and has nothing to draw.
pub(super) fn holds_no_entropy(error: &ReadError) -> bool {
    matches!(
        error,
        ReadError::NoMetric { .. }
            | ReadError::NoStep { .. }
            | ReadError::Nothing(_)
            | ReadError::Trackio(TrackioError::Foreign(_))
            | ReadError::Unrecognised(_)
    )
}

/// The error with what to do about it.
pub(super) fn explain(source: &str, error: ReadError) -> Failure {
    let hint = match &error {
        ReadError::NoMetric { found, .. } if found.iter().any(|k| k == "response_token_ids") => {
            "it is a dump of single tokens, which `entropy-viz report RUN --tokens FILE` shows"
                .to_owned()
        }
        ReadError::NoMetric { .. } => match error.near_miss() {
            Some(key) => format!("try --metric {key}"),
            None => "--metric KEY names the series to take".to_owned(),
        },
        ReadError::OverTime(_) => {
            "set the x-axis of the panel to Step, and download it again".to_owned()
        }
        ReadError::Codec(_) => {
            "write it anew with zstd or snappy, as in df.to_parquet(path, compression=\"zstd\")"
                .to_owned()
        }
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
        ReadError::Trackio(_) => {
            "trackio keeps <project>.db below $TRACKIO_DIR or ~/.cache/huggingface/trackio"
                .to_owned()
        }
        ReadError::Record { .. } => {
            "the file is damaged, or --format names what it is not".to_owned()
        }
        ReadError::Io(_) => "check that it is a file that you may read".to_owned(),
    };
    let error = match &error {
        ReadError::Io(e) | ReadError::Scan(entropy_history::framing::json::ScanError::Io(e)) => {
            anyhow!("cannot read {source}: {}", io_message(e))
        }
        _ => anyhow!("cannot read {source}: {error}"),
    };
    Failure { error, hint: Some(hint) }
}
