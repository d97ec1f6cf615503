//! The table of formats.

use super::format::Format;

/// Every readable format. Where two are equally sure of a log, the earlier one reads it.
pub static FORMATS: &[Format] = &[
    super::rzero::FORMAT,
    super::verl::FORMAT,
    super::easyr1::FORMAT,
    super::jsonl::FORMAT,
    super::trainer_state::FORMAT,
    super::miles::FORMAT,
    super::tensorboard::FORMAT,
    super::tensorboard_json::FORMAT,
    super::tensorboardx::FORMAT,
    super::wandb::FORMAT,
    super::swanlab::FORMAT,
    super::mlflow::FORMAT,
    super::trackio::FORMAT,
    super::clearml::FORMAT,
    super::csv::FORMAT,
    super::parquet::FORMAT,
    super::console::VERL,
    super::console::EASYR1,
    super::console::HUGGING_FACE,
    super::console::OTHER,
];

/// Finds a format by the name that `--format` takes.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}
