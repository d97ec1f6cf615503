//! Folders of Hugging Face `datasets` (`Dataset.save_to_disk`, `DatasetDict.save_to_disk`):
//!
//! ```text
//! dataset_info.json  state.json  data-00000-of-00002.arrow  data-00001-of-00002.arrow
//! dataset_dict.json  train/  test/                          a folder for each split
//! ```
//!
//! `state.json` lists the files in the order of the rows: `{"_data_files": [{"filename": "data-00000-of-00002.arrow"}]}`.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::bounded;

/// A folder with a data set.
#[derive(Debug, PartialEq)]
pub(crate) struct ArrowFolder {
    /// The Arrow files in the order of the rows.
    pub(crate) files: Vec<PathBuf>,
    /// The split that was chosen, if the folder has several.
    pub(crate) split: Option<String>,
    /// The other splits.
    pub(crate) unused: Vec<String>,
}

/// Why the folder of a data set cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    #[error("{0}: {1}")]
    Io(String, io::Error),
    #[error("{0} is not as `datasets` writes it: {1}")]
    Malformed(String, String),
    #[error("it has several splits, none of them \"train\": {0}; name the folder of one")]
    Splits(String),
    #[error(
        "its rows were selected by indices; save it again with `datasets`, which writes the rows"
    )]
    Indices,
}

/// The data set in a folder; `None` if the folder is not one of `datasets`.
pub(crate) fn find(folder: &Path) -> Result<Option<ArrowFolder>, FolderError> {
    let has = |name: &str| folder.join(name).is_file();
    if has("dataset_dict.json") {
        let splits = names(&json(folder, "dataset_dict.json")?["splits"]);
        let splits = splits.filter(|splits| !splits.is_empty());
        let splits = splits.ok_or_else(|| malformed("dataset_dict.json", "it names no splits"))?;
        let chosen = match &splits[..] {
            [only] => only,
            _ if splits.iter().any(|split| split == "train") => "train",
            _ => return Err(FolderError::Splits(splits.join(", "))),
        };
        let chosen = chosen.to_owned();
        let files = files(&folder.join(inside("dataset_dict.json", &chosen)?))?;
        let unused = splits.into_iter().filter(|split| *split != chosen).collect();
        return Ok(Some(ArrowFolder { files, split: Some(chosen), unused }));
    }
    if !has("state.json") || !has("dataset_info.json") {
        return Ok(None);
    }
    Ok(Some(ArrowFolder { files: files(folder)?, split: None, unused: Vec::new() }))
}

/// The files of a split, by its `state.json`.
fn files(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let state = json(folder, "state.json")?;
    if state["_indices_data_files"].as_array().is_some_and(|files| !files.is_empty()) {
        return Err(FolderError::Indices);
    }
    let listed = state["_data_files"].as_array().cloned().unwrap_or_default();
    let listed: Json = listed.into_iter().map(|mut file| file["filename"].take()).collect();
    let listed = names(&listed).filter(|names| !names.is_empty());
    let listed = listed.ok_or_else(|| malformed("state.json", "it names no \"_data_files\""))?;
    listed.iter().map(|name| Ok(folder.join(inside("state.json", name)?))).collect()
}

/// A list of texts.
fn names(list: &Json) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}

/// A name in a folder, not a path that leads out of it.
fn inside<'a>(file: &str, name: &'a str) -> Result<&'a str, FolderError> {
    let is_name = Path::new(name).file_name().is_some_and(|part| part == name);
    if is_name {
        Ok(name)
    } else {
        Err(malformed(file, &format!("{name:?} is not the name of a file")))
    }
}

fn json(folder: &Path, name: &str) -> Result<Json, FolderError> {
    let bytes = bounded::read(&folder.join(name), bounded::MAX_JSON)
        .map_err(|error| FolderError::Io(name.to_owned(), error))?;
    serde_json::from_slice(&bytes).map_err(|error| malformed(name, &error.to_string()))
}

fn malformed(file: &str, reason: &str) -> FolderError {
    FolderError::Malformed(file.to_owned(), reason.to_owned())
}
