//! `--shard I/N --shard-by rows`: the rows of the prompts that one process computes.

/// Every N-th row, starting with the I-th.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RowShare {
    /// I, from 1 to `of`.
    pub(crate) number: usize,
    /// N.
    pub(crate) of: usize,
}

impl RowShare {
    /// Whether it has the row with this index from 0.
    pub(crate) fn has(self, row: usize) -> bool {
        row % self.of == self.number - 1
    }

    /// Its name in files and digests: `2-of-8`.
    pub(crate) fn name(self) -> String {
        format!("{}-of-{}", self.number, self.of)
    }
}
