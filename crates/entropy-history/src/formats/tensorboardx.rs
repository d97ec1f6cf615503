//! tensorboardX's `all_scalars.json`, which `export_scalars_to_json` writes: `{tag: [[wall time, step,
//! value], …], …}`.
//!
//! Only what `add_scalars` logged is in it, and a tag begins with the directory of the writer:
//! `runs/solver/policy/entropy`. (tensorboardX 2.6.5, `writer.py`.)

use std::io::Read;
use std::path::Path;

use crate::formats::reader_api::{
    Confidence, Format, Head, MissingMetric, ReadError, SeriesBuilder, nothing_follows,
};
use crate::framing::json::{ScanError, Scanner, Value, ValueKind};

pub(crate) const FORMAT: Format = Format {
    name: "tensorboardx",
    about: "tensorboardX's all_scalars.json",
    recognised_by: "an object whose values are arrays of arrays of numbers",
    metrics: &["policy/entropy", "train/entropy", "entropy"],
    recognise,
    read,
    ..Format::DEFAULTS
};

fn recognise(head: &Head<'_>) -> Confidence {
    let keys = head.keys();
    let only_arrays = !keys.is_empty() && keys.iter().all(|(_, kind)| *kind == ValueKind::Array);
    if only_arrays && begins_with_points(head.bytes).unwrap_or(false) {
        Confidence::Certain
    } else {
        Confidence::No
    }
}

/// Whether the first value of the object is an array of arrays of numbers.
fn begins_with_points(mut bytes: &[u8]) -> Result<bool, ScanError> {
    let mut scanner = Scanner::small(&mut bytes)?;
    scanner.expect(b'{', "an object")?;
    scanner.string(&mut String::new())?;
    scanner.expect(b':', "':'")?;
    scanner.expect(b'[', "an array")?;
    let is_nested = scanner.take(b'[')?;
    Ok(is_nested && scanner.peek()?.is_some_and(|byte| byte.is_ascii_digit()))
}

fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    let clock = builder.clock("Wall time");
    let mut scanner = Scanner::new(source)?;
    scanner.object::<ReadError>(|scanner, tag| {
        let Some(column) = builder.column(key(tag, head.path, builder)) else {
            return Ok(scanner.skip()?);
        };
        scanner.array::<ReadError>(|scanner| {
            let place = scanner.place();
            let mut point = [f64::NAN; 3];
            let mut numbers = 0;
            scanner.array::<ReadError>(|scanner| {
                if let (Value::Number(number) | Value::InexactInteger(_, number), Some(slot)) =
                    (scanner.value()?, point.get_mut(numbers))
                {
                    *slot = number;
                }
                numbers += 1;
                Ok(())
            })?;
            let [time, step, value] = point;
            if numbers != 3 || !step.is_finite() {
                let what = "it is not a wall time, a step and a value".to_owned();
                let (row, place) = (builder.rows() + 1, place.to_string());
                return Err(ReadError::Row { row, place, what });
            }
            builder.push(column, step, value);
            if let (Some(clock), true) = (clock, builder.is_selected(column)) {
                builder.push(clock, step, time);
            }
            Ok(())
        })?;
        Ok(())
    })?;
    nothing_follows(&mut scanner)
}

/// The key of a tag: its longest end that is selected, else what follows the name of the directory of
/// the file.
fn key<'t>(tag: &'t str, path: Option<&Path>, builder: &SeriesBuilder<'_>) -> &'t str {
    let ends = std::iter::once(tag).chain(tag.match_indices('/').map(|(at, _)| &tag[at + 1..]));
    if let Some(end) = ends.clone().find(|end| builder.is_metric(end)) {
        return end;
    }
    let directory = path.and_then(|path| path.parent()?.file_name()?.to_str());
    let behind = directory.and_then(|name| tag.split_once(&format!("{name}/")));
    behind.map_or(tag, |(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{SeriesSelector, Source};

    fn read_at(text: &str, path: &str) -> Vec<(String, Vec<(f64, f64)>)> {
        let source = Source { reader: &mut text.as_bytes(), path: Some(Path::new(path)) };
        let selector = SeriesSelector::default_keys();
        let (format, log) = crate::formats::read(source, None, &selector).unwrap();
        assert_eq!(format.name, "tensorboardx");
        let points = log.series.into_iter().map(|series| {
            (series.metric, series.points.iter().map(|p| (p.step, p.entropy)).collect())
        });
        points.collect()
    }

    #[test]
    fn known_end_of_a_tag_is_its_key() {
        let text = r#"{"runs/a/losses/policy": [[1.5e9, 1, 3.0]],
            "runs/a/policy/entropy": [[1.5e9, 1, 2.5], [1.5e9, 2, NaN], [1.5e9, 3, 2.25]]}"#;
        let found = read_at(text, "runs/a/all_scalars.json");
        assert_eq!((found.len(), found[0].0.as_str()), (1, "policy/entropy"));
        assert_eq!(format!("{:?}", found[0].1), "[(1.0, 2.5), (2.0, NaN), (3.0, 2.25)]");
    }

    #[test]
    fn tag_without_a_known_end_has_the_key_behind_the_directory() {
        let selector = SeriesSelector::metrics(&["none".to_owned()]).unwrap();
        let builder = SeriesBuilder::new(std::borrow::Cow::Borrowed(&selector), &[]);
        let path = Some(Path::new("runs/a/all_scalars.json"));
        assert_eq!(key("runs/a/x/y", path, &builder), "x/y");
        assert_eq!(key("elsewhere/x", path, &builder), "elsewhere/x");
    }
}
