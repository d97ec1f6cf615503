//! Prints whether runs are healthy, falling or collapsed: `cargo run --example health -- runs/`.

#![allow(clippy::print_stdout)]

use entropy_history::{LoadOptions, Store, Thresholds, analyse};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let store = Store::open(&paths, &LoadOptions::default())?;
    let analysis = analyse(&store.into_comparison(), &Thresholds::default());
    for run in &analysis.runs {
        match run.state_step {
            Some(step) => println!("{}: {} at step {step}", run.label, run.state_words()),
            None => println!("{}: {}", run.label, run.state_words()),
        }
    }
    Ok(())
}
