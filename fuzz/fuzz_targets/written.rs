#![no_main]
//! Files that `convert` writes are read back unchanged; damaged ones never give other points.

use entropy_viz_fuzz::checks;
use entropy_viz_fuzz::formats::TableSeries;
use entropy_viz_fuzz::formats::{csv, jsonl, parquet, rzero, tensorboard, wandb};
use entropy_viz_fuzz::history::Point;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

const METRIC: &str = "policy/entropy";

#[derive(Arbitrary, Debug)]
struct Curve {
    run: String,
    points: Vec<(Step, f64)>,
    start: u32,
    cut: u16,
    flip: (u16, u8),
}

#[derive(Arbitrary, Debug)]
enum Step {
    Next,
    Integer(i64),
    Number(f64),
}

fuzz_target!(|curve: Curve| {
    let mut points: Vec<Point> = Vec::new();
    for (step, entropy) in &curve.points {
        let step = match step {
            Step::Next => points.last().map_or(1.0, |last| last.step + 1.0),
            Step::Integer(n) => *n as f64,
            Step::Number(n) => *n,
        };
        if step.is_finite() && entropy.is_finite() {
            points.push(Point { step: step + 0.0, entropy: *entropy }); // a step of -0 is one of 0
        }
    }
    let floats: Vec<Point> =
        points.iter().map(|p| Point { entropy: f64::from(p.entropy as f32), ..*p }).collect();
    let series = [TableSeries { run: &curve.run, metric: METRIC, points: &points }];
    let id = wandb::id(&curve.run, &points);
    let start = u64::from(curve.start);
    let run = wandb::OfflineRun { id: &id, name: &curve.run, project: "p", metric: METRIC, start };

    let texts = [
        ("rzero", "entropy", rzero::history_file(&points)),
        ("jsonl", METRIC, jsonl::lines(METRIC, &points)),
        ("csv", METRIC, csv::table(&series)),
    ];
    for (format, metric, bytes) in texts {
        whole(&bytes, format, metric, &points);
        let outcome = checks::read(&bytes, checks::format(format), &checks::all_series());
        checks::check_prefix(&bytes, usize::from(curve.cut), &outcome, &checks::all_series());
    }
    let table = parquet::table(&series).expect("writing to memory cannot fail");
    whole(&table, "parquet", METRIC, &points);
    let events = tensorboard::event_file(METRIC, &points, f64::from(curve.start));
    let rows = wandb::run_file(&run, &points);
    let framed = [("tensorboard", events.ok(), &floats), ("wandb", rows.ok(), &points)];
    for (format, bytes, points) in framed {
        let Some(mut bytes) = bytes else { continue };
        whole(&bytes, format, METRIC, points);
        let outcome = checks::read(&bytes, checks::format(format), &checks::all_series());
        checks::check_prefix(&bytes, usize::from(curve.cut), &outcome, &checks::all_series());
        let (at, mask) = curve.flip;
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= mask;
        checks::assert_only_written(&checks::points(&bytes, format, METRIC), &checks::bits(points));
    }
});

fn whole(bytes: &[u8], format: &str, metric: &str, points: &[Point]) {
    let read = checks::points(bytes, format, metric);
    assert!(checks::bits(&read) == checks::bits(points), "{format}: {points:?} became {read:?}");
}
