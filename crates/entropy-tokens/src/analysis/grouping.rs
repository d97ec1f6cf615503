//! What responses are grouped by.

use serde::Serialize;

/// What responses are grouped by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Grouping {
    /// Right and wrong responses.
    Outcome,
    /// The pass rate of the prompt.
    Difficulty,
    /// The turn.
    Turn,
    /// The role.
    Role,
    /// The chosen column.
    Column,
}

impl Grouping {
    /// All groupings.
    pub const ALL: [Grouping; 5] =
        [Grouping::Outcome, Grouping::Difficulty, Grouping::Column, Grouping::Turn, Grouping::Role];
}
