//! What `convert` writes: curves as the files of other programs, bytes only, one file a format.

pub mod json;
pub mod parquet;
mod protobuf;
mod step;
pub mod table;
pub mod tensorboard;
pub mod wandb;
