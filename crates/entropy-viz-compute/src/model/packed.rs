//! Batches of token sequences, concatenated without padding.
//!
//! The numbers of a sequence then do not depend on the others in its batch, and attention needs no padding mask.

/// Concatenated sequences. Adjacent sequences of equal length form a group, so sort them by length.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Packed {
    pub(crate) ids: Vec<i64>,
    pub(crate) groups: Vec<LengthGroup>,
    /// Tokens of each sequence that follow those in `ids`: they are not run, but count in its length.
    pub(crate) omitted: i64,
}

/// Adjacent sequences of equal length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LengthGroup {
    pub(crate) start: i64, // index of the first token
    pub(crate) count: i64,
    pub(crate) length: i64,
}

impl Packed {
    /// Concatenates sequences in the given order.
    pub(crate) fn new<'a>(sequences: impl Iterator<Item = &'a [i64]>) -> Packed {
        let mut packed = Packed::default();
        for sequence in sequences {
            let (start, length) = (packed.ids.len() as i64, sequence.len() as i64);
            packed.ids.extend_from_slice(sequence);
            match packed.groups.last_mut().filter(|group| group.length == length) {
                Some(group) => group.count += 1,
                None => packed.groups.push(LengthGroup { start, count: 1, length }),
            }
        }
        packed
    }

    /// The index of the last token of each sequence.
    pub(crate) fn last_tokens(&self) -> Vec<i64> {
        let ends = |group: &LengthGroup| {
            let LengthGroup { start, count, length } = *group;
            (1..=count).map(move |i| start + i * length - 1)
        };
        self.groups.iter().flat_map(ends).collect()
    }

    /// The position of each token in its sequence, and the length of that sequence with its omitted tokens.
    pub(crate) fn positions(&self) -> (Vec<i64>, Vec<i64>) {
        let mut positions = Vec::with_capacity(self.ids.len());
        let mut lengths = Vec::with_capacity(self.ids.len());
        for group in &self.groups {
            for _ in 0..group.count {
                positions.extend(0..group.length);
                let length = group.length + self.omitted;
                lengths.extend(std::iter::repeat_n(length, group.length as usize));
            }
        }
        (positions, lengths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_of_equal_length_share_a_group() {
        let packed = Packed::new([&[1, 2, 3][..], &[4, 5, 6], &[7]].into_iter());
        assert_eq!(packed.ids, [1, 2, 3, 4, 5, 6, 7]);
        let group = |start, count, length| LengthGroup { start, count, length };
        assert_eq!(packed.groups, [group(0, 2, 3), group(6, 1, 1)]);
        assert_eq!(packed.positions(), (vec![0, 1, 2, 0, 1, 2, 0], vec![3, 3, 3, 3, 3, 3, 1]));
        let packed = Packed { omitted: 1, ..packed };
        assert_eq!(packed.positions(), (vec![0, 1, 2, 0, 1, 2, 0], vec![4, 4, 4, 4, 4, 4, 2]));
    }
}
