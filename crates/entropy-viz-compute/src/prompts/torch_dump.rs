//! Rollouts that were saved with `torch.save`, such as slime's `--save-debug-rollout-data`:
//!
//! ```python
//! torch.save({"rollout_id": 12, "samples": [{"prompt": "2+2?", "tokens": [5, 6, 7], "response_length": 1}]}, "12.pt")
//! ```
//!
//! The pickle in such a file is read as data; nothing in it is run. Only the keys in use become values.

use serde_json::{Map, Value as Json};

use super::SelectedKeys;
use super::arrow_limits::Budget;
use super::columns::{ColumnKind, is_column};
use super::names::{PROMPTS, SEQUENCE_IDS};
use super::raw::{PromptError, RawContent, RawRow};
use super::torch_values::Values;
use crate::pickle::{self, Fault, Value, ValueId, zip};

/// The first bytes of a file of `torch.save`, a zip archive.
pub(super) const MAGIC: &[u8] = b"PK\x03\x04";

/// Reads the rows of a file: the dictionaries of the only list in it, or a single dictionary.
///
/// # Errors
/// If the file is damaged, needs more than data, or has no list of rows.
pub(super) fn read_rows(
    archive: &[u8],
    selected: SelectedKeys<'_>,
) -> Result<Vec<RawRow>, PromptError> {
    if archive.starts_with(b"\x80") {
        return Err(format_error(
            "it is a pickle, or in the format of torch before 1.6; load it in Python and save it again with torch.save",
        ));
    }
    let entries = zip::entries(archive)
        .map_err(|error| format_error(&format!("it is not a file of torch.save: {error}")))?;
    let Some(entry) = entries.iter().find(|entry| entry.name.ends_with("/data.pkl")) else {
        return Err(format_error("it is a zip archive, but not of torch.save"));
    };
    let folder = entry.name.trim_end_matches("data.pkl");
    for other in &entries {
        let is_order = other.name.strip_prefix(folder) == Some("byteorder");
        if is_order && &archive[other.data.clone()] != b"little" {
            return Err(format_error("its numbers are big-endian"));
        }
    }
    let data = format!("{folder}data/");
    let storages = entries
        .iter()
        .filter_map(|entry| Some((entry.name.strip_prefix(&data)?, &archive[entry.data.clone()])));
    let pickle = pickle::read(&archive[entry.data.clone()]).map_err(|error| refused(&error))?;
    let values = Values { pickle: &pickle, storages: storages.collect() };
    let mut budget = Budget::of(archive.len() as u64);
    let rows = rows(&values)?;
    let place = |index: usize| format!("row {}", index + 1);
    let row = |(index, id): (usize, ValueId)| row(&values, id, place(index), selected, &mut budget);
    rows.into_iter().enumerate().map(row).collect()
}

/// The dictionaries that are rows.
fn rows(values: &Values<'_>) -> Result<Vec<ValueId>, PromptError> {
    let pickle = values.pickle;
    let root = pickle.root();
    let lists: Vec<&[ValueId]> = match pickle.get(root) {
        Value::List(list) | Value::Tuple(list) => vec![list],
        Value::Dict(_) => {
            let names =
                ["input", "prompt_token_ids"].into_iter().chain(PROMPTS).chain(SEQUENCE_IDS);
            let is_given = |name| {
                pickle.field(root, name).is_some_and(|value| *pickle.get(value) != Value::None)
            };
            if names.into_iter().any(is_given) {
                return Ok(vec![root]);
            }
            let entries = pickle.entries(root).unwrap_or_default();
            let lists = entries.iter().filter_map(|(_, value)| pickle.elements(*value));
            lists
                .filter(|list| !list.is_empty() && list.iter().all(|id| holds_rows(values, *id)))
                .collect()
        }
        _ => Vec::new(),
    };
    let found = match lists[..] {
        [list] if list.iter().all(|id| holds_rows(values, *id)) => list,
        _ => {
            let entries = pickle.entries(root).unwrap_or_default().iter();
            let names: Vec<String> = entries
                .filter_map(|(name, _)| Some(format!("{:?}", pickle.text(*name)?)))
                .take(12)
                .collect();
            let found = match names.is_empty() {
                true => pickle.kind(root).to_owned(),
                false => format!("a dictionary with {}", names.join(", ")),
            };
            return Err(format_error(&format!(
                "it has {found}, not a list of samples as dictionaries"
            )));
        }
    };
    // Samples may be in groups, one for each prompt.
    let rows = found.iter().flat_map(|id| match pickle.elements(*id) {
        Some(group) => group.to_vec(),
        None => vec![*id],
    });
    Ok(rows.collect())
}

/// Whether a value is a dictionary, or a group of dictionaries.
fn holds_rows(values: &Values<'_>, id: ValueId) -> bool {
    let pickle = values.pickle;
    let is_dict = |id: &ValueId| pickle.entries(*id).is_some();
    is_dict(&id)
        || pickle.elements(id).is_some_and(|group| !group.is_empty() && group.iter().all(is_dict))
}

fn row(
    values: &Values<'_>,
    id: ValueId,
    place: String,
    selected: SelectedKeys<'_>,
    budget: &mut Budget,
) -> Result<RawRow, PromptError> {
    let mut keys = Map::new();
    for (name, value) in values.pickle.entries(id).unwrap_or_default() {
        let Some(name) = values.pickle.text(*name) else {
            let found = values.pickle.kind(*name);
            return Err(PromptError::at(place, format!("a name in it is {found}, not a string")));
        };
        let kind = if values.is_number(*value) { ColumnKind::Number } else { ColumnKind::Other };
        let value = match is_column(name, kind, selected) {
            true => values.json(*value, budget).map_err(|error| error.of(&place, name))?,
            false => Json::Null,
        };
        budget.take_value(name.len())?;
        keys.insert(name.to_owned(), value);
    }
    Ok(RawRow { place, content: RawContent::Keys(keys) })
}

fn refused(error: &pickle::PickleError) -> PromptError {
    let advice = match &error.fault {
        Fault::RefusedGlobal(_) | Fault::RefusedCall => {
            "; nothing of the file was run: save the samples as plain lists, dictionaries, texts and numbers"
        }
        _ => "",
    };
    format_error(&format!("its pickle cannot be used: {error}{advice}"))
}

fn format_error(reason: &str) -> PromptError {
    PromptError::Format(reason.to_owned())
}
