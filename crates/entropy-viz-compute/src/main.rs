//! `entropy-viz-compute`, the helper program of `entropy-viz compute`. Only it links libtorch.
//!
//! A checkpoint and prompts → token ids → logits → entropies → one row of a history file per checkpoint.

mod bare_chat;
mod bounded;
mod chat;
mod checkpoint;
mod encoder;
mod generate;
mod groups;
mod history;
mod interrupt;
mod json_number;
mod model;
mod on_device;
mod pickle;
mod prompts;
mod python_json;
mod reference;
mod response;
mod response_writer;
mod row_counts;
mod row_pass;
mod row_shards;
mod run;
mod sampling;
mod score;
mod score_plan;
mod script_check;
mod self_test;
mod share;
mod summary;
mod text_limit;
mod token_scores;
mod tokenizer;
mod tokenizer_limits;
mod torch;
mod turns;

use std::process::ExitCode;

fn main() -> ExitCode {
    entropy_shell::compute::run_helper(|args, terminal| {
        let threads = match args.threads {
            Some(threads) => threads as usize,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        };
        torch::set_threads(threads)?;
        let _no_gradients = tch::no_grad_guard();
        if args.self_test { self_test::run(args, terminal) } else { run::run(args, terminal) }
    })
}
