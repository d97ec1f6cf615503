//! Comparisons as a CSV table.

use serde::Serialize;

use super::{csv_text, spreadsheet_cell};
use entropy_history::stats::Analysis;
use entropy_history::stats::contrast::Contrast;

/// A CSV table with one row per statistic of each pair: numbers in full precision, empty cells where a number is
/// undefined.
pub fn pairs_csv(analysis: &Analysis) -> String {
    let heads = [
        "a",
        "b",
        "between",
        "statistic",
        "estimate",
        "low",
        "high",
        "p",
        "p_holm",
        "shared_steps",
        "detectable_sd",
        "method",
        "assumption",
        "note",
    ];
    csv_text(heads.map(str::to_owned).to_vec(), analysis.comparisons.iter().map(row))
}

fn row(contrast: &Contrast) -> Vec<String> {
    let number = |value: Option<f64>| value.map_or(String::new(), |value| value.to_string());
    vec![
        spreadsheet_cell(&contrast.a),
        spreadsheet_cell(&contrast.b),
        name(contrast.between),
        name(contrast.statistic),
        number(contrast.estimate),
        number(contrast.low),
        number(contrast.high),
        number(contrast.p),
        number(contrast.p_holm),
        contrast.shared_steps.to_string(),
        number(contrast.detectable_sd),
        contrast.method.clone(),
        contrast.assumption.clone(),
        spreadsheet_cell(contrast.note.as_deref().unwrap_or_default()),
    ]
}

/// The name of a unit or a statistic in the JSON document.
fn name(value: impl Serialize) -> String {
    let name = serde_json::to_value(value);
    name.ok().and_then(|name| Some(name.as_str()?.to_owned())).expect("BUG: it has a name")
}
