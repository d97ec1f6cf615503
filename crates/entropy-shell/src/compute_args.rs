//! The flags of `entropy-viz compute`. Both programs parse them.
//!
//! A program linked to libtorch takes a quarter of a second to start, and cannot start at all without libtorch.
//! Therefore only the helper `entropy-viz-compute` links it. The main program parses the flags, finds the helper
//! and libtorch, and starts the helper with the same arguments. Help, completions and usage errors need neither.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, ValueEnum};
use entropy_history::dump::GroupBy;

use crate::error::CliError;
use crate::exit::{GlobalArgs, Outcome, catch_panics, exit_code, print_usage};
use crate::terminal::Terminal;

const EXAMPLES: &str = "\
Examples:
  entropy-viz compute --model runs/solver_v1 --prompts prompts.jsonl
                                    every checkpoint of a run: writes
                                    runs/solver_v1/entropy_history_solver_v1.json
  entropy-viz compute --model Qwen3-4B --prompts rollouts.jsonl --tokens-out tokens.jsonl
                                    scores existing responses with one checkpoint
  entropy-viz compute --model run --prompts test.parquet --samples 4 --max-new-tokens 512
  entropy-viz compute --model model.pt --tokenizer DIR --prompts prompts.txt
  entropy-viz compute --self-test

Rows of --prompts that have a response are scored, as in a trainer's log-prob pass; for the others,
responses are sampled. Entropy is in nats, over the full vocabulary at --temperature.
A TorchScript file is a program: loading it runs its code. Load only files you trust.";

/// Computes token entropies of a causal language model with libtorch.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ComputeArgs {
    /// A checkpoint, or a run directory with several.
    ///
    /// A checkpoint is a Hugging Face directory or a TorchScript file; a run directory contains
    /// global_step_N, checkpoint-N, step_N or the like, also deeper.
    #[arg(long, value_name = "PATH", required_unless_present = "self_test")]
    pub model: Option<PathBuf>,
    /// Prompts, with or without responses.
    ///
    /// Text (one prompt per line), JSON lines, JSON, CSV, Parquet, Arrow, a folder of Hugging Face datasets or a file of
    /// torch.save, also compressed (.gz, .zst). A directory with one dump per step, such as 10.jsonl: each checkpoint
    /// scores the dump of its step.
    #[arg(long, value_name = "PATH", required_unless_present_any = ["self_test", "verify_script"])]
    pub prompts: Option<PathBuf>,
    /// History file to write [default: entropy_history_<run>.json].
    ///
    /// The default is in the run directory, or in the current directory for a single checkpoint.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Recompute the steps of an existing history.
    ///
    /// Rows written by other programs are replaced too.
    #[arg(long)]
    pub overwrite: bool,
    /// Print what would be computed, and about how long it would take, as JSON, then exit.
    ///
    /// Prompts are tokenised, but no weights are loaded. The time is estimated from the number of parameters and tokens, and
    /// a measured matrix product.
    #[arg(long, conflicts_with = "self_test")]
    pub plan: bool,
    /// Verify known results and a tiny model on this machine, then exit.
    #[arg(long)]
    pub self_test: bool,
    /// Reference of a TorchScript file: numbers of transformers, from examples/trace_model.py.
    ///
    /// The module of --model is compared with it; a difference is an error. Without --prompts, nothing else is done. The
    /// default is NAME.reference.jsonl beside NAME.pt, if it is there.
    #[arg(long, value_name = "FILE", conflicts_with = "self_test")]
    pub verify_script: Option<PathBuf>,

    /// Training step of a single checkpoint whose path does not contain it.
    #[arg(long, value_name = "N", help_heading = "Checkpoints", conflicts_with = "steps")]
    pub step: Option<u64>,
    /// Only checkpoints from step A to step B; either may be omitted.
    #[arg(long, value_name = "A:B", help_heading = "Checkpoints", value_parser = steps)]
    pub steps: Option<(u64, u64)>,
    /// Only the I-th of N shards: every N-th checkpoint, starting with the I-th.
    ///
    /// Use one shard per GPU or job. Results are written to shards/ next to the history; the same command without
    /// --shard merges them.
    #[arg(long, value_name = "I/N", help_heading = "Checkpoints", value_parser = shard)]
    pub shard: Option<(usize, usize)>,
    /// What --shard divides.
    ///
    /// With rows, every shard computes all checkpoints, each with every N-th row of the prompts: several GPUs work on one
    /// checkpoint.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = ShardBy::Checkpoints, help_heading = "Checkpoints")]
    pub shard_by: ShardBy,
    /// Base model of a LoRA adapter, or the model whose config and tokenizer shards need.
    #[arg(long, value_name = "DIR", help_heading = "Checkpoints")]
    pub base_model: Option<PathBuf>,
    /// Directory of tokenizer.json [default: that of the weights; not needed for rows of token ids].
    #[arg(long, value_name = "DIR", help_heading = "Checkpoints", hide_short_help = true)]
    pub tokenizer: Option<PathBuf>,

    /// Key or column of the prompt [default: prompt, else messages].
    #[arg(long, value_name = "KEY", help_heading = "Prompts")]
    pub prompt_key: Option<String>,
    /// Key or column of the response; none samples new ones.
    ///
    /// The default is the key of the trainer that wrote the file: response, completion, output, and others.
    #[arg(long, value_name = "KEY", help_heading = "Prompts")]
    pub response_key: Option<String>,
    /// With a directory of dumps: the checkpoint that scores the dump of step N [default: same].
    #[arg(long, value_name = "WHICH", value_enum, help_heading = "Prompts")]
    pub dump_step: Option<DumpStep>,
    /// System message for chats without one.
    #[arg(long, value_name = "TEXT", help_heading = "Prompts", hide_short_help = true)]
    pub system: Option<String>,
    /// Jinja template around each prompt, which is its variable `content`.
    #[arg(long, value_name = "FILE", help_heading = "Prompts", hide_short_help = true)]
    pub prompt_template: Option<PathBuf>,
    /// When to apply the chat template of the checkpoint.
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ChatTemplates::Auto, help_heading = "Prompts")]
    pub chat_template: ChatTemplates,
    /// Variable for the chat template, e.g. enable_thinking=false; repeatable.
    #[arg(long, value_name = "KEY=VALUE", action = ArgAction::Append, help_heading = "Prompts", hide_short_help = true)]
    pub template_arg: Vec<String>,
    /// Cut the beginning of prompts that are too long, instead of skipping them.
    #[arg(long, help_heading = "Prompts", hide_short_help = true)]
    pub truncate_prompts: bool,

    /// Responses to sample per prompt.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Sampling")]
    pub samples: u32,
    /// Maximum number of tokens per response.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..), help_heading = "Sampling")]
    pub max_new_tokens: u32,
    /// Softmax temperature for sampling, entropies and log-probs; several for scoring, such as 1.0,0.7.
    ///
    /// The first is the main one. Of the others, entropies and log-probs are computed in the same pass, under keys such as
    /// entropy@0.7.
    #[arg(long, value_name = "T", default_value = "1", value_parser = temperatures, help_heading = "Sampling")]
    pub temperature: Temperatures,
    /// Nucleus sampling with this total probability.
    #[arg(long, value_name = "P", default_value_t = 1.0, value_parser = probability, help_heading = "Sampling")]
    pub top_p: f64,
    /// Sample from the K most probable tokens; 0 means all.
    #[arg(
        long,
        value_name = "K",
        default_value_t = 0,
        help_heading = "Sampling",
        hide_short_help = true
    )]
    pub top_k: u32,
    /// Always take the most probable token.
    #[arg(long, conflicts_with_all = ["top_p", "top_k"], help_heading = "Sampling")]
    pub greedy: bool,
    /// Random seed; equal seeds give equal responses.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        help_heading = "Sampling",
        hide_short_help = true
    )]
    pub seed: u64,
    /// Text that ends a response; repeatable.
    #[arg(long, value_name = "TEXT", action = ArgAction::Append, value_parser = clap::builder::NonEmptyStringValueParser::new(), help_heading = "Sampling", hide_short_help = true)]
    pub stop: Vec<String>,

    /// Also compute exact KL divergences to this model: the base model, an earlier checkpoint, an adapter.
    ///
    /// Both models are in memory. KL(policy ‖ reference) and KL(reference ‖ policy) are over the full vocabulary, at the main
    /// temperature: the keys kl_reference and kl_reverse_reference.
    #[arg(long, value_name = "PATH", help_heading = "More output")]
    pub reference: Option<PathBuf>,
    /// Also compute the numbers of groups of responses; repeatable.
    ///
    /// A column of the prompts has a group for each value (at most 50), a comparison such as 'reward>0' two: true and false
    /// (> >= < <= == !=). turn is the assistant's turn. The history has keys such as entropy{reward>0}, entropy{env=math}.
    #[arg(long, value_name = "EXPR", action = ArgAction::Append, value_parser = GroupBy::parse, help_heading = "More output")]
    pub by: Vec<GroupBy>,
    /// Also compute the entropy of the most probable tokens with a total probability of P.
    ///
    /// It is that of the set from which --top-p P samples, with its probabilities divided by their sum: the key
    /// entropy_top_p.
    #[arg(long, value_name = "P", value_parser = probability, help_heading = "More output")]
    pub nucleus: Option<f64>,
    /// File for the numbers of every token: entropy, log-prob, rank, p_max and Rényi-2.
    ///
    /// Parquet if the name ends in .parquet, otherwise JSON lines.
    #[arg(long, value_name = "FILE", help_heading = "More output")]
    pub tokens_out: Option<PathBuf>,
    /// File for sampled responses: JSON lines that --prompts can read.
    #[arg(long, value_name = "FILE", help_heading = "More output")]
    pub save_rollouts: Option<PathBuf>,

    /// Device; auto uses a GPU if there is one.
    #[arg(long, value_name = "auto|cpu|cuda[:N]", default_value = "auto", value_parser = device, help_heading = "Machine")]
    pub device: DeviceChoice,
    /// Number type of the weights.
    #[arg(long, value_name = "TYPE", value_enum, default_value_t = Dtype::Auto, help_heading = "Machine", hide_short_help = true)]
    pub dtype: Dtype,
    /// CPU threads [default: all cores].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=512), help_heading = "Machine", hide_short_help = true)]
    pub threads: Option<u32>,
    /// Tokens per batch.
    #[arg(long, value_name = "auto|N", default_value = "auto", value_parser = batch_tokens, help_heading = "Machine", hide_short_help = true)]
    pub batch_tokens: BatchTokens,
    /// libtorch 2.11 [default: $LIBTORCH, the program's own or python3's].
    ///
    /// Without the flag: $LIBTORCH, the directory libtorch beside the program or in its lib/entropy-viz, or the Python
    /// package torch of `python3 -I`. The current directory is never searched. -v shows which one is used.
    #[arg(long, value_name = "DIR", help_heading = "Machine")]
    pub libtorch: Option<PathBuf>,
}

/// The temperatures of `--temperature`, all different.
#[derive(Debug, Clone, PartialEq)]
pub struct Temperatures {
    /// The first one.
    pub main: f64,
    /// Those after it.
    pub others: Vec<f64>,
}

/// When the chat template is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChatTemplates {
    /// To chats, but not to plain text.
    Auto,
    /// To every prompt; plain text becomes a user message.
    Always,
    /// To no prompt; a chat is then an error.
    Never,
}

/// What a shard is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShardBy {
    /// The checkpoints of a run.
    Checkpoints,
    /// The rows of the prompts.
    Rows,
}

/// Which checkpoint scores a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DumpStep {
    /// That of the dump's step.
    Same,
    /// That of the step before, which sampled it: verl and TRL save step N after training on dump N.
    Previous,
}

/// Number type of the weights in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Dtype {
    /// float32 on the CPU; on a GPU, the type of the checkpoint.
    Auto,
    /// 32-bit floats.
    Float32,
    /// 16-bit floats with 8 bits of exponent.
    Bfloat16,
    /// 16-bit floats with 5 bits of exponent.
    Float16,
}

/// The device to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
}

/// The maximum size of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchTokens {
    /// Chosen by device.
    Auto,
    /// Number of tokens.
    Max(usize),
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

fn temperatures(text: &str) -> Result<Temperatures, String> {
    let mut all: Vec<f64> = Vec::new();
    for part in text.split(',') {
        let temperature = positive(part.trim())?;
        if all.contains(&temperature) {
            return Err(format!("{temperature} is there twice"));
        }
        all.push(temperature);
    }
    Ok(Temperatures { main: all.remove(0), others: all })
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(0.0) => {
            Err("a temperature of 0 has no distribution; use --greedy for the most probable token"
                .to_owned())
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
    let number = text.parse().ok().filter(|n| *n > 0).map(BatchTokens::Max);
    number.ok_or_else(|| "give auto or a number of tokens".to_owned())
}

#[derive(Debug, Parser)]
#[command(name = "entropy-viz compute", version, max_term_width = 100)]
struct HelperCli {
    #[command(flatten)]
    args: ComputeArgs,
    #[command(flatten)]
    global: GlobalArgs,
}

/// Entry point of the helper program: parses the command line, runs `compute` and returns the exit code.
pub fn run_helper(
    compute: impl FnOnce(&ComputeArgs, &Terminal) -> Result<Outcome, CliError>,
) -> ExitCode {
    // The main program passes its own arguments, `compute` included; by hand it may be omitted.
    let mut arguments: Vec<_> = std::env::args_os().collect();
    if let Some(at) = arguments.iter().position(|word| word == "compute")
        && arguments[1..at].iter().all(|word| word.to_string_lossy().starts_with('-'))
    {
        arguments.remove(at);
    }
    catch_panics(|| match HelperCli::try_parse_from(arguments) {
        Ok(HelperCli { args, global }) => {
            let terminal = Terminal::new(global.quiet, global.verbose);
            let result = compute(&args, &terminal);
            exit_code(result, &terminal)
        }
        Err(error) => print_usage(&error, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_range_may_be_open_on_either_side() {
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
    fn temperature_of_zero_suggests_greedy() {
        assert!(positive("0").unwrap_err().contains("--greedy"));
        assert_eq!(positive("0.7"), Ok(0.7));
        assert!(positive("inf").is_err());
        assert!(positive("NaN").is_err());
    }

    #[test]
    fn first_of_several_temperatures_is_the_main_one() {
        let several = Temperatures { main: 1.0, others: vec![0.7, 2.0] };
        assert_eq!(temperatures("1.0,0.7, 2"), Ok(several));
        assert_eq!(temperatures("0.6"), Ok(Temperatures { main: 0.6, others: vec![] }));
        assert!(temperatures("1,0.7,1.0").unwrap_err().contains("twice"));
        assert!(temperatures("1,").is_err());
        assert!(temperatures("1,0").unwrap_err().contains("--greedy"));
    }

    #[test]
    fn device_names_are_those_of_torch() {
        assert_eq!(device("cuda:3"), Ok(DeviceChoice::Cuda(3)));
        assert_eq!(device("cuda"), Ok(DeviceChoice::Cuda(0)));
        assert!(device("gpu").is_err());
    }
}
