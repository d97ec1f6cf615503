#![no_main]
//! Generates W&B records, whole and damaged, and checks that their known points are read.

use entropy_viz_fuzz::checks;
use entropy_viz_fuzz::frames::{WANDB, append_chunks, proto};
use entropy_viz_fuzz::history::Point;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const KEYS: [&str; 5] = ["policy/entropy", "train/global_step", "train/entropy", "loss", "_step"];
const GLOBS: [&str; 3] = ["*", "train/*", "policy/*"];

#[derive(Arbitrary, Debug)]
struct File {
    records: Vec<Record>,
    cut: u16,
    flip: (u16, u8),
}

#[derive(Arbitrary, Debug)]
enum Record {
    History { items: Vec<Item>, step: Option<u32> },
    Name(u8),
    Glob(u8),
    Run(String),
    Exit,
    Long(u16),
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Item {
    key: u8,
    nested: bool,
    value: Value,
}

#[derive(Arbitrary, Debug)]
enum Value {
    Count(u16),
    Number(f64),
    Quoted(f64),
    Text(String),
    Object,
}

impl Value {
    /// The JSON text, and its number.
    fn json(&self) -> (String, Option<f64>) {
        let word = |n: f64| match () {
            () if n.is_nan() => "NaN".to_owned(),
            () if n == f64::INFINITY => "Infinity".to_owned(),
            () if n == f64::NEG_INFINITY => "-Infinity".to_owned(),
            () => format!("{n:?}"),
        };
        match self {
            Value::Count(n) => (n.to_string(), Some(f64::from(*n))),
            Value::Number(n) if n.is_nan() => ("NaN".to_owned(), Some(f64::NAN)),
            Value::Number(n) => (word(*n), Some(*n)),
            Value::Quoted(n) if n.is_nan() => ("\"NaN\"".to_owned(), Some(f64::NAN)),
            Value::Quoted(n) => (format!("\"{}\"", word(*n)), Some(*n).filter(|n| n.is_infinite())),
            Value::Text(text) => (format!("{:?}", format!("-{text}x")), None),
            Value::Object => ("{}".to_owned(), None),
        }
    }
}

/// The step metric declared for a key. A name wins over a pattern, a later declaration over an earlier one.
fn step_metric(declared: &[(bool, u8)], key: &str) -> Option<&'static str> {
    let by_name =
        declared.iter().any(|(glob, i)| !glob && KEYS[usize::from(*i) % KEYS.len()] == key);
    let by_glob = declared.iter().any(|(glob, i)| {
        let pattern = GLOBS[usize::from(*i) % GLOBS.len()].trim_end_matches('*');
        *glob && key.starts_with(pattern)
    });
    (by_name || by_glob).then_some("train/global_step")
}

/// A row: the message, and the points in it.
fn row(
    items: &[Item],
    step: Option<u32>,
    declared: &[(bool, u8)],
) -> (Vec<u8>, Vec<(usize, Point)>) {
    let mut history = Vec::new();
    let mut values: Vec<(usize, Option<f64>)> = Vec::new();
    for item in items {
        let key = usize::from(item.key) % KEYS.len();
        let (json, value) = item.value.json();
        let mut message = Vec::new();
        proto::bytes(&mut message, if item.nested { 2 } else { 1 }, KEYS[key].as_bytes());
        proto::bytes(&mut message, 16, json.as_bytes());
        proto::bytes(&mut history, 1, &message);
        if !matches!(item.value, Value::Object) {
            values.push((key, value));
        }
    }
    if let Some(step) = step {
        let mut message = Vec::new();
        if step != 0 {
            proto::integer(&mut message, 1, u64::from(step));
        }
        proto::bytes(&mut history, 2, &message);
    }
    let of = |key: &str| values.iter().find(|(k, _)| KEYS[*k] == key).and_then(|(_, value)| *value);
    let row_step = of("_step").or(step.map(f64::from));
    let mut points = Vec::new();
    for (key, value) in values.iter().filter(|(key, _)| KEYS[*key] != "_step") {
        let step = match step_metric(declared, KEYS[*key]) {
            Some(metric) if metric != KEYS[*key] => of(metric),
            _ => row_step,
        };
        if let (Some(step), Some(entropy)) = (step.filter(|step| step.is_finite()), *value) {
            points.push((*key, Point { step, entropy }));
        }
    }
    (history, points)
}

fuzz_target!(|file: File| {
    let mut bytes = WANDB.to_vec();
    let mut written: [Vec<Point>; 5] = Default::default(); // of each key
    let mut declared = Vec::new();
    let mut is_known = true;
    for record in &file.records {
        let mut message = Vec::new();
        match record {
            Record::History { items, step } => {
                let (history, points) = row(items, *step, &declared);
                // A key without a declaration takes this step from its first row on, and keeps it.
                let keys = || items.iter().map(|item| KEYS[usize::from(item.key) % KEYS.len()]);
                let has_own_step = |key: &str| step_metric(&declared, key).is_some();
                is_known &= !keys().any(|key| key == "train/global_step")
                    || keys().all(|key| key.starts_with('_') || has_own_step(key));
                points.into_iter().for_each(|(key, point)| written[key].push(point));
                proto::bytes(&mut message, 2, &history);
            }
            Record::Name(i) | Record::Glob(i) => {
                let is_glob = matches!(record, Record::Glob(_));
                let (field, names) = if is_glob { (2, &GLOBS[..]) } else { (1, &KEYS[..]) };
                let mut metric = Vec::new();
                proto::bytes(&mut metric, field, names[usize::from(*i) % names.len()].as_bytes());
                proto::bytes(&mut metric, 4, b"train/global_step");
                proto::bytes(&mut message, 12, &metric);
                declared.push((is_glob, *i));
            }
            Record::Run(name) => {
                let mut run = Vec::new();
                proto::bytes(&mut run, 8, name.as_bytes());
                proto::bytes(&mut message, 17, &run);
            }
            Record::Exit => proto::bytes(&mut message, 18, &[]),
            Record::Long(length) => proto::bytes(&mut message, 30, &vec![1; usize::from(*length)]),
            Record::Raw(raw) => {
                is_known = false;
                message.clone_from(raw);
            }
        }
        append_chunks(&mut bytes, &message);
    }
    let format = checks::format("wandb").expect("it is in the table");
    checks::read_any(&bytes);
    let whole = checks::read(&bytes, Some(format), &checks::all_series());
    checks::check_prefix(&bytes, usize::from(file.cut), &whole, &checks::all_series());
    if !is_known {
        return;
    }
    for (key, points) in KEYS.iter().zip(&written) {
        let read = checks::points(&bytes, "wandb", key);
        assert!(checks::bits(&read) == checks::bits(points), "{key}: {read:?} was read of {file:?}");
    }
    let (at, mask) = file.flip;
    if let Some(byte) = bytes.get_mut(usize::from(at)) {
        *byte ^= mask;
    }
    // If the record of a declaration is damaged, its keys get other steps.
    let keys = if declared.is_empty() { &KEYS[..] } else { &[] };
    for (key, points) in keys.iter().zip(&written) {
        checks::assert_only_written(&checks::points(&bytes, "wandb", key), &checks::bits(points));
    }
});
