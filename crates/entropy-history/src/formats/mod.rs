//! Log formats: the table of formats, recognition by content, reading and writing.
//!
//! A format is one file or folder with a `FORMAT` constant and one line in [`FORMATS`]. Its reader
//! takes a byte stream, so that one reader serves files, standard input and compressed files (only an
//! SQLite database needs its path), and adds rows to a [`series_builder::SeriesBuilder`]. The result is
//! a [`Log`] of raw points in log order; [`crate::history::History::from_raw`] checks them.
//! A format that `convert` writes has its writer next to its reader, which returns the whole file.

mod choose;
mod clearml;
mod companions;
mod compressed;
mod console;
pub mod csv;
mod databases;
mod easyr1;
mod error;
mod format;
mod integer_step;
mod json_rows;
pub mod jsonl;
mod log;
pub mod log_configs;
mod log_note;
mod miles;
mod mlflow;
pub mod parquet;
mod read_ahead;
mod reader_api;
mod reading;
mod registry;
mod resumable;
mod reward_names;
pub mod run_config;
mod run_file;
mod run_names;
pub mod rzero;
mod series_builder;
mod step_keys;
mod swanlab;
mod table;
pub mod tensorboard;
mod tensorboard_json;
mod tensorboardx;
mod timestamps;
mod trackio;
mod trainer_state;
mod value_lines;
mod verl;
pub mod wandb;

pub use crate::select::{KeyRank, SeriesSelector};
pub use companions::companion_files;
pub use compressed::{Decompressed, read_decompressed};
pub(crate) use console::{LiveConsole, LiveRow};
pub use error::{ReadError, TrackioError, quoted};
pub(crate) use format::RunIdentity;
pub use format::{Confidence, Format, Source};
pub use log::{Log, LogSeries, RawAux, SeriesExtent};
pub use log_note::LogNote;
pub use read_ahead::ReadAhead;
pub use reading::{claims, read};
pub use registry::{FORMATS, by_name};
pub use resumable::ResumableReader;
pub use reward_names::{is_reward_like, nearest_rewards};
pub use table::TableSeries;
