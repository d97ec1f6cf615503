//! How fast the matrix products are, and how fast memory is, which limits those with few rows.
//!
//! A report, not a test: `cargo bench --package entropy-kernels`.

#![allow(clippy::print_stdout)]

#[cfg(target_arch = "x86_64")]
fn main() {
    use std::hint::black_box;

    use entropy_kernels::gemm;
    use rayon::prelude::*;

    // A head of 768 × 60,000: 184 MB, more than caches have.
    let (columns, outputs) = (768, 60_000);
    let mut weights: Vec<f32> = (0..columns * outputs).map(|i| (i % 13) as f32 - 6.0).collect();
    gemm::pack(&mut weights, columns);
    let bytes = (4 * columns * outputs) as f64;
    let sum = |part: &[f32]| {
        let mut lanes = [0.0; 64];
        for chunk in part.chunks_exact(64) {
            lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
        }
        lanes.iter().sum::<f32>()
    };
    let seconds = best(|| {
        black_box(weights.par_chunks(1 << 16).map(sum).sum::<f32>());
    });
    let threads = rayon::current_num_threads();
    println!("reading memory with {threads} threads: {:.1} GB/s", bytes / seconds / 1e9);
    for rows in [1, 4, 16, 32, 256] {
        let x: Vec<f32> = (0..rows * columns).map(|i| (i % 11) as f32 - 5.0).collect();
        let mut result = vec![0.0; rows * outputs];
        let seconds = best(|| gemm::multiply(black_box(&x), &weights, &mut result, columns));
        let operations = 2.0 * (rows * columns * outputs) as f64;
        println!(
            "{rows:>3} rows: {:.1} GFLOP/s, {:.1} GB/s of weights",
            operations / seconds / 1e9,
            bytes / seconds / 1e9
        );
    }
}

/// The shortest of several runs, in seconds.
#[cfg(target_arch = "x86_64")]
fn best(mut run: impl FnMut()) -> f64 {
    let time = |_| {
        let start = std::time::Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..20).map(time).fold(f64::INFINITY, f64::min)
}

#[cfg(not(target_arch = "x86_64"))]
fn main() {
    println!("there is no kernel for this processor");
}
