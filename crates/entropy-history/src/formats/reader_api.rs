//! What the reader of a format needs, in one import.

pub(crate) use super::error::ReadError;
pub(crate) use super::format::{Confidence, Format, Growth, Head, RecordReader};
pub(crate) use super::json_rows::{JsonRows, nothing_follows, read_json_lines};
pub(crate) use super::log_note::{LogNote, damage_notes};
pub(crate) use super::series_builder::{ColumnId, MissingMetric, SeriesBuilder};
