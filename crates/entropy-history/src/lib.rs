//! Reads the policy-entropy histories that reinforcement-learning trainers log, and computes their statistics.
//!
//! Paths to runs, and runs to statistics:
//!
//! ```
//! use entropy_history::{LoadOptions, Store, Thresholds, analyse};
//!
//! let tmp = tempfile::tempdir()?;
//! let log = tmp.path().join("solver.jsonl");
//! let rows = (1..=40).map(|step| format!("{{\"step\": {step}, \"entropy\": {}}}\n", 2.0 / f64::from(step)));
//! std::fs::write(&log, rows.collect::<String>())?;
//!
//! let store = Store::open(&[log], &LoadOptions::default())?;
//! let analysis = analyse(&store.into_comparison(), &Thresholds::default());
//! assert_eq!(analysis.runs[0].label, "solver");
//! assert_eq!(analysis.runs[0].state_words(), "collapsed");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Entropies are in nats. Nothing here prints, exits or reads the environment.
//!
//! The items below are the public interface. The modules are public for the other crates of the workspace and are
//! not documented here; they may change in any release.

#[doc(hidden)]
pub mod discover;
#[doc(hidden)]
pub mod dump;
#[doc(hidden)]
mod entropy_name;
pub mod formats;
#[doc(hidden)]
pub mod framing;
#[doc(hidden)]
pub mod history;
#[doc(hidden)]
pub mod label;
#[doc(hidden)]
pub mod number;
mod python_number;
#[doc(hidden)]
pub mod quantity;
#[doc(hidden)]
pub mod quantity_names;
#[doc(hidden)]
pub mod quantity_runs;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod run_config;
#[doc(hidden)]
pub mod select;
#[doc(hidden)]
pub mod stages;
#[doc(hidden)]
pub mod stats;
#[doc(hidden)]
pub mod store;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod x_axis;

// From paths to runs.
#[doc(inline)]
pub use discover::{DiscoverError, Input, Location};
#[doc(inline)]
pub use formats::{
    FORMATS, Format, Log, LogNote, LogSeries, ReadError, SeriesSelector, Source, read,
};
#[doc(inline)]
pub use store::{
    AuxError, AuxRequest, Changes, ClockRequest, ConfigRequest, LabelFrom, LoadError, LoadOptions,
    Notice, OpenError, RunRecords, SearchPath, Store,
};

// Configurations.
#[doc(inline)]
pub use run_config::{
    ConfigColumn, ConfigEntries, ConfigKeyError, ConfigKeys, ConfigValue, ConfigValueKind,
    RunConfig,
};

// Runs.
#[doc(inline)]
pub use history::{AuxSeries, Comparison, History, HistoryError, Point, Repairs, Run};
#[doc(inline)]
pub use quantity::{EntropyKind, Sign};

// From runs to statistics.
#[doc(inline)]
pub use stats::health::{Health, State, Thresholds};
#[doc(inline)]
pub use stats::law::{Law, fit};
#[doc(inline)]
pub use stats::smooth::Smoothing;
#[doc(inline)]
pub use stats::{Analysis, RunStats, analyse};
