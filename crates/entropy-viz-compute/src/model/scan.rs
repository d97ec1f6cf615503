//! Packed sequences, cut into chunks for recurrences that run chunk by chunk.
//!
//! The chunks of a [`ScanSet`] are ordered by their number in the sequence, then by sequence, longest first. The chunks with
//! one number are thus adjacent, and belong to the first sequences of the set: a step of the recurrence is one product.
//! A sequence's numbers do not depend on the others: the width of its chunks follows from its length alone.

use tch::{Device, TchError, Tensor};

use super::packed::Packed;

/// Maximum tokens per chunk.
const MAX_WIDTH: i64 = 64;
/// Minimum tokens per chunk: below, there is no work to save.
const MIN_WIDTH: i64 = 8;
/// Maximum numbers of a tensor with the tokens of a set's first chunks, or of a block: 32 MiB of f32.
const MAX_NUMBERS: i64 = 1 << 23;

/// The chunks of packed sequences.
pub(super) struct ScanPlan {
    pub(super) sets: Vec<ScanSet>,
    /// Number of packed tokens; this is also the index of the row of zeros behind them.
    pub(super) tokens: i64,
}

/// Sequences that are scanned together.
pub(super) struct ScanSet {
    /// Tokens per chunk.
    pub(super) width: i64,
    /// The sequences by their index in the pack, longest first.
    pub(super) sequences: Vec<usize>,
    /// The number of sequences with an i-th chunk.
    counts: Vec<i64>,
    /// The index of each token of each chunk, in the order above; of padding, [`ScanPlan::tokens`].
    indices: Tensor,
    max_chunks: i64,
}

/// Adjacent chunk numbers of a set that are computed together.
pub(super) struct ScanBlock {
    /// The number of sequences with the i-th chunk of the block.
    pub(super) counts: Vec<i64>,
    /// The indices of their tokens: chunks · width.
    pub(super) indices: Tensor,
}

impl ScanPlan {
    /// `numbers` are those of one token in the largest tensor of the recurrence.
    pub(super) fn new(packed: &Packed, numbers: i64, device: Device) -> Result<ScanPlan, TchError> {
        let mut sequences: Vec<(usize, i64, i64)> = Vec::new(); // index, first token, length
        for group in &packed.groups {
            for i in 0..group.count {
                sequences.push((sequences.len(), group.start + i * group.length, group.length));
            }
        }
        sequences.retain(|(_, _, length)| *length > 0);
        sequences.sort_by_key(|(_, _, length)| std::cmp::Reverse(*length));
        let tokens = packed.ids.len() as i64;
        let mut sets = Vec::new();
        let mut rest = &sequences[..];
        while let Some((_, _, longest)) = rest.first() {
            let width = width(*longest);
            let max_chunks = (MAX_NUMBERS / (width * numbers)).max(1);
            let same = rest.iter().take_while(|(_, _, length)| self::width(*length) == width);
            let (set, later) = rest.split_at(same.count().min(max_chunks as usize));
            sets.push(ScanSet::new(set, width, max_chunks, tokens, device)?);
            rest = later;
        }
        Ok(ScanPlan { sets, tokens })
    }
}

/// Tokens per chunk of a sequence of this length.
fn width(length: i64) -> i64 {
    (length.unsigned_abs().next_power_of_two() as i64).clamp(MIN_WIDTH, MAX_WIDTH)
}

impl ScanSet {
    fn new(
        sequences: &[(usize, i64, i64)],
        width: i64,
        max_chunks: i64,
        tokens: i64,
        device: Device,
    ) -> Result<ScanSet, TchError> {
        let (mut counts, mut indices) = (Vec::new(), Vec::new());
        for first in (0..).step_by(width as usize) {
            let going_on = sequences.iter().take_while(|(_, _, length)| *length > first);
            let mut count = 0;
            for (_, start, length) in going_on {
                let index = |at: i64| if at < *length { start + at } else { tokens };
                indices.extend((first..first + width).map(index));
                count += 1;
            }
            if count == 0 {
                break;
            }
            counts.push(count);
        }
        Ok(ScanSet {
            width,
            sequences: sequences.iter().map(|(i, _, _)| *i).collect(),
            counts,
            indices: Tensor::f_from_slice(&indices)?.f_to_device(device)?,
            max_chunks,
        })
    }

    /// The chunks in blocks, so that memory does not grow with the length of the sequences.
    pub(super) fn blocks(&self) -> Result<Vec<ScanBlock>, TchError> {
        let mut blocks = Vec::new();
        let (mut start, mut rest) = (0, &self.counts[..]);
        while !rest.is_empty() {
            let mut chunks = 0;
            let fits = rest.iter().take_while(|count| {
                chunks += **count;
                chunks <= self.max_chunks
            });
            let (block, later) = rest.split_at(fits.count().max(1));
            let tokens = block.iter().sum::<i64>() * self.width;
            let indices = self.indices.f_narrow(0, start, tokens)?;
            blocks.push(ScanBlock { counts: block.to_vec(), indices });
            start += tokens;
            rest = later;
        }
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(lengths: &[usize]) -> Packed {
        let ids = vec![0i64; lengths.iter().copied().max().unwrap_or(0)];
        Packed::new(lengths.iter().map(|length| &ids[..*length]))
    }

    #[test]
    fn chunks_are_ordered_by_number_then_by_sequence() {
        let plan = ScanPlan::new(&pack(&[65, 130, 3]), 1, Device::Cpu).unwrap();
        assert_eq!((plan.tokens, plan.sets.len()), (198, 2));
        let set = &plan.sets[0];
        assert_eq!(
            (set.width, &set.sequences[..], &set.counts[..]),
            (64, &[1, 0][..], &[2, 2, 1][..])
        );
        let indices = Vec::<i64>::try_from(&set.indices).unwrap();
        assert_eq!(indices[..64], (65..129).collect::<Vec<_>>());
        assert_eq!(indices[64..128], (0..64).collect::<Vec<_>>());
        assert_eq!(indices[192..195], [64, 198, 198]);
        assert_eq!(indices[256..260], [193, 194, 198, 198]);
        let set = &plan.sets[1];
        assert_eq!((set.width, &set.sequences[..], &set.counts[..]), (8, &[2][..], &[1][..]));
    }

    #[test]
    fn every_token_is_in_one_block() {
        // With this many numbers per token, a block has four chunks.
        let lengths = [700, 640, 64, 64, 63, 63, 63, 1];
        let plan = ScanPlan::new(&pack(&lengths), MAX_NUMBERS / 64 / 4, Device::Cpu).unwrap();
        let mut seen = vec![0; plan.tokens as usize + 1];
        for set in &plan.sets {
            assert!(set.sequences.len() <= 32);
            for block in set.blocks().unwrap() {
                assert!(block.counts.iter().sum::<i64>() <= 4 * 64 / set.width);
                for index in Vec::<i64>::try_from(&block.indices).unwrap() {
                    seen[index as usize] += 1;
                }
            }
        }
        assert!(seen[..plan.tokens as usize].iter().all(|count| *count == 1));
    }
}
