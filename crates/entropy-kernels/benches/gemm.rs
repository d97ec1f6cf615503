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
    experts();
}

/// The products of gate and up of 64 experts, of which each token takes 8: one expert after the other, and all at once.
#[cfg(target_arch = "x86_64")]
fn experts() {
    use std::hint::black_box;

    use entropy_kernels::gemm;

    const EXPERTS: usize = 64;
    let (columns, outputs) = (512, 512);
    let mut weights: Vec<f32> =
        (0..EXPERTS * columns * outputs).map(|i| (i % 13) as f32 - 6.0).collect();
    weights.chunks_exact_mut(columns * outputs).for_each(|weight| gemm::pack(weight, columns));
    for tokens in [1, 16, 256, 1024] {
        let x: Vec<f32> = (0..tokens * columns).map(|i| (i % 11) as f32 - 5.0).collect();
        let mut pairs: Vec<(usize, usize)> =
            (0..8 * tokens).map(|i| (i * 37 % 61 * 7 % EXPERTS, i / 8)).collect();
        pairs.sort_unstable();
        let order: Vec<usize> = pairs.iter().map(|(_, token)| *token).collect();
        let mut counts = vec![0; EXPERTS];
        pairs.iter().for_each(|(expert, _)| counts[*expert] += 1);
        let mut result = vec![0.0; order.len() * outputs];
        let sorted: Vec<f32> =
            order.iter().flat_map(|token| &x[token * columns..][..columns]).copied().collect();
        let one_by_one = best(|| {
            let mut start = 0;
            for (count, weight) in counts.iter().zip(weights.chunks_exact(columns * outputs)) {
                let x = &sorted[start * columns..][..count * columns];
                let result = &mut result[start * outputs..][..count * outputs];
                gemm::multiply(black_box(x), weight, result, columns);
                start += count;
            }
        });
        let at_once = best(|| {
            let order = Some(&order[..]);
            gemm::multiply_groups(black_box(&x), order, &counts, &weights, &mut result, columns);
        });
        let operations = 2.0 * (order.len() * columns * outputs) as f64;
        println!(
            "{tokens:>4} tokens, 8 of 64 experts: {:.1} GFLOP/s one by one, {:.1} at once",
            operations / one_by_one / 1e9,
            operations / at_once / 1e9
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
