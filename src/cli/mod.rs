//! The command line: what is parsed, which command runs, and what becomes of its outcome.
//!
//! This is the only room that prints, reads the environment or names flags. Libraries below return
//! facts; here they become warnings, hints and exit codes.

mod auto;
mod call;
mod chart;
mod check;
mod compare;
mod convert;
mod formats;
mod groups;
mod health;
mod hints;
mod inputs;
mod inspect;
mod launch;
mod law;
mod load;
mod pages;
mod plot;
mod record;
mod report;
mod stats;
mod table;
mod tokens;
mod watch;
mod x_axis;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use entropy_shell::compute::ComputeArgs;
use entropy_shell::{GlobalArgs, Terminal, catch_panics, exit_code, print_usage};

const EXAMPLES: &str = "\
Examples:
  entropy-viz auto                                  every history below $STORAGE_PATH/models
  entropy-viz plot q.json s.json --labels Questioner Solver
  entropy-viz plot 'runs/*/entropy_history_*.json' --smooth ema:0.9 -o curves.pdf
  entropy-viz stats baseline=a.json new=b.json --json
  entropy-viz report runs/ -o report.html           one interactive page to share
  entropy-viz plot wandb/ logs/tensorboard trainer_state.json slurm-17.out
  entropy-viz auto --artifacts ci/entropy           pictures, numbers and a summary for CI";

/// Plots and compares the policy-entropy histories of language models trained with reinforcement
/// learning.
#[derive(Debug, Parser)]
#[command(name = "entropy-viz", version, after_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find every history below a directory of models; draw the comparison and the statistics.
    Auto(auto::Auto),
    /// Draw line curves, one a run.
    Plot(plot::Plot),
    /// Bars of mean, max and min; a table, or JSON or CSV.
    Stats(stats::Stats),
    /// Compute entropies of a checkpoint, or of every checkpoint of a run, with libtorch.
    Compute(Box<ComputeArgs>),
    /// The gate for CI: leave with 1 when a run collapsed, exploded or crossed a bound.
    Check(check::Check),
    /// Fit and draw the reward-entropy law, R = −a·e^H + b.
    Law(law::Law),
    /// One self-contained interactive page: curves, bars, tables, comparisons, single tokens.
    Report(report::Report),
    /// Write logs as R-Zero JSON, JSON lines, CSV, Parquet, TensorBoard events or W&B offline runs.
    Convert(convert::Convert),
    /// Show what is in a log, what of it would be taken, and what is odd.
    Inspect(inspect::Inspect),
    /// Append steps from stdin to a run's history, which is whole at any moment.
    Record(record::Record),
    /// Follow logs while they grow, in the terminal.
    Watch(Box<watch::Watch>),
    /// List the log formats that can be read.
    Formats(formats::Formats),
    /// Print shell completions.
    Completions(pages::Completions),
    /// Print the manual page, or write those of all commands.
    Man(pages::Man),
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    catch_panics(|| match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => print_usage(&error),
    })
}

fn run(cli: Cli) -> ExitCode {
    let terminal = Terminal::new(cli.global.quiet, cli.global.verbose);
    let result = match cli.command {
        Command::Auto(args) => args.run(&terminal),
        Command::Plot(args) => args.run(&terminal),
        Command::Stats(args) => args.run(&terminal),
        Command::Compute(args) => launch::run(&args, &terminal),
        Command::Check(args) => args.run(&terminal),
        Command::Law(args) => args.run(&terminal),
        Command::Report(args) => args.run(&terminal),
        Command::Convert(args) => args.run(&terminal),
        Command::Inspect(args) => args.run(&terminal),
        Command::Record(args) => args.run(&terminal),
        Command::Watch(args) => args.run(&terminal),
        Command::Formats(args) => args.run(&terminal),
        Command::Completions(args) => args.run(&terminal, Cli::command()),
        Command::Man(args) => args.run(&terminal, Cli::command()),
    };
    exit_code(result, &terminal)
}
