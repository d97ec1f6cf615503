//! `entropy-viz stats`: statistics of runs as a chart and a table, JSON or CSV.

use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::args::{
    BaselineArgs, ColumnArgs, EmphasisArgs, GroupArgs, HealthArgs, JsonArgs, OptionalPictureArgs,
    PictureArgs, SelectArgs, StepRangeArgs,
};
use super::inputs::InputArgs;
use super::states::warn_about_states;
use super::table;
use super::target::Target;
use crate::report;
use entropy_history::history::Comparison;
use entropy_history::run_config::ConfigColumn;
use entropy_history::stats::compare::compare;
use entropy_history::stats::contrast::ContrastUnit;
use entropy_history::stats::{Analysis, analyse, analyse_window};
use entropy_history::store::AuxRequest;
use entropy_plot::{ChartOptions, RunColours, has_differences};
use entropy_shell::{CliError, Outcome, Terminal, WithHint};

const EXAMPLES: &str = "\
Examples:
  entropy-viz stats 'runs/*.json'
  entropy-viz stats run.json --json | jq '.runs[0].state'
  entropy-viz stats a.json b.json --csv > numbers.csv
  entropy-viz stats models --pairs
  entropy-viz stats models --baseline solver_s1 --pairs-csv pairs.csv
  entropy-viz stats models --group 'questioner|solver'
  entropy-viz stats models --group 'questioner|solver' --comparison-plot pairs.svg
  entropy-viz stats wandb --columns lr,seed --group-by config.lr
  entropy-viz stats a.json b.json --from-step 200 -o late.svg

With --from-step and --to-step, the numbers cover only these steps; states (healthy, falling,
collapsed, …) always cover the whole run.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct StatsArgs {
    #[command(flatten)]
    inputs: InputArgs,
    #[command(flatten)]
    output: OptionalPictureArgs,
    /// Forest plot to write: differences of all pairs with their intervals.
    #[arg(long, value_name = "FILE")]
    comparison_plot: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArgs,
    /// Print CSV instead of text.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Compare every pair of runs in a table. JSON always has all pairs.
    #[arg(long, conflicts_with = "csv")]
    pairs: bool,
    /// CSV file to write with all comparisons; - for stdout.
    #[arg(long, value_name = "FILE")]
    pairs_csv: Option<PathBuf>,
    #[command(flatten)]
    columns: ColumnArgs,
    #[command(flatten)]
    steps: StepRangeArgs,
    #[command(flatten)]
    groups: GroupArgs,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    emphasis: EmphasisArgs,
    #[command(flatten)]
    picture: PictureArgs,
}

impl StatsArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        self.steps.validate()?;
        let prints_document = self.json.json || self.csv;
        let output = self.output.target((!prints_document).then_some("entropy_stats.png"));
        let encoding = output.as_ref().map(|output| self.picture.encoding(output)).transpose()?;

        let forest = self.comparison_plot.as_deref().map(Target::new);
        let forest_encoding = forest.as_ref().map(|f| self.picture.encoding(f)).transpose()?;
        let pairs_csv = self.pairs_csv.as_deref().map(Target::new);
        let targets = [&output, &forest, &pairs_csv].into_iter().flatten();
        let to_stdout = targets.filter(|target| **target == Target::Stdout).count();
        if to_stdout + usize::from(prints_document) > 1 {
            return Err(anyhow!("two documents cannot both go to stdout"))
                .hint("name files with -o, --comparison-plot and --pairs-csv");
        }

        let aux = self.groups.added_to(self.columns.added_to(AuxRequest::default()));
        let (comparison, outcome) = self.inputs.load_with(aux, terminal)?;
        let comparison = self.select.choose(comparison, terminal)?;
        let emphasis = self.emphasis.emphasis(&comparison)?;
        let window = self.steps.window(&comparison, terminal)?;
        let thresholds = self.health.thresholds();
        let (whole, shown, mut analysis) = match &window {
            Some(window) => (&window.whole, &window.cut, analyse_window(window, &thresholds)),
            None => (&comparison, &comparison, analyse(&comparison, &thresholds)),
        };
        warn_about_states(&analysis, terminal);
        let columns = self.columns.columns(shown, terminal)?;
        analysis.set_config(&columns);
        self.groups.warn_ungrouped(whole, "", terminal)?;
        let limits = analysis.notes.clone();
        let plan = self.baseline.plan(&self.groups, shown)?;
        compare(shown, &mut analysis, &plan);
        if forest.is_some() {
            has_pairs(shown, &analysis, self.groups.flag())?;
        }
        if let Some(to) = &pairs_csv {
            if analysis.comparisons.is_empty() {
                let why = analysis.notes.last().map_or("there is only one run", String::as_str);
                terminal.warn(&format!("--pairs-csv has no row: {why}"));
            }
            to.write_beside_document(report::pairs_csv(&analysis).as_bytes(), terminal)?;
        }
        if output.is_some() || forest.is_some() {
            let grouped = self.groups.grouped(None, whole)?;
            let colours = RunColours::choose(whole.runs(), Some(&analysis), &emphasis);
            let mut options = ChartOptions {
                colours: Some(colours),
                steps: self.steps.limits(),
                groups: grouped,
                ..self.picture.options(shown)
            };
            if output.is_some() {
                options.value_label = self.picture.value_label(options.stats_chart)?;
            }
            let renderer = self.picture.renderer(shown, options, terminal)?;
            let bars = || renderer.bars(shown, &analysis);
            let pairs = || renderer.forest(shown, &analysis);
            let drawn = [
                output.as_ref().zip(encoding).map(|(to, encoding)| (to, encoding, bars())),
                forest.as_ref().zip(forest_encoding).map(|(to, encoding)| (to, encoding, pairs())),
            ];
            // All pictures are encoded before any is written: if one fails, nothing is written.
            let mut files = Vec::new();
            for (to, encoding, picture) in drawn.into_iter().flatten() {
                picture.warnings.iter().for_each(|warning| terminal.warn(warning));
                files.push((to, renderer.encode(&picture, encoding)?));
            }
            for (to, bytes) in &files {
                match prints_document || to_stdout > 0 {
                    true => to.write_beside_document(bytes, terminal)?,
                    false => to.write(bytes, terminal)?,
                }
            }
        }
        if to_stdout > 0 {
            return Ok(outcome); // a document on stdout is the only output there
        }
        let text = if self.json.json {
            report::json(&analysis)
        } else if self.csv {
            report::csv(&analysis, &columns)
        } else {
            self.text(shown, &analysis, &columns, &limits, terminal)
        };
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}

impl StatsArgs {
    /// The table of runs with these keys of their configurations, and the comparisons asked for. `limits` are notes about the numbers of runs.
    fn text(
        &self,
        shown: &Comparison,
        analysis: &Analysis,
        columns: &[ConfigColumn],
        limits: &[String],
        terminal: &Terminal,
    ) -> String {
        let width = table::width();
        let verbose = terminal.is_verbose();
        let mut text = table::runs(shown, analysis, columns, width, terminal.colour());
        if verbose {
            text.push_str(&table::details(shown));
        }
        let notes = match self.pairs || self.baseline.is_given() || self.groups.is_given() {
            true => {
                text.push_str(&table::comparisons(analysis, width, verbose));
                &analysis.notes
            }
            false => {
                if let Some(sentence) = report::pair_sentence(analysis) {
                    text.push_str(&format!("{sentence}\n"));
                    if verbose {
                        text.push_str(&format!("{}\n", report::method(ContrastUnit::Runs)));
                    }
                }
                limits
            }
        };
        text.extend(notes.iter().map(|note| format!("{note}\n")));
        text
    }
}

/// Checks that the forest plot would show at least one pair.
///
/// # Errors
/// When no pair has a finite difference.
fn has_pairs(
    comparison: &Comparison,
    analysis: &Analysis,
    group_flag: &str,
) -> Result<(), CliError> {
    if has_differences(analysis) {
        return Ok(());
    }
    let groups = analysis.groups.len();
    let (why, hint) = match (comparison.runs().len(), groups) {
        _ if !analysis.comparisons.is_empty() => {
            let note = analysis.comparisons.iter().find_map(|contrast| contrast.note.clone());
            let why = note.unwrap_or_else(|| "no pair has a finite difference".to_owned());
            (why, "the table gives the reason for each pair")
        }
        (1, _) => ("there is only one run".to_owned(), "name at least two runs"),
        (_, 1) => (
            format!("{group_flag} puts all runs into one group"),
            "a pattern such as 'questioner|solver', or a key that differs, makes several",
        ),
        _ => {
            let note = analysis.notes.last().cloned().unwrap_or_default();
            (note, "--baseline LABEL compares all others with that run")
        }
    };
    Err(anyhow!("nothing to compare for --comparison-plot: {why}")).hint(hint)
}
