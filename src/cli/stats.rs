//! `entropy-viz stats`: bars of mean, max and min; a table, JSON or CSV.

use std::path::PathBuf;

use clap::Args;

use super::Outcome;
use super::chart::{ChartArgs, Target, target, write};
use super::compare::CompareArgs;
use super::failure::Failure;
use super::health::HealthArgs;
use super::inputs::InputArgs;
use super::table;
use super::terminal::Terminal;
use crate::report;
use crate::stats::analyse;
use crate::stats::compare::compare;

const EXAMPLES: &str = "\
Examples:
  entropy-viz stats 'runs/*.json'
  entropy-viz stats run.json --json | jq '.runs[0].state'
  entropy-viz stats a.json b.json --csv > numbers.csv
  entropy-viz stats models --group 'questioner|solver'
  entropy-viz stats a.json b.json --from-step 200 -o late.svg";

/// Says how runs compare in numbers.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Stats {
    #[command(flatten)]
    inputs: InputArgs,
    /// The picture to write [default: entropy_stats.png, none with --json or --csv].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write no picture.
    #[arg(long, conflicts_with = "output")]
    no_plot: bool,
    /// Print a JSON document instead of the table.
    #[arg(long)]
    json: bool,
    /// Print CSV instead of the table.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    compare: CompareArgs,
    #[command(flatten)]
    health: HealthArgs,
    #[command(flatten)]
    chart: ChartArgs,
}

impl Stats {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        self.chart.check()?;
        let default =
            || (!self.no_plot && !self.json && !self.csv).then(|| "entropy_stats.png".into());
        let output = self.output.clone().or_else(default).map(|path| target(&path));
        let encoding = output.as_ref().map(|output| self.chart.encoding(output)).transpose()?;

        let (comparison, outcome) = self.inputs.load(terminal)?;
        let window = self.chart.window(&comparison, terminal)?;
        let comparison = window.map_or(comparison, |window| window.cut);
        let plan = self.compare.plan(&comparison, terminal)?;
        let mut analysis = analyse(&comparison, &self.health.thresholds());
        compare(&comparison, &mut analysis, &plan);
        if let (Some(output), Some(encoding)) = (&output, encoding) {
            let studio = self.chart.studio(&comparison, terminal)?;
            let picture = studio.bars(&comparison, &analysis);
            for warning in &picture.warnings {
                terminal.warn(warning);
            }
            let bytes = studio.encode(&picture, encoding)?;
            if *output == Target::Stdout {
                terminal.print(&bytes)?;
                return Ok(outcome);
            }
            write(output, &bytes, terminal)?;
        }
        let text = if self.json {
            report::json(&analysis)
        } else if self.csv {
            report::csv(&analysis)
        } else {
            table::render(&comparison, &analysis, terminal.colour())
                + &table::comparisons(&analysis)
        };
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}
