//! Properties of the readers that hold for every input. Each function panics if its property is violated.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::history::{History, Point};
use crate::framing::json::{ValueKind, ScanError, Shape, shape};
use crate::formats::{self, FORMATS, Format, Log, LogNote, ReadError, Source, SeriesSelector};
use crate::pad::HEAD;

/// The result of reading a log.
pub type Outcome = Result<(&'static Format, Log), ReadError>;

/// The bits of points, so that NaN equals NaN.
pub fn bits(points: &[Point]) -> Vec<(u64, u64)> {
    points.iter().map(|p| (p.step.to_bits(), p.entropy.to_bits())).collect()
}

/// Selects the best-known series, and lists the others, as `inspect` does.
pub fn known_series() -> SeriesSelector {
    SeriesSelector::default_keys().with_all_series()
}

/// Selects every key, with other quantities and clocks.
pub fn all_series() -> SeriesSelector {
    let wanted = SeriesSelector::metrics(&["*".to_owned()]).expect("a pattern");
    wanted.with_quantities(&[vec!["*rew*".to_owned()], vec!["*kl*".to_owned()]]).expect("a pattern").with_clock()
}

/// Reads bytes as the program does.
pub fn read(mut bytes: &[u8], format: Option<&'static Format>, wanted: &SeriesSelector) -> Outcome {
    formats::read(Source { reader: &mut bytes, path: None }, format, wanted)
}

/// Reads bytes in the format that is recognised, checks the result, and returns the format.
pub fn read_any(bytes: &[u8]) -> Option<&'static Format> {
    let outcome = read(bytes, None, &known_series());
    let format = outcome.as_ref().ok().map(|(format, _)| *format);
    check_history(outcome, &known_series());
    format
}

/// Reads bytes as a given format: whole, cut, and in pieces.
pub fn check_format(bytes: &[u8], format: &'static Format, random: &mut impl FnMut(usize) -> usize) {
    let wanted = if random(2) == 0 { known_series() } else { all_series() };
    let whole = read(bytes, Some(format), &wanted);
    // Cut anywhere, or close to the end.
    let at = if random(2) == 0 { random(bytes.len()) } else { bytes.len() - random(bytes.len().min(32)) };
    check_prefix(bytes, at, &whole, &wanted);
    check_pieces(bytes, 1 + random(64), format, &wanted, &whole);
    check_history(whole, &wanted);
}

/// Passes the result on to the choice of series and to `History::from_raw`, and checks the history against the
/// log.
pub fn check_history(read: Outcome, wanted: &SeriesSelector) {
    let Ok((format, log)) = read else { return };
    let Ok((series, notes)) = log.choose(wanted, format) else { return };
    for series in &series {
        let kind = series.quantity(format).0;
        let Ok((history, repairs)) = History::from_raw("x", kind, series.points.clone()) else {
            continue;
        };
        let mut last: BTreeMap<u64, f64> = BTreeMap::new();
        for point in &series.points {
            last.insert((point.step + 0.0).to_bits(), point.entropy); // -0.0 is 0.0
        }
        let finite = last.values().filter(|entropy| entropy.is_finite()).count();
        assert_eq!(history.points().len(), finite, "a step has one point");
        for point in history.points() {
            let logged = last.get(&(point.step + 0.0).to_bits());
            assert_eq!(logged, Some(&point.entropy), "the last value of step {}", point.step);
        }
        assert!(history.points().is_sorted_by(|a, b| a.step < b.step));
        assert!(repairs.relogged + repairs.not_finite < series.points.len());
    }
    let notes = notes.iter().chain(series.iter().flat_map(|series| &series.notes));
    assert!(notes.fold(0, |length, note| length + note.to_string().len()) < 1 << 20);
}

/// Checks that the first `at` bytes give an error, or a prefix of what all bytes give.
pub fn check_prefix(bytes: &[u8], at: usize, whole: &Outcome, wanted: &SeriesSelector) {
    let Ok((format, whole)) = whole else { return };
    if is_ambiguous(bytes, format) {
        return;
    }
    let Ok((_, cut)) = read(&bytes[..at.min(bytes.len())], Some(format), wanted) else { return };
    // Rows are numbered if no row has a step, and the header of a table is recognised by the row after it.
    let depends_on_the_rest = |note: &LogNote| match note {
        LogNote::RowsNumbered => true,
        LogNote::OtherText { .. } | LogNote::BrokenRows { .. } => format.name == "csv",
        _ => false,
    };
    if cut.notes.iter().chain(&whole.notes).any(depends_on_the_rest) {
        return;
    }
    assert_prefix(&cut, whole);
}

/// Whether a cut text may look like another layout: an object with a `step` after an
/// array is a row; cut before that step, it looks like an object that wraps rows.
pub fn is_ambiguous(text: &[u8], format: &Format) -> bool {
    let Shape::Object(keys) = shape(text) else { return false };
    let has = |is: fn(&(String, ValueKind)) -> bool| keys.iter().any(is);
    let arrays = has(|(_, holds)| matches!(holds, ValueKind::ArrayOfObjects | ValueKind::Array));
    format.name == "rzero" && arrays && has(|(key, _)| key == "step")
}

/// Checks that every series of a cut log is a prefix of a series of the whole log.
pub fn assert_prefix(cut: &Log, whole: &Log) {
    if whole.purge_from_step.is_some() {
        return; // what came before may be void by what came behind
    }
    for series in &cut.series {
        let part = bits(&series.points);
        let is_start = whole.series.iter().any(|of| {
            of.metric == series.metric
                && of.points.len() >= part.len()
                && bits(&of.points[..part.len()]) == part
        });
        assert!(is_start, "the cut log has {:?} and the whole {:?}", cut.series, whole.series);
    }
}

/// Checks that reading in pieces of `piece` bytes gives the same as reading at once.
pub fn check_pieces(
    bytes: &[u8],
    piece: usize,
    format: &'static Format,
    wanted: &SeriesSelector,
    at_once: &Outcome,
) {
    let source = Source { reader: &mut Pieces::new(bytes, piece), path: None };
    let in_pieces = formats::read(source, Some(format), wanted);
    // In a row like those before, numbers of series that are not selected are not looked at: "0.5-" breaks the row
    // only where it is scanned.
    let is_broken = |note: &LogNote| matches!(note, LogNote::BrokenRows { .. });
    match &in_pieces {
        Err(ReadError::Scan(ScanError::Syntax { what, .. })) if what.ends_with("is not a number") => return,
        Ok((_, log)) if log.notes.iter().any(is_broken) => return,
        _ => {}
    }
    assert_same(at_once, &in_pieces);
}

/// Checks pieces after padding, because the first 64 KiB always come at once.
pub fn check_pieces_after_padding(padded: &[u8], piece: usize, format: &'static Format, wanted: &SeriesSelector) {
    check_pieces(padded, piece, format, wanted, &read(padded, Some(format), wanted));
}

/// A reader that returns a few bytes at a time, so that every token crosses a buffer end. Of a long text,
/// only the part after the first 64 KiB, which recognition takes at once.
struct Pieces<'a> {
    rest: &'a [u8],
    at_once: usize,
    piece: usize,
}

impl<'a> Pieces<'a> {
    fn new(bytes: &'a [u8], piece: usize) -> Pieces<'a> {
        let at_once = if bytes.len() > HEAD { HEAD } else { 0 };
        Pieces { rest: bytes, at_once, piece: piece.max(1) }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.rest.len().min(buf.len()).min(self.piece.max(self.at_once));
        self.at_once = self.at_once.saturating_sub(n);
        let (given, rest) = self.rest.split_at(n);
        buf[..n].copy_from_slice(given);
        self.rest = rest;
        Ok(n)
    }
}

/// Checks that two results are equal: points, notes, and error positions.
pub fn assert_same(a: &Outcome, b: &Outcome) {
    match (a, b) {
        (Ok((a_format, a)), Ok((b_format, b))) => {
            assert_eq!(a_format.name, b_format.name);
            assert_same_series(a, b);
            assert_eq!(a.notes, b.notes);
            assert_eq!((&a.step_key, &a.keys), (&b.step_key, &b.keys));
        }
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
        _ => panic!("one of them is an error: {a:?} and {b:?}"),
    }
}

/// Checks that two logs have equal series, bit for bit.
pub fn assert_same_series(a: &Log, b: &Log) {
    assert_eq!(a.series.len(), b.series.len());
    for (a, b) in a.series.iter().zip(&b.series) {
        assert_eq!((&a.run, &a.metric, &a.tag, &a.notes), (&b.run, &b.metric, &b.tag, &b.notes));
        assert!(bits(&a.points) == bits(&b.points), "{a:?} and {b:?}");
    }
}

/// The points of a series; empty if the log cannot be read.
pub fn points(bytes: &[u8], name: &str, metric: &str) -> Vec<Point> {
    let Ok((_, log)) = read(bytes, format(name), &all_series()) else { return Vec::new() };
    let series = log.series.into_iter().find(|series| series.metric == metric);
    series.map_or(Vec::new(), |series| series.points)
}

/// Checks that the points read are a subsequence of the points written.
pub fn assert_only_written(read: &[Point], written: &[(u64, u64)]) {
    let mut written = written.iter();
    for point in bits(read) {
        assert!(written.any(|w| *w == point), "{read:?} was not written");
    }
}

/// The format with this name, if it exists.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Pseudo-random numbers that depend only on the bytes: where to cut, how long a piece is.
pub fn random_numbers(bytes: &[u8]) -> impl FnMut(usize) -> usize {
    let mut state = u64::from(crc32fast::hash(bytes)) | 1 << 40;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    }
}
