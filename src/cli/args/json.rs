//! `--json`.

use clap::Args;
use serde::Serialize;

#[derive(Debug, Args)]
pub(in crate::cli) struct JsonArgs {
    /// Print JSON instead of text.
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// A JSON document as text, indented.
pub(in crate::cli) fn to_json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    text.expect("BUG: the document has string keys and finite numbers") + "\n"
}
