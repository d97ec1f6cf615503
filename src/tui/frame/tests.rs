use std::time::{Duration, SystemTime};

use super::*;
use crate::tui::standing::Terms;
use crate::tui::view::Act;
use entropy_history::history::Point;
use entropy_history::stats::health::Thresholds;
use entropy_plot::theme::DARK;

const TERMS: Terms = Terms {
    thresholds: Thresholds { collapse_ratio: 0.25, explode_ratio: 2.0 },
    stale: Some(Duration::from_secs(600)),
    over: 20.0,
};

fn run(label: &str, value: impl Fn(f64) -> f64) -> Run {
    let at = |i: i32| Point { step: f64::from(i), entropy: value(f64::from(i)) };
    let points = (1..=100).map(at).collect();
    let (history, _) = History::from_raw(label, EntropyKind::TokenMean, points).unwrap();
    Run::new(history, format!("{label}.json"), "rzero", "entropy")
}

fn view() -> View {
    View::new(Smoothing::None, ValueScale::Linear, (f64::NEG_INFINITY, f64::INFINITY))
}

/// A row of the screen as text: behind a wide character stands an empty cell, which is not seen.
fn row(buffer: &Buffer, y: u16) -> String {
    let mut text = String::new();
    let mut x = 0;
    while x < buffer.area.width {
        let symbol = buffer[(x, y)].symbol();
        text.push_str(symbol);
        x += symbol.width().max(1) as u16;
    }
    text
}

/// The frame as rows of text, each as wide as the screen.
fn frame(runs: &[Run], view: &View, width: u16, height: u16, depth: Depth) -> Vec<String> {
    let now = SystemTime::now();
    let standings: Vec<Standing> =
        runs.iter().map(|run| Standing::of(run, None, &TERMS, now)).collect();
    let scene = Scene {
        runs,
        standings: &standings,
        view,
        ink: Ink { depth, theme: &DARK },
        over: 20.0,
        message: None,
        waiting: "waiting",
        keys: true,
    };
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    render(&scene, area, &mut buffer);
    (0..height).map(|y| row(&buffer, y)).collect()
}

#[test]
fn any_size_and_number_of_runs_is_drawn() {
    for count in [0, 1, 7, 60, 200] {
        let runs: Vec<Run> =
            (0..count).map(|i| run(&format!("实验_{i}_α"), |x| 3.0 - 0.02 * x)).collect();
        let mut all = view();
        all.act(Act::Help, &[], (0.0, 1.0));
        for (width, height) in [(1, 1), (20, 3), (24, 8), (80, 24), (119, 9), (120, 5), (200, 50)] {
            for view in [&view(), &all] {
                let rows = frame(&runs, view, width, height, Depth::True);
                assert_eq!(rows.len(), usize::from(height));
            }
        }
    }
}

#[test]
fn the_table_says_what_does_not_fit() {
    let runs: Vec<Run> = (0..60).map(|i| run(&format!("run_{i}"), |_| 2.0)).collect();
    let mut view = view();
    let rows = frame(&runs, &view, 80, 24, Depth::True).join("\n");
    assert!(rows.contains("run_0") && rows.contains("↓ 53 more"), "{rows}");
    let labels: Vec<&str> = runs.iter().map(|run| run.history.label()).collect();
    view.act(Act::Select(-1), &labels, (0.0, 100.0));
    let rows = frame(&runs, &view, 80, 24, Depth::True).join("\n");
    assert!(rows.contains("run_59") && rows.contains("↑ 53 more"), "{rows}");
    let wide = frame(&runs, &view, 200, 70, Depth::True).join("\n");
    assert!(!wide.contains("more"), "{wide}");
}

#[test]
fn a_hostile_name_is_written_out_and_a_wide_one_keeps_the_columns() {
    let runs = [run("\u{1b}]0;owned\u{7}x", |_| 2.0), run("实验实验", |_| 1.0), run("q", |_| 3.0)];
    let rows = frame(&runs, &view(), 100, 24, Depth::True);
    let all = rows.join("\n");
    assert!(!all.contains('\u{1b}') && all.contains(r"\u{1b}]0;owned\u{7}x"), "{all}");
    let column = |name: &str| {
        let row = rows.iter().find(|row| row.contains(name)).unwrap();
        row.split("healthy").next().unwrap().width()
    };
    assert_eq!(column("实验实验"), column("q  "));
}

#[test]
fn without_colour_the_curves_carry_their_marks() {
    let runs = [run("a", |_| 2.0), run("b", |_| 1.0)];
    let rows = frame(&runs, &view(), 80, 24, Depth::Plain);
    let marked = |mark: char| rows.iter().position(|row| row.contains(mark)).unwrap();
    assert!(marked('A') < marked('B') && marked('B') < 18, "{}", rows.join("\n"));
    assert!(rows.iter().any(|row| row.starts_with(" A  a")), "{}", rows.join("\n"));
}

#[test]
fn states_are_counted_and_told_with_their_step() {
    let falls = run("falls", |x| if x > 60.0 { 0.1 } else { 2.0 });
    let rows = frame(&[run("a", |_| 2.0), falls], &view(), 80, 24, Depth::True).join("\n");
    assert!(rows.starts_with("2 runs · 1 healthy · 1 collapsed"), "{rows}");
    // Centred mean of 5 at step 62: (2 + 4 × 0.1) / 5 = 0.48, at most a quarter of 2.
    assert!(rows.contains("collapsed @ 62"), "{rows}");
}

#[test]
fn a_help_that_does_not_fit_says_so() {
    let mut view = view();
    view.act(Act::Help, &[], (0.0, 1.0));
    let rows = |height| frame(&[run("a", |_| 2.0)], &view, 80, height, Depth::True).join("\n");
    assert!(rows(14).contains("q  Esc  Ctrl-C") && !rows(14).contains("taller"), "{}", rows(14));
    assert!(rows(12).contains(" 2 more keys, in a taller window "), "{}", rows(12));
}

#[test]
fn long_names_stay_apart_in_a_narrow_table() {
    let names = ["1e-5", "1e-6"]
        .map(|rate| format!("the_same_run_for_all_{rate}_of_a_model_that_is_large"));
    let runs = names.map(|name| run(&name, |x| if x > 60.0 { 0.1 } else { 2.0 }));
    let rows = frame(&runs, &view(), 60, 24, Depth::True).join("\n");
    assert!(rows.contains("the_same…_for_all_1e-…") && rows.contains("collapsed @ 62"), "{rows}");
    assert!(rows.contains(" 5_of_a_m…that_is_large") && rows.contains(" 6_of_a_m"), "{rows}");
}
