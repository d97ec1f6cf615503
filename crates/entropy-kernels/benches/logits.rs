//! What a row of logits costs: its entropy alone, and each further number.
//!
//! A report, not a test: `cargo bench --package entropy-kernels --bench logits`. Every number is the shortest of several
//! rounds over 64 rows of 151,936 logits by one thread, in microseconds per row.

#![allow(clippy::print_stdout)]

use std::hint::black_box;
use std::time::Instant;

use entropy_kernels::divergence::divergence;
use entropy_kernels::logits::{LogitStats, rank};
use entropy_kernels::nucleus::Nucleus;

const VOCABULARY: usize = 151_936;
const ROWS: usize = 64;
const ROUNDS: usize = 15;

fn main() {
    for slope in [3.0, 1.5, 0.3] {
        let logits = rows(slope);
        let mut stats = LogitStats::default();
        stats.update(&logits[..VOCABULARY], 1.0).unwrap_or_default();
        println!("probabilities ∝ 1 / rank^{slope}: {:.2} nats", stats.entropy());
        let plain =
            report("entropy and log-prob", None, &logits, |row| stats.update(row, 1.0).is_ok());
        let mut stats = LogitStats::default();
        report("with rank, p_max and Rényi-2", Some(plain), &logits, |row| {
            stats.update_with_shape(row, 1.0, row[77]).is_ok()
        });
        report("a second temperature too", Some(plain), &logits, |row| {
            stats.update_with_shape(row, 1.0, row[77]).is_ok() && stats.update(row, 0.7).is_ok()
        });
        let mut buffer = Vec::new();
        report("with the entropy of the top-p set (0.95)", Some(plain), &logits, |row| {
            stats.update_with_shape(row, 1.0, row[77]).is_ok()
                && Nucleus::new(row, &stats, 0.95, &mut buffer).entropy() >= 0.0
        });
        let other: Vec<f32> = logits[..VOCABULARY]
            .iter()
            .enumerate()
            .map(|(i, z)| z + (i % 7) as f32 / 10.0)
            .collect();
        let mut of_other = LogitStats::default();
        report(
            "with KL in both directions, whose other row is read too",
            Some(plain),
            &logits,
            |row| {
                stats.update_with_shape(row, 1.0, row[77]).is_ok()
                    && of_other.update(&other, 1.0).is_ok()
                    && divergence((row, &stats), (&other, &of_other)).forward >= 0.0
            },
        );
        report("the rank alone, as when sampling", Some(plain), &logits, |row| {
            rank(row, row[77]) < VOCABULARY
        });
    }
}

/// Rows of logits whose token of rank k has a probability proportional to 1 / k^slope; the ranks are spread over the
/// vocabulary.
fn rows(slope: f32) -> Vec<f32> {
    let logit = |i: usize| -slope * (((i * 7919 + i / VOCABULARY) % VOCABULARY + 1) as f32).ln();
    (0..ROWS * VOCABULARY).map(logit).collect()
}

/// Prints the time per row, and how much more it is than another; returns it in seconds.
fn report(
    name: &str,
    plain: Option<f64>,
    logits: &[f32],
    mut run: impl FnMut(&[f32]) -> bool,
) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for row in logits.chunks(VOCABULARY) {
            assert!(run(black_box(row)));
        }
        best = best.min(start.elapsed().as_secs_f64() / ROWS as f64);
    }
    let more = plain.map(|plain| format!(", {:+.1} µs", (best - plain) * 1e6)).unwrap_or_default();
    println!("  {name}: {:.1} µs{more}", best * 1e6);
    best
}
