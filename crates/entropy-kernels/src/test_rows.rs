//! Rows of logits for tests.

/// Numbers that look random, spread over ±`spread`.
pub(crate) fn noise(n: usize, spread: f32, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..n).map(|_| spread * next()).collect()
}
