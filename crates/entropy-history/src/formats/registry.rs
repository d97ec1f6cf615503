//! The table of formats.

use super::format::Format;
use super::{
    console, csv, easyr1, jsonl, parquet, rzero, tensorboard, tensorboard_json, trackio,
    trainer_state, verl, wandb,
};

/// Every readable format. Where two are equally sure of a log, the earlier one reads it.
pub static FORMATS: &[Format] = &[
    rzero::FORMAT,
    verl::FORMAT,
    easyr1::FORMAT,
    jsonl::FORMAT,
    trainer_state::FORMAT,
    tensorboard::FORMAT,
    tensorboard_json::FORMAT,
    wandb::FORMAT,
    trackio::FORMAT,
    csv::FORMAT,
    parquet::FORMAT,
    console::VERL,
    console::EASYR1,
    console::HUGGING_FACE,
];

/// Finds a format by the name that `--format` takes.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
