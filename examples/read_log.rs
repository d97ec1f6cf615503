//! Prints the points of every run in logs of any format: `cargo run --example read_log -- runs/solver.jsonl`.

use std::io::Write;

use entropy_history::{LoadOptions, Store};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let store = Store::open(&paths, &LoadOptions::default())?;
    let mut out = std::io::stdout().lock();
    for run in store.runs() {
        writeln!(out, "{} ({}, read as {})", run.history.label(), run.metric, run.format)?;
        for point in run.history.points() {
            writeln!(out, "{}\t{}", point.step, point.entropy)?;
        }
    }
    Ok(())
}
