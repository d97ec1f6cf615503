//! The command line: one file per command, and the groups of flags that commands share in `args`.
//!
//! Only this module prints, reads the environment and knows flags. The libraries return values and errors; this
//! module turns them into output, warnings, hints and exit codes.

mod args;
mod auto;
mod chart_hints;
mod charts;
mod check;
mod completions;
mod convert;
mod explain;
mod formats;
mod graphics;
mod hints;
mod inputs;
mod inspect;
mod inspect_config;
mod invocation;
mod launch;
mod law;
mod load;
mod man;
mod page;
mod plot;
mod record;
mod renderer;
mod report;
mod report_tokens;
mod states;
mod stats;
mod storage;
mod table;
mod target;
mod theme;
mod tokens;
mod watch;
mod x_axis;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Parser, Subcommand};
use entropy_shell::compute::ComputeArgs;
use entropy_shell::output::remove_temporary_files_on_signals;
use entropy_shell::{GlobalArgs, Terminal, catch_panics, exit_code, io_message, print_usage};

const EXAMPLES: &str = "\
Examples:
  entropy-viz auto                                  all histories below $STORAGE_PATH/models
  entropy-viz plot q.json s.json --labels Questioner Solver
  entropy-viz plot 'runs/*/entropy_history_*.json' --smooth ema:0.9 -o curves.pdf
  entropy-viz stats baseline=a.json new=b.json --json
  entropy-viz report runs/ -o report.html           one interactive page to share
  entropy-viz plot wandb/ logs/tensorboard trainer_state.json slurm-17.out
  entropy-viz auto --artifacts ci/entropy           pictures, statistics and a summary for CI";

/// Plots and compares the policy-entropy histories of language models trained with reinforcement
/// learning.
#[derive(Debug, Parser)]
#[command(name = "entropy-viz", version, after_long_help = EXAMPLES, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Find all histories in a directory of models and plot their comparison and statistics.
    Auto(Box<auto::AutoArgs>),
    /// Draw entropy curves, one line per run.
    Plot(Box<plot::PlotArgs>),
    /// Compare runs in numbers: a chart of mean, max and min with a row per run, and a table, JSON or CSV.
    Stats(Box<stats::StatsArgs>),
    /// Compute the entropy of one checkpoint, or of all checkpoints of a run, with libtorch.
    Compute(Box<ComputeArgs>),
    /// CI gate: exit 1 if any run collapsed, exploded or broke a limit.
    Check(check::CheckArgs),
    /// Fit, test and draw the reward-entropy law, R = −a·e^H + b.
    Law(law::LawArgs),
    /// Show where in its responses a policy is uncertain, and why its entropy changes, from dumps of single tokens.
    Tokens(Box<tokens::TokensArgs>),
    /// Say where and why the entropy of a run changed, from its checkpoints and rollouts: one page.
    Explain(Box<explain::ExplainArgs>),
    /// Write one self-contained interactive HTML page: curves, statistics, comparisons, tokens.
    Report(report::ReportArgs),
    /// Convert logs to R-Zero JSON, JSON lines, CSV, Parquet, TensorBoard or W&B offline runs.
    Convert(convert::ConvertArgs),
    /// Show the series of a log, which of them would be plotted, and warnings about the data.
    Inspect(inspect::InspectArgs),
    /// Record steps from stdin into a run's history file.
    ///
    /// The file is valid JSON at all times, even after a crash.
    Record(record::RecordArgs),
    /// Follow logs while they grow, in the terminal or a browser.
    Watch(Box<watch::WatchArgs>),
    /// List the supported log formats and the known metric keys.
    Formats(formats::FormatsArgs),
    /// Print shell completions.
    Completions(completions::CompletionsArgs),
    /// Print the manual page, or write the pages of all commands.
    Man(man::ManArgs),
}

impl Command {
    /// Whether the command has its own reaction to SIGINT and SIGTERM.
    fn handles_signals(&self) -> bool {
        use Command::{Compute, Explain, Record, Watch};
        matches!(self, Compute(_) | Explain(_) | Record(_) | Watch(_))
    }
}

/// Parses the arguments of the process, runs the command and returns the exit code.
pub fn main() -> ExitCode {
    catch_panics(|| match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => print_usage(&error, commands_with_flag(&error).as_deref()),
    })
}

/// Names the commands that accept the unknown flag.
fn commands_with_flag(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    let long = flag.strip_prefix("--").filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    let cli = Cli::command();
    let has_flag =
        |command: &&clap::Command| command.get_arguments().any(|a| a.get_long() == Some(long));
    let names: Vec<&str> = cli.get_subcommands().filter(has_flag).map(|c| c.get_name()).collect();
    (!names.is_empty()).then(|| format!("{flag} is a flag of: {}", names.join(", ")))
}

fn run(cli: Cli) -> ExitCode {
    let terminal = Terminal::new(cli.global.quiet, cli.global.verbose);
    if !cli.command.handles_signals()
        && let Err(error) = remove_temporary_files_on_signals()
    {
        terminal.warn(&format!("cannot handle signals: {}", io_message(&error)));
    }
    let result = match cli.command {
        Command::Auto(args) => args.run(&terminal),
        Command::Plot(args) => args.run(&terminal),
        Command::Stats(args) => args.run(&terminal),
        Command::Compute(args) => launch::run(&args, &terminal),
        Command::Check(args) => args.run(&terminal),
        Command::Law(args) => args.run(&terminal),
        Command::Tokens(args) => args.run(&terminal),
        Command::Explain(args) => args.run(&terminal),
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
