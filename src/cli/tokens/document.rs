//! The document of `tokens --json`.

use serde::Serialize;

use entropy_history::dump::GroupBy;
use entropy_tokens::{Analysis, AnalysisOptions, Columns, Reason, Scope, TokenTable, UsedNames};

/// What was left out, or cannot be right, for a reason.
#[derive(Serialize)]
struct LeftOutEntry<'a> {
    reason: Reason,
    count: u64,
    first: &'a str,
}

/// The settings of the command line.
#[derive(Serialize)]
struct Settings {
    by: Option<String>,
    right_above: f64,
}

/// The document; keys are only ever added.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    unit: &'static str,
    sources: &'a [String],
    settings: Settings,
    /// The columns that were used.
    columns: &'a UsedNames,
    responses: usize,
    tokens: usize,
    /// Whether order statistics are of numbers rounded to 32 bits.
    rounded: bool,
    left_out: Vec<LeftOutEntry<'a>>,
    /// Values that no policy has, which count.
    impossible: Vec<LeftOutEntry<'a>>,
    warnings: &'a [String],
    #[serde(flatten)]
    analysis: &'a Analysis,
}

impl<'a> Document<'a> {
    pub(super) fn of(
        table: &'a TokenTable,
        analysis: &'a Analysis,
        columns: &Columns,
        options: &AnalysisOptions,
        warnings: &'a [String],
    ) -> Document<'a> {
        let entry = |(reason, left_out): (Reason, &'a entropy_tokens::LeftOut)| LeftOutEntry {
            reason,
            count: left_out.count,
            first: &left_out.first,
        };
        let (impossible, left_out): (Vec<_>, Vec<_>) =
            table.left_out().iter().partition(|(reason, _)| reason.scope() == Scope::Nothing);
        Document {
            schema: 1,
            unit: "nats",
            sources: table.sources(),
            settings: Settings {
                by: columns.by.as_ref().map(GroupBy::text),
                right_above: options.right_above,
            },
            columns: table.names(),
            responses: table.responses().len(),
            tokens: table.tokens(),
            rounded: table.is_rounded(),
            left_out: left_out.into_iter().map(entry).collect(),
            impossible: impossible.into_iter().map(entry).collect(),
            warnings,
            analysis,
        }
    }
}
