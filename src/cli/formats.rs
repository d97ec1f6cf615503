//! `entropy-viz formats`: the supported log formats and the known metric keys.

use clap::Args;
use serde_json::json;

use super::args::JsonArgs;
use entropy_history::formats::FORMATS;
use entropy_history::quantity::KNOWN_KEYS;
use entropy_shell::{CliError, Outcome, Terminal};

#[derive(Debug, Args)]
pub(super) struct FormatsArgs {
    #[command(flatten)]
    json: JsonArgs,
}

impl FormatsArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let text = if self.json.json { document() } else { list() };
        terminal.print(text.as_bytes())?;
        Ok(Outcome::Done)
    }
}

fn list() -> String {
    let mut text = String::new();
    for format in FORMATS {
        text.push_str(&format!(
            "{}\n    {}\n    recognised by: {}\n    preferred keys: {}\n",
            format.name,
            format.about,
            format.recognised_by,
            format.metrics.join(", ")
        ));
    }
    text.push_str("\nEvery format may be compressed with gzip or Zstandard (.gz, .zst).\n");
    text.push_str("\nKnown metric keys; the first with a finite value in the log is taken, and --metric KEY reads any other:\n");
    let width = KNOWN_KEYS.iter().map(|known| known.key.len()).max().unwrap_or(0);
    for known in KNOWN_KEYS {
        let (key, kind) = (known.key, known.kind.words());
        text.push_str(&format!("    {key:width$}  {kind:19}  {}\n", known.trainers));
    }
    text
}

fn document() -> String {
    let formats = FORMATS.iter().map(|format| {
        json!({
            "name": format.name,
            "about": format.about,
            "recognised_by": format.recognised_by,
            "metrics": format.metrics,
        })
    });
    let known = KNOWN_KEYS.iter().map(|known| {
        json!({
            "key": known.key,
            "quantity": known.kind.name(),
            "aggregation": known.kind.aggregation(),
            "unit": "nats",
            "trainers": known.trainers,
            "caveat": known.caveat,
        })
    });
    let document = json!({
        "schema": 1,
        "formats": formats.collect::<Vec<_>>(),
        "keys": known.collect::<Vec<_>>(),
    });
    format!("{document:#}\n")
}
