//! `entropy-viz law`: what a run pays for its reward in entropy, fitted, tested and drawn.

use std::path::PathBuf;

use clap::Args;
use rayon::prelude::*;
use serde::Serialize;

use super::chart::{ChartArgs, Target, hide, target, write};
use super::inputs::InputArgs;
use super::table::{aligned, number};
use entropy_history::history::{Comparison, Run};
use entropy_history::label::visible;
use entropy_history::stats::bootstrap::Resampling;
use entropy_history::stats::health::is_recorded;
use entropy_history::stats::law::{self, ASSUMPTION, Estimate};
use entropy_history::store::AuxRequest;
use entropy_shell::Failure;
use entropy_shell::Outcome;
use entropy_shell::Terminal;

const EXAMPLES: &str = "\
Examples:
  entropy-viz law trainer_state.json --reward reward
  entropy-viz law 'runs/*.jsonl' --reward 'critic/rewards/mean' -o law.svg
  entropy-viz law verl.jsonl trl/ --reward critic/score/mean --reward reward
  entropy-viz law run.wandb --reward 'reward/*' --json | jq '.fits[0].hold_out'

R = −a·e^H + b (arXiv 2505.22617) says that reward is paid for in entropy, and ends at b − a where the
entropy is spent. It was found on runs without entropy bonus and without KL control; on others, and
where the test on the later steps is no better than a constant, it says nothing about what is to come.";

/// Fits R = −a·e^H + b to each run, tests it on the later steps, and draws it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_args(|arg| hide(arg, &["smooth", "log_y"])))]
pub(super) struct Law {
    #[command(flatten)]
    inputs: InputArgs,
    /// The reward: a key of the same log, or a quoted glob that matches one; of several given, the first
    /// that a log has.
    #[arg(long, value_name = "KEY", required = true)]
    reward: Vec<String>,
    /// The picture to write [default: entropy_law.png, none with --json].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write no picture.
    #[arg(long, conflicts_with = "output")]
    no_plot: bool,
    /// Print a JSON document instead of the table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    chart: ChartArgs,
}

/// The document of `--json`.
#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    unit: &'static str, // of H
    fits: &'a [law::Law],
}

impl Law {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, Failure> {
        self.chart.check_for_law()?;
        let default = || (!self.no_plot && !self.json).then(|| "entropy_law.png".into());
        let output = self.output.clone().or_else(default).map(|path| target(&path));
        let encoding = output.as_ref().map(|output| self.chart.encoding(output)).transpose()?;

        let aux = AuxRequest { rewards: self.reward.clone(), ..AuxRequest::default() };
        let (comparison, outcome) = self.inputs.load_with(aux, terminal)?;
        let window = self.chart.window(&comparison, terminal)?;
        let comparison = window.map_or(comparison, |window| window.cut);
        let resampling = Resampling::default();
        let runs = comparison.runs().par_iter();
        let laws: Vec<law::Law> = runs.map(|run| law::fit(run, &resampling)).collect();
        if let (Some(output), Some(encoding)) = (&output, encoding) {
            let (shown, shown_laws) = recorded(&comparison, &laws, terminal);
            if shown_laws.is_empty() {
                terminal.warn("no run's entropy was recorded: no picture is drawn");
            } else if shown_laws.iter().all(|law| law.pairs == 0) {
                terminal.warn("no step has both an entropy and a reward: no picture is drawn");
            } else {
                let shown = Comparison::new(shown)?;
                let studio = self.chart.studio(&shown, terminal)?;
                let picture = studio.law(&shown, &shown_laws)?;
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
        }
        let text = if self.json {
            let document = Document { schema: 1, unit: "nats", fits: &laws };
            let text = serde_json::to_string_pretty(&document);
            text.expect("BUG: the document has string keys and finite numbers") + "\n"
        } else {
            render(&laws)
        };
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}

/// The runs to draw, with their laws. Zeros that nobody measured would be a point at H = 0, where the law has
/// its ceiling.
fn recorded(
    comparison: &Comparison,
    laws: &[law::Law],
    terminal: &Terminal,
) -> (Vec<Run>, Vec<law::Law>) {
    let runs = comparison.runs().iter().zip(laws).filter(|(run, _)| {
        let is_recorded = is_recorded(&run.history);
        if !is_recorded {
            let label = run.history.label();
            terminal.warn(&format!("{label} is not drawn: every entropy is 0, none was recorded"));
        }
        is_recorded
    });
    runs.map(|(run, law)| (run.clone(), law.clone())).unzip()
}

const HEADS: [&str; 8] = [
    "run",
    "pairs",
    "a [95 %]",
    "b [95 %]",
    "at H = 0 [95 %]",
    "R²",
    "rmse",
    "later rmse (constant)",
];

/// The table, with what limits each fit below it.
fn render(laws: &[law::Law]) -> String {
    let rows: Vec<Vec<String>> = laws.iter().map(cells).collect();
    let mut text = aligned(&HEADS.map(str::to_owned), &rows, |_, _, cell| cell.to_owned());
    for law in laws {
        for note in &law.notes {
            text.push_str(&format!("{}: {note}\n", visible(&law.label)));
        }
    }
    let mut rewards: Vec<&str> = laws.iter().map(|law| law.reward.as_str()).collect();
    rewards.sort_unstable();
    rewards.dedup();
    let rewards: Vec<_> = rewards.into_iter().map(visible).collect();
    text.push_str(&format!("law: R = −a·e^H + b, R being {}, H in nats\n", rewards.join(" or ")));
    text.push_str(
        "method: least squares of R on e^H; intervals by a moving-block bootstrap of the steps; later: \
         the law fitted to the first third\n  of the steps, off by so much on the rest, beside the mean \
         of the first third as a forecast\n",
    );
    text.push_str(&format!("limits: {ASSUMPTION}\n"));
    text
}

fn cells(law: &law::Law) -> Vec<String> {
    let none = || "–".to_owned();
    let estimate = |estimate: Option<Estimate>| match estimate {
        Some(Estimate { estimate, low: Some(low), high: Some(high) }) => {
            format!("{} [{}, {}]", number(estimate), number(low), number(high))
        }
        Some(Estimate { estimate, .. }) => number(estimate),
        None => none(),
    };
    let later = law.hold_out.map_or_else(none, |test| {
        format!("{} ({})", number(test.rmse), number(test.constant_rmse))
    });
    vec![
        visible(&law.label).into_owned(),
        law.pairs.to_string(),
        estimate(law.a),
        estimate(law.b),
        estimate(law.ceiling),
        law.r2.map_or_else(none, |r2| format!("{r2:.3}").replace('-', "−")),
        law.rmse.map_or_else(none, number),
        later,
    ]
}
