//! The tables of `tokens`, one section after the other, for a terminal of 80 columns.

use std::collections::BTreeMap;
use std::ops::Range;

use super::cells::list;
use crate::cli::table::aligned;
use entropy_history::dump::GroupBy;
use entropy_history::label::{shorten_middle, visible};
use entropy_shell::plural;
use entropy_tokens::{Analysis, ClusterKind, OutcomeRule, StepAnalysis, TokenTable, UsedNames};
use unicode_width::UnicodeWidthStr;

/// The largest number of steps in a table; more are shown with `--json`.
const MAX_STEPS: usize = 20;
/// The largest width of the name of a source.
const MAX_SOURCE: usize = 16;

/// The tables, and a line about what is missing.
pub(super) fn render(
    table: &TokenTable,
    analysis: &Analysis,
    by: Option<&GroupBy>,
    width: usize,
) -> String {
    let report =
        Report { analysis, shown: shown_steps(&analysis.steps), sources: table.sources(), width };
    let mut text = report.head(table);
    for section in [
        report.entropy(),
        report.token_columns(),
        report.tenths(),
        report.groups("By outcome", analysis.outcome.map(OutcomeRule::words), |step| {
            &step.by_outcome
        }),
        report.groups("By difficulty: pass rate of the prompt", None, |step| &step.by_difficulty),
        report.groups("By turn", None, |step| &step.by_turn),
        report.groups("By role", None, |step| &step.by_role),
        report.groups(
            &by.map_or_else(String::new, |by| format!("By {}", by.text())),
            None,
            |step| &step.by_column,
        ),
        report.forking(),
        report.covariance(),
        report.mismatch(),
        report.diversity(),
    ] {
        if !section.is_empty() {
            text.push('\n');
            text.push_str(&section);
        }
    }
    if !analysis.missing.is_empty() {
        let missing = analysis.missing.iter();
        let parts =
            missing.map(|missing| format!("{} ({})", missing.section.words(), missing.reason));
        text.push_str(&wrapped(
            &format!("\nmissing: {}", parts.collect::<Vec<_>>().join("; ")),
            width,
        ));
    }
    text
}

/// Indices of at most [`MAX_STEPS`] steps, evenly spaced, with the first and the last.
fn shown_steps(steps: &[StepAnalysis]) -> Vec<usize> {
    let count = steps.len();
    match count {
        0..=MAX_STEPS => (0..count).collect(),
        _ => (0..MAX_STEPS).map(|i| i * (count - 1) / (MAX_STEPS - 1)).collect(),
    }
}

/// Breaks a line at spaces; further lines are indented.
fn wrapped(text: &str, width: usize) -> String {
    let (mut lines, mut line) = (String::new(), String::new());
    for word in text.split(' ') {
        let length = line.trim_start_matches('\n').chars().count();
        if length > 2 && length + 1 + word.chars().count() > width {
            lines.push_str(&line);
            lines.push('\n');
            line = format!("  {word}");
        } else {
            if !line.trim().is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines + &line + "\n"
}

/// The name of a source in a table: its last part, shortened.
fn short_name(source: &str) -> String {
    let name = source.trim_end_matches('/').rsplit('/').next().unwrap_or(source);
    shorten_middle(&visible(name), |text| text.width() <= MAX_SOURCE)
}

/// What the intervals of some steps are over: prompts, responses, or both, by step.
pub(super) fn clusters<'a>(steps: impl Iterator<Item = &'a StepAnalysis>) -> &'static str {
    let (mut prompts, mut responses) = (false, false);
    for step in steps {
        match step.clusters.of {
            ClusterKind::Prompts => prompts = true,
            ClusterKind::Responses => responses = true,
        }
    }
    match (prompts, responses) {
        (true, true) => "prompts (at steps with one prompt, responses)",
        (true, false) => ClusterKind::Prompts.words(),
        (false, _) => ClusterKind::Responses.words(),
    }
}

/// A note if some steps have the same responses.
pub(super) fn same_responses<'a>(
    analysis: &Analysis,
    steps: impl Iterator<Item = &'a StepAnalysis>,
    name: &dyn Fn(&StepAnalysis) -> String,
) -> Option<String> {
    let mut sets: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    let mut all = 0;
    for step in steps {
        all += 1;
        if let Some(first) = step.same_responses_as {
            let names = sets.entry(first).or_insert_with(|| vec![name(&analysis.steps[first])]);
            names.push(name(step));
        }
    }
    match sets.values().next() {
        None => None,
        Some(names) if names.len() == all => Some("all steps have the same responses".to_owned()),
        Some(_) => {
            let sets: Vec<String> = sets.values().map(|names| list(names, 8)).collect();
            Some(format!("steps {} have the same responses", sets.join("; and steps ")))
        }
    }
}

pub(super) struct Report<'a> {
    pub(super) analysis: &'a Analysis,
    /// The steps that are printed.
    shown: Vec<usize>,
    sources: &'a [String],
    width: usize,
}

impl Report<'_> {
    pub(super) fn steps(&self) -> impl Iterator<Item = &StepAnalysis> {
        self.shown.iter().map(|&at| &self.analysis.steps[at])
    }

    /// What the intervals of the steps that have something are over: prompts, responses, or both, by step.
    pub(super) fn clusters(&self, has: impl Fn(&StepAnalysis) -> bool) -> &'static str {
        clusters(self.steps().filter(|step| has(step)))
    }

    /// A note if some steps have the same responses.
    pub(super) fn same_responses(&self) -> Option<String> {
        same_responses(self.analysis, self.steps(), &|step| self.name(step))
    }

    /// The last step, whose tokens are listed.
    pub(super) fn last(&self) -> Option<&StepAnalysis> {
        self.analysis.steps.last()
    }

    /// The name of a step, with its source if there are several.
    pub(super) fn name(&self, step: &StepAnalysis) -> String {
        match self.sources {
            [_] => step.step.to_string(),
            sources => format!("{} {}", short_name(&sources[step.source]), step.step),
        }
    }

    /// A table with steps as rows; steps without cells are left out.
    pub(super) fn by_step(
        &self,
        heads: &[&str],
        cells: impl Fn(&StepAnalysis) -> Option<Vec<String>>,
    ) -> String {
        let rows: Vec<Vec<String>> = self
            .steps()
            .filter_map(|step| Some([vec![self.name(step)], cells(step)?].concat()))
            .collect();
        match rows.is_empty() {
            true => String::new(),
            false => self.table(&[&["step"], heads].concat(), &rows, 0),
        }
    }

    /// A table; columns that do not fit the width are in further tables below, which repeat the first ones.
    pub(super) fn table(&self, heads: &[&str], rows: &[Vec<String>], left: usize) -> String {
        let repeated = left.max(1);
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].width());
            cells.chain([heads[column].width()]).max().unwrap_or(0)
        };
        let first: usize = (0..repeated).map(width).sum::<usize>() + 2 * (repeated - 1);
        let split = |limit: usize| {
            let mut tables: Vec<Range<usize>> = Vec::new();
            let mut from = repeated;
            while from < heads.len() {
                let (mut to, mut total) = (from, first);
                while to < heads.len() && (to == from || total + 2 + width(to) <= limit) {
                    total += 2 + width(to);
                    to += 1;
                }
                // An interval stays with its number.
                if to < heads.len() && heads[to] == "±" && to > from + 1 {
                    to -= 1;
                }
                tables.push(from..to);
                from = to;
            }
            tables
        };
        // As few tables as possible, of about the same width.
        let count = split(self.width).len();
        let limit = (first..=self.width).find(|limit| split(*limit).len() == count);
        let mut text = String::new();
        for Range { start: from, end: to } in split(limit.unwrap_or(self.width)) {
            let columns: Vec<usize> = (0..repeated).chain(from..to).collect();
            let pick =
                |row: &[String]| columns.iter().map(|&at| row[at].clone()).collect::<Vec<_>>();
            let all: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
            let rows: Vec<Vec<String>> = rows.iter().map(|row| pick(row)).collect();
            text.push_str(&aligned(&pick(&all), &rows, (left, usize::MAX), |_, _, cell| {
                cell.to_owned()
            }));
        }
        text
    }

    /// The heading of a section, broken into lines.
    pub(super) fn heading(&self, text: &str) -> String {
        wrapped(text, self.width)
    }

    fn head(&self, table: &TokenTable) -> String {
        let steps: Vec<String> = self.analysis.steps.iter().map(|step| self.name(step)).collect();
        let sources: Vec<_> = self.sources.iter().map(|source| visible(source)).collect();
        let tokens: u64 = self.analysis.steps.iter().map(|step| step.tokens).sum();
        let responses: usize = self.analysis.steps.iter().map(|step| step.responses).sum();
        let mut text = wrapped(
            &format!(
                "{}: {} of {}, {} {}",
                sources.join(", "),
                plural(tokens as usize, "token", "tokens"),
                plural(responses, "response", "responses"),
                if steps.len() == 1 { "step" } else { "steps" },
                list(&steps, 8),
            ),
            self.width,
        );
        if let Some(note) = self.same_responses() {
            text.push_str(&wrapped(
                &format!("{note}: at most one of these steps sampled them"),
                self.width,
            ));
        }
        let UsedNames { entropies, scored, sampler, advantages, rewards, answers, groups } =
            table.names();
        let used = [
            ("entropies", entropies),
            ("scored log-probs", scored),
            ("sampler's", sampler),
            ("advantages", advantages),
            ("rewards", rewards),
            ("answers", answers),
            ("prompts", groups),
        ];
        let used = used.iter().filter(|(_, names)| !names.is_empty());
        let used: Vec<String> =
            used.map(|(what, names)| format!("{what}: {}", names.join(" | "))).collect();
        text.push_str(&wrapped(&format!("columns: {}", used.join("; ")), self.width));
        if self.shown.len() < self.analysis.steps.len() {
            let (shown, all) = (self.shown.len(), self.analysis.steps.len());
            text.push_str(&format!(
                "{shown} of {all} steps are shown; --json has all, --step chooses\n"
            ));
        }
        text
    }
}
