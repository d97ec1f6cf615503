//! Groups of flags that several commands have. Each group is declared once and flattened into exactly the
//! commands that support it.

mod baseline;
mod charts;
mod choice;
mod config;
mod curves;
mod groups;
mod health;
mod json;
mod marks;
mod names;
mod picture;
mod range;
mod rules;
mod series;
mod style;
pub(super) mod values;
mod with;

pub(super) use baseline::BaselineArgs;
pub(super) use charts::ChartArgs;
pub(super) use choice::{EmphasisArgs, SelectArgs};
pub(super) use config::ColumnArgs;
pub(super) use curves::CurveArgs;
pub(super) use groups::{BandArgs, FacetArgs, GroupArgs};
pub(super) use health::HealthArgs;
pub(super) use json::{JsonArgs, to_json};
pub(super) use marks::{LegendArgs, LevelArgs, MarkArgs};
pub(super) use names::list;
pub(super) use picture::{OptionalPictureArgs, PictureArgs, ThemeArgs, TitleArgs};
pub(super) use range::{StepRangeArgs, ValueRangeArgs};
pub(super) use rules::BoundArgs;
pub(super) use series::{SeriesArgs, series_selector};
pub(super) use with::{WithArgs, quantity_name};
