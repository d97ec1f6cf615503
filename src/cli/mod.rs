//! The command line: what is parsed, which command runs, and what becomes of its outcome.
//!
//! This is the only room that prints, reads the environment or names flags. Libraries below return
//! facts; here they become warnings, hints and exit codes.

mod across;
mod auto;
mod chart;
mod check;
mod compare;
pub mod compute;
mod convert;
mod curves;
mod failure;
mod formats;
mod groups;
mod health;
mod inputs;
mod inspect;
mod labels;
mod law;
mod load;
mod oddities;
mod pages;
mod plot;
mod record;
mod stats;
mod table;
mod terminal;
pub mod tokens;

use std::process::ExitCode;

use clap::{ArgAction, Args, CommandFactory, Parser, Subcommand};

pub use failure::{Failure, WithHint};
pub use inputs::{plural, say};
pub use terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  entropy-viz auto                                  every history below $STORAGE_PATH/models
  entropy-viz plot q.json s.json --labels Questioner Solver
  entropy-viz plot 'runs/*/entropy_history_*.json' --smooth ema:0.9 -o curves.pdf
  entropy-viz stats baseline=a.json new=b.json --json
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
    global: Global,
}

#[derive(Debug, Args)]
struct Global {
    /// Say only what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Explain what was recognised and how long it took.
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,
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
    Compute(Box<compute::ComputeArgs>),
    /// The gate for CI: leave with 1 when a run collapsed, exploded or crossed a bound.
    Check(check::Check),
    /// Fit and draw the reward-entropy law, R = −a·e^H + b.
    Law(law::Law),
    /// Write logs as R-Zero JSON, JSON lines, CSV, Parquet, TensorBoard events or W&B offline runs.
    Convert(convert::Convert),
    /// Show what is in a log, what of it would be taken, and what is odd.
    Inspect(inspect::Inspect),
    /// Append steps from stdin to a run's history, which is whole at any moment.
    Record(record::Record),
    /// List the log formats that can be read.
    Formats(formats::Formats),
    /// Print shell completions.
    Completions(pages::Completions),
    /// Print the manual page, or write those of all commands.
    Man(pages::Man),
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All was done.
    Done,
    /// Something found could not be used; the rest was done.
    Partial,
    /// All was done, and a bound of `check` was crossed.
    Violated,
    /// The user stopped it.
    Interrupted,
}

/// Runs the program on the process's arguments.
pub fn main() -> ExitCode {
    run_guarded(|| match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => usage(&error),
    })
}

/// Runs a program; a panic is a bug, and the user gets a line, not a backtrace.
fn run_guarded(program: impl FnOnce() -> ExitCode) -> ExitCode {
    std::panic::set_hook(Box::new(|info| {
        let place =
            info.location().map_or(String::new(), |l| format!(" ({}:{})", l.file(), l.line()));
        terminal::complain(
            &format!("this is a bug in entropy-viz{place}"),
            Some("please report it with the command and the file that brought it about"),
        );
    }));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(program));
    result.unwrap_or(ExitCode::from(2))
}

fn run(cli: Cli) -> ExitCode {
    let terminal = Terminal::new(cli.global.quiet, cli.global.verbose);
    let result = match cli.command {
        Command::Auto(args) => args.run(&terminal),
        Command::Plot(args) => args.run(&terminal),
        Command::Stats(args) => args.run(&terminal),
        Command::Compute(args) => args.run(&terminal),
        Command::Check(args) => args.run(&terminal),
        Command::Law(args) => args.run(&terminal),
        Command::Convert(args) => args.run(&terminal),
        Command::Inspect(args) => args.run(&terminal),
        Command::Record(args) => args.run(&terminal),
        Command::Formats(args) => args.run(&terminal),
        Command::Completions(args) => args.run(&terminal, Cli::command()),
        Command::Man(args) => args.run(&terminal, Cli::command()),
    };
    finish(result, &terminal)
}

/// What became of a command, as an exit code and, if it failed, a message.
fn finish(result: Result<Outcome, Failure>, terminal: &Terminal) -> ExitCode {
    terminal.count_unsaid_warnings();
    match result {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Violated) => ExitCode::from(1),
        Ok(Outcome::Partial) => ExitCode::from(2),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(Failure { error, .. }) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(Failure { error, hint }) => {
            terminal::complain(&format!("{error:#}"), hint.as_deref());
            ExitCode::from(2)
        }
    }
}

/// The reader of stdout went away, as `head` does: that is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Help and version go to stdout; mistakes to stderr in the form of every other message.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A closed pipe is the only way this fails.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.render().to_string();
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        terminal::say_raw(&text);
        return ExitCode::from(2);
    }
    let text = text.strip_prefix("error: ").unwrap_or(&text).replace("\n  tip: ", "\n  hint: ");
    let (what, rest) = text.split_once('\n').unwrap_or((&text, ""));
    terminal::complain(what, None);
    terminal::say_raw(rest);
    ExitCode::from(2)
}
