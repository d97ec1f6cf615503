//! `entropy-viz report`: one self-contained interactive page.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;

use super::args::{
    BandArgs, BaselineArgs, CurveArgs, GroupArgs, HealthArgs, SelectArgs, TitleArgs, WithArgs,
};
use super::inputs::InputArgs;
use super::invocation::{command_line, date, source_date_epoch};
use super::page::{PAGE_AUX, PARTIAL, page_smoothing, report_in_terminal};
use super::report_tokens::TokenArgs;
use super::states::warn_about_states;
use super::target::Target;
use crate::report::{self, PageOptions};
use entropy_history::history::Comparison;
use entropy_history::stats::compare::compare;
use entropy_history::stats::{Analysis, analyse};
use entropy_shell::{CliError, Outcome, Terminal, WithHint, plural};

const EXAMPLES: &str = "\
Examples:
  entropy-viz report \"$STORAGE_PATH/models\"
  entropy-viz report q.json s.json --labels Questioner Solver --smooth ema:0.9 -o report.html
  entropy-viz report runs/ --with reward,kl,length
  entropy-viz report runs/ --group 'questioner|solver' --title 'Seeds of November'
  entropy-viz report runs/questioner --tokens tokens.jsonl --by env";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// HTML file to write, or - for stdout.
    #[arg(short, long, value_name = "FILE", default_value = "entropy_report.html")]
    output: PathBuf,
    #[command(flatten)]
    title: TitleArgs,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    select: SelectArgs,
    #[command(flatten)]
    curves: CurveArgs,
    #[command(flatten)]
    with: WithArgs,
    #[command(flatten)]
    groups: GroupArgs,
    #[command(flatten)]
    bands: BandArgs,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    health: HealthArgs,
}

impl ReportArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        let target = self.target()?;
        let smoothing = page_smoothing(self.curves.smooth)?;
        let date = source_date_epoch()?.map(date);

        let aux = self.with.added_to(self.groups.added_to(PAGE_AUX));
        let (comparison, read) = self.inputs.load_with(aux, terminal)?;
        let comparison = self.select.choose(comparison, terminal)?;
        self.groups.warn_ungrouped(&comparison, "", terminal)?;
        let plan = self.baseline.plan(&self.groups, &comparison)?;
        let grouped = self.groups.on_page(&self.bands, &comparison)?;
        let quantities = self.with.quantities(&comparison, grouped.as_ref(), terminal)?;
        let (tokens, skipped) = self.tokens.load(terminal)?;
        let tokens_read = self.inputs.reading.outcome(skipped);
        let start = Instant::now();
        let mut analysis = analyse(&comparison, &self.health.thresholds());
        compare(&comparison, &mut analysis, &plan);
        warn_about_states(&analysis, terminal);
        terminal.verbose(|| format!("analysed in {:.1?}", start.elapsed()));

        let partial = read == Outcome::Partial || tokens_read == Outcome::Partial;
        let notes: Vec<String> = partial.then(|| PARTIAL.to_owned()).into_iter().collect();
        let page = PageOptions {
            title: self.title.title.as_deref(),
            command: command_line(),
            terminal: report_in_terminal(),
            date: date.as_deref(),
            smoothing,
            log_y: self.curves.log_y,
            thresholds: self.health.thresholds(),
            groups: grouped.as_ref(),
            quantities: &quantities,
            notes: &notes,
            tokens: tokens.as_ref(),
            explanation: None,
        };
        write_page(&target, &comparison, &analysis, &page, terminal)?;
        Ok(if partial { Outcome::Partial } else { Outcome::Done })
    }

    fn target(&self) -> Result<Target, CliError> {
        let target = Target::new(&self.output);
        let Target::File(path) = &target else { return Ok(target) };
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if extension.eq_ignore_ascii_case("html") || extension.eq_ignore_ascii_case("htm") {
            return Ok(target);
        }
        Err(anyhow!("cannot write {}: {extension:?} is not a page type", path.display()))
            .hint("end its name in .html")
    }
}

/// Renders and writes the page.
fn write_page(
    target: &Target,
    comparison: &Comparison,
    analysis: &Analysis,
    page: &PageOptions<'_>,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let start = Instant::now();
    let text = report::page(comparison, analysis, page);
    terminal.verbose(|| {
        let runs = plural(comparison.runs().len(), "run", "runs");
        let megabytes = text.len() as f64 / 1e6;
        format!("page of {runs}, {megabytes:.2} MB, made in {:.1?}", start.elapsed())
    });
    target.write(text.as_bytes(), terminal)
}
