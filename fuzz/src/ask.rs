//! What is asked of a reader, whatever the bytes: each function panics where the answer is wrong.

use std::collections::BTreeMap;
use std::io::{self, Read};

use crate::history::{History, Point};
use crate::framing::json::{ValueKind, ScanError, Shape, shape};
use crate::formats::{self, FORMATS, Format, Log, ReadError, Source, SeriesSelector};
use crate::pad::HEAD;

/// How reading ended.
pub type Outcome = Result<(&'static Format, Log), ReadError>;

/// The bits of a point: NaN is itself.
pub fn bits(points: &[Point]) -> Vec<(u64, u64)> {
    points.iter().map(|p| (p.step.to_bits(), p.entropy.to_bits())).collect()
}

/// The best known series, and a count of the others: what `inspect` wants.
pub fn known() -> SeriesSelector {
    SeriesSelector::default_keys().with_all_series()
}

/// All keys there are, and what may stand beside them.
pub fn every() -> SeriesSelector {
    let wanted = SeriesSelector::metrics(&["*".to_owned()]).expect("a pattern");
    wanted.with_rewards(&["*rew*".to_owned()]).expect("a pattern").with_clock()
}

/// Reads as the program does.
pub fn read(mut bytes: &[u8], format: Option<&'static Format>, wanted: &SeriesSelector) -> Outcome {
    formats::read(Source { reader: &mut bytes, path: None }, format, wanted)
}

/// Reads the bytes as whatever they are recognised as, which is given back.
pub fn whatever(bytes: &[u8]) -> Option<&'static Format> {
    let outcome = read(bytes, None, &known());
    let format = outcome.as_ref().ok().map(|(format, _)| *format);
    come_through(outcome, &known());
    format
}

/// Reads the bytes as that format: at once, cut, and in pieces.
pub fn as_format(bytes: &[u8], format: &'static Format, dice: &mut impl FnMut(usize) -> usize) {
    let wanted = if dice(2) == 0 { known() } else { every() };
    let whole = read(bytes, Some(format), &wanted);
    // Anywhere, or close to the end.
    let at = if dice(2) == 0 { dice(bytes.len()) } else { bytes.len() - dice(bytes.len().min(32)) };
    prefix(bytes, at, &whole, &wanted);
    in_pieces(bytes, 1 + dice(64), format, &wanted, &whole);
    come_through(whole, &wanted);
}

/// Takes what was read through the doors behind: the choice of series, and the history, which is as
/// the log has it.
pub fn come_through(read: Outcome, wanted: &SeriesSelector) {
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

/// Asks that the first `at` bytes give an error, or what the whole gives first.
pub fn prefix(bytes: &[u8], at: usize, whole: &Outcome, wanted: &SeriesSelector) {
    let Ok((format, whole)) = whole else { return };
    if is_ambiguous(bytes, format) {
        return;
    }
    let Ok((_, cut)) = read(&bytes[..at.min(bytes.len())], Some(format), wanted) else { return };
    is_prefix(&cut, whole);
}

/// Whether a text may look like another layout when it is cut: an object that has a `step` behind an
/// array is a row, and without that step it wraps rows.
pub fn is_ambiguous(text: &[u8], format: &Format) -> bool {
    let Shape::Object(keys) = shape(text) else { return false };
    let has = |is: fn(&(String, ValueKind)) -> bool| keys.iter().any(is);
    let arrays = has(|(_, holds)| matches!(holds, ValueKind::ArrayOfObjects | ValueKind::Array));
    format.name == "rzero" && arrays && has(|(key, _)| key == "step")
}

/// Asks that every series of a log that is cut is how one of the whole begins.
pub fn is_prefix(cut: &Log, whole: &Log) {
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

/// Asks for the same whether the bytes come at once or in pieces of so many.
pub fn in_pieces(
    bytes: &[u8],
    piece: usize,
    format: &'static Format,
    wanted: &SeriesSelector,
    at_once: &Outcome,
) {
    let source = Source { reader: &mut Pieces::new(bytes, piece), path: None };
    let in_pieces = formats::read(source, Some(format), wanted);
    if let Err(ReadError::Scan(ScanError::Syntax { what, .. })) = &in_pieces
        && what.ends_with("is not a number")
    {
        return; // in a row like those before, numbers that nobody wants are not looked at
    }
    same(at_once, &in_pieces);
}

/// The same behind something long, since the first 64 KiB always come at once.
pub fn in_pieces_behind(padded: &[u8], piece: usize, format: &'static Format, wanted: &SeriesSelector) {
    in_pieces(padded, piece, format, wanted, &read(padded, Some(format), wanted));
}

/// Hands out a few bytes at a time, so that everything meets the end of a buffer once; of a long text
/// only the end, behind what recognition takes at once.
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

/// Asks that two readings came to the same: points, words and places.
pub fn same(a: &Outcome, b: &Outcome) {
    match (a, b) {
        (Ok((a_format, a)), Ok((b_format, b))) => {
            assert_eq!(a_format.name, b_format.name);
            same_series(a, b);
            assert_eq!(a.notes, b.notes);
            assert_eq!((&a.step_key, &a.keys), (&b.step_key, &b.keys));
        }
        (Err(a), Err(b)) => assert_eq!(a.to_string(), b.to_string()),
        _ => panic!("one of them is an error: {a:?} and {b:?}"),
    }
}

/// Asks for the same series, bit for bit.
pub fn same_series(a: &Log, b: &Log) {
    assert_eq!(a.series.len(), b.series.len());
    for (a, b) in a.series.iter().zip(&b.series) {
        assert_eq!((&a.run, &a.metric, &a.tag, &a.notes), (&b.run, &b.metric, &b.tag, &b.notes));
        assert!(bits(&a.points) == bits(&b.points), "{a:?} and {b:?}");
    }
}

/// The points of a series; none if the log does not read.
pub fn points(bytes: &[u8], name: &str, metric: &str) -> Vec<Point> {
    let Ok((_, log)) = read(bytes, format(name), &every()) else { return Vec::new() };
    let series = log.series.into_iter().find(|series| series.metric == metric);
    series.map_or(Vec::new(), |series| series.points)
}

/// Asks that nothing was read that is not there: the points are some of those written, in order.
pub fn only_written(read: &[Point], written: &[(u64, u64)]) {
    let mut written = written.iter();
    for point in bits(read) {
        assert!(written.any(|w| *w == point), "{read:?} was not written");
    }
}

/// The format of that name, if the program has it.
pub fn format(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// Numbers that depend on the bytes alone: where to cut, how long a piece is.
pub fn dice(bytes: &[u8]) -> impl FnMut(usize) -> usize {
    let mut state = u64::from(crc32fast::hash(bytes)) | 1 << 40;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below.max(1)
    }
}
