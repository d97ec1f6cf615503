#![no_main]
//! Generates JSON rows as trainers write them, and checks that their known points are read.

use entropy_viz_fuzz::history::Point;
use entropy_viz_fuzz::formats::{ReadError, SeriesSelector};
use entropy_viz_fuzz::{checks, pad, reference};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Log {
    layout: Layout,
    looks: [Look; 3],
    rows: Vec<Row>,
    cut: u16,
    piece: u8,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq)]
enum Layout {
    Array,
    Lines,
    Verl,
    EasyR1,
    Flat,
    TrainerState,
    TensorBoard,
}

/// The layout of rows, and the text between them.
#[derive(Arbitrary, Debug)]
struct Look {
    fields: Vec<Field>,
    space: Space,
}

#[derive(Arbitrary, Debug)]
enum Space {
    None,
    One,
    Line,
}

#[derive(Arbitrary, Debug)]
enum Field {
    Step,
    Entropy,
    Other(u8),
    Text(u8),
    Nested(u8),
    Nothing,
}

#[derive(Arbitrary, Debug)]
struct Row {
    look: u8,
    step: Number,
    numbers: [Number; 3],
}

#[derive(Arbitrary, Debug)]
enum Number {
    Digit(u8),
    Count(u32),
    Integer(i64),
    Decimal(i16, u16),
    Double(f64),
    Exponent(i8, i16),
    Null,
}

impl Number {
    fn text(&self) -> String {
        match self {
            Number::Digit(n) => (n % 10).to_string(),
            Number::Count(n) => n.to_string(),
            Number::Integer(n) => n.to_string(),
            Number::Decimal(whole, part) => format!("{whole}.{part}"),
            Number::Double(n) if n.is_nan() => "NaN".to_owned(),
            Number::Double(n) if n.is_infinite() && *n > 0.0 => "Infinity".to_owned(),
            Number::Double(n) if n.is_infinite() => "-Infinity".to_owned(),
            Number::Double(n) => format!("{n:?}"),
            Number::Exponent(n, power) => format!("{n}.5e{power}"),
            Number::Null => "null".to_owned(),
        }
    }
}

/// The number as Rust's own parser reads it; null is NaN.
fn value(text: &str) -> f64 {
    if text == "null" { f64::NAN } else { text.parse().expect("a number") }
}

/// The text of a log, its points, and whether every step is valid.
fn write(log: &Log) -> (String, Vec<Point>, bool) {
    let mut rows: Vec<String> = Vec::new();
    let mut points = Vec::new();
    let mut steps_are_numbers = true;
    let mut last_space = "";
    for row in &log.rows {
        let look = &log.looks[usize::from(row.look) % log.looks.len()];
        let space = match look.space {
            Space::None => "",
            Space::One => " ",
            Space::Line => "\n  ",
        };
        last_space = space;
        let (mut step, mut entropy) = (None, None);
        let mut numbers = row.numbers.iter().cycle();
        let mut number = || numbers.next().expect("there are three").text();
        if log.layout == Layout::TensorBoard {
            let texts = [number(), row.step.text(), number()];
            (step, entropy) = (Some(value(&texts[1])), Some(value(&texts[2])));
            rows.push(format!("[{}]", texts.join(&format!(",{space}"))));
        } else {
            let (mut outer, mut pairs) = (Vec::new(), Vec::new());
            for field in &look.fields {
                let (key, text) = match field {
                    Field::Step => ("step".to_owned(), row.step.text()),
                    Field::Entropy => ("entropy".to_owned(), number()),
                    Field::Other(key) => (format!("x{key}"), number()),
                    Field::Text(text) => ("text".to_owned(), format!("\"\\u00{text:02x}\\\"\"")),
                    Field::Nested(key) => {
                        (format!("x{key}"), format!("{{\"y\":[{},{space}true]}}", number()))
                    }
                    Field::Nothing => ("nothing".to_owned(), "null".to_owned()),
                };
                match field {
                    Field::Step => step = Some(value(&text)),
                    Field::Entropy => entropy = Some(value(&text)),
                    _ => {}
                }
                steps_are_numbers &= !step.is_some_and(|step| !step.is_finite());
                let of = if matches!(field, Field::Step) { &mut outer } else { &mut pairs };
                of.push(format!("\"{key}\":{space}{text}"));
            }
            let comma = format!(",{space}");
            if log.layout == Layout::Verl {
                outer.push(format!("\"data\":{{{}}}", pairs.join(&comma)));
            } else {
                outer.extend(pairs);
            }
            rows.push(format!("{{{space}{}}}", outer.join(&comma)));
        }
        steps_are_numbers &= step.is_none_or(f64::is_finite);
        if let (Some(step), Some(entropy)) = (step, entropy) {
            points.push(Point { step, entropy });
        }
    }
    let rows = rows.join(&match log.layout {
        Layout::Lines | Layout::Verl | Layout::EasyR1 | Layout::Flat => format!("\n{last_space}"),
        _ => format!(",{last_space}"),
    });
    let text = match log.layout {
        Layout::Array | Layout::TensorBoard => format!("[{rows}]"),
        Layout::TrainerState => format!("{{\"x\": 1, \"log_history\": [{rows}]}}"),
        _ => rows,
    };
    (text, points, steps_are_numbers)
}

fuzz_target!(|log: Log| {
    let (name, key) = match log.layout {
        Layout::Array | Layout::Lines => ("rzero", "entropy"),
        Layout::Verl => ("verl", "entropy"),
        Layout::EasyR1 => ("easyr1", "entropy"),
        Layout::Flat => ("jsonl", "entropy"),
        Layout::TrainerState => ("trainer_state", "entropy"),
        Layout::TensorBoard => ("tensorboard-json", "Value"),
    };
    let format = checks::format(name).expect("it is in the table");
    let wanted = SeriesSelector::metrics(&reference::KEYS.map(str::to_owned)).expect("no patterns");
    let (text, points, steps_are_numbers) = write(&log);
    let outcome = checks::read(text.as_bytes(), Some(format), &wanted);
    reference::agrees(text.as_bytes(), name, &outcome);
    match &outcome {
        Ok((_, read)) => {
            assert!(steps_are_numbers, "a step is none: {text}");
            let series = read.series.iter().find(|series| series.metric == key);
            let read = series.map_or(&[][..], |series| &series.points);
            assert!(checks::bits(read) == checks::bits(&points), "{read:?} was read of {text}");
        }
        Err(ReadError::Row { what, .. }) => {
            let confused = what.contains("cannot be told apart");
            assert!(confused || !steps_are_numbers, "{what}: {text}");
        }
        Err(ReadError::Scan(e)) => panic!("{e}: {text}"),
        Err(e) => assert!(points.is_empty(), "{e}: {text}"),
    }
    checks::check_prefix(text.as_bytes(), usize::from(log.cut) % (text.len() + 1), &outcome, &wanted);
    if log.piece < 64 {
        let padded = pad::json(text.as_bytes(), name);
        checks::check_pieces_after_padding(&padded, usize::from(log.piece), format, &wanted);
    }
});
