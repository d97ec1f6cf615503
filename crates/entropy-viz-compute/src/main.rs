//! `entropy-viz-compute`, the helper of `entropy-viz compute`: the only program that links libtorch.
//!
//! checkpoint + prompts → token ids → logits → entropies → a history file, checkpoint by checkpoint.

mod chat;
mod checkpoint;
mod generate;
mod inputs;
mod model;
mod on_device;
mod progress;
mod prompts;
mod rows;
mod run;
mod sample;
mod score;
mod self_test;
mod tokenizer;
mod tokens;
mod torch;

use std::process::ExitCode;

fn main() -> ExitCode {
    entropy_shell::compute::run_helper(|args, terminal| {
        let threads = args.threads.map_or_else(threads, |threads| threads as usize);
        torch::set_threads(threads)?;
        let _no_gradients = tch::no_grad_guard();
        if args.self_test { self_test::run(args, terminal) } else { run::run(args, terminal) }
    })
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
