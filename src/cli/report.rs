//! `entropy-viz report`: one self-contained interactive page.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::anyhow;
use clap::Args;

use super::call::{command_line, day, source_date_epoch};
use super::chart::{Target, target, write};
use super::compare::CompareArgs;
use super::health::HealthArgs;
use super::inputs::InputArgs;
use super::tokens::TokenArgs;
use crate::report::{self, Page};
use entropy_history::history::Comparison;
use entropy_history::stats::compare::compare;
use entropy_history::stats::smooth::Smoothing;
use entropy_history::stats::{Analysis, analyse};
use entropy_history::store::{AuxRequest, ClockRequest};
use entropy_shell::Outcome;
use entropy_shell::Terminal;
use entropy_shell::plural;
use entropy_shell::{Failure, WithHint};

const EXAMPLES: &str = "\
Examples:
  entropy-viz report \"$STORAGE_PATH/models\"
  entropy-viz report q.json s.json --labels Questioner Solver --smooth ema:0.9 -o report.html
  entropy-viz report runs/ --group 'questioner|solver' --title 'Seeds of November'
  entropy-viz report runs/questioner --tokens tokens.jsonl";

/// Writes the page.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Report {
    #[command(flatten)]
    inputs: InputArgs,
    /// The page to write, or - for stdout.
    #[arg(short, long, value_name = "FILE", default_value = "entropy_report.html")]
    output: PathBuf,
    /// Title of the page.
    #[arg(long)]
    title: Option<String>,
    /// Where the smoothing slider starts: none or ema:WEIGHT.
    #[arg(long, value_name = "KIND", default_value = "none")]
    smooth: Smoothing,
    /// Start with a logarithmic y axis.
    #[arg(long)]
    log_y: bool,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    health: HealthArgs,
}

/// What is not in the page, where some of what was found could not be read.
pub(super) const PARTIAL: &str = "Some files that were found could not be read and are not in this page; the command says which.";

/// Auxiliary series of a page: the clock, where a log has one.
pub(super) const REPORT_AUX: AuxRequest =
    AuxRequest { rewards: Vec::new(), clock: ClockRequest::Optional };

impl Report {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        let target = self.target()?;
        let smoothing = weight(self.smooth)
            .ok_or_else(|| anyhow!("the page smooths with an exponential moving average only"))
            .hint("--smooth ema:WEIGHT, as in ema:0.9")?;
        let date = source_date_epoch()?.map(day);

        let (comparison, read) = self.inputs.load_with(REPORT_AUX, terminal)?;
        self.compare.groups.tell_ungrouped(&comparison, "", terminal)?;
        let plan = self.compare.plan(&comparison)?;
        let (tokens, tokens_read) = self.tokens.load(terminal)?;
        let start = Instant::now();
        let mut analysis = analyse(&comparison, &self.health.thresholds());
        compare(&comparison, &mut analysis, &plan);
        terminal.verbose(|| format!("analysed in {:.1?}", start.elapsed()));

        let partial = read == Outcome::Partial || tokens_read == Outcome::Partial;
        let notes: Vec<String> = partial.then(|| PARTIAL.to_owned()).into_iter().collect();
        let page = Page {
            title: self.title.as_deref(),
            command: &command_line(),
            date: date.as_deref(),
            smoothing,
            log_y: self.log_y,
            thresholds: self.health.thresholds(),
            notes: &notes,
            tokens: tokens.as_ref(),
        };
        write_page(&target, &comparison, &analysis, &page, terminal)?;
        Ok(if partial { Outcome::Partial } else { Outcome::Done })
    }

    fn target(&self) -> Result<Target, Failure> {
        let target = target(&self.output);
        let Target::File(path) = &target else { return Ok(target) };
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        if extension.eq_ignore_ascii_case("html") || extension.eq_ignore_ascii_case("htm") {
            return Ok(target);
        }
        Err(anyhow!("cannot write {}: {extension:?} is no kind of page", path.display()))
            .hint("end its name in .html")
    }
}

/// The weight of an exponential moving average; none for another kind of smoothing.
pub(super) fn weight(smoothing: Smoothing) -> Option<f64> {
    match smoothing {
        Smoothing::None => Some(0.0),
        Smoothing::Ema(weight) => Some(weight),
        Smoothing::Twema(_) | Smoothing::Mean(_) | Smoothing::Gaussian(_) => None,
    }
}

/// Makes the page and writes it.
fn write_page(
    target: &Target,
    comparison: &Comparison,
    analysis: &Analysis,
    page: &Page<'_>,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let start = Instant::now();
    let text = report::page(comparison, analysis, page);
    terminal.verbose(|| {
        let runs = plural(comparison.runs().len(), "run", "runs");
        let megabytes = text.len() as f64 / 1e6;
        format!("page of {runs}, {megabytes:.2} MB, made in {:.1?}", start.elapsed())
    });
    write(target, text.as_bytes(), terminal)
}
