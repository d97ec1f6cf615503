//! `entropy-viz compute`: parsed here, done by a helper program.
//!
//! A program linked to libtorch takes a quarter of a second to start, and without libtorch dies
//! before `main`. So only the helper `entropy-viz-compute` links it; this command finds both, checks
//! the version and hands over. Help, completions and usage errors need neither.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, ValueEnum};

use crate::failure::Failure;
use crate::program::{GlobalArgs, Outcome, finish, run_guarded, usage};
use crate::terminal::{self, Terminal};

const EXAMPLES: &str = "\
Examples:
  entropy-viz compute --model runs/solver_v1 --prompts prompts.jsonl
                                    every checkpoint of a run: writes
                                    runs/solver_v1/entropy_history_solver_v1.json
  entropy-viz compute --model Qwen3-4B --prompts rollouts.jsonl --tokens-out tokens.jsonl
                                    scores given responses of one checkpoint
  entropy-viz compute --model run --prompts test.parquet --samples 4 --max-new-tokens 512
  entropy-viz compute --model model.pt --tokenizer DIR --prompts prompts.txt
  entropy-viz compute --self-test

Rows of --prompts with a response are scored, as a trainer's log-prob pass does; rows without are
sampled. Entropy is in nats, of the full distribution at --temperature.
A TorchScript file is a program: loading it runs its code. Load only files you trust.";

/// Computes token entropies of a causal language model with libtorch.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct ComputeArgs {
    /// A checkpoint (Hugging Face directory or TorchScript file), or a run: a directory with
    /// global_step_N or checkpoint-N inside.
    #[arg(long, value_name = "PATH", required_unless_present = "self_test")]
    pub model: Option<PathBuf>,
    /// Prompts, with or without responses: text (one a line), JSON lines, JSON, CSV or Parquet.
    #[arg(long, value_name = "FILE", required_unless_present = "self_test")]
    pub prompts: Option<PathBuf>,
    /// The history to write [default: entropy_history_<run>.json in the run's directory; in the
    /// current one for a single checkpoint].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Compute again what the history has, and replace rows that others wrote.
    #[arg(long)]
    pub overwrite: bool,
    /// Check closed forms and a tiny generated model on this machine, and stop.
    #[arg(long)]
    pub self_test: bool,

    /// The step of a single checkpoint whose path does not name it.
    #[arg(long, value_name = "N", help_heading = "Checkpoints", conflicts_with_all = ["steps", "shard"])]
    pub step: Option<u64>,
    /// Only the run's checkpoints from step A to step B; either may be left out.
    #[arg(long, value_name = "A:B", help_heading = "Checkpoints", value_parser = steps)]
    pub steps: Option<(u64, u64)>,
    /// Only every n-th checkpoint, beginning with the i-th: one shard a GPU or job. Rows go to shards/
    /// beside the history; the same command without --shard merges them.
    #[arg(long, value_name = "I/N", help_heading = "Checkpoints", value_parser = shard)]
    pub shard: Option<(usize, usize)>,
    /// The model that a LoRA adapter belongs to.
    #[arg(long, value_name = "DIR", help_heading = "Checkpoints")]
    pub base_model: Option<PathBuf>,
    /// Where tokenizer.json is, if not beside the weights.
    #[arg(long, value_name = "DIR", help_heading = "Checkpoints")]
    pub tokenizer: Option<PathBuf>,

    /// The key or column that holds the prompt [default: prompt, else messages].
    #[arg(long, value_name = "KEY", help_heading = "Prompts")]
    pub prompt_key: Option<String>,
    /// A system message for chats that have none.
    #[arg(long, value_name = "TEXT", help_heading = "Prompts")]
    pub system: Option<String>,
    /// A Jinja file that wraps each prompt, called content in it.
    #[arg(long, value_name = "FILE", help_heading = "Prompts")]
    pub prompt_template: Option<PathBuf>,
    /// Which prompts the checkpoint's chat template is put around; auto: chats, not plain text.
    #[arg(long, value_enum, default_value_t = ChatTemplates::Auto, help_heading = "Prompts")]
    pub chat_template: ChatTemplates,
    /// A variable for the chat template, as in enable_thinking=false; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append, help_heading = "Prompts")]
    pub template_arg: Vec<String>,
    /// Cut prompts that are too long at their beginning, instead of skipping them.
    #[arg(long, help_heading = "Prompts")]
    pub truncate_prompts: bool,

    /// Responses to sample for each prompt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Sampling")]
    pub samples: u32,
    /// Tokens a response may have.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Sampling")]
    pub max_new_tokens: u32,
    /// What logits are divided by, for sampling, entropies and log-probs.
    #[arg(long, value_name = "T", default_value_t = 1.0, value_parser = positive, help_heading = "Sampling")]
    pub temperature: f64,
    /// Sample from the smallest set of tokens with this probability.
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = probability, help_heading = "Sampling")]
    pub top_p: f64,
    /// Sample from the K most probable tokens; 0 is all.
    #[arg(long, value_name = "K", default_value_t = 0, help_heading = "Sampling")]
    pub top_k: u32,
    /// Take the most probable token.
    #[arg(long, conflicts_with_all = ["top_p", "top_k"], help_heading = "Sampling")]
    pub greedy: bool,
    /// The same seed gives the same responses.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    pub seed: u64,
    /// A text that ends a response; may be repeated.
    #[arg(long, value_name = "TEXT", action = ArgAction::Append, value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Sampling")]
    pub stop: Vec<String>,

    /// Write tokens, entropies and log-probs of every response; JSON lines, or Parquet by its name.
    #[arg(long, value_name = "FILE", help_heading = "Further output")]
    pub tokens_out: Option<PathBuf>,
    /// Write what was sampled as JSON lines that --prompts takes.
    #[arg(long, value_name = "FILE", help_heading = "Further output")]
    pub save_rollouts: Option<PathBuf>,

    /// Where to compute: auto is the GPU if there is one.
    #[arg(long, value_name = "auto|cpu|cuda[:N]", default_value = "auto", value_parser = device, help_heading = "Machine")]
    pub device: DeviceChoice,
    /// Number type of the weights; auto: float32 on the CPU, as stored on a GPU.
    #[arg(long, value_enum, default_value_t = Dtype::Auto, help_heading = "Machine")]
    pub dtype: Dtype,
    /// CPU threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512), help_heading = "Machine")]
    pub threads: Option<u32>,
    /// Tokens in one batch.
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = batch_tokens, help_heading = "Machine")]
    pub batch_tokens: BatchTokens,
    /// Where libtorch 2.11 is [default: $LIBTORCH, .libtorch, or the torch of python3].
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    pub libtorch: Option<PathBuf>,
}

/// Which prompts the chat template is put around.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChatTemplates {
    /// Chats, not plain text.
    Auto,
    /// Every prompt; plain text becomes the user's message.
    Always,
    /// None; a chat is then an error.
    Never,
}

/// Number type of the weights in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// float32 on the CPU, as stored on a GPU.
    Auto,
    /// 32 bits.
    Float32,
    /// 16 bits, 8 of them exponent.
    Bfloat16,
    /// 16 bits, 5 of them exponent.
    Float16,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU of that number.
    Cuda(usize),
}

/// How large a batch may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchTokens {
    /// What suits the device.
    Auto,
    /// So many tokens.
    Most(usize),
}

fn steps(text: &str) -> Result<(u64, u64), String> {
    let form = || "give A:B, A: or :B, as in 100:500".to_owned();
    let (from, to) = text.split_once(':').ok_or_else(form)?;
    let bound = |text: &str, open: u64| match text {
        "" => Ok(open),
        text => text.parse().map_err(|_| form()),
    };
    let (from, to) = (bound(from, 0)?, bound(to, u64::MAX)?);
    if from > to { Err(format!("{from} is after {to}")) } else { Ok((from, to)) }
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let form = || "give I/N with I from 1 to N, as in 2/8".to_owned();
    let (i, n) = text.split_once('/').ok_or_else(form)?;
    let (i, n): (usize, usize) = (i.parse().map_err(|_| form())?, n.parse().map_err(|_| form())?);
    if (1..=n).contains(&i) { Ok((i, n)) } else { Err(form()) }
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(0.0) => {
            Err("at 0 there is no distribution; --greedy takes the most probable".to_owned())
        }
        Ok(value) if value > 0.0 && value.is_finite() => Ok(value),
        _ => Err("give a number above 0".to_owned()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().ok().filter(|p| *p > 0.0 && *p <= 1.0);
    value.ok_or_else(|| "give a number above 0 and at most 1".to_owned())
}

fn device(text: &str) -> Result<DeviceChoice, String> {
    let choice = match text {
        "auto" => Some(DeviceChoice::Auto),
        "cpu" => Some(DeviceChoice::Cpu),
        "cuda" => Some(DeviceChoice::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok())
            .map(DeviceChoice::Cuda),
    };
    choice.ok_or_else(|| "give auto, cpu, cuda or cuda:N".to_owned())
}

fn batch_tokens(text: &str) -> Result<BatchTokens, String> {
    if text == "auto" {
        return Ok(BatchTokens::Auto);
    }
    let number = text.parse().ok().filter(|n| *n > 0).map(BatchTokens::Most);
    number.ok_or_else(|| "give auto or a number of tokens".to_owned())
}

#[derive(Debug, Parser)]
#[command(name = "entropy-viz compute", version, max_term_width = 100)]
struct Helper {
    #[command(flatten)]
    args: ComputeArgs,
    #[command(flatten)]
    global: GlobalArgs,
}

/// The helper's command line: parses what the `compute` command handed over, runs `compute` and maps
/// its outcome to an exit code as every command does.
pub fn helper_main(
    compute: impl FnOnce(&ComputeArgs, &Terminal) -> Result<Outcome, Failure>,
) -> ExitCode {
    // Handed over, the command's name comes first; run by hand, it need not.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if let Some(at) = arguments.iter().position(|word| word == "compute")
        && arguments[1..at].iter().all(|word| word.to_string_lossy().starts_with('-'))
    {
        arguments.remove(at);
    }
    run_guarded(|| match Helper::try_parse_from(arguments) {
        Ok(Helper { args, global }) => {
            let terminal = Terminal::new(global.quiet, global.verbose);
            let result = compute(&args, &terminal);
            finish(result, &terminal)
        }
        Err(error) => usage(&error),
    })
}

/// Says that the work was interrupted, and what is kept of it.
pub fn say_interrupted(what: &str) {
    terminal::report_error(what, None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_may_be_open_on_either_side() {
        assert_eq!(steps("10:20"), Ok((10, 20)));
        assert_eq!(steps(":20"), Ok((0, 20)));
        assert_eq!(steps("10:"), Ok((10, u64::MAX)));
        assert!(steps("20:10").is_err());
        assert!(steps("20").is_err());
    }

    #[test]
    fn shards_count_from_one() {
        assert_eq!(shard("1/1"), Ok((1, 1)));
        assert_eq!(shard("8/8"), Ok((8, 8)));
        assert!(shard("0/8").is_err());
        assert!(shard("9/8").is_err());
    }

    #[test]
    fn a_temperature_of_zero_is_told_of_greedy() {
        assert!(positive("0").unwrap_err().contains("--greedy"));
        assert_eq!(positive("0.7"), Ok(0.7));
        assert!(positive("inf").is_err());
        assert!(positive("NaN").is_err());
    }

    #[test]
    fn devices_are_named_as_torch_names_them() {
        assert_eq!(device("cuda:3"), Ok(DeviceChoice::Cuda(3)));
        assert_eq!(device("cuda"), Ok(DeviceChoice::Cuda(0)));
        assert!(device("gpu").is_err());
    }
}
