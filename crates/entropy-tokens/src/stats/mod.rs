//! The formulas, one per file: numbers in, numbers out.

pub mod advantage;
pub mod agreement;
pub mod answers;
pub mod correlation;
pub mod covariance;
pub mod difficulty;
pub mod forking;
pub mod histogram;
pub mod interval;
pub mod jackknife;
pub mod mismatch;
pub mod ngrams;
pub mod order;
pub mod pairs;
pub mod pass_at_k;
pub mod profile;
pub mod shift_share;
