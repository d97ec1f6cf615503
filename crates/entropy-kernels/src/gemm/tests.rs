use super::*;

/// Small integers, whose products and sums are exact in f32.
fn whole(n: usize, seed: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7 + seed * 13 + i / 11) % 17) as f32 - 8.0).collect()
}

/// Numbers whose sums depend on their order.
fn fractions(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed;
    let next = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..n).map(next).collect()
}

fn product(kernel: Kernel, x: &[f32], packed: &[f32], columns: usize) -> Vec<f32> {
    // Exact heap allocations: AddressSanitizer detects any access past the end.
    let mut result = vec![f32::NAN; x.len() / columns * (packed.len() / columns)];
    multiply_with(kernel, x, packed, &mut result, columns);
    result
}

#[test]
fn products_of_every_size_are_exact_and_within_bounds() {
    for kernel in tile::kernels() {
        for rows in (1..=26).chain([400]) {
            for (columns, outputs) in [(1, 1), (16, 32), (47, 7), (257, 97), (600, 64)] {
                let (x, w) = (whole(rows * columns, 1), whole(outputs * columns, 2));
                let mut packed = w.clone();
                pack(&mut packed, columns);
                let result = product(kernel, &x, &packed, columns);
                for (i, row) in x.chunks(columns).enumerate() {
                    for (j, weights) in w.chunks(columns).enumerate() {
                        let exact: f32 = row.iter().zip(weights).map(|(a, b)| a * b).sum();
                        assert_eq!(result[i * outputs + j], exact, "{rows} {columns} {i} {j}");
                    }
                }
            }
        }
    }
}

#[test]
fn rows_have_the_same_bits_whatever_the_other_rows_threads_and_kernel() {
    let (rows, columns, outputs) = (29, 700, 1_003);
    let (x, mut packed) = (fractions(rows * columns, 1), fractions(outputs * columns, 2));
    pack(&mut packed, columns);
    let mut all: Vec<Vec<f32>> = Vec::new();
    for kernel in tile::kernels() {
        all.push(product(kernel, &x, &packed, columns));
        for count in [1, 2, 5, 11] {
            let some = x.chunks(count * columns).flat_map(|x| product(kernel, x, &packed, columns));
            all.push(some.collect());
        }
    }
    for other in &all {
        assert!(other.iter().zip(&all[0]).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

#[test]
fn packed_weights_can_be_read_and_restored() {
    for (columns, outputs) in [(1, 1), (5, 31), (7, 32), (3, 100)] {
        let w = fractions(columns * outputs, 3);
        let mut packed = w.clone();
        pack(&mut packed, columns);
        for (i, expected) in w.chunks(columns).enumerate() {
            let mut found = vec![0.0; columns];
            row(&packed, columns, i, &mut found);
            assert_eq!(found, expected);
        }
        unpack(&mut packed, columns);
        assert_eq!(packed, w);
    }
}

#[test]
#[should_panic(expected = "the sizes of a product do not fit")]
fn rejects_result_of_wrong_size() {
    multiply(&[0.0; 32], &[0.0; 32], &mut [0.0; 3], 16);
}
