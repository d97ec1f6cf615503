//! Reads dumps of single tokens, and computes where and why their entropy changes.
//!
//! [`read()`] adds the responses of a file to a [`TokenTable`]; [`analyse`] computes the numbers of every step. Each
//! formula is a function in [`stats`], with its source. Entropies and log-probs are in nats. Nothing here prints,
//! exits or reads the environment.

mod analysis;
mod change;
mod columns;
mod floats;
mod interner;
mod json;
mod left_out;
mod names;
mod read;
mod response;
pub mod stats;
mod table;
mod twins;

pub use analysis::{
    Analysis, AnalysisOptions, Answers, ClusterInfo, ClusterKind, CovarianceLeftOut,
    CovarianceSection, DistinctNgrams, Distribution, Diversity, EntropyStats, ForkingToken,
    GroupSlice, GroupStats, Grouping, HISTOGRAM_BINS, KindCount, MismatchLeftOut, MismatchSection,
    MismatchToken, Missing, OutcomeRule, PERCENTS, PassAtK, Percentile, Section, SharedTokens,
    StepAnalysis, StepLeftOut, StepOverlap, StepSlices, TOP_SHARE, Threshold, TokenColumn,
    TokenName, TopToken, analyse, shared_tokens, slices,
};
pub use change::{
    Change, Changes, Dimension, Direction, Interval, OtherChange, PartRow, Quantity, SignAgreement,
    Split, StepMean, changes,
};
pub use columns::Columns;
pub use floats::Floats;
pub use left_out::{LeftOut, LeftOutCounts, Reason, Scope};
pub use names::REWARDS as REWARD_NAMES;
pub use read::{ReadError, read};
pub use response::{Advantage, Response};
pub use table::{EXACT_TOKENS, TokenKind, TokenTable, UsedNames};
pub use twins::have_same_responses;
