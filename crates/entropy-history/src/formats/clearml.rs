//! ClearML's offline session: `offline-<id>/metrics.jsonl`, in each line a list of events.
//!
//! ```json
//! [{"timestamp": 1795806807387, "type": "training_stats_scalar", "task": "offline-…", "iter": 1,
//!   "metric": "actor", "variant": "entropy", "value": 0.89, "method": "get"}, …]
//! ```
//!
//! verl reports a metric under the two parts of its key, and transformers reports `train/loss` as the
//! metric `loss` with the variant `train`. `task.json` next to it has the name of the run; both are also
//! packed into `offline-<id>.zip`. A value without a step (`report_single_value`) has the smallest 32-bit
//! integer as step. ClearML replaces NaN and infinities by 0. (clearml 2,
//! `backend_interface/metrics/events.py`; verl, `utils/tracking.py`.)

use std::fs::File;
use std::io::Read;

use crate::formats::format::RunIdentity;
use crate::formats::reader_api::{
    ColumnId, Confidence, Format, Growth, Head, MissingMetric, ReadError, SeriesBuilder,
};
use crate::framing::json::{ScanError, Scanner, Shape, Value};
use crate::framing::zip;

pub(crate) const FORMAT: Format = Format {
    name: "clearml",
    about: "ClearML's offline session: metrics.jsonl, or packed as ZIP",
    recognised_by: "lines of lists of objects with task, metric and variant",
    metrics: &["actor/entropy", "train/entropy"],
    recognise,
    read,
    growth: |head| if is_zip(head) { Growth::Rewritten } else { Growth::Lines },
    identity: RunIdentity::Id,
    ..Format::DEFAULTS
};

/// The step of a value that has none.
const NO_STEP: f64 = i32::MIN as f64;

/// The name of the log in a packed session.
const METRICS: &str = "metrics.jsonl";

fn is_zip(head: &Head<'_>) -> bool {
    head.bytes.starts_with(zip::MAGIC)
}

fn recognise(head: &Head<'_>) -> Confidence {
    if is_zip(head) {
        let archive = head.path.and_then(|path| File::open(path).ok());
        let has_log = archive.is_some_and(|mut archive| {
            zip::open(&mut archive, METRICS).is_ok_and(|file| file.is_some())
        });
        return if has_log { Confidence::Certain } else { Confidence::No };
    }
    let Shape::Rows(keys) = &head.shape else { return Confidence::No };
    let has = |name: &&str| keys.iter().any(|(key, _)| key == name);
    if ["task", "metric", "variant", "iter"].iter().all(has) {
        Confidence::Certain
    } else {
        Confidence::No
    }
}

/// What an event holds, reused for all of them.
#[derive(Default)]
struct Event {
    kind: String,
    metric: String,
    variant: String,
    step: Option<f64>,
    value: Option<f64>,
    milliseconds: f64,
}

fn read(
    head: &Head<'_>,
    source: &mut dyn Read,
    builder: &mut SeriesBuilder<'_>,
) -> Result<(), ReadError> {
    builder.missing_metric(MissingMetric::Expected);
    if is_zip(head) {
        let Some(path) = head.path else {
            return Err(ReadError::Nothing("a ZIP archive is read from its own file only"));
        };
        let mut archive = File::open(path)?;
        if let Some(mut task) = zip::open(&mut archive, "task.json")? {
            builder.name_run(&task_name(&mut task).unwrap_or_default());
        }
        let Some(mut metrics) = zip::open(&mut archive, METRICS)? else {
            return Err(ReadError::Nothing("the archive holds no metrics.jsonl"));
        };
        return read_lines(&mut metrics, builder);
    }
    let task = head.path.and_then(|path| File::open(path.with_file_name("task.json")).ok());
    if let Some(mut task) = task {
        builder.name_run(&task_name(&mut task).unwrap_or_default());
    }
    read_lines(source, builder)
}

fn read_lines(source: &mut dyn Read, builder: &mut SeriesBuilder<'_>) -> Result<(), ReadError> {
    let clock = builder.clock("timestamp");
    let mut event = Event::default();
    let mut scanner = Scanner::new(source)?;
    while scanner.peek()?.is_some() {
        scanner.array::<ReadError>(|scanner| {
            read_event(scanner, &mut event)?;
            add(&event, clock, builder);
            Ok(())
        })?;
    }
    Ok(())
}

fn add(event: &Event, clock: Option<ColumnId>, builder: &mut SeriesBuilder<'_>) {
    let (Some(step), Some(value)) = (event.step, event.value) else { return };
    if event.kind != "training_stats_scalar" || step == NO_STEP || !step.is_finite() {
        return;
    }
    let (metric, variant) = (&event.metric, &event.variant);
    let column = match variant.as_str() {
        "train" | "eval" | "test" => builder.column(&format!("{variant}/{metric}")),
        _ if metric == variant => builder.column(metric),
        _ => builder.column(&format!("{metric}/{variant}")),
    };
    let Some(column) = column else { return };
    builder.push(column, step, value);
    if let (Some(clock), true) = (clock, builder.is_selected(column)) {
        builder.push(clock, step, event.milliseconds);
    }
}

fn read_event(scanner: &mut Scanner<'_>, event: &mut Event) -> Result<(), ScanError> {
    (event.step, event.value, event.milliseconds) = (None, None, f64::NAN);
    event.kind.clear();
    event.metric.clear();
    event.variant.clear();
    scanner.object(|scanner, key| {
        match key {
            "type" => text(scanner, &mut event.kind)?,
            "metric" => text(scanner, &mut event.metric)?,
            "variant" => text(scanner, &mut event.variant)?,
            "iter" => event.step = number(scanner)?,
            "value" => event.value = number(scanner)?,
            "timestamp" => event.milliseconds = number(scanner)?.unwrap_or(f64::NAN),
            _ => scanner.skip()?,
        }
        Ok(())
    })
}

/// Reads a text; another value counts as an empty one.
fn text(scanner: &mut Scanner<'_>, text: &mut String) -> Result<(), ScanError> {
    if scanner.peek()? == Some(b'"') { scanner.string(text) } else { scanner.skip() }
}

/// Reads a number; `None` for another value.
fn number(scanner: &mut Scanner<'_>) -> Result<Option<f64>, ScanError> {
    Ok(match scanner.value()? {
        Value::Number(number) | Value::InexactInteger(_, number) => Some(number),
        Value::Null => Some(f64::NAN),
        Value::Other(_) => None,
    })
}

/// The name of the run in a `task.json`.
fn task_name(json: &mut dyn Read) -> Option<String> {
    let mut name = String::new();
    let read = Scanner::new(json).ok()?.object(|scanner, key| match key {
        "name" => text(scanner, &mut name),
        _ => scanner.skip(),
    });
    read.ok().map(|()| name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::formats::{LogSeries, SeriesSelector, Source};

    fn series(text: &str, selector: &SeriesSelector) -> Vec<LogSeries> {
        let source = Source { reader: &mut text.as_bytes(), path: None };
        let (format, log) = crate::formats::read(source, None, selector).unwrap();
        assert_eq!(format.name, "clearml");
        log.series
    }

    fn event(step: i64, metric: &str, variant: &str, value: &str) -> String {
        format!(
            r#"{{"timestamp": 179580680{}000, "type": "training_stats_scalar", "task": "t", "iter": {step},
            "metric": "{metric}", "variant": "{variant}", "value": {value}}}"#,
            step.rem_euclid(10)
        )
    }

    #[test]
    fn offline_session_has_its_values_and_its_name() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/clearml");
        let session = "offline-baad8fdf0d3c444d8ea6f79b427fbb4a";
        for name in [format!("{session}/metrics.jsonl"), format!("{session}.zip")] {
            let path = root.join(name);
            let mut file = File::open(&path).unwrap();
            let source = Source { reader: &mut file, path: Some(&path) };
            let selector = SeriesSelector::default_keys();
            let (_, log) = crate::formats::read(source, None, &selector).unwrap();
            let series = &log.series[0];
            assert_eq!(
                (series.metric.as_str(), series.run.as_deref()),
                ("actor/entropy", Some("solver"))
            );
            assert_eq!(series.points.len(), 30);
            for (at, point) in series.points.iter().enumerate() {
                let step = at as f64 + 1.0;
                assert_eq!(point.step, step);
                assert!((point.entropy - 0.9 * 0.95f64.powf(step / 10.0)).abs() < 1e-14);
            }
        }
    }

    #[test]
    fn variants_are_the_second_or_the_first_part_of_a_key() {
        let wanted = ["train/entropy", "entropy", "actor/entropy"].map(str::to_owned);
        let selector = SeriesSelector::metrics(&wanted).unwrap();
        let text = [("entropy", "train"), ("entropy", "entropy"), ("actor", "entropy")];
        let text: Vec<_> =
            text.iter().map(|(m, v)| format!("[{}]", event(1, m, v, "0.5"))).collect();
        let found = series(&text.join("\n"), &selector);
        let keys: Vec<_> = found.iter().map(|series| series.metric.as_str()).collect();
        assert_eq!(keys, ["train/entropy", "entropy", "actor/entropy"]);
    }

    #[test]
    fn values_without_steps_and_other_events_are_skipped() {
        let text = format!(
            "[{},{}]\n[{},{{\"type\": \"plot\", \"metric\": \"actor\", \"variant\": \"entropy\", \
             \"iter\": 3, \"plot_str\": \"{{}}\"}}]\n",
            event(1, "actor", "entropy", "0.5"),
            event(i64::from(i32::MIN), "actor", "entropy", "9.5"),
            event(2, "actor", "entropy", "0.25"),
        );
        let selector = SeriesSelector::default_keys().with_clock();
        let found = series(&text, &selector).remove(0);
        let points: Vec<_> = found.points.iter().map(|p| (p.step, p.entropy)).collect();
        assert_eq!(points, [(1.0, 0.5), (2.0, 0.25)]);
        assert_eq!(found.clocks[0].rows, [(1.0, 1_795_806_801.0), (2.0, 1_795_806_802.0)]);
    }
}
