//! All integration tests of the helper in one binary. Some run `entropy-viz` too, which `make test` builds first.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod adapters;
mod bare_chat;
mod binary_dumps;
#[path = "../../../tests/common/mod.rs"]
mod common;
mod compute;
mod distributions;
mod dump_directories;
mod dumps;
mod explain;
mod family_settings;
mod gemma3n;
mod gemma4;
mod groups;
mod hf_shards;
mod histories;
mod hostile;
mod hybrid;
mod interrupted;
mod layouts;
mod megatron;
mod mixtures;
mod outputs;
mod quantised;
mod reference;
mod rope;
mod row_shards;
mod scripts;
mod shards;
mod token_ids;
mod torch_files;
mod trl;
mod unusable;
