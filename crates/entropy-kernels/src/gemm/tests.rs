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
    let counts = [x.len() / columns];
    multiply_with(kernel, Rows { x, columns, order: None }, &counts, packed, &mut result);
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
fn groups_of_rows_are_products_with_their_own_weights() {
    let (columns, outputs, counts) = (300, 70, [3, 0, 1, 70, 0]);
    let x = fractions(40 * columns, 1);
    let order: Vec<usize> = (0..74).map(|i| i * 7 % 40).collect();
    let mut packed = fractions(counts.len() * outputs * columns, 2);
    packed.chunks_exact_mut(outputs * columns).for_each(|weight| pack(weight, columns));
    for kernel in tile::kernels() {
        let mut result = vec![f32::NAN; order.len() * outputs];
        let rows = Rows { x: &x, columns, order: Some(&order) };
        multiply_with(kernel, rows, &counts, &packed, &mut result);
        let (mut start, mut expected) = (0, Vec::new());
        for (count, packed) in counts.iter().zip(packed.chunks_exact(outputs * columns)) {
            let rows = order[start..start + count].iter();
            let x: Vec<f32> = rows.flat_map(|row| x[row * columns..][..columns].to_vec()).collect();
            expected.extend(product(kernel, &x, packed, columns));
            start += count;
        }
        assert!(result.iter().zip(&expected).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

#[test]
#[should_panic(expected = "the sizes of a product do not fit")]
fn rejects_groups_with_more_rows_than_there_are() {
    multiply_groups(&[0.0; 32], Some(&[0, 1]), &[1, 2], &[0.0; 32], &mut [0.0; 2], 16);
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
