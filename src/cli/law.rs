//! `entropy-viz law`: the reward-entropy law, fitted to each run, tested on its later steps, and drawn.

use clap::Args;
use rayon::prelude::*;
use serde::Serialize;

use super::args::{
    JsonArgs, LegendArgs, OptionalPictureArgs, PictureArgs, StepRangeArgs, ValueRangeArgs,
    quantity_name, to_json,
};
use super::inputs::InputArgs;
use super::table::{aligned, number};
use super::target::Target;
use entropy_history::history::{Comparison, Run};
use entropy_history::label::visible;
use entropy_history::quantity_names::keys_of;
use entropy_history::stats::bootstrap::Resampling;
use entropy_history::stats::health::is_recorded;
use entropy_history::stats::law::{self, ASSUMPTION, Estimate};
use entropy_history::store::AuxRequest;
use entropy_plot::ChartOptions;
use entropy_shell::{CliError, Outcome, Terminal};

const EXAMPLES: &str = "\
Examples:
  entropy-viz law trainer_state.json --reward reward
  entropy-viz law 'runs/*.jsonl' --reward critic/score/mean -o law.svg
  entropy-viz law verl.jsonl trl/ --reward critic/score/mean --reward reward
  entropy-viz law run.wandb --reward 'reward/*' --json | jq '.fits[0].hold_out'

R = −a·e^H + b (arXiv 2505.22617): reward R grows as entropy H falls, up to b − a at H = 0.
The law was found for runs without entropy bonus and without KL control. It predicts nothing for
other runs, or if its error on the later steps is no smaller than that of a constant.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct LawArgs {
    #[command(flatten)]
    inputs: InputArgs,
    /// The reward in the same log: reward, or a key or quoted glob; repeatable.
    ///
    /// reward stands for the keys under which trainers log it, as all known names of `plot --with` do. Each log uses the
    /// first of these keys that it has. A glob must match exactly one key.
    #[arg(long, value_name = "NAME|KEY", required = true, value_parser = quantity_name)]
    reward: Vec<String>,
    #[command(flatten)]
    output: OptionalPictureArgs,
    #[command(flatten)]
    json: JsonArgs,
    #[command(flatten)]
    steps: StepRangeArgs,
    #[command(flatten)]
    values: ValueRangeArgs,
    #[command(flatten)]
    legend: LegendArgs,
    #[command(flatten)]
    picture: PictureArgs,
}

/// The JSON document of `law --json`.
#[derive(Serialize)]
struct LawDocument<'a> {
    schema: u32,
    unit: &'static str, // of H
    fits: &'a [law::Law],
}

impl LawArgs {
    pub(super) fn run(&self, terminal: &Terminal) -> Result<Outcome, CliError> {
        self.steps.validate()?;
        self.values.validate()?;
        let output = self.output.target((!self.json.json).then_some("entropy_law.png"));
        let encoding = output.as_ref().map(|output| self.picture.encoding(output)).transpose()?;

        let aux = AuxRequest {
            quantities: vec![self.reward.iter().flat_map(|name| keys_of(name)).collect()],
            requires_quantities: true,
            ..AuxRequest::default()
        };
        let (comparison, outcome) = self.inputs.load_with(aux, terminal)?;
        let window = self.steps.window(&comparison, terminal)?;
        let comparison = window.map_or(comparison, |window| window.cut);
        let resampling = Resampling::default();
        let runs = comparison.runs().par_iter();
        let laws: Vec<law::Law> = runs.map(|run| law::fit(run, &resampling)).collect();
        if let (Some(output), Some(encoding)) = (&output, encoding) {
            let (shown, shown_laws) = recorded(&comparison, &laws, terminal);
            if shown_laws.is_empty() {
                terminal.warn("no run recorded its entropy: no picture is drawn");
            } else if shown_laws.iter().all(|law| law.pairs == 0) {
                terminal.warn("no step has both an entropy and a reward: no picture is drawn");
            } else {
                let shown = Comparison::new(shown)?;
                let options = ChartOptions {
                    steps: self.steps.limits(),
                    y_min: self.values.y_min,
                    y_max: self.values.y_max,
                    legend: self.legend.place(&self.picture),
                    ..self.picture.options(&shown)
                };
                let renderer = self.picture.renderer(&shown, options, terminal)?;
                let picture = renderer.law(&shown, &shown_laws)?;
                for warning in &picture.warnings {
                    terminal.warn(warning);
                }
                let bytes = renderer.encode(&picture, encoding)?;
                output.write(&bytes, terminal)?;
                if *output == Target::Stdout {
                    return Ok(outcome);
                }
            }
        }
        let text = match self.json.json {
            true => to_json(&LawDocument { schema: 1, unit: "nats", fits: &laws }),
            false => render(&laws),
        };
        terminal.print(text.as_bytes())?;
        Ok(outcome)
    }
}

/// The runs to draw, with their laws. Runs whose entropy was not recorded are left out with a warning: their
/// zeros would be a point at H = 0, where the law has its ceiling.
fn recorded(
    comparison: &Comparison,
    laws: &[law::Law],
    terminal: &Terminal,
) -> (Vec<Run>, Vec<law::Law>) {
    let runs = comparison.runs().iter().zip(laws).filter(|(run, _)| {
        let is_recorded = is_recorded(&run.history);
        if !is_recorded {
            let label = run.history.label();
            terminal.warn(&format!(
                "{label} is not drawn: every value is 0, its entropy was not recorded"
            ));
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

/// The table, followed by the notes on each fit, the method and its limits.
fn render(laws: &[law::Law]) -> String {
    let rows: Vec<Vec<String>> = laws.iter().map(cells).collect();
    let mut text =
        aligned(&HEADS.map(str::to_owned), &rows, (1, usize::MAX), |_, _, cell| cell.to_owned());
    for law in laws {
        for note in &law.notes {
            text.push_str(&format!("{}: {note}\n", visible(&law.label)));
        }
    }
    let mut rewards: Vec<&str> = laws.iter().map(|law| law.reward.as_str()).collect();
    rewards.sort_unstable();
    rewards.dedup();
    let rewards: Vec<_> = rewards.into_iter().map(visible).collect();
    text.push_str(&format!(
        "law: R = −a·e^H + b, where R is {} and H is in nats\n",
        rewards.join(" or ")
    ));
    text.push_str(
        "method: least squares of R on e^H; intervals by a moving-block bootstrap of the steps; later rmse: \
         error on the\n  last two thirds of the steps after a fit to the first third (in parentheses: of \
         the mean of the first third)\n",
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
