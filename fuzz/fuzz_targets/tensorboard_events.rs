#![no_main]
//! Generates TensorBoard events, whole and damaged, and checks that their known points are read.

use entropy_viz_fuzz::checks;
use entropy_viz_fuzz::frames::{proto, tfrecord};
use entropy_viz_fuzz::history::Point;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const TAGS: [&str; 3] = ["policy/entropy", "actor/entropy_loss", "loss"];

#[derive(Arbitrary, Debug)]
struct File {
    events: Vec<Event>,
    cut: u16,
    flip: (u16, u8),
}

#[derive(Arbitrary, Debug)]
enum Event {
    Values(i32, Vec<(u8, Number)>),
    Start(i32),
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Number {
    Simple(f32),
    Floats(Vec<f32>),
    Packed(Vec<f32>),
    Doubles(Vec<f64>),
    Content(f64),
    FloatContent(f32),
    Integer(i64),
}

/// A `Summary.Value`, and its number.
fn value(tag: &str, number: &Number) -> (Vec<u8>, Option<f64>) {
    let (mut value, mut tensor) = (Vec::new(), Vec::new());
    proto::bytes(&mut value, 1, tag.as_bytes());
    let alone = |numbers: &[f64]| if let [number] = numbers { Some(*number) } else { None };
    let doubles = |floats: &[f32]| floats.iter().map(|f| f64::from(*f)).collect::<Vec<_>>();
    let is = match number {
        Number::Simple(f) => {
            proto::float(&mut value, 2, *f);
            return (value, Some(f64::from(*f)));
        }
        Number::Floats(floats) => {
            floats.iter().for_each(|f| proto::float(&mut tensor, 5, *f));
            alone(&doubles(floats))
        }
        Number::Packed(floats) => {
            let packed: Vec<u8> = floats.iter().flat_map(|f| f.to_le_bytes()).collect();
            proto::bytes(&mut tensor, 5, &packed);
            alone(&doubles(floats))
        }
        Number::Doubles(numbers) => {
            numbers.iter().for_each(|n| proto::double(&mut tensor, 6, *n));
            alone(numbers)
        }
        Number::Content(n) => {
            proto::integer(&mut tensor, 1, 2);
            proto::bytes(&mut tensor, 4, &n.to_le_bytes());
            Some(*n)
        }
        Number::FloatContent(f) => {
            proto::integer(&mut tensor, 1, 1);
            proto::bytes(&mut tensor, 4, &f.to_le_bytes());
            Some(f64::from(*f))
        }
        Number::Integer(n) => {
            proto::integer(&mut tensor, 10, *n as u64);
            Some(*n as f64)
        }
    };
    proto::bytes(&mut value, 8, &tensor);
    (value, is)
}

fn points(bytes: &[u8], tag: &str) -> Vec<Point> {
    checks::points(bytes, "tensorboard", tag)
}

fuzz_target!(|file: File| {
    let mut bytes = Vec::new();
    let mut written: [Vec<Point>; 3] = Default::default(); // of each tag
    let mut kept = written.clone(); // of these, what no start of a session made void
    let mut is_known = true;
    for event in &file.events {
        let mut message = Vec::new();
        match event {
            Event::Raw(raw) => {
                is_known = false;
                message.clone_from(raw);
            }
            Event::Start(step) => {
                let step = i64::from(*step);
                proto::integer(&mut message, 2, step as u64);
                proto::bytes(&mut message, 7, &[8, 1]);
                kept.iter_mut().for_each(|points| points.retain(|p| p.step < step as f64));
            }
            Event::Values(step, values) => {
                let step = i64::from(*step);
                let mut summary = Vec::new();
                for (tag, number) in values {
                    let tag = usize::from(*tag) % TAGS.len();
                    let (value, number) = value(TAGS[tag], number);
                    proto::bytes(&mut summary, 1, &value);
                    let point = number.map(|entropy| Point { step: step as f64, entropy });
                    written[tag].extend(point);
                    kept[tag].extend(point);
                }
                if step != 0 {
                    proto::integer(&mut message, 2, step as u64);
                }
                proto::bytes(&mut message, 5, &summary);
            }
        }
        bytes.extend(tfrecord(&message));
    }
    let format = checks::format("tensorboard").expect("it is in the table");
    checks::read_any(&bytes);
    let whole = checks::read(&bytes, Some(format), &checks::all_series());
    checks::check_prefix(&bytes, usize::from(file.cut), &whole, &checks::all_series());
    if !is_known {
        return;
    }
    for points in &mut kept {
        // Points without a step are numbered.
        if points.len() > 1 && points.iter().all(|point| point.step == 0.0) {
            (1_u32..).zip(points).for_each(|(number, point)| point.step = f64::from(number));
        }
    }
    for tag in 0..TAGS.len() {
        assert!(checks::bits(&points(&bytes, TAGS[tag])) == checks::bits(&kept[tag]), "{file:?}");
    }
    let (at, mask) = file.flip;
    if let Some(byte) = bytes.get_mut(usize::from(at)) {
        *byte ^= mask;
    }
    // Without the others, points at step 0 are numbered.
    let has_step = |tag: &usize| written[*tag].iter().all(|point| point.step != 0.0);
    for tag in (0..TAGS.len()).filter(has_step) {
        checks::assert_only_written(&points(&bytes, TAGS[tag]), &checks::bits(&written[tag]));
    }
});
