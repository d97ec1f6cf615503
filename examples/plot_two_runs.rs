//! Draws two runs as curves into runs.png: `cargo run --example plot_two_runs -- questioner.json solver.json`.

use std::io::Write;

use entropy_history::{LoadOptions, Smoothing, Store, Thresholds, analyse};
use entropy_plot::{ChartOptions, Curves, Encoding, Fonts, encode, texts_of};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let paths: Vec<_> = std::env::args_os().skip(1).collect();
    let labels = vec!["Questioner".to_owned(), "Solver".to_owned()];
    let options = LoadOptions { labels, ..LoadOptions::default() };
    let runs = Store::open(&paths, &options)?.into_comparison();

    let options = ChartOptions { smoothing: Smoothing::Ema(0.9), ..ChartOptions::default() };
    let texts = texts_of(&runs, &options);
    let fonts = Fonts::for_texts(texts.iter().map(String::as_str), None)?;
    let picture =
        Curves::new(&runs, &options, &fonts)?.picture(&analyse(&runs, &Thresholds::default()));
    let png = encode(&picture.drawing, &fonts, Encoding::Png, 200.0)?;
    std::fs::File::create("runs.png")?.write_all(&png)?;
    Ok(())
}
