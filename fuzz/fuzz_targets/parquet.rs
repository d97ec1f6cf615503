#![no_main]
//! Reads arbitrary bytes as a Parquet table; other bytes describe a table to write and damage.

use entropy_viz_fuzz::checks;
use entropy_viz_fuzz::formats::{TableSeries, parquet::table};
use entropy_viz_fuzz::history::Point;
use libfuzzer_sys::arbitrary::{self, Arbitrary, Result, Unstructured};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Damaged {
    run: String,
    points: Vec<(f64, f64)>,
    whole_steps: bool,
    flips: Vec<(u16, u8)>,
}

fn damaged(bytes: &[u8]) -> Result<Vec<u8>> {
    let Damaged { run, points, whole_steps, flips } = Unstructured::new(bytes).arbitrary()?;
    let whole = |step: f64| if whole_steps { f64::from(step as i32) } else { step };
    let points: Vec<Point> = points
        .iter()
        .map(|(step, entropy)| Point { step: whole(*step), entropy: *entropy })
        .collect();
    let series = [TableSeries { run: &run, metric: "policy/entropy", points: &points }];
    let mut file = table(&series).expect("writing to memory cannot fail");
    for (at, mask) in flips {
        let at = usize::from(at) % file.len();
        file[at] ^= mask;
    }
    Ok(file)
}

fuzz_target!(|bytes: &[u8]| {
    let format = checks::format("parquet").expect("it is in the table");
    let made = if bytes.starts_with(b"PAR1") { Ok(bytes.to_vec()) } else { damaged(bytes) };
    let Ok(file) = made else { return };
    for wanted in [checks::known_series(), checks::all_series()] {
        checks::check_history(checks::read(&file, Some(format), &wanted), &wanted);
    }
});
